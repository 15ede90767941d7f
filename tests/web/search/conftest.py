"""The site in front of a search server, on real ports, for each version of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.core.settings import Settings
from tests.conftest import Running, running
from tests.servers import serving
from tests.web.search.elastic import SearchServer


@pytest.fixture(params=[6, 7, 8])
def server(request: pytest.FixtureRequest) -> SearchServer:
    """A search server with a little of everything, private documents too."""
    server = SearchServer(version=request.param)
    suffix = "" if request.param < 8 else "_v2"
    for number, name in ((1, "anneal"), (2, "kr-vs-kp"), (61, "iris")):
        server.put(
            f"data{suffix}",
            str(number),
            data_id=number,
            name=name,
            status="active",
            visibility="public",
            runs=number * 10,
            uploader_id=1,
            tags=[{"tag": "uci"}] if number == 61 else [],
        )
    server.put(
        f"data{suffix}", "62", data_id=62, name="mine", status="active", visibility="private", uploader_id=7
    )
    server.put(f"task{suffix}", "59", task_id=59, name="Task 59", visibility="public")
    server.put(f"task_type{suffix}", "1", tt_id=1, name="Classification")
    server.put(f"study{suffix}", "99", study_id=99, name="OpenML benchmark suite", visibility="public")
    server.put(f"study{suffix}", "14", study_id=14, name="A study", visibility="public")
    server.put(
        f"user{suffix}",
        "1",
        user_id=1,
        first_name="Ada",
        last_name=None,
        email="ada@private.example",
        bio="Engines",
        visibility="public",
        datasets_uploaded=3,
    )
    server.put(".security", "1", secret="s", status="active")
    return server


@pytest.fixture
def search_settings(tmp_path: Path, migrated_sqlite: Path) -> Settings:
    path = tmp_path / "search.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    return Settings(
        _env_file=None,
        data_dir=tmp_path / "var",
        database_uri=f"sqlite:///{path}",
        embedded_worker=False,
        openml_server="http://127.0.0.1:9/",
    )


@pytest.fixture
async def app(server: SearchServer, search_settings: Settings) -> AsyncIterator[Running]:
    async with serving(server.app) as url:
        settings = search_settings.model_copy(update={"elasticsearch_server": url})
        async with running(settings) as found:
            yield found
