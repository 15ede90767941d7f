"""`/data-edit`, `/data-tag` and `/data-untag` against the sandbox."""

from typing import Any

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.core.errors import ERRORS_SHOWN
from app.core.settings import Settings
from app.core.suggestions import NAMES_HELPED
from app.datasets.changes import find_changes, split_entries
from app.datasets.schemas import EditRequest
from app.db.tables import users
from app.openml.reading import LISTS, TEXTS
from app.openml.records import DatasetDescription
from tests.conftest import MakePerson, Person, Running, running
from tests.servers import serving
from tests.service import ADA
from tests.upstream import SILENT, Upstream

SQLITE = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
"""For what no statement of ours has a part in."""
FORM_KEYS = {
    *(
        "user_id",
        "name",
        "description",
        "creator",
        "date",
        "citation",
        "language",
        "default_target_attribute",
    ),
    *("ignore_attribute", "row_id_attribute", "owner", "original_data_url", "paper_url"),
}
UPLOAD: dict[str, Any] = {
    "dataset": ("rivers.csv", b"level,flood\n1.5,yes\n2.5,no\n", "text/csv"),
    "metadata": ("blob", b'{"dataset_name": "rivers", "description": "d", "def_tar_att": "flood"}'),
}


def page(dataset_id: int | str) -> dict[str, Any]:
    """The query as the SPA sends it: the address of its own page."""
    return {"url": f"http://testserver/auth/data-edit?id={dataset_id}"}


def as_the_spa_sends(form: dict[str, Any], **changes: str) -> dict[str, Any]:
    """The form's fields as texts, as the SPA's owner form sends them back."""
    sent = {
        name: ",".join(value) if isinstance(value, list) else value or ""
        for name, value in form.items()
        if name not in {"user_id", "name"}
    }
    return {**sent, **changes}


async def load(app: Running, person: Person, dataset_id: int) -> dict[str, Any]:
    answer = await app.client.get("/data-edit", params=page(dataset_id), headers=person.headers)
    assert answer.status_code == 200, answer.text
    form: dict[str, Any] = answer.json()
    return form


async def edit(app: Running, person: Person, dataset_id: int, body: dict[str, Any]) -> Any:
    return await app.client.post("/data-edit", params=page(dataset_id), json=body, headers=person.headers)


@SQLITE
async def test_form_when_loaded_then_the_fields_that_the_spa_reads(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(
        person.api_key,
        creator=["Ada Example", "Doe, Jane"],
        collection_date="2024",
        language="English",
        ignore_attribute=["station", "flow"],
        citation="Nobody.",
    )

    form = await load(app, person, dataset_id)

    assert set(form) == FORM_KEYS
    assert form["user_id"] == person.id
    assert form["creator"] == ["Ada Example", "Doe, Jane"]
    assert (form["date"], form["language"], form["citation"]) == ("2024", "English", "Nobody.")
    assert form["ignore_attribute"] == ["station", "flow"]
    assert (form["row_id_attribute"], form["paper_url"]) == (None, None)
    assert form["default_target_attribute"] == "flood"


@SQLITE
async def test_form_when_loaded_then_no_file_was_read_and_no_key_in_an_address(
    upstream: Upstream, settings: Settings
) -> None:
    dataset_id = await upstream.publish("0" * 32)
    asked: list[str] = []

    async def pass_on(request: Request) -> Response:
        asked.append(f"{request.method} {request.url.path}?{request.url.query}")
        answer = await upstream.client.request(request.method, request.url.path)
        return Response(answer.content, answer.status_code, media_type="text/xml")

    async with serving(Starlette(routes=[Route("/{path:path}", pass_on)])) as url:
        changes = {"openml_server": url, "embedded_worker": False, "send_email": False}
        async with running(settings.model_copy(update=changes)) as app:
            await app.client.post("/signup", json=ADA)
            token = (await app.client.post("/login", json=ADA)).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            form = await app.client.get("/data-edit", params=page(dataset_id), headers=headers)

    assert form.json()["default_target_attribute"] == "flood"
    assert sorted(asked) == [
        f"GET /api/v1/xml/data/{dataset_id}?",
        f"GET /api/v1/xml/data/list/data_id/{dataset_id}/status/all/limit/1?",
    ]


async def test_form_when_published_here_then_the_publisher_is_its_owner(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    uploaded = await app.client.post("/data-upload", files=UPLOAD, headers=person.headers)
    dataset_id = uploaded.json()["id"]

    assert (await load(app, person, dataset_id))["owner"] == "true"
    assert (await load(app, await make_person(), dataset_id))["owner"] == "false"


async def test_form_when_published_elsewhere_then_its_owner_is_whom_openml_names(
    app: Running, person: Person, make_person: MakePerson, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    listed = (await upstream.client.get(f"api/v1/xml/data/list/data_id/{dataset_id}")).text
    uploader = int(listed.partition("<oml:uploader>")[2].partition("<")[0])
    stranger = await make_person()
    async with app.resources.database.session() as session:
        # Where the tables are shared with OpenML, numbers of users are the same here and there.
        await session.execute(sa.update(users).where(users.c.id == stranger.id).values(id=uploader + 1000))
        await session.execute(sa.update(users).where(users.c.id == person.id).values(id=uploader + 2000))
        await session.execute(sa.update(users).where(users.c.id == uploader + 2000).values(id=uploader))
    owners = []
    for number in (uploader, uploader + 1000):
        token, _ = app.resources.tokens.issue(number)
        headers = {"Authorization": f"Bearer {token}"}
        answer = await app.client.get("/data-edit", params=page(dataset_id), headers=headers)
        owners.append(answer.json()["owner"])

    assert owners == ["true", "false"]


@SQLITE
async def test_form_when_the_dataset_is_private_then_for_its_owner_only(
    app: Running, person: Person, make_person: MakePerson, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key, visibility="private")
    params = page(dataset_id)

    assert (await load(app, person, dataset_id))["owner"] == "true"
    refused = await app.client.get("/data-edit", params=params, headers=(await make_person()).headers)
    assert (refused.status_code, refused.json()["code"]) == (403, 112)


@SQLITE
async def test_edit_when_the_spa_sends_its_form_then_only_what_changed_changes(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(
        person.api_key,
        creator=["Ada Example", "Doe, Jane"],
        citation="Nobody.",
        ignore_attribute=["station", "flow"],
    )
    before = await upstream.dataset(dataset_id)
    body = as_the_spa_sends(await load(app, person, dataset_id), date="2025", language="Dutch")

    answer = await edit(app, person, dataset_id, body)

    assert (answer.status_code, answer.text) == (200, "data edit successful")
    after = await upstream.dataset(dataset_id)
    assert after == {**before, "collection_date": "2025", "language": "Dutch"}
    assert after["description_version"] == "1", "an unchanged description makes no version"


@SQLITE
async def test_edit_when_nothing_changes_then_nothing_is_sent(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key, creator=["A", "B"])
    body = as_the_spa_sends(await load(app, person, dataset_id))
    await upstream.fail("POST /data/edit", "empty-500", times=None)

    assert (await edit(app, person, dataset_id, body)).status_code == 200


@SQLITE
async def test_edit_when_an_element_is_repeated_then_none_is_lost(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key, processed=False, creator=["Ada Example", "Doe, Jane"])
    edits: list[tuple[Any, Any]] = [
        ("Ada Example,Doe, Jane,Cas", ["Ada Example", "Doe, Jane", "Cas"]),
        (["Doe, Jane", "Cas"], ["Doe, Jane", "Cas"]),
        ('"New, Name", Cas', ["New, Name", "Cas"]),
        ("Cas", "Cas"),
        (["New, Name"], "New, Name"),
    ]
    for sent, stored in edits:
        assert (await edit(app, person, dataset_id, {"creator": sent})).status_code == 200
        assert (await upstream.dataset(dataset_id))["creator"] == stored


@SQLITE
async def test_edit_when_roles_change_then_they_are_as_wanted(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key, ignore_attribute="station")
    body = {
        "owner": "false",
        "default_target_attribute": "level",
        "row_id_attribute": "flow",
        "ignore_attribute": "station, flood",
    }

    assert (await edit(app, person, dataset_id, body)).status_code == 200

    after = await upstream.dataset(dataset_id)
    assert (after["default_target_attribute"], after["row_id_attribute"]) == ("level", "flow")
    assert after["ignore_attribute"] == ["station", "flood"]


@SQLITE
async def test_edit_when_the_client_says_it_is_the_owner_then_the_server_decides(
    app: Running, person: Person, make_person: MakePerson, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    before = await upstream.dataset(dataset_id)
    stranger = await make_person()
    lie = {"owner": "true", "default_target_attribute": "level", "citation": "Me."}

    refused = await edit(app, stranger, dataset_id, lie)

    assert (refused.status_code, refused.json()["type"]) == (403, "https://openml.org/problems/not-yours")
    assert refused.json()["code"] == 1065
    assert await upstream.dataset(dataset_id) == before, "not even what a stranger may change"
    # What anybody may change on OpenML a stranger may, whatever is claimed; and so may the owner all of it.
    assert (await edit(app, stranger, dataset_id, {"owner": "true", "citation": "Me."})).status_code == 200
    assert (await edit(app, person, dataset_id, {**lie, "owner": "false"})).status_code == 200
    assert (await upstream.dataset(dataset_id))["default_target_attribute"] == "level"


@SQLITE
async def test_edit_when_the_dataset_has_tasks_then_its_roles_stay(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    await upstream.make_task(person.api_key, dataset_id)

    refused = await edit(app, person, dataset_id, {"default_target_attribute": "level"})

    assert (refused.status_code, refused.json()["code"]) == (409, 1066)


@SQLITE
async def test_edit_when_fields_are_cleared_then_addresses_are_and_the_rest_is_explained(
    app: Running, person: Person, upstream: Upstream
) -> None:
    paper = "https://example.org/paper"
    dataset_id = await upstream.publish(person.api_key, paper_url=paper, citation="Nobody.")

    assert (await edit(app, person, dataset_id, {"paper_url": ""})).status_code == 200
    assert "paper_url" not in await upstream.dataset(dataset_id)

    refused = await edit(app, person, dataset_id, {"citation": "", "creator": "", "language": ""})
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["field"] == "citation", "the others were empty before"
    assert "cannot empty" in error["message"]


@SQLITE
async def test_edit_when_fields_are_not_openmls_then_each_is_named_and_nothing_sent(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    before = await upstream.dataset(dataset_id)
    body = {
        "description": "川",
        "language": "Old English",
        "paper_url": "nowhere",
        "creator": ["x" * 100, "y" * 100],
        "contributor": ['a "b" c'],
        "ignore_attribute": "two words",
        "citation": "good",
    }

    refused = await edit(app, person, dataset_id, body)

    assert refused.status_code == 422
    assert {error["field"] for error in refused.json()["errors"]} == set(body) - {"citation"}
    assert await upstream.dataset(dataset_id) == before


@SQLITE
async def test_edit_when_texts_are_not_ascii_then_written_so_and_told(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    body = {
        "description": "Flüsse \u2013 Höhe",
        "creator": ["Zoë", "Søren, A"],
        "contributor": ["a\\", "b"],
        "citation": "Müller",
        "date": "März",
    }

    refused = await edit(app, person, dataset_id, {**body, "repair": False})
    assert {error["field"] for error in refused.json()["errors"]} == set(body)
    answer = await edit(app, person, dataset_id, body)

    assert (answer.status_code, answer.text.splitlines()[0]) == (200, "data edit successful")
    for field in body:
        assert field in answer.text
    after = await upstream.dataset(dataset_id)
    assert (after["description"], after["creator"]) == ("Flusse - Hohe", ["Zoe", "Soren, A"])
    assert (after["contributor"], after["citation"], after["collection_date"]) == (
        ["a", "b"],
        "Muller",
        "Marz",
    )
    again = await edit(app, person, dataset_id, body)
    assert again.status_code == 200
    assert await upstream.dataset(dataset_id) == after, "no second version of the description"


@SQLITE
@pytest.mark.parametrize("creator", ['"a\nb"c"', '"a\rb', 'x,"\n"y\n'])
async def test_edit_when_quotes_do_not_split_a_text_then_422(
    app: Running, person: Person, upstream: Upstream, creator: str
) -> None:
    dataset_id = await upstream.publish(person.api_key)

    answer = await edit(app, person, dataset_id, {"creator": creator})

    assert answer.status_code in {200, 422}, answer.text


@SQLITE
async def test_edit_when_a_column_is_unknown_then_the_likely_one_is_named(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)

    refused = await edit(app, person, dataset_id, {"default_target_attribute": "levle"})

    assert refused.status_code == 422
    assert "'level'" in refused.json()["errors"][0]["message"]
    # Before OpenML has looked at the file nobody knows its columns.
    await upstream.fail("POST /data", "never-active")
    fresh = await upstream.publish(person.api_key, processed=False)
    assert (await edit(app, person, fresh, {"default_target_attribute": "levle"})).status_code == 200


@SQLITE
async def test_edit_when_a_stranger_names_unknown_columns_then_ownership_is_judged_first(
    app: Running, person: Person, make_person: MakePerson, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    before = await upstream.dataset(dataset_id)
    misspelt = {"default_target_attribute": "levle"}

    refused = await edit(app, await make_person(), dataset_id, misspelt)

    assert (refused.status_code, refused.json()["code"]) == (403, 1065)
    await upstream.make_task(person.api_key, dataset_id)
    in_use = await edit(app, person, dataset_id, misspelt)
    assert (in_use.status_code, in_use.json()["code"]) == (409, 1066)
    assert await upstream.dataset(dataset_id) == before
    assert "level" not in refused.text, "nobody looks for what a stranger may have meant"


@SQLITE
async def test_edit_when_many_columns_are_unknown_then_a_few_are_named(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    names = [f"levle{number}" for number in range(100)]

    refused = await edit(app, person, dataset_id, {"default_target_attribute": ",".join(names)})

    assert refused.status_code == 422
    messages = [error["message"] for error in refused.json()["errors"]]
    assert len(messages) == ERRORS_SHOWN
    assert ["Did you mean" in message for message in messages].count(True) == NAMES_HELPED


FAULTS = [*SILENT, "error-105-after-write", "index-junk", "two-documents", "two-documents-cut"]


@SQLITE
async def test_edit_when_the_answer_is_lost_or_garbled_then_done_once(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key, processed=False)
    for number, fault in enumerate(FAULTS):
        await upstream.fail("POST /data/edit", fault)
        answer = await edit(app, person, dataset_id, {"description": fault})

        assert answer.status_code == 200, (fault, answer.text)
        after = await upstream.dataset(dataset_id)
        assert (after["description"], after["description_version"]) == (fault, str(number + 2))


@SQLITE
async def test_edit_when_openml_is_out_of_order_then_503_and_it_says_so(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    for fault in ("database-down", "empty-500"):
        await upstream.fail("POST /data/edit", fault, times=None)
        answer = await edit(app, person, dataset_id, {"description": "Better."})
        assert (answer.status_code, answer.json()["type"]) == (
            503,
            "https://openml.org/problems/openml-unreachable",
        )
        await upstream.heal()


@SQLITE
async def test_edit_when_the_page_names_no_dataset_then_422(app: Running, person: Person) -> None:
    ask, headers = app.client, person.headers
    for url in (
        "",
        "x",
        "?id=",
        "?id=x",
        "?id=0",
        "?id=-1",
        "?id=1&id=2",
        "?id=²",
        "?id=99999999999",
        "//[?id=1",
    ):
        for answer in (
            await ask.get("/data-edit", params={"url": url}, headers=headers),
            await ask.post("/data-edit", params={"url": url}, json={}, headers=headers),
            await ask.post("/data-tag", params={"url": url}, json={"tag": "t"}, headers=headers),
        ):
            assert answer.status_code == 422, url
            assert answer.json()["errors"][0]["field"] == "url"


@SQLITE
async def test_edit_when_there_is_no_such_dataset_or_no_token_then_404_or_401(
    app: Running, person: Person
) -> None:
    params = page(2_000_000_000)
    assert (await app.client.get("/data-edit", params=params, headers=person.headers)).status_code == 404
    assert (await edit(app, person, 2_000_000_000, {"citation": "x"})).status_code == 404
    assert (await app.client.get("/data-edit", params=params)).status_code == 401
    assert (await app.client.post("/data-edit", params=params, json={})).status_code == 401
    assert (await app.client.post("/data-tag", params=params, json={"tag": "t"})).status_code == 401


@SQLITE
async def test_edit_when_the_api_key_comes_in_the_header_then_it_opens(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)

    answer = await app.client.get(
        "/data-edit", params=page(dataset_id), headers={"X-API-Key": person.api_key}
    )

    assert answer.json()["user_id"] == person.id


@SQLITE
async def test_edit_when_the_account_has_no_key_then_409(app: Running, make_person: MakePerson) -> None:
    person = await make_person(api_key=None)

    assert (await edit(app, person, 1, {"citation": "x"})).status_code == 409


# --- tags


async def tag(app: Running, person: Person, dataset_id: int, name: str, *, un: str = "") -> Any:
    return await app.client.post(
        f"/data-{un}tag", params=page(dataset_id), json={"tag": name}, headers=person.headers
    )


@SQLITE
async def test_tag_when_set_and_removed_twice_then_all_are_done(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)

    for _ in range(2):
        answer = await tag(app, person, dataset_id, "hydrology")
        assert (answer.status_code, answer.json()["tags"]) == (200, ["hydrology"])
        assert answer.json()["msg"] == "dataset tagged"
    for _ in range(2):
        answer = await tag(app, person, dataset_id, "hydrology", un="un")
        assert (answer.status_code, answer.json()["tags"]) == (200, [])


@SQLITE
async def test_tag_when_not_ones_own_malformed_or_elsewhere_then_refused(
    app: Running, person: Person, make_person: MakePerson, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    await tag(app, person, dataset_id, "hydrology")

    assert (await tag(app, await make_person(), dataset_id, "hydrology", un="un")).status_code == 403
    assert (await tag(app, person, dataset_id, "two words")).status_code == 422
    assert (await tag(app, person, dataset_id, "x" * 65)).status_code == 422
    assert (await tag(app, person, dataset_id, "0")).status_code == 422, "which PHP takes for no tag"
    assert (await tag(app, person, 2_000_000_000, "t")).status_code == 404
    other_case = await tag(app, person, dataset_id, "HYDROLOGY")
    assert (other_case.status_code, other_case.json()["code"]) == (409, 474)
    assert other_case.json()["type"].endswith("/tag-taken")
    assert "'hydrology'" in other_case.json()["detail"]


@SQLITE
async def test_tag_when_the_answer_is_lost_or_garbled_then_it_is_set_and_removed(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key, processed=False)
    for fault in (*SILENT, "error-105-after-write", "index-junk"):
        await upstream.fail("POST /data/tag", fault)
        assert (await tag(app, person, dataset_id, "wet")).json()["tags"] == ["wet"], fault
        await upstream.fail("POST /data/untag", fault)
        assert (await tag(app, person, dataset_id, "wet", un="un")).json()["tags"] == [], fault


# --- what differs, without a server


def described(**fields: Any) -> DatasetDescription:
    return DatasetDescription(
        dataset_id=1,
        name="n",
        status="active",
        error="",
        texts={name: fields.get(name, "") for name in TEXTS},
        lists={name: fields.get(name, ()) for name in LISTS},
        tags=(),
    )


def test_changes_when_a_browser_rewrote_line_ends_then_none() -> None:
    assert find_changes(EditRequest(description="a\nb\n"), described(description="a\r\nb")) == {}


def test_changes_when_what_openml_holds_breaks_its_own_rules_then_it_may_stay() -> None:
    current = described(description="Flüsse", creator=("Zoë",), language="old english")
    same = EditRequest(description="Flüsse", creator="Zoë", language="old english", citation="c")

    assert find_changes(same, current) == {"citation": "c"}


def test_changes_when_null_or_left_out_then_none() -> None:
    assert find_changes(EditRequest.model_validate({"citation": None}), described(citation="c")) == {}


def test_entries_when_split_then_known_ones_stay_whole() -> None:
    assert split_entries("A, B,B", ["B", "A, B"]) == ["A, B", "B"]
    assert split_entries(" a ,, b ", []) == ["a", "b"]
    assert split_entries("", ["a"]) == []
