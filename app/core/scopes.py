"""Scopes: what an API token may be for, and the routes that say which of them open it."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

_MARK = "opened_by"
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class Scope(StrEnum):
    """What a token may be used for; the table of routes is `SCOPES` in `app/access.py`."""

    READ = "read"
    UPLOAD = "upload"
    EDIT = "edit"
    TASKS = "tasks"
    ACCOUNT = "account"


MEANINGS: Mapping[Scope, str] = {
    Scope.READ: "See your uploads, their previews and your tasks, and find your private datasets.",
    Scope.UPLOAD: "Publish datasets under your name: send, change, follow, retry and cancel uploads.",
    Scope.EDIT: "Change descriptions and tags of datasets, as you may.",
    Scope.TASKS: "Make tasks, suites and studies under your name.",
    Scope.ACCOUNT: "Read your profile and what happened to your account. It changes nothing.",
}
"""A sentence for whoever grants it."""


def opened_by(*scopes: Scope) -> Callable[[Endpoint], Endpoint]:
    """Mark a route's function that tokens with any of these scopes may call; without the mark none may."""

    def mark(endpoint: Endpoint) -> Endpoint:
        vars(endpoint)[_MARK] = scopes
        return endpoint

    return mark


def scopes_of(endpoint: Callable[..., Any] | None) -> tuple[Scope, ...]:
    """Return the scopes that open a route's function, in the order in which it names them."""
    found: tuple[Scope, ...] = getattr(endpoint, _MARK, ())
    return found
