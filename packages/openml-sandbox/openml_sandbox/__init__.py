"""A strict stand-in for an OpenML server: REST API v1 over files and SQLite, for development and tests."""
