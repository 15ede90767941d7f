"""Ask core.clock.utc_now, or Database.now where machines must agree.

A clock of which nobody knows whose it is becomes a lease or a cut-off that another machine judges differently.
"""

from collections.abc import Iterator

from tests.rules.source import SANDBOX, Source, Violation

ASKS = ("datetime.now", "datetime.utcnow", "datetime.today")


def violations(source: Source) -> Iterator[Violation]:
    """Yield every call that asks this machine for the date."""
    if source.name == "app/core/clock.py" or source.name.startswith(SANDBOX):
        return
    for name, call in source.calls():
        if name.endswith(ASKS):
            yield call.lineno, f"{name}() is called"
