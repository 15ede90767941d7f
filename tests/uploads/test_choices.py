"""Choices of how a file is read and what is published of it: each is seen in a preview made anew before it counts."""

import asyncio
import os
import signal
from functools import partial
from typing import Any

import pytest

from tests.children import children, command_of
from tests.conftest import LONG, Person, Running, eventually
from tests.uploads.test_data_upload import SPA_METADATA, form
from tests.uploads.test_preview import MESSY, preview, ready
from tests.uploads.test_resources import begin, reach, send, state_of

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


async def choose(app: Running, person: Person, path: str, **changes: Any) -> dict[str, Any]:
    """Change the metadata, and return the upload once it is looked at anew."""
    answer = await app.client.patch(path, json=changes, headers=person.headers)
    assert answer.status_code == 200, answer.text
    return await reach(app, person, path, "ready")


def types_of(found: dict[str, Any]) -> dict[str, str]:
    return {column["key"]: column["type"] for column in found["columns"]}


async def test_preview_when_a_type_is_chosen_then_made_anew_as_it_will_be_published(
    app: Running, person: Person
) -> None:
    path = await ready(app, person, MESSY)
    assert types_of(await preview(app, person, path))["when"] == "integer"

    changed = await app.client.patch(path, json={"attributes": {"when": "nominal"}}, headers=person.headers)
    assert changed.json()["state"] == "verifying"
    during = await preview(app, person, path)
    assert during["is_current"] is (types_of(during)["when"] == "nominal")
    await reach(app, person, path, "ready")

    found = await preview(app, person, path)
    assert (types_of(found)["when"], found["is_current"]) == ("nominal", True)
    assert next(each for each in found["columns"] if each["key"] == "when")["labels"] == [
        "2021",
        "2022",
        "2023",
    ]
    back = await choose(app, person, path, attributes={"when": None})
    assert [event["state"] for event in back["events"]] == ["receiving", *["verifying", "ready"] * 3]
    assert types_of(await preview(app, person, path))["when"] == "integer"


async def test_preview_when_only_the_description_changes_then_it_stays(app: Running, person: Person) -> None:
    path = await ready(app, person, MESSY)

    answer = await app.client.patch(path, json={"description": "Other words."}, headers=person.headers)

    assert answer.json()["state"] == "ready"
    assert (await preview(app, person, path))["is_current"]


async def test_choices_when_many_come_in_a_row_then_the_last_one_wins(app: Running, person: Person) -> None:
    path = await ready(app, person, MESSY)

    kinds = ["nominal", "string", "real", "nominal", "string", "real", "string"]
    answers = await asyncio.gather(
        *(
            app.client.patch(path, json={"attributes": {"when": kind}}, headers=person.headers)
            for kind in kinds
        )
    )
    assert {answer.status_code for answer in answers} == {200}
    last = await app.client.patch(path, json={"attributes": {"when": "nominal"}}, headers=person.headers)
    assert last.status_code == 200

    upload = await reach(app, person, path, "ready")
    found = await preview(app, person, path)
    assert (types_of(found)["when"], found["is_current"]) == ("nominal", True)
    assert len(upload["events"]) <= 3 + 2 * (len(kinds) + 1)


async def test_choice_when_the_table_is_being_looked_at_then_that_is_broken_off_for_the_newest_choice(
    app: Running, person: Person
) -> None:
    rows = b"a;b\n" + b"1;x # y\n" * 400_000
    path = await begin(app, person, rows, metadata={"reading": {"comment": "#"}})
    before = children()
    await send(app, person, path, rows)
    pid = await eventually(partial(_child_at_work, before))
    os.kill(pid, signal.SIGSTOP)  # It would never end by itself.

    for header in (True, False, None, False):
        choice = {"reading": {"comment": "none", "header": header}}
        assert (await app.client.patch(path, json=choice, headers=person.headers)).status_code == 200
    found = await reach(app, person, path, "ready")

    assert pid not in children()
    assert [event["state"] for event in found["events"]] == ["receiving", "verifying", "ready"]
    shown = await preview(app, person, path)
    assert (shown["is_current"], shown["row_count"], shown["reading"]["header"]["value"]) == (
        True,
        400_001,
        False,
    )


async def test_choice_when_taken_back_at_any_moment_then_the_preview_is_of_the_last_one(
    app: Running, person: Person
) -> None:
    """Broken off, and then chosen as before, there is no preview unless it is made once more."""
    rows = b"a;b\n" + b"1;2\n" * 400_000
    path = await begin(app, person, rows, metadata={})
    before = children()
    await send(app, person, path, rows)
    for _ in range(15 if LONG else 2):
        pid = await eventually(partial(_child_at_work, before))
        os.kill(pid, signal.SIGSTOP)
        await app.client.patch(path, json={"reading": {"header": False}}, headers=person.headers)

        async def ended(pid: int = pid) -> bool | None:
            return pid not in children() or None

        await eventually(ended)
        await app.client.patch(path, json={"reading": {"header": None}}, headers=person.headers)
        await reach(app, person, path, "ready")
        shown = await preview(app, person, path)
        assert (shown["is_current"], shown["row_count"]) == (True, 400_000)
        await app.client.patch(path, json={"attributes": {"a": "real"}}, headers=person.headers)
        await app.client.patch(path, json={"attributes": {"a": None, "b": "real"}}, headers=person.headers)


async def _child_at_work(before: set[int]) -> int | None:
    return next((pid for pid in children() - before if b"app.tabular" in command_of(pid)), None)


async def test_reading_when_a_field_is_wrong_then_told_what_it_takes(app: Running, person: Person) -> None:
    path = await begin(app, person)

    wrong: list[tuple[Any, str]] = [
        ({"delimiter": "ab"}, "one character"),
        ({"delimiter": "x"}, "no letter"),
        ({"delimeter": ";"}, "did you mean 'delimiter'?"),
        ({"encoding": "klingon"}, "no encoding"),
        ({"encoding": "rot13"}, "no encoding"),
        ({"skip_lines": -1}, "0"),
        ({"skip_lines": 1_000_001}, "1000000"),
        ({"skip_lines": True}, "number"),
        ({"missing": ["x"] * 101}, "at most 100"),
        ({"decimal": ",", "thousands": ","}, "same sign"),
        ({"format": "doc"}, "csv"),
        ({"row_names": "drop"}, "keep"),
        ({"header": "perhaps"}, "boolean"),
        ("fast", "object"),
    ]
    for reading, said in wrong:
        answer = await app.client.patch(path, json={"reading": reading}, headers=person.headers)
        assert (answer.status_code, said in answer.json()["detail"]) == (422, True), answer.text
    assert (await state_of(app, person, path))["metadata"]["reading"] == {}


async def test_reading_when_changed_by_fields_then_merged_and_null_takes_one_back(
    app: Running, person: Person
) -> None:
    path = await begin(app, person)

    async def patch(**changes: Any) -> dict[str, Any]:
        answer = await app.client.patch(path, json=changes, headers=person.headers)
        assert answer.status_code == 200, answer.text
        metadata: dict[str, Any] = answer.json()["metadata"]
        return metadata

    first = await patch(reading={"delimiter": "tab", "encoding": "Windows-1252", "header": "no"})
    assert first["reading"] == {"delimiter": "\t", "encoding": "cp1252", "header": False}
    second = await patch(reading={"encoding": None, "missing": "n/a", "comment": "none"})
    assert second["reading"] == {"delimiter": "\t", "header": False, "missing": ["n/a"], "comment": ""}
    third = await patch(reading=None, rename={"a": "b", "c": "d"}, leave_out=["e"])
    assert (third["reading"], third["rename"], third["leave_out"]) == ({}, {"a": "b", "c": "d"}, ["e"])
    assert (await patch(rename={"a": None}))["rename"] == {"c": "d"}


async def test_form_when_it_brings_choices_then_they_are_kept(app: Running, person: Person) -> None:
    metadata = {**SPA_METADATA, "reading": {"delimiter": ","}}
    answer = await app.client.post("/data-upload", files=form(**metadata), headers=person.headers)
    assert answer.status_code == 200, answer.text

    shown = await state_of(app, person, f"/uploads/{answer.json()['upload_id']}")
    assert shown["metadata"]["reading"] == {"delimiter": ","}
    assert shown["doubts"] == []


async def test_upload_when_it_failed_and_a_choice_follows_then_looked_at_before_it_is_published(
    app: Running, person: Person
) -> None:
    path = await begin(app, person, MESSY, publish=True, metadata={**SPA_METADATA, "def_tar_att": "levels"})
    await send(app, person, path, MESSY)
    failed = await reach(app, person, path, "failed")
    assert failed["error"]["correct"] == "metadata"

    found = await choose(app, person, path, def_tar_att="when")
    assert (found["error"], found["publish"]) == (None, False)
    assert (await preview(app, person, path))["row_count"] == 3
    again = await app.client.post(f"{path}/retry", headers=person.headers)
    assert again.status_code == 202
    await reach(app, person, path, "active")


async def test_upload_when_published_while_it_is_looked_at_anew_then_published_so(
    app: Running, person: Person
) -> None:
    path = await ready(app, person, MESSY)

    await app.client.patch(path, json={"attributes": {"level": "nominal"}}, headers=person.headers)
    published = await app.client.post(f"{path}/publish", json={"def_tar_att": "when"}, headers=person.headers)

    assert published.status_code == 202
    assert (await reach(app, person, path, "active"))["metadata"]["attributes"] == {"level": "nominal"}


async def test_upload_when_cancelled_while_it_is_looked_at_anew_then_nothing_is_left(
    app: Running, person: Person
) -> None:
    path = await ready(app, person, MESSY)

    await app.client.patch(path, json={"attributes": {"level": "nominal"}}, headers=person.headers)
    assert (await app.client.delete(path, headers=person.headers)).status_code == 204

    assert (await state_of(app, person, path))["state"] == "cancelled"
    assert (await app.client.get(f"{path}/preview", headers=person.headers)).status_code == 410


UNSURE = "".join(f"tree {number},{['dry', 'wet'][number % 2]}\n" for number in range(30)).encode()
"""A table of which nobody can say whether its first row has names."""
NUMBERS = b"a;b\n1;1,5\n2;2,5\n3;3,5\n"


async def test_form_when_it_is_not_sure_how_to_read_it_then_refused_with_choices_and_gone_on_with(
    app: Running, person: Person
) -> None:
    answer = await app.client.post(
        "/data-upload", files=form(content=UNSURE, def_tar_att="V2"), headers=person.headers
    )
    problem = answer.json()
    assert (answer.status_code, problem["reason"], problem["correct"]) == (422, "unsure-reading", "metadata")
    assert problem["choices"] == {"header": [True, False]}
    assert "'tree 0', 'dry'" in problem["detail"]
    assert "`header` as true or false" in problem["hint"]

    path = f"/uploads/{problem['upload_id']}"
    again = await app.client.post(
        f"{path}/retry", json={"reading": {"header": False}}, headers=person.headers
    )
    assert again.status_code == 202
    found = await reach(app, person, path, "active")
    assert (found["row_count"], found["reading"]["header"]["by"]) == (30, "owner")


async def test_draft_when_it_is_not_sure_how_to_read_it_then_shown_and_published_as_its_owner_saw_it(
    app: Running, person: Person
) -> None:
    path = await ready(app, person, UNSURE, metadata=SPA_METADATA | {"def_tar_att": ""})

    for shown in (await preview(app, person, path), await state_of(app, person, path)):
        assert (shown["reading"]["header"]["value"], shown["reading"]["header"]["sure"]) == (True, False)
        (doubt,) = shown["doubts"]
        assert (doubt["field"], doubt["choices"], shown["doubt_count"]) == ("header", [True, False], 1)
    published = await app.client.post(f"{path}/publish", json={"def_tar_att": "dry"}, headers=person.headers)
    assert published.status_code == 202
    assert (await reach(app, person, path, "active"))["row_count"] == 29


async def test_draft_when_published_with_a_reading_that_nobody_has_seen_then_its_doubts_are_refused(
    app: Running, person: Person
) -> None:
    path = await ready(
        app, person, UNSURE, metadata=SPA_METADATA | {"def_tar_att": "", "reading": {"header": True}}
    )

    await app.client.post(f"{path}/publish", json={"reading": {"header": None}}, headers=person.headers)

    failed = await reach(app, person, path, "failed")
    assert failed["error"]["reason"] == "unsure-reading"


async def test_choice_when_it_makes_no_table_then_the_draft_stays_with_the_preview_before(
    app: Running, person: Person
) -> None:
    path = await ready(app, person, NUMBERS, metadata={})

    found = await choose(app, person, path, reading={"skip_lines": 100})
    assert found["error"]["correct"] == "metadata"
    shown = await preview(app, person, path)
    assert (shown["is_current"], shown["row_count"], found["expires_at"] is not None) == (False, 3, True)
    described = await app.client.patch(path, json={"description": "Numbers."}, headers=person.headers)
    assert (described.json()["state"], described.json()["error"]["reason"]) == (
        "ready",
        found["error"]["reason"],
    )
    back = await app.client.patch(path, json={"reading": {"skip_lines": None}}, headers=person.headers)
    assert (back.json()["state"], back.json()["error"]) == ("ready", None)
    assert (await preview(app, person, path))["is_current"]

    await choose(app, person, path, reading={"skip_lines": 100})
    blind = {"dataset_name": "no-table", "description": "None."}
    assert (await app.client.post(f"{path}/publish", json=blind, headers=person.headers)).status_code == 202
    assert (await reach(app, person, path, "failed"))["error"]["correct"] == "metadata"


async def test_file_when_read_otherwise_then_columns_that_are_gone_are_named_and_the_rest_counts(
    app: Running, person: Person
) -> None:
    metadata = {"def_tar_att": "a", "attributes": {"b": "string"}}
    path = await ready(app, person, NUMBERS, metadata=metadata)
    assert types_of(await preview(app, person, path)) == {"a": "integer", "b": "string"}

    await choose(app, person, path, reading={"header": False}, leave_out=["V1"])
    found = await preview(app, person, path)
    assert [(each["field"], each["column"]) for each in found["unknown"]] == [
        ("def_tar_att", "a"),
        ("attributes.b", "b"),
    ]
    assert [column["name"] for column in found["columns"]] == ["V2"]
    whole = {"dataset_name": "gone", "description": "Numbers."}
    refused = await app.client.post(f"{path}/publish", json=whole, headers=person.headers)
    assert refused.status_code == 422


async def test_column_when_renamed_or_left_out_then_previewed_and_published_so(
    app: Running, person: Person
) -> None:
    path = await ready(app, person, MESSY)
    wrong = await app.client.patch(path, json={"leave_out": ["levle"]}, headers=person.headers)
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "leave_out")

    await choose(app, person, path, rename={"when": "year"}, leave_out=["level", "Höhe"], def_tar_att="year")
    found = await preview(app, person, path)
    assert [column["name"] for column in found["columns"]] == ["station", "year"]
    assert found["unknown"] == []
    again = await choose(app, person, path, leave_out=["level"])
    assert again["metadata"]["leave_out"] == ["level"]
    await app.client.post(f"{path}/publish", headers=person.headers)
    active = await reach(app, person, path, "active")
    assert (active["column_count"], active["metadata"]["rename"]) == (3, {"when": "year"})
    assert all(repair["column"] for repair in active["repairs"])
