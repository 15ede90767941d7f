"""Whatever an administrator does to somebody, or to an upload of theirs, stands in that person's own trail."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from app.access import Role, by_route
from app.core.settings import Settings
from app.db.tables import audit_events
from app.db.upload_states import UploadState
from tests.conftest import MakePerson, Person, Running
from tests.second_factors import set_up
from tests.upload_rows import put_in
from tests.uploads.test_data_upload import CSV
from tests.uploads.test_resources import begin, send

WHY = {"reason": "Asked for by mail."}
Prepared = Callable[[Running, Person, Person], Awaitable[str]]
"""Makes what is acted on, with the administrator's help; returns what stands in the path."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Nobody works on uploads here but the test."""
    return settings.model_copy(update={"embedded_worker": False})


async def account(_app: Running, person: Person, _administrator: Person) -> str:
    return str(person.id)


async def closed(app: Running, person: Person, administrator: Person) -> str:
    answer = await app.client.post(f"/admin/users/{person.id}/close", json=WHY, headers=administrator.headers)
    assert answer.status_code == 200
    return str(person.id)


async def with_factor(app: Running, person: Person, _administrator: Person) -> str:
    await set_up(app, person)
    return str(person.id)


async def upload(app: Running, person: Person, _administrator: Person) -> str:
    path = await begin(app, person)
    await send(app, person, path, CSV)
    return path.rpartition("/")[2]


async def failed(app: Running, person: Person, administrator: Person) -> str:
    upload_id, now = await upload(app, person, administrator), app.resources.database.now()
    async with app.resources.database.session() as session:
        await put_in(
            session, upload_id, UploadState.FAILED, at=now, finished_at=now, received_sha256="0" * 64
        )
    return upload_id


async def held(app: Running, person: Person, administrator: Person) -> str:
    upload_id = await upload(app, person, administrator)
    where = f"/admin/uploads/{upload_id}/quarantine"
    assert (await app.client.post(where, json=WHY, headers=administrator.headers)).status_code == 200
    return upload_id


async def reported(app: Running, person: Person, _administrator: Person) -> str:
    report = {"kind": "dataset", "subject": "61", "text": "Look."}
    assert (await app.client.post("/reports", json=report, headers=person.headers)).is_success
    return "1"


ACTS: Mapping[str, tuple[Prepared, Mapping[str, Any]]] = {
    "POST /admin/users/{user_id}/confirm": (account, {}),
    "POST /admin/users/{user_id}/open": (closed, {}),
    "POST /admin/users/{user_id}/close": (account, {}),
    "POST /admin/users/{user_id}/end-sessions": (account, {}),
    "POST /admin/users/{user_id}/mail": (account, {"mail": "password-reset"}),
    "POST /admin/users/{user_id}/reset-second-factor": (with_factor, {}),
    "POST /admin/uploads/{upload_id}/cancel": (upload, {}),
    "POST /admin/uploads/{upload_id}/requeue": (failed, {}),
    "POST /admin/uploads/{upload_id}/quarantine": (upload, {}),
    "POST /admin/uploads/{upload_id}/remove": (held, {}),
    "POST /admin/reports/{report_id}/close": (reported, {}),
}
OF_NOBODY = {
    "POST /admin/mails/{mail_id}/retry",
    "PUT /admin/read-only",
    "DELETE /admin/read-only",
    "POST /admin/announcements",
    "DELETE /admin/announcements/{notice_id}",
}
"""What is done to the site, or to a mail, which may be to an address that no account has."""


def test_acts_when_listed_then_each_route_that_changes_something() -> None:
    changing = {
        name
        for name, role in by_route().items()
        if role is Role.ADMINISTRATOR and not name.startswith("GET ")
    }

    assert changing == {*ACTS, *OF_NOBODY}


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_person_when_an_administrator_acts_then_told_by_an_event_with_the_reason(
    app: Running, administrator: Person, make_person: MakePerson
) -> None:
    for name, (prepare, body) in ACTS.items():
        person = await make_person(active="confirm" not in name)
        target = await prepare(app, person, administrator)
        events = await events_of(app, person)
        method, path = name.split()

        answer = await app.client.request(
            method,
            path[: path.index("{")] + target + path[path.index("}") + 1 :],
            json={**WHY, **body},
            headers=administrator.headers,
        )

        assert answer.status_code in {200, 202}, (name, answer.text)
        new = (await events_of(app, person))[len(events) :]
        assert [kind for kind, _ in new if kind.endswith("by an administrator")], name
        assert any(WHY["reason"] in (detail or "") for _, detail in new), name
        acted = await events_of(app, administrator)
        assert acted[-1][0] == "acted as an administrator", name


async def events_of(app: Running, person: Person) -> list[tuple[str, str | None]]:
    columns = sa.select(audit_events.c.kind, audit_events.c.detail)
    async with app.resources.database.session() as session:
        found = await session.execute(
            columns.where(audit_events.c.user_id == person.id).order_by(audit_events.c.id)
        )
        return [(row.kind, row.detail) for row in found]
