"""One API call as the code behind the front door sees it, and the table that finds that code."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from openml_sandbox.answers import Answer, Format, Node
from openml_sandbox.faults import FaultName, Meeting
from openml_sandbox.form import Form
from openml_sandbox.records import User
from openml_sandbox.settings import SandboxSettings
from openml_sandbox.store import Store

_NUMERIC = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")
_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Call:
    """An API call whose caller is known; `segments` are what follows the type in the path."""

    method: str
    format: Format
    segments: tuple[str, ...]
    form: Form
    user: User | None
    store: Store
    settings: SandboxSettings
    meeting: Meeting

    @property
    def caller(self) -> User:
        """The user, where the front door has made sure that there is one."""
        if self.user is None:
            raise RuntimeError("a call that writes came through without a user")
        return self.user

    def meets(self, name: FaultName) -> bool:
        """Whether a fault is switched on that this call has to produce itself."""
        return self.meeting.meets(name)

    def field(self, name: str) -> str:
        """Read a form field; empty where PHP would take it for none."""
        # PHP's own idea of truth: the text "0" is false, and calls ask `if ($id == false)`.
        value = self.form.fields.get(name, "")
        return "" if value == "0" else value


Handler = Callable[[Call], Node | Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """Which code answers.

    `pattern` is the path: `#` stands for a number in PHP's sense, `+` for any one segment, a last `*` for any rest.
    `methods` may be empty: then the server does not look at the method.
    """

    methods: tuple[str, ...]
    pattern: str
    handler: Handler

    def matches(self, method: str, segments: tuple[str, ...]) -> bool:
        """Whether this route is for the call."""
        if self.methods and method not in self.methods:
            return False
        parts = tuple(self.pattern.split("/")) if self.pattern else ()
        if parts[-1:] == ("*",):
            parts = parts[:-1]
            segments = segments[: len(parts)]
        return len(parts) == len(segments) and all(map(_part_matches, parts, segments))


def _part_matches(part: str, segment: str) -> bool:
    return is_numeric(segment) if part == "#" else part in {segment, "+"}


def find_route(routes: Iterable[Route], method: str, segments: tuple[str, ...]) -> Route | None:
    """Find the route of a call; the first one that matches counts."""
    return next((route for route in routes if route.matches(method, segments)), None)


def is_numeric(text: str) -> bool:
    """Decide as PHP's `is_numeric`: `-1`, `1.5` and `0134` are numbers, too."""
    return _NUMERIC.fullmatch(text) is not None


def to_id(text: str) -> int | None:
    """Read an id as the database compares it: `0134` is 134, and `1.5` is nobody's."""
    if not is_numeric(text):
        return None
    # The database compares a number column with the text, so `134.0` finds 134, too.
    number = float(text)
    if not number.is_integer() or abs(number) > _LARGEST_ID:
        return None
    return int(text) if text.strip().lstrip("+-").isdecimal() else int(number)
