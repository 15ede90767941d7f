"""The backend of openml.org: accounts, dataset uploads, and the site (docs/architecture.md)."""

__version__ = "0.1.0"
