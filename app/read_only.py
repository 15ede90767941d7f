"""Read-only mode: which requests are taken while the site is in it, and how the others are refused."""

from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.errors import DatabaseUnavailableError, NotReadyError, ProblemError, ReadOnlyModeError
from app.core.http import problem_response
from app.db.notices import NoticeBoard

TAKEN = frozenset(
    {
        "/login",
        "/token",
        "/sign-in/code",
        "/logout",
        "/session/refresh",
        "/reauthenticate",
        "/tokens/revoke",
        "/auth/passkey/login-verify",
        "/sign-in/passkey/options",
        "/sign-in/passkey",
        "/auth/passkey/confirm-options",
        # They change nothing.
        "/forgot-token",
        "/dashboard/_dash-update-component",
    }
)
"""Addresses that take what is neither GET nor HEAD also in read-only mode."""
TAKEN_BELOW = ("/es/", "/admin/", "/auth/oauth/")
"""Those whose name begins so: searches change nothing, administrators have to end the mode, and log-ins with a provider
that would make or link an account refuse by themselves."""
READS = frozenset({"GET", "HEAD", "OPTIONS"})


class ReadOnlyMiddleware:
    """Refuses what would change something while the site is in read-only mode, before anything of it is read.

    Requests that read never ask whether it is; others ask what their process knows (`app/db/notices.py`).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] not in READS and not _is_taken(scope["path"]):
            problem = await _reason_to_refuse(scope["state"]["resources"].notices)
            if problem is not None:
                await problem_response(problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _reason_to_refuse(notices: NoticeBoard) -> ProblemError | None:
    try:
        await notices.require_writable()
    except ReadOnlyModeError as problem:
        return problem
    except DatabaseUnavailableError as error:
        return NotReadyError.of_database(error)
    return None


def _is_taken(path: str) -> bool:
    return path in TAKEN or path.startswith(TAKEN_BELOW)
