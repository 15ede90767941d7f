"""Passkeys are tried on SQLite and beside the user tables of OpenML's own servers."""

from pathlib import Path

import pytest

from tests.conftest import empty_database


@pytest.fixture(params=["sqlite", "openml"])
def database_uri(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> str:
    """A migrated, empty database; where OpenML's tables were there first, ours are beside them."""
    return empty_database(request, tmp_path, migrated_sqlite)
