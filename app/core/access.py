"""Records each request: a line in the log, values in the metrics, and how it went in its span.

Of its address only the path is written, and for metrics only the route's template: query strings carry the tokens of
mail links, and paths are whatever somebody tries.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from starlette.types import Scope

from app.core import measuring, metrics, tracing
from app.core.clients import ProxyNetwork, client_address, is_trusted
from app.core.hidden import printable
from app.core.logging import log_request, logs_requests

OTHER: Final = "other"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_USER: Final = "openml.user"
"""Where the scope of a request has the number of its user."""


class Answered(NamedTuple):
    """How a request was answered.

    Attributes:
        status: of the answer.
        seconds: from the request's head to the end of the answer.
        received: bytes of its body that came.
        sent: bytes of the answer's body.
    """

    status: int
    seconds: float
    received: int
    sent: int


def note_user(scope: Scope, user_id: int) -> None:
    """Set the user of the current request for its log line."""
    scope[_USER] = user_id


def route_of(scope: Scope) -> str:
    """Return the template of the route that took a request; `other` for what no route took."""
    template: str | None = getattr(scope.get("route"), "path", None)
    if template:
        return template
    mounted: str = scope.get("root_path") or ""
    return f"{mounted}/…" if mounted else OTHER


def note_answer(
    scope: Scope, ids: Mapping[str, str], answer: Answered, *, trusted: Sequence[ProxyNetwork]
) -> None:
    """Write the line, count the request, and say in its span how it went."""
    route, method = route_of(scope), scope["method"]
    tracing.answered(scope, route, answer.status)
    if logs_requests():
        log_request(
            **ids,
            method=method,
            path=printable(scope["path"]),
            route=route,
            status=answer.status,
            bytes=answer.sent,
            milliseconds=round(answer.seconds * 1000, 1),
            user=scope.get(_USER),
            client=address_of(scope, trusted),
        )
    is_untrusted = _is_forwarded(scope) and not is_trusted(_peer_of(scope), trusted)
    measuring.count_soon(partial(_count, method if method in METHODS else OTHER, route, answer, is_untrusted))


def _count(method: str, route: str, answer: Answered, is_untrusted: bool) -> None:  # noqa: FBT001 - for `partial`
    metrics.HTTP_REQUESTS.add(method, route, str(answer.status))
    metrics.HTTP_SECONDS.observe(answer.seconds, method, route)
    metrics.HTTP_BYTES_OUT.add(route, by=answer.sent)
    if is_untrusted:
        metrics.UNTRUSTED_PROXIES.add()
    if answer.received:
        metrics.HTTP_BYTES_IN.add(route, by=answer.received)


def address_of(scope: Scope, trusted: Sequence[ProxyNetwork]) -> str:
    """Return the client's address; where no proxy is trusted, the other end of the connection."""
    peer = _peer_of(scope)
    if not trusted:
        return peer
    forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return client_address(peer, forwarded, trusted=trusted)


def _peer_of(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


def _is_forwarded(scope: Scope) -> bool:
    return any(name == b"x-forwarded-for" for name, _ in scope["headers"])
