"""Who may call which route, and which API tokens open it.

A route that no line names is not served, and one that no scope names no API token opens. What a role asks for is
checked by the route's own dependencies (`app/deps.py`), which look at the mark of its function for API tokens
(`core/scopes.py`); `require_roles` sees to it, when the application is made, that both are what the tables say.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIRouter

from app.core.scopes import Scope, scopes_of
from app.deps import BearerToken, SignedIn, SignedInOrKey, get_administrator, get_fresh_principal


class Role(StrEnum):
    """What somebody has to be to call a route."""

    ANYBODY = "anybody"
    HOLDER = "whoever has a token"
    """Also one that has expired: it ends itself."""
    USER = "a user who is signed in"
    FRESH = "a user who has shown lately who they are"
    """As an administrator has: by a log-in, or `POST /reauthenticate`, of the last 15 minutes. For what lasts."""
    UPLOADER = "a user who is signed in, or has an API key"
    ADMINISTRATOR = "an administrator who has given the password lately"


ROUTES: Mapping[Role, str] = {
    Role.ANYBODY: """
        POST /signup
        POST /register
        POST /confirmation
        POST /send-confirmation-token
        POST /forgotpassword
        POST /forgot-token
        POST /resetpassword
        POST /undo
        POST /login
        POST /session/refresh
        POST /token
        POST /tokens/revoke
        GET  /auth/oauth
        POST /auth/oauth/{provider}
        POST /auth/oauth/{provider}/start
        POST /auth/oauth-address
        GET  /auth/passkey/login-options
        POST /auth/passkey/login-verify
        POST /sign-in/passkey/options
        POST /sign-in/passkey
        POST /sign-in/code
        POST /feedback
        GET  /announcements
        GET  /imgs/{name:path}
        HEAD /imgs/{name:path}
        GET  /limits
        GET  /licences
        GET  /health/live
        GET  /health/client
        GET  /health/stream
        GET  /health/ready
        OPTIONS /uploads
        OPTIONS /uploads/{upload_id}
        GET  /
        GET  /search
        GET  /d/{number}
        GET  /t/{number}
        GET  /s/{number}
        GET  /b/{number}
        GET  /u/{number}
        GET  /docs
        GET  /redoc
        GET  /robots.txt
        GET  /sitemap.xml
        GET  /sitemap-{kind}-{number}.xml
        GET  /.well-known/security.txt
        GET  /.well-known/change-password
        GET  /.well-known/webauthn
        GET  /dev/mailbox
        GET  /auth/sign-up
        GET  /auth/sign-in
        GET  /auth/confirmation-token
        GET  /auth/confirm-page
        POST /auth/confirm-page
        GET  /auth/reset-password
        GET  /auth/reset-page
        GET  /auth/profile-page
        GET  /auth/edit-profile
        GET  /auth/security
        GET  /auth/undo
        GET  /auth/oauth/{provider}/callback
        GET  /auth/oauth/{provider}/confirm
        GET  /auth/upload-dataset
        GET  /auth/my-uploads
        GET  /dashboard/data-upload
        GET  /software-licences
        GET  /admin
        GET  /admin/person
        GET  /admin/upload
        POST /es/{path:path}
        GET  /es/{path:path}
        GET  /datasets/{dataset_id}/statistics
        GET  /datasets/{dataset_id}/rows
        GET  /datasets/{dataset_id}/download
        GET  /tasks/{task_id}/splits
        GET  /api/{path:path}
        HEAD /api/{path:path}
        GET  /data/{path:path}
        HEAD /data/{path:path}
        GET  /croissant/dataset/{dataset_id}
        HEAD /croissant/dataset/{dataset_id}
        GET  /dashboard
        HEAD /dashboard
        GET  /dashboard/{path:path}
        HEAD /dashboard/{path:path}
        POST /dashboard/_dash-update-component
    """,
    Role.HOLDER: """
        POST /logout
    """,
    Role.USER: """
        GET  /verifytoken
        GET  /profile
        POST /profile
        POST /image
        DELETE /image
        POST /reauthenticate
        GET  /auth/passkey/list
        GET  /auth/passkey/second-factor
        POST /auth/passkey/confirm-options
        GET  /sessions
        DELETE /sessions
        DELETE /sessions/{session_id}
        GET  /audit
        GET  /second-factor
        POST /delete
        POST /reports
        GET  /tokens
        GET  /linked-accounts
        GET  /trusted-publishers
    """,
    Role.FRESH: """
        POST /linked-accounts/{provider}/start
        POST /linked-accounts/{provider}
        DELETE /linked-accounts/{link_id}
        GET  /api-key
        POST /api-key
        POST /api-key/regenerate
        POST /password
        GET  /export
        POST /tokens
        DELETE /tokens/{token_id}
        POST /trusted-publishers
        DELETE /trusted-publishers/{publisher_id}
        POST /auth/passkey/register-options
        POST /auth/passkey/register-verify
        POST /auth/passkey/rename
        POST /auth/passkey/remove
        POST /auth/passkey/second-factor
        POST /second-factor/totp/offer
        POST /second-factor/totp
        DELETE /second-factor/totp
        POST /second-factor/recovery-codes
        DELETE /second-factor/reset
    """,
    Role.UPLOADER: """
        POST /data-upload
        POST /data-edit-upload
        GET  /data-edit
        POST /data-edit
        POST /data-tag
        POST /data-untag
        POST /upload-task
        GET  /upload-task/{request_id}
        POST /upload-collection-tasks
        POST /upload-collection-runs
        POST /uploads
        GET  /uploads
        HEAD /uploads/{upload_id}
        PATCH /uploads/{upload_id}
        DELETE /uploads/{upload_id}
        GET  /uploads/{upload_id}
        POST /uploads/{upload_id}/publish
        POST /uploads/{upload_id}/retry
        GET  /uploads/{upload_id}/preview
        GET  /uploads/{upload_id}/croissant
        GET  /uploads/{upload_id}/events
    """,
    Role.ADMINISTRATOR: """
        GET  /admin/users
        GET  /admin/users/{user_id}
        POST /admin/users/{user_id}/confirm
        POST /admin/users/{user_id}/open
        POST /admin/users/{user_id}/close
        POST /admin/users/{user_id}/end-sessions
        POST /admin/users/{user_id}/mail
        POST /admin/users/{user_id}/reset-second-factor
        GET  /admin/uploads
        GET  /admin/uploads/{upload_id}
        POST /admin/uploads/{upload_id}/cancel
        POST /admin/uploads/{upload_id}/requeue
        POST /admin/uploads/{upload_id}/quarantine
        POST /admin/uploads/{upload_id}/remove
        GET  /admin/mails
        POST /admin/mails/{mail_id}/retry
        GET  /admin/workers
        GET  /admin/reports
        POST /admin/reports/{report_id}/close
        PUT  /admin/read-only
        DELETE /admin/read-only
        POST /admin/announcements
        DELETE /admin/announcements/{notice_id}
    """,
}
"""The routes of each role. A page holds no data: who may see what it asks for is said by the routes that it asks."""
SCOPES: Mapping[Scope, str] = {
    Scope.READ: """
        GET  /verifytoken
        GET  /uploads
        HEAD /uploads/{upload_id}
        GET  /uploads/{upload_id}
        GET  /uploads/{upload_id}/preview
        GET  /uploads/{upload_id}/croissant
        GET  /uploads/{upload_id}/events
        GET  /data-edit
        GET  /upload-task/{request_id}
        POST /es/{path:path}
        GET  /es/{path:path}
        GET  /datasets/{dataset_id}/statistics
        GET  /datasets/{dataset_id}/rows
        GET  /datasets/{dataset_id}/download
        GET  /tasks/{task_id}/splits
    """,
    Scope.UPLOAD: """
        GET  /verifytoken
        POST /data-upload
        POST /data-edit-upload
        POST /uploads
        GET  /uploads
        HEAD /uploads/{upload_id}
        PATCH /uploads/{upload_id}
        DELETE /uploads/{upload_id}
        GET  /uploads/{upload_id}
        POST /uploads/{upload_id}/publish
        POST /uploads/{upload_id}/retry
        GET  /uploads/{upload_id}/preview
        GET  /uploads/{upload_id}/croissant
        GET  /uploads/{upload_id}/events
    """,
    Scope.EDIT: """
        GET  /verifytoken
        GET  /data-edit
        POST /data-edit
        POST /data-tag
        POST /data-untag
    """,
    Scope.TASKS: """
        GET  /verifytoken
        POST /upload-task
        GET  /upload-task/{request_id}
        POST /upload-collection-tasks
        POST /upload-collection-runs
    """,
    Scope.ACCOUNT: """
        GET  /verifytoken
        GET  /profile
        GET  /audit
    """,
}
"""The routes that an API token with a scope opens, where its user could call them. All others none does: with a token
nobody makes tokens, ends or confirms sessions, or changes or exports an account."""
SCOPED = frozenset({Role.ANYBODY, Role.USER, Role.UPLOADER})
"""Roles whose routes API tokens may open; anybody's say more to some."""
_GUARDS: Sequence[tuple[Role, Callable[[object], bool]]] = (
    # The narrowest first: each of them stands on those behind it.
    (Role.ADMINISTRATOR, lambda call: call is get_administrator),
    (Role.FRESH, lambda call: call is get_fresh_principal),
    (Role.UPLOADER, lambda call: isinstance(call, SignedInOrKey)),
    (Role.USER, lambda call: isinstance(call, SignedIn)),
    (Role.HOLDER, lambda call: isinstance(call, BearerToken)),
)


def by_route() -> dict[str, Role]:
    """Return the table from the other side: the role of each route, e.g. of `GET /profile`."""
    return {name: role for role, text in ROUTES.items() for name in _names_in(text)}


def scopes_by_route() -> dict[str, frozenset[Scope]]:
    """Return the scopes of each route that API tokens open, e.g. of `GET /uploads`."""
    scoped = [(name, scope) for scope, text in SCOPES.items() for name in _names_in(text)]
    return {name: frozenset(scope for other, scope in scoped if other == name) for name, _ in scoped}


def _names_in(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def require_roles(routers: Sequence[APIRouter]) -> None:
    """Return if each route is in the table, asks for what its role says, and is marked with the scopes that open it.

    Raises:
        LookupError: one does not; the text says which.
    """
    roles, scopes = by_route(), scopes_by_route()
    for name, route in routes_of(routers):
        if name not in roles:
            raise LookupError(f"No line of ROUTES in app/access.py says who may call {name}.")
        asked = role_asked(route)
        if asked is not roles[name]:
            raise LookupError(
                f"{name} is for {roles[name]} by app/access.py, and its dependencies let in {asked}."
            )
        marked, listed = scopes_of(route.endpoint), scopes.get(name, frozenset())
        if listed != set(marked):
            raise LookupError(
                f"{name} is opened by {sorted(listed)} by SCOPES in app/access.py, its function by {sorted(marked)}."
            )
        if listed and asked not in SCOPED:
            raise LookupError(f"{name} is for {asked}: no API token may open it.")


def routes_of(routers: Sequence[APIRouter]) -> Iterator[tuple[str, APIRoute]]:
    """Yield each route with its name in the table: its method, and its path without a slash at the end."""
    for route in (route for router in routers for route in router.routes):
        if not isinstance(route, APIRoute):
            raise TypeError(f"{route!r} is no route of FastAPI's; what has roles is.")
        path = re.sub(r"(?<=.)/$", "", route.path)
        yield from ((f"{method} {path}", route) for method in sorted(route.methods or ()))


def role_asked(route: APIRoute) -> Role:
    """Return the role that the route's own dependencies ask for."""
    calls = list(_calls(route.dependant))
    return next((role for role, is_guard in _GUARDS if any(map(is_guard, calls))), Role.ANYBODY)


def _calls(dependant: Dependant) -> Iterator[object]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _calls(inner)
