"""Tables as people have them, through the whole service: what each is published as, is asked about, or refused with."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import arff
import httpx
import pytest

from tests.conftest import Person, Running
from tests.uploads.tables import AS_MEANT, ASKED, REFUSED, Table
from tests.uploads.test_data_upload import form, openml  # noqa: F401 - a fixture
from tests.uploads.test_formats import published
from tests.uploads.test_preview import preview, ready
from tests.uploads.test_resources import reach

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
AT_ONCE = 3


async def each(tables: Iterable[Table], look: Callable[[Table], Awaitable[None]]) -> None:
    """Run a check of each table, a few at once."""
    places = asyncio.Semaphore(AT_ONCE)

    async def in_turn(table: Table) -> None:
        async with places:
            await look(table)

    async with asyncio.TaskGroup() as group:
        for table in tables:
            group.create_task(in_turn(table))


def relation(table: Table) -> str:
    return table.name.replace(".", "-").replace("_", "-")


async def assert_published(openml: httpx.AsyncClient, dataset_id: int, table: Table) -> None:  # noqa: F811 - the fixture
    read = arff.loads(await published(openml, dataset_id))
    assert (read["attributes"], read["data"]) == (table.attributes, table.rows), table.name


@pytest.mark.long
async def test_table_when_it_is_certain_then_published_as_meant_and_as_its_preview_shows(
    app: Running,
    person: Person,
    openml: httpx.AsyncClient,  # noqa: F811 - as above
) -> None:
    async def look(table: Table) -> None:
        files = form(table.raw, table.name, dataset_name=relation(table), def_tar_att="")
        answer = await app.client.post("/data-upload", files=files, headers=person.headers)
        assert answer.status_code == 200, (table.name, answer.text)
        await assert_published(openml, answer.json()["id"], table)

        draft = await ready(app, person, table.raw, file_name=table.name, metadata={})
        seen = await preview(app, person, draft)
        assert seen["doubts"] == [], table.name
        assert [column["name"] for column in seen["columns"]] == [name for name, _ in table.attributes]
        shown = zip(*(column["first_values"] for column in seen["columns"]), strict=True)
        assert [[value is None for value in row] for row in shown] == [
            [value is None for value in row] for row in table.rows
        ], table.name

    await each(AS_MEANT, look)


@pytest.mark.long
async def test_table_when_it_is_asked_about_then_published_as_meant_after_the_answer(
    app: Running,
    person: Person,
    openml: httpx.AsyncClient,  # noqa: F811 - as above
) -> None:
    async def look(table: Table) -> None:
        metadata = {"dataset_name": relation(table), "def_tar_att": ""}
        refused = await app.client.post(
            "/data-upload", files=form(table.raw, table.name, **metadata), headers=person.headers
        )
        problem = refused.json()
        assert (refused.status_code, problem["correct"]) == (422, "metadata"), (table.name, problem)
        assert problem["choices"] == table.choices, table.name

        path = f"/uploads/{problem['upload_id']}"
        again = await app.client.post(f"{path}/retry", json=table.answer, headers=person.headers)
        assert again.status_code == 202, (table.name, again.text)
        upload = await reach(app, person, path, "published", "processing", "active")
        await assert_published(openml, upload["dataset_id"], table)

        files = form(table.raw, table.name, **metadata, **table.answer, allow_duplicate=True)
        at_once = await app.client.post("/data-upload", files=files, headers=person.headers)
        assert at_once.status_code == 200, (table.name, at_once.text)
        await assert_published(openml, at_once.json()["id"], table)

    await each(ASKED, look)


async def test_file_when_only_another_one_would_do_then_refused_with_what_to_change(
    app: Running, person: Person
) -> None:
    for name, (content, reason, hint) in REFUSED.items():
        files = form(content.encode(), name, def_tar_att="")
        problem = (await app.client.post("/data-upload", files=files, headers=person.headers)).json()
        assert (problem["reason"], problem["correct"]) == (reason, "file"), name
        assert hint in problem["hint"], name
