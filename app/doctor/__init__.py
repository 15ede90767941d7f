"""Checks of an installation for its operator: `openml-web doctor`."""
