"""What everybody is told, read-only mode in every process, reports, mails and workers."""

from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa

from app.core.errors import ReadOnlyModeError
from app.db import notices, outbox
from app.db.notices import NoticeBoard
from app.db.site_tables import notices as table
from app.db.site_tables import reports
from app.worker.janitor import forget_the_past
from tests.admin.conftest import sign_in
from tests.conftest import MakePerson, Person, Running

SQLITE = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
TELL = {"text": "We move to a new database."}


async def told(client: httpx.AsyncClient) -> tuple[list[str], str | None]:
    found = (await client.get("/announcements")).json()
    return [each["text"] for each in found["announcements"]], (found["read_only"] or {}).get("text")


async def test_announcement_when_made_then_everybody_reads_it_until_it_ends(
    app: Running, administrator: Person
) -> None:
    now = app.resources.database.now()
    soon = {"text": "A talk at noon.", "ends_at": (now + timedelta(hours=1)).isoformat()}
    for body in (TELL, soon):
        assert (
            await app.client.post("/admin/announcements", json=body, headers=administrator.headers)
        ).is_success
    found = (await app.client.get("/announcements")).json()
    assert [each["text"] for each in found["announcements"]] == [soon["text"], TELL["text"]]

    number = found["announcements"][1]["id"]
    ended = await app.client.delete(f"/admin/announcements/{number}", headers=administrator.headers)
    again = await app.client.delete(f"/admin/announcements/{number}", headers=administrator.headers)
    async with app.resources.database.session() as session:
        await session.execute(sa.update(table).values(ends_at=now - timedelta(seconds=1)))
    app.resources.notices.forget()

    assert (ended.status_code, again.status_code) == (200, 404)
    assert await told(app.client) == ([], None)
    await forget_the_past(app.resources.database, audit_days=0)
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(table)) == 0


@SQLITE
async def test_read_only_mode_when_on_then_people_read_and_sign_in_and_change_nothing_until_it_is_off(
    app: Running, administrator: Person
) -> None:
    body = {**TELL, "ends_at": (app.resources.database.now() + timedelta(minutes=10)).isoformat()}
    on = await app.client.put("/admin/read-only", json=body, headers=administrator.headers)
    assert on.json() == {"msg": "Read-only mode is on"}
    assert await told(app.client) == ([], TELL["text"])
    refused = await app.client.post("/signup", content=b"x" * 100)
    assert (refused.status_code, refused.json()["msg"]) == (503, TELL["text"])
    assert 590 < int(refused.headers["retry-after"]) <= 611
    by_tus = {**administrator.headers, "Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    upload = await app.client.post("/uploads", headers=by_tus)
    assert (upload.status_code, upload.headers["tus-resumable"]) == (503, "1.0.0")
    assert (await app.client.get("/health/live")).status_code == 200
    assert (await app.client.get("/profile", headers=administrator.headers)).status_code == 200
    login = {"email": administrator.email, "password": administrator.password}
    assert "access_token" in (await app.client.post("/login", json=login)).json()
    elsewhere = NoticeBoard(app.resources.database)  # As another process has one.
    with pytest.raises(ReadOnlyModeError, match=TELL["text"]):
        await elsewhere.require_writable()

    off = await app.client.delete("/admin/read-only", headers=administrator.headers)

    elsewhere.forget()  # Two seconds later.
    await elsewhere.require_writable()
    assert off.json() == {"msg": "Read-only mode is off"}
    assert (await app.client.delete("/admin/read-only", headers=administrator.headers)).status_code == 404
    assert (await app.client.post("/signup", json={})).status_code == 422


@SQLITE
async def test_notices_when_many_ask_then_the_database_is_asked_once_in_two_seconds(app: Running) -> None:
    board = app.resources.notices
    await board.read()
    async with app.resources.database.session() as session:
        await notices.add_notice(session, notices.NoticeKind.READ_ONLY, "Back soon.", ends_at=None)

    assert (await board.read()).read_only is None
    board.forget()
    assert (await board.read()).read_only is not None


async def test_report_when_sent_then_administrators_read_it_and_its_author_what_came_of_it(
    app: Running, administrator: Person, make_person: MakePerson
) -> None:
    ada = await sign_in(app, await make_person())
    wrong = {"kind": "upload", "subject": "61", "text": "Look at this."}
    assert (await app.client.post("/reports", json=wrong, headers=ada.headers)).status_code == 422
    report = {"kind": "dataset", "subject": "61", "text": "Names of patients: Łukasz."}
    number = (await app.client.post("/reports", json=report, headers=ada.headers)).json()["id"]
    found = (await app.client.get("/admin/reports", headers=administrator.headers)).json()["reports"]
    assert [{name: each[name] for name in report} for each in found] == [report]

    close = {"reason": "The dataset is gone."}
    closed = await app.client.post(
        f"/admin/reports/{number}/close", json=close, headers=administrator.headers
    )
    twice = await app.client.post(f"/admin/reports/{number}/close", json=close, headers=administrator.headers)

    assert (closed.status_code, twice.status_code) == (200, 404)
    assert (await app.client.get("/admin/reports", headers=administrator.headers)).json() == {"reports": []}
    event = (await app.client.get("/audit", headers=ada.headers)).json()["events"][0]
    assert (event["kind"], event["detail"]) == (
        "report closed by an administrator",
        "about dataset 61: The dataset is gone.",
    )
    for _ in range(9):
        await app.client.post("/reports", json=report, headers=ada.headers)
    assert (await app.client.post("/reports", json=report, headers=ada.headers)).status_code == 429
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(reports)) == 10


@SQLITE
async def test_mail_when_given_up_then_an_administrator_tries_it_again_without_reading_it(
    app: Running, administrator: Person
) -> None:
    async with app.resources.database.session() as session:
        await outbox.add_mail(
            session,
            kind="reset_password",
            recipient="ada@example.org",
            parameters={"link": "https://secret.example"},
            now=app.resources.database.now() + timedelta(days=1),
        )
    listed = await app.client.get(
        "/admin/mails?to=ada@example.org&state=pending", headers=administrator.headers
    )
    number = listed.json()["mails"][0]["id"]

    tried = await app.client.post(f"/admin/mails/{number}/retry", headers=administrator.headers)

    assert tried.status_code == 200
    assert "secret" not in listed.text
    missing = await app.client.post(f"/admin/mails/{number + 99}/retry", headers=administrator.headers)
    assert missing.status_code == 404
    workers = (await app.client.get("/admin/workers", headers=administrator.headers)).json()
    assert workers["workers"] == []
