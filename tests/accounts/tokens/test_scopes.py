"""Which routes an API token opens: the table, the document, and what each route answers."""

import re

import pytest
from fastapi import APIRouter

from app.access import SCOPED, Role, by_route, require_roles, scopes_by_route
from app.core.bodies import BoundedRoute
from app.core.scopes import MEANINGS, Scope, opened_by
from app.deps import PrincipalDep, UploaderDep
from tests.accounts.tokens.conftest import MakeToken, bearer
from tests.admin.test_roles import ask, requests
from tests.conftest import Person, Running
from tests.described import operations

SQLITE = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
NEVER = (
    ("GET", "/api-key"),
    ("POST", "/api-key"),
    ("POST", "/tokens"),
    ("GET", "/tokens"),
    ("DELETE", "/tokens/1"),
    ("POST", "/profile"),
    ("POST", "/reauthenticate"),
    ("GET", "/sessions"),
    ("DELETE", "/sessions"),
    ("GET", "/export"),
    ("POST", "/delete"),
    ("POST", "/logout"),
    ("GET", "/admin/users"),
)
"""What is never a program's business, whatever the table becomes."""


def test_document_when_compared_with_the_table_then_each_operation_names_its_scopes() -> None:
    table = {re.sub(r":path\}", "}", name): scopes for name, scopes in scopes_by_route().items()}
    for method, path, operation in operations():
        told = [
            scopes for need in operation["security"] for name, scopes in need.items() if name == "ApiToken"
        ]
        assert {scope for (scope,) in told} == table.get(f"{method} {path}", set()), path
    assert MEANINGS.keys() == set(Scope)


@SQLITE
@pytest.mark.parametrize("scope", Scope)
async def test_routes_when_asked_with_a_token_then_those_of_its_scope_open_and_all_others_say_what_is_needed(
    app: Running, owner: Person, make_token: MakeToken, scope: Scope
) -> None:
    token = bearer((await make_token(owner, scope))["token"])
    guarded = [role for role in Role if role is not Role.ANYBODY]
    table = scopes_by_route()
    opened = 0
    for (name, _), (method, path) in zip(
        [(name, role) for name, role in by_route().items() if role in guarded],
        requests(*guarded),
        strict=True,
    ):
        answer = await ask(app, method, path, token)
        wanted = table.get(name, frozenset())
        challenge = answer.headers.get("www-authenticate", "")
        if scope in wanted:
            opened += 1
            assert answer.status_code != 401, (name, answer.text)
            assert "insufficient_scope" not in challenge, name
            continue
        assert answer.status_code == 403, (name, answer.text)
        assert challenge.startswith('Bearer realm="openml", error="insufficient_scope"'), name
        named = re.search(r'scope="(.*)"', challenge)
        assert set(named[1].split() if named else ()) == wanted, name
        if method != "HEAD":
            assert str(answer.json()["type"]).endswith("/insufficient-scope"), name
    assert opened == sum(scope in wanted for name, wanted in table.items() if by_route()[name] in guarded)


@SQLITE
async def test_token_when_it_has_every_scope_then_still_no_way_to_another_token_or_the_key(
    app: Running, owner: Person, make_token: MakeToken
) -> None:
    everything = bearer((await make_token(owner, *Scope))["token"])

    for method, path in NEVER:
        answer = await ask(app, method, path, everything)
        assert (answer.status_code, str(answer.json()["type"]).rpartition("/")[2]) == (
            403,
            "insufficient-scope",
        ), path
    assert len((await app.client.get("/tokens", headers=owner.headers)).json()["tokens"]) == 1
    by_key = {"X-API-Key": owner.api_key, **everything}
    assert (await app.client.get("/api-key", headers=by_key)).status_code == 403


def test_route_when_opened_by_other_scopes_than_the_table_says_then_the_application_does_not_start() -> None:
    router = APIRouter(route_class=BoundedRoute)

    @router.get("/uploads")
    @opened_by(Scope.TASKS)
    async def list_them(_uploader: UploaderDep) -> None: ...

    with pytest.raises(LookupError, match="GET /uploads is opened by"):
        require_roles([router])

    forgotten = APIRouter(route_class=BoundedRoute)

    @forgotten.post("/data-tag")
    async def tag(_uploader: UploaderDep) -> None: ...

    with pytest.raises(LookupError, match="POST /data-tag is opened by"):
        require_roles([forgotten])

    secretly = APIRouter(route_class=BoundedRoute)

    @secretly.get("/sessions")
    @opened_by(Scope.ACCOUNT)
    async def list_all(_principal: PrincipalDep) -> None: ...

    with pytest.raises(LookupError, match="GET /sessions is opened by"):
        require_roles([secretly])


def test_table_when_read_then_no_scope_opens_what_needs_a_session_or_an_administrator() -> None:
    assert {by_route()[name] for name in scopes_by_route()} <= SCOPED
