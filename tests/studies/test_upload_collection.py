"""`POST /upload-collection-tasks` and `POST /upload-collection-runs` against the sandbox."""

import secrets
from typing import Any

import pytest

from tests.conftest import MakePerson, Person, Running
from tests.upstream import SILENT, Upstream

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
"""No statement of ours has a part in it."""


def of_tasks(ids: Any, **changes: Any) -> dict[str, Any]:
    """The body as the SPA sends it."""
    name = f"Suite {secrets.token_hex(4)}"
    return {"collectionname": name, "description": "Tasks on river data.", "taskids": ids, **changes}


def of_runs(ids: Any, **changes: Any) -> dict[str, Any]:
    """The body as the SPA sends it."""
    name = f"Study {secrets.token_hex(4)}"
    fields = {"collectionname": name, "description": "Runs on rivers.", "run_ids": ids, "benchmark": "23"}
    return {**fields, **changes}


async def send(app: Running, person: Person, kind: str, body: dict[str, Any]) -> Any:
    return await app.client.post(f"/upload-collection-{kind}", json=body, headers=person.headers)


async def two_tasks(upstream: Upstream, person: Person) -> list[int]:
    dataset_id = await upstream.publish(person.api_key)
    return [await upstream.make_task(person.api_key, dataset_id, procedure) for procedure in (1, 2)]


async def test_tasks_when_the_spa_sends_them_then_a_suite_and_the_same_form_the_same_one(
    app: Running, person: Person, make_person: MakePerson, upstream: Upstream, sandbox_url: str
) -> None:
    first, second = await two_tasks(upstream, person)
    body = of_tasks(f" {first}, {second},{first}")

    answer = await send(app, person, "tasks", body)

    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["msg"], made["warnings"]) == ("collection uploaded", [])
    assert made["url"] == f"{sandbox_url}s/{made['id']}"
    study = await upstream.study(made["id"])
    assert (study["main_entity_type"], study["alias"]) == ("task", made["alias"])
    assert (study["name"], study["description"]) == (body["collectionname"], body["description"])
    assert study["tasks"]["task_id"] == [str(first), str(second)]
    # Sent again, in another order: the same one. Of somebody else: another one.
    assert (await send(app, person, "tasks", {**body, "taskids": [second, first]})).json() == made
    other = await send(app, await make_person(), "tasks", body)
    assert other.json()["id"] != made["id"]
    assert len(await upstream.studies(body["collectionname"])) == 2


async def test_runs_when_the_spa_sends_them_then_a_study_and_a_word_about_the_suite(
    app: Running, person: Person, upstream: Upstream
) -> None:
    body = of_runs("1, 2,3")

    made = await send(app, person, "runs", body)

    assert (made.status_code, made.json()["msg"]) == (200, "collection uploaded")
    (warning,) = made.json()["warnings"]
    assert "benchmark suite was left out" in warning
    study = await upstream.study(made.json()["id"])
    assert (study["main_entity_type"], study["runs"]["run_id"]) == ("run", ["1", "2", "3"])
    without = await send(app, person, "runs", of_runs([4], benchmark=""))
    assert without.json()["warnings"] == []


async def test_collection_when_the_alias_is_taken_then_409_unless_it_is_the_same(
    app: Running, person: Person, upstream: Upstream
) -> None:
    (task, _) = await two_tasks(upstream, person)
    alias = f"rivers-{secrets.token_hex(4)}"
    body = of_tasks([task], alias=alias)

    made = (await send(app, person, "tasks", body)).json()

    assert made["alias"] == alias
    assert (await send(app, person, "tasks", body)).json() == made
    for changes in ({"description": "Other."}, {"collectionname": "Other"}, {"taskids": [task + 1]}):
        refused = await send(app, person, "tasks", {**body, **changes})
        assert (refused.status_code, refused.json()["code"]) == (409, 1038), changes
        assert str(made["id"]) in refused.json()["detail"]
    assert (await send(app, person, "runs", of_runs("1", alias=alias))).status_code == 409


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"collectionname": "Rivers & seas"}, "collectionname", '"and"'),
    ({"description": "depth < 3"}, "description", '"less than"'),
    ({"collectionname": "Flüsse", "repair": False}, "collectionname", "ASCII"),
    ({"collectionname": "川"}, "collectionname", "ASCII"),
    ({"description": "depth ≤ 3"}, "description", '"less than"'),
    ({"collectionname": ""}, "collectionname", "at least 1"),
    ({"collectionname": "x" * 257}, "collectionname", "256"),
    ({"description": ""}, "description", "at least 1"),
    ({"alias": "two words"}, "alias", "match"),
    ({"alias": "2024"}, "alias", "letter"),
    ({"taskids": ""}, "taskids", "numbers"),
    ({"taskids": []}, "taskids", "at least 1"),
    ({"taskids": "1,x"}, "taskids", "'x'"),
    ({"taskids": "1,,2"}, "taskids", "''"),
    ({"taskids": "1;2"}, "taskids", "'1;2'"),
    ({"taskids": [0]}, "taskids.0", "greater"),
]


async def test_collection_when_fields_are_wrong_then_each_is_named_with_a_hint(
    app: Running, person: Person
) -> None:
    for changes, field, hint in WRONG:
        refused = await send(app, person, "tasks", {**of_tasks("1"), **changes})
        assert refused.status_code == 422, changes
        (error,) = refused.json()["errors"]
        assert (error["field"], hint in error["message"]) == (field, True), error


@pytest.mark.parametrize("kind", ["tasks", "runs"])
async def test_collection_when_its_texts_are_not_ascii_then_written_so_and_told(
    app: Running, person: Person, upstream: Upstream, kind: str
) -> None:
    ids = await two_tasks(upstream, person) if kind == "tasks" else [1, 2]
    name = f"Flüsse {secrets.token_hex(4)}"
    make = of_tasks if kind == "tasks" else of_runs
    body = make(ids, collectionname=name, description="Höhe \u2013 in Metern", benchmark="")

    made = await send(app, person, kind, body)

    assert made.status_code == 200, made.text
    study = await upstream.study(made.json()["id"])
    assert (study["name"], study["description"]) == (name.replace("ü", "u"), "Hohe - in Metern")
    told = [repair["change"] for repair in made.json()["repairs"]]
    assert ["collectionname" in told[0], "description" in told[1], len(told)] == [True, True, 2]
    again = await send(app, person, kind, body)
    assert again.json() == made.json(), "the same form is the same collection"


async def test_collection_when_ids_are_unknown_then_they_are_named_and_nothing_is_made(
    app: Running, person: Person, upstream: Upstream
) -> None:
    (task, _) = await two_tasks(upstream, person)
    body = of_tasks([task, 2_000_000_001, 2_000_000_002])

    refused = await send(app, person, "tasks", body)

    assert refused.status_code == 422
    assert "2000000001, 2000000002" in refused.json()["errors"][0]["message"]
    runs = await send(app, person, "runs", of_runs("1,99999"))
    assert (runs.status_code, runs.json()["errors"][0]["field"]) == (422, "run_ids")
    assert await upstream.studies(body["collectionname"]) == []


async def test_collection_when_the_answer_is_lost_or_garbled_then_made_once(
    app: Running, person: Person, upstream: Upstream
) -> None:
    ids = await two_tasks(upstream, person)
    for fault in (*SILENT, "index-junk"):
        body = of_tasks(ids)
        await upstream.fail("POST /study", fault)

        answer = await send(app, person, "tasks", body)

        assert answer.status_code == 200, (fault, answer.text)
        assert [study["id"] for study in await upstream.studies(body["collectionname"])] == [
            str(answer.json()["id"])
        ], fault


async def test_collection_when_openml_is_out_of_order_then_503_and_again_makes_one(
    app: Running, person: Person, upstream: Upstream
) -> None:
    ids = await two_tasks(upstream, person)
    body = of_tasks(ids)
    for fault in ("database-down", "empty-500"):
        await upstream.fail("POST /study", fault, times=None)
        answer = await send(app, person, "tasks", body)
        assert answer.status_code == 503, fault
        await upstream.heal()
    assert (await send(app, person, "tasks", body)).status_code == 200
    assert len(await upstream.studies(body["collectionname"])) == 1


async def test_collection_when_not_signed_in_or_without_a_key_then_401_or_409(
    app: Running, make_person: MakePerson
) -> None:
    assert (await app.client.post("/upload-collection-tasks", json=of_tasks("1"))).status_code == 401
    assert (await app.client.post("/upload-collection-runs", json=of_runs("1"))).status_code == 401
    keyless = await make_person(api_key=None)
    assert (await send(app, keyless, "tasks", of_tasks("1"))).status_code == 409
