"""The site with a build, on SQLite alone: nothing here depends on the database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.core.settings import Settings
from tests.conftest import Running, running

BUILD = Path(__file__).parent / "build"


@pytest.fixture
def site_settings(tmp_path: Path, migrated_sqlite: Path) -> Settings:
    """Settings of a site with the build, and with nothing behind it."""
    path = tmp_path / "site.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    return Settings(
        _env_file=None,
        data_dir=tmp_path / "var",
        database_uri=f"sqlite:///{path}",
        spa_dir=str(BUILD),
        embedded_worker=False,
        pass_on="none",
        openml_server="http://127.0.0.1:9/",
    )


@pytest.fixture
async def site(site_settings: Settings) -> AsyncIterator[Running]:
    async with running(site_settings) as found:
        yield found
