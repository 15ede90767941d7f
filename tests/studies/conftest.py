"""These routes ask OpenML and hardly the database: one kind of it is enough."""

from pathlib import Path

import pytest

from tests.conftest import empty_database


@pytest.fixture(params=["sqlite"])
def database_uri(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> str:
    """A migrated, empty database."""
    return empty_database(request, tmp_path, migrated_sqlite)
