"""`POST /upload-task` against the sandbox, and tasks that wait for their dataset."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.core.clock import utc_now
from app.db import task_requests
from app.db.tables import task_requests as table
from app.db.tables import users
from app.tasks import service
from app.tasks.waiting import PATIENCE, make_one
from app.worker.janitor import forget_the_past
from tests.conftest import MakePerson, Person, Running, eventually
from tests.upstream import SILENT, Upstream

SQLITE = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
"""For what no statement of ours has a part in."""


def spa(dataset_id: int, **changes: Any) -> dict[str, Any]:
    """The body as the SPA means to send it: all texts."""
    fields = {
        "dataset_id": str(dataset_id),
        "task_type": "classification",
        "target_name": "flood",
        "evaluation_measure": "predictive_accuracy",
    }
    return {**fields, **changes}


async def send(app: Running, person: Person, body: dict[str, Any]) -> Any:
    return await app.client.post("/upload-task", json=body, headers=person.headers)


async def test_task_when_the_spa_sends_it_then_made_and_the_second_time_it_exists(
    app: Running, person: Person, upstream: Upstream, sandbox_url: str
) -> None:
    dataset_id = await upstream.publish(person.api_key)

    made = await send(app, person, spa(dataset_id))
    again = await send(app, person, spa(dataset_id))

    assert (made.status_code, made.json()["msg"]) == (200, "task uploaded")
    task_id = made.json()["id"]
    assert made.json()["url"] == f"{sandbox_url}t/{task_id}"
    assert (again.status_code, again.json()) == (200, {**made.json(), "msg": "task exists"})
    assert await upstream.inputs(task_id) == {
        "type": "1",
        "source_data": str(dataset_id),
        "target_feature": "flood",
        "estimation_procedure": "1",
        "evaluation_measures": "predictive_accuracy",
    }


TYPES: list[tuple[Any, dict[str, Any], dict[str, str]]] = [
    ("classification", {"cost_matrix": [[0, 1], [5, 0]]}, {"type": "1", "cost_matrix": "[[0,1],[5,0]]"}),
    ("regression", {"target_name": "level"}, {"type": "2", "estimation_procedure": "7"}),
    ("learningcurve", {}, {"type": "3", "estimation_procedure": "13"}),
    ("datastream", {}, {"type": "4", "estimation_procedure": "15"}),
    ("clustering", {"target_name": ""}, {"type": "5", "estimation_procedure": "17"}),
    (
        "survival",
        {"target_name": "level", "target_feature_left": "flow"},
        {"type": "7", "target_feature_event": "level", "target_feature_left": "flow"},
    ),
    (
        "activelearning",
        {"batch_size": "3", "annotation_costs": [1, 2.5]},
        {"type": "10", "batch_size": "3", "annotation_costs": "[1,2.5]"},
    ),
    ("text", {"target_name": "station"}, {"type": "11", "target_feature": "station"}),
    ("supervised", {"target_name": "flow"}, {"type": "2", "target_feature": "flow"}),
    ("supervised", {"estimation_procedure": "6"}, {"type": "1", "estimation_procedure": "6"}),
    ("5", {"target_name": "", "estimation_procedure": ""}, {"type": "5"}),
    (2, {"target_name": "flow", "estimation_procedure": 8}, {"type": "2", "estimation_procedure": "8"}),
]


@SQLITE
async def test_task_when_of_any_type_then_made_as_asked(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    for task_type, changes, expected in TYPES:
        body = spa(dataset_id, task_type=task_type, evaluation_measure="", **changes)

        answer = await send(app, person, body)

        assert answer.status_code == 200, (task_type, answer.text)
        inputs = await upstream.inputs(answer.json()["id"])
        assert inputs.items() >= expected.items(), task_type
        assert "evaluation_measures" not in inputs


REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({"target_name": "floot"}, "target_name", "'flood'"),
    ({"target_name": "level"}, "target_name", "is numeric"),
    ({"target_name": ""}, "target_name", "needs a target"),
    ({"task_type": "regression"}, "target_name", "is nominal"),
    ({"task_type": "supervised", "target_name": "station"}, "target_name", "neither"),
    ({"task_type": "clustering"}, "target_name", "leave it out"),
    (
        {"task_type": "survival", "target_name": "level", "target_feature_left": "x"},
        "target_feature_left",
        "'x'",
    ),
    ({"evaluation_measure": "predictiv_accuracy"}, "evaluation_measure", "'predictive_accuracy'"),
    ({"estimation_procedure": 7}, "estimation_procedure", "10-fold"),
    ({"estimation_procedure": "many"}, "estimation_procedure", "integer"),
    (
        {"task_type": "regression", "target_name": "level", "cost_matrix": [[0]]},
        "cost_matrix",
        "leave it out",
    ),
    ({"task_type": "6"}, "task_type", "classification"),
    ({"task_type": None}, "task_type", "classification"),
    ({"dataset_id": "0"}, "dataset_id", "greater"),
]


@SQLITE
async def test_task_when_a_field_does_not_fit_then_named_with_a_hint_and_nothing_sent(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    for changes, field, hint in REFUSALS:
        refused = await send(app, person, {**spa(dataset_id), **changes})

        assert refused.status_code == 422, (changes, refused.text)
        (error,) = refused.json()["errors"]
        assert error["field"] == field
        assert hint in error["message"], error
    assert await upstream.tasks(dataset_id) == []


FAULTS = [*SILENT, "error-105-after-write", "index-junk", "two-documents", "two-documents-cut"]


@SQLITE
async def test_task_when_the_answer_is_lost_or_garbled_then_made_once(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    measures = ["predictive_accuracy", "area_under_roc_curve"]
    different = itertools.product(measures, [1, 2, 3, 4, 5, 6, 23, 25, 26, 28, 16])
    for number, (fault, (measure, procedure)) in enumerate(zip(FAULTS, different, strict=False), start=1):
        body = spa(dataset_id, estimation_procedure=procedure, evaluation_measure=measure)
        await upstream.fail("POST /task", fault)
        answer = await send(app, person, body)

        assert (answer.status_code, answer.json()["msg"]) == (200, "task uploaded"), fault
        assert len(await upstream.tasks(dataset_id)) == number, fault
        assert (await send(app, person, body)).json() == {**answer.json(), "msg": "task exists"}


@SQLITE
async def test_task_when_openml_made_two_of_it_then_the_older_one_is_named(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    first = (await send(app, person, spa(dataset_id))).json()["id"]
    await upstream.fail("POST /task", "race-614")
    second = (await send(app, person, spa(dataset_id))).json()["id"]

    assert second != first
    assert (await send(app, person, spa(dataset_id))).json()["id"] == first


@SQLITE
async def test_task_when_openml_is_out_of_order_then_503(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    for fault in ("database-down", "empty-500"):
        await upstream.fail("POST /task", fault, times=None)
        answer = await send(app, person, spa(dataset_id))
        assert (answer.status_code, answer.json()["title"]) == (503, "OpenML cannot be reached at the moment")
        await upstream.heal()
    assert await upstream.tasks(dataset_id) == []


@SQLITE
async def test_task_when_its_dataset_cannot_have_one_then_said_why(
    app: Running, person: Person, make_person: MakePerson, upstream: Upstream
) -> None:
    deactivated = await upstream.publish(person.api_key)
    await upstream.client.post(
        "api/v1/xml/data/status/update",
        data={"data_id": deactivated, "status": "deactivated", "api_key": person.api_key},
    )
    private = await upstream.publish(person.api_key, visibility="private")

    stranger = await make_person()
    assert (await send(app, person, spa(2_000_000_000))).status_code == 404
    assert (await send(app, stranger, spa(private))).status_code == 403
    assert (await send(app, person, spa(private))).json()["msg"] == "task uploaded"
    refused = await send(app, person, spa(deactivated, when_active=True))
    assert (refused.status_code, "deactivated" in refused.json()["detail"]) == (409, True)


@SQLITE
async def test_task_when_not_signed_in_or_without_a_key_then_401_or_409(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    assert (await app.client.post("/upload-task", json=spa(1))).status_code == 401
    assert (await app.client.get("/upload-task/x")).status_code == 401
    assert (await send(app, await make_person(api_key=None), spa(1))).status_code == 409
    unknown = await app.client.get("/upload-task/x", headers=person.headers)
    assert unknown.status_code == 404


# --- tasks that wait


async def unprocessed(upstream: Upstream, person: Person) -> int:
    """A dataset that OpenML does not process before the faults end."""
    await upstream.fail("POST /data", "never-active", times=None)
    return await upstream.publish(person.api_key, processed=False)


async def status(app: Running, person: Person, request_id: str) -> dict[str, Any]:
    answer = await app.client.get(f"/upload-task/{request_id}", headers=person.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ended(app: Running, person: Person, request_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found = await status(app, person, request_id)
        return None if found["state"] == "waiting" else found

    return await eventually(look)


async def test_task_when_its_dataset_is_not_active_yet_then_it_waits_if_asked_to(
    app: Running, person: Person, make_person: MakePerson, upstream: Upstream
) -> None:
    dataset_id = await unprocessed(upstream, person)

    refused = await send(app, person, spa(dataset_id))
    assert (refused.status_code, "when_active" in refused.json()["detail"]) == (409, True)

    waits = await send(app, person, spa(dataset_id, when_active=True))
    again = await send(app, person, spa(dataset_id, when_active=True))
    assert (waits.status_code, waits.json()["msg"]) == (202, "task waits")
    assert again.json() == waits.json(), "the same task waits once"
    request_id = waits.json()["request_id"]
    assert waits.json()["status_url"] == f"/upload-task/{request_id}"
    assert await status(app, person, request_id) == {
        "state": "waiting",
        "dataset_id": dataset_id,
        "id": None,
        "url": None,
        "problem": None,
    }
    stranger = await make_person()
    other = await app.client.get(f"/upload-task/{request_id}", headers=stranger.headers)
    assert other.status_code == 404

    await upstream.heal()
    made = await ended(app, person, request_id)
    (task,) = await upstream.tasks(dataset_id)
    assert (made["state"], made["id"], made["problem"]) == ("made", task["task_id"], None)
    assert (await send(app, person, spa(dataset_id, when_active=True))).json()["msg"] == "task exists"


async def test_task_when_it_waited_in_vain_then_its_status_says_why(
    app: Running, person: Person, upstream: Upstream
) -> None:
    await upstream.fail("POST /data", "engine-error")
    failing = await upstream.publish(person.api_key, processed=False)
    waits = await send(app, person, spa(failing, when_active=True))
    if waits.status_code == 202:  # else the engine was quicker, and the refusal says the same
        problem = (await ended(app, person, waits.json()["request_id"]))["problem"]
    else:
        problem = waits.json()
    assert problem["type"] == "https://openml.org/problems/processing-failed"

    dataset_id = await unprocessed(upstream, person)
    waits = await send(app, person, spa(dataset_id, target_name="level", when_active=True))
    request_id = waits.json()["request_id"]
    await upstream.heal()
    failed = await ended(app, person, request_id)

    assert (failed["state"], failed["id"]) == ("failed", None)
    assert failed["problem"]["errors"][0]["field"] == "target_name"
    assert await upstream.tasks(dataset_id) == []
    # What ended may be asked for again.
    waits = await send(app, person, spa(dataset_id, target_name="level", when_active=True))
    assert waits.status_code == 422


@SQLITE
async def test_task_when_it_waits_then_what_cannot_be_right_is_refused_at_once(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await unprocessed(upstream, person)
    for changes in (
        {"evaluation_measure": "luck"},
        {"target_name": ""},
        {"estimation_procedure": 7},
        {"task_type": "clustering"},
    ):
        assert (await send(app, person, spa(dataset_id, when_active=True, **changes))).status_code == 422


@SQLITE
async def test_task_when_too_many_wait_then_the_refusal_says_so(
    app: Running, person: Person, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_WAITING", 1)
    dataset_id = await unprocessed(upstream, person)
    assert (await send(app, person, spa(dataset_id, when_active=True))).status_code == 202
    refused = await send(app, person, spa(dataset_id, estimation_procedure="6", when_active=True))
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "3600")
    assert (
        refused.json()["detail"] == "1 of your tasks wait for their datasets; make more once those are active"
    )


async def test_task_when_a_worker_dies_with_it_in_its_hands_then_another_makes_it(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await unprocessed(upstream, person)
    request_id = (await send(app, person, spa(dataset_id, when_active=True))).json()["request_id"]
    async with app.resources.database.session() as session:
        lost = {"lease_owner": "dead", "available_at": utc_now() + timedelta(seconds=0.5)}
        await session.execute(sa.update(table).values(lost))
    await upstream.heal()

    assert (await ended(app, person, request_id))["state"] == "made"
    assert len(await upstream.tasks(dataset_id)) == 1


async def test_task_when_openml_is_away_then_it_goes_on_waiting_but_not_for_ever(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await unprocessed(upstream, person)
    request_id = (await send(app, person, spa(dataset_id, when_active=True))).json()["request_id"]
    await upstream.fail("GET /data/#", "database-down", times=3)

    async def tried() -> bool | None:
        async with app.resources.database.session() as session:
            attempts: int = (await session.execute(sa.select(table.c.attempts))).scalar_one()
            return attempts >= 2 or None

    await eventually(tried)
    assert (await status(app, person, request_id))["state"] == "waiting"
    async with app.resources.database.session() as session:
        long_ago = {"created_at": utc_now() - PATIENCE - timedelta(days=1), "available_at": utc_now()}
        await session.execute(sa.update(table).values(long_ago))
    failed = await ended(app, person, request_id)
    assert failed["state"] == "failed"


async def test_task_when_account_key_or_dataset_are_closed_meanwhile_then_it_ends_with_the_reason(
    app: Running, make_person: MakePerson, upstream: Upstream
) -> None:
    async def deactivate(person: Person, dataset_id: int) -> None:
        form = {"data_id": str(dataset_id), "status": "deactivated", "api_key": person.api_key}
        await upstream.client.post("api/v1/xml/data/status/update", data=form)

    async def set_user(person: Person, **values: Any) -> None:
        async with app.resources.database.session() as session:
            await session.execute(sa.update(users).where(users.c.id == person.id).values(values))

    async def close(person: Person, _: int) -> None:
        await set_user(person, active=0)

    async def lose_key(person: Person, _: int) -> None:
        await set_user(person, session_hash=None)

    for change, slug in (
        (deactivate, "dataset-not-active"),
        (close, "unauthorized"),
        (lose_key, "api-key-missing"),
    ):
        person = await make_person()
        dataset_id = await unprocessed(upstream, person)
        waits = await send(app, person, spa(dataset_id, when_active=True))
        await change(person, dataset_id)

        request_id = waits.json()["request_id"]

        async def look(request_id: str = request_id) -> Any:
            found = await task_requests.get_status(app.resources.database.reader, request_id)
            return found.error if found and found.error else None

        assert (await eventually(look))["slug"] == slug


async def test_task_when_its_account_is_closed_or_exported_then_nothing_stays_unsaid(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await unprocessed(upstream, person)
    await send(app, person, spa(dataset_id, when_active=True))

    (exported,) = (await app.client.get("/export", headers=person.headers)).json()["tasks"]
    assert exported["request"]["dataset_id"] == dataset_id
    answer = await app.client.post("/delete", json={"password": person.password}, headers=person.headers)
    assert answer.status_code == 200
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(table)) == 0


async def test_requests_when_ended_long_ago_then_forgotten(app: Running, person: Person) -> None:
    now = utc_now()
    async with app.resources.database.session() as session:
        for request_id, days in (("old", 91), ("new", 1)):
            await task_requests.add_request(
                session,
                request_id=request_id,
                user_id=person.id,
                dataset_id=1,
                request={},
                now=now + timedelta(days=1),
            )
            ended_at = {"state": "made", "finished_at": now - timedelta(days=days)}
            await session.execute(sa.update(table).where(table.c.id == request_id).values(ended_at))

    await forget_the_past(app.resources.database, audit_days=app.resources.settings.timings.audit_days)

    async with app.resources.database.session() as session:
        assert (await session.scalars(sa.select(table.c.id))).all() == ["new"]


@SQLITE
async def test_worker_when_nothing_is_due_then_it_says_so(app: Running) -> None:
    database, openml, checks = app.resources.database, app.resources.openml, app.resources.checks

    assert await make_one(database, openml, checks, lease_owner="test", lease_seconds=60) is False
