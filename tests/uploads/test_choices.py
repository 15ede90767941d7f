"""Choices of how a file is read and what is published of it: each is seen in a preview made anew before it counts."""

import asyncio
from typing import Any

import pytest

from tests.conftest import Person, Running
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
