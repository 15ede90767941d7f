"""Describe the member in app/core/problem_schema.py: clients are made of what the OpenAPI document has.

A member that no schema names is one that typed clients cannot read.
"""

from collections.abc import Iterator

from app.core.errors import catalogue
from app.core.problem_schema import MEMBERS
from tests.rules.source import Source, Violation

KINDS = frozenset(kind.__name__ for kind in catalogue())
NO_MEMBERS = frozenset({"headers", "retry_after_seconds", "error", "expected", "provided"})
"""What constructors of problems turn into headers, or into members of another name."""


def violations(source: Source) -> Iterator[Violation]:
    """Yield each member of a problem that its schema lacks."""
    for name, call in source.calls():
        if KINDS & set(name.split(".")):
            for unknown in {keyword.arg for keyword in call.keywords} - MEMBERS - NO_MEMBERS - {None}:
                yield call.lineno, f"the member {unknown} has no schema"
