"""Who may call which route: the table, and what each route answers those who are not what it asks for."""

import re
from collections.abc import Iterator, Mapping

import httpx
import pytest
from fastapi import APIRouter

from app.access import Role, by_route, require_roles, role_asked, routes_of
from app.core.bodies import BoundedRoute
from app.core.errors import PROBLEM_SPACE
from app.core.settings import Settings
from app.db import users
from app.db.notices import NoticeKind, add_notice
from app.deps import PrincipalDep
from app.read_only import READS, TAKEN, TAKEN_BELOW
from tests.admin.conftest import sign_in
from tests.conftest import MakePerson, Person, Running, grow_stale, insert_person, running
from tests.described import operations
from tests.second_factors import ask_for_token, set_up

SQLITE = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
FILLED = {
    "{user_id}": "1",
    "{upload_id}": "0" * 32,
    "{session_id}": "0" * 32,
    "{path:path}": "x",
    "{name:path}": "x.png",
}
"""Parameters of paths; all others are numbers."""


def requests(*roles: Role) -> Iterator[tuple[str, str]]:
    """Yield method and address of each route for one of the roles."""
    for name, role in by_route().items():
        if role in roles:
            method, path = name.split()
            for parameter, value in FILLED.items():
                path = path.replace(parameter, value)
            yield method, re.sub(r"\{\w+\}", "1", path)


async def ask(app: Running, method: str, path: str, headers: Mapping[str, str] = {}) -> httpx.Response:
    """Ask as any client does, with a body that is JSON and nothing more."""
    return await app.client.request(
        method, path, headers={"Content-Type": "application/json", **headers}, content=b"{}"
    )


def kind_of(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition("/")[2]


def test_table_when_compared_with_the_api_then_it_has_each_operation() -> None:
    known = {re.sub(r":path\}", "}", name) for name in by_route()}

    assert {f"{method} {path}" for method, path, _ in operations()} <= known


def test_route_when_no_line_names_it_or_another_role_does_then_the_application_does_not_start() -> None:
    router = APIRouter(route_class=BoundedRoute)

    @router.get("/secrets")
    async def list_secrets() -> None: ...

    with pytest.raises(LookupError, match="who may call GET /secrets"):
        require_roles([router])

    open_to_users = APIRouter(route_class=BoundedRoute)

    @open_to_users.get("/admin/users")
    async def list_users(_principal: PrincipalDep) -> None: ...

    with pytest.raises(LookupError, match="its dependencies let in a user"):
        require_roles([open_to_users])
    assert [role_asked(route) for _, route in routes_of([open_to_users])] == [Role.USER]


@SQLITE
async def test_routes_when_nobody_is_signed_in_then_401_everywhere_but_where_anybody_may(
    app: Running,
) -> None:
    for method, path in requests(*set(Role) - {Role.ANYBODY}):
        answer = await ask(app, method, path)
        assert answer.status_code == 401, (method, path, answer.text)


@SQLITE
async def test_admin_when_somebody_else_or_with_half_the_proof_then_refused_before_anything_is_looked_up(
    app: Running, administrator: Person, make_person: MakePerson
) -> None:
    user = await sign_in(app, await make_person())
    without_session = app.resources.tokens.issue(administrator.id)[0]
    guarded = list(requests(Role.ADMINISTRATOR))
    assert len(guarded) > 20
    for method, path in guarded:
        ordinary = await ask(app, method, path, user.headers)
        assert (ordinary.status_code, kind_of(ordinary)) == (403, "administrators-only"), (method, path)
        by_key = await ask(app, method, path, {"X-API-Key": administrator.api_key})
        assert by_key.status_code == 401, (method, path)
        # As a form on another site would post it: no page's cookie is credentials, and there is none.
        posted = await ask(
            app, method, path, {"Cookie": f"token={administrator.token}", "Origin": "https://evil.example"}
        )
        assert posted.status_code == 401, (method, path)
        unknown = await ask(app, method, path, {"Authorization": f"Bearer {without_session}"})
        assert kind_of(unknown) == "password-needed", (method, path)
    await grow_stale(app)
    for method, path in guarded:
        stale = await ask(app, method, path, administrator.headers)
        assert (stale.status_code, kind_of(stale)) == (403, "password-needed"), (method, path)


@SQLITE
async def test_admin_when_a_second_factor_is_asked_of_administrators_then_the_password_alone_opens_nothing(
    settings: Settings, password_hash: str
) -> None:
    asked = settings.model_copy(update={"administrators_need_second_factor": True})
    async with running(asked) as app:
        person = await insert_person(app, password_hash)
        async with app.resources.database.session() as session:
            await users.set_administrator(session, person.id, is_one=True)

        async def look(token: str) -> httpx.Response:
            return await app.client.get("/admin/workers", headers={"Authorization": f"Bearer {token}"})

        phone, codes = await set_up(app, person)
        refused = await look(person.token)
        assert (refused.status_code, refused.json()["type"]) == (403, f"{PROBLEM_SPACE}second-factor-missing")
        assert "/auth/security" in refused.json()["detail"]
        new = await ask_for_token(app, person, otp=codes[0])
        assert (await look(new.json()["access_token"])).status_code == 200
        proof = {"code": phone.code()}
        assert (await app.client.post("/reauthenticate", json=proof, headers=person.headers)).is_success
        assert (await look(person.token)).status_code == 200, "shown since"


@SQLITE
async def test_admin_when_the_password_is_given_again_then_fresh_in_this_session_only(
    app: Running, administrator: Person, person: Person
) -> None:
    elsewhere = await sign_in(app, administrator)
    await grow_stale(app)
    wrong = await app.client.post(
        "/reauthenticate", json={"password": "another one"}, headers=administrator.headers
    )
    assert wrong.status_code == 401
    assert (await app.client.get("/admin/workers", headers=administrator.headers)).status_code == 403

    right = await app.client.post(
        "/reauthenticate", json={"password": administrator.password}, headers=administrator.headers
    )

    assert right.json()["msg"] == "Password confirmed"
    assert (await app.client.get("/admin/workers", headers=administrator.headers)).status_code == 200
    assert (await app.client.get("/admin/workers", headers=elsewhere.headers)).status_code == 403
    kinds = [
        event["kind"]
        for event in (await app.client.get("/audit", headers=elsewhere.headers)).json()["events"]
    ]
    assert "password given again" in kinds
    without_session = app.resources.tokens.issue(person.id)[0]
    theirs = await app.client.post(
        "/reauthenticate",
        json={"password": person.password},
        headers={"Authorization": f"Bearer {without_session}"},
    )
    assert theirs.status_code == 401, "a token without a session of its own cannot be made fresh"


@SQLITE
async def test_admin_when_taken_out_of_the_group_then_the_next_request_is_refused(
    app: Running, administrator: Person
) -> None:

    assert (await app.client.get("/admin/workers", headers=administrator.headers)).status_code == 200
    async with app.resources.database.session() as session:
        await users.set_administrator(session, administrator.id, is_one=False)

    assert (await app.client.get("/admin/workers", headers=administrator.headers)).status_code == 403


@SQLITE
async def test_read_only_mode_when_on_then_each_route_that_changes_something_refuses_and_no_other(
    app: Running,
) -> None:
    async with app.resources.database.session() as session:
        await add_notice(session, NoticeKind.READ_ONLY, "Back at noon.", ends_at=None)
    app.resources.notices.forget()
    for method, path in requests(*Role):
        if path.startswith(("/api/", "/data/", "/croissant/", "/dashboard/x", "/es/", "/dashboard/_")):
            continue  # Other servers' answers.
        answer = await ask(app, method, path)
        refused = answer.status_code == 503
        assert refused == (method not in READS and path not in TAKEN and not path.startswith(TAKEN_BELOW)), (
            method,
            path,
        )
        if refused:
            assert (kind_of(answer), answer.json()["msg"]) == ("read-only-mode", "Back at noon.")
            assert 60 <= int(answer.headers["retry-after"]) <= 70
