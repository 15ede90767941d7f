"""`TIMINGS` as processes are given it."""

import json

SHORT = {"lease_seconds": 1, "reconcile_seconds": 1, "upload_stall_seconds": 1}
"""What a service of the tests waits for, where nothing else is said."""


def timings(**spans: float) -> str:
    """Return the text that sets these, and leaves the others as they are by default."""
    return json.dumps(spans)


def short_timings(**spans: float) -> str:
    """Return the text that sets these, and those of `SHORT`."""
    return json.dumps(SHORT | spans)
