"""How calls of OpenML fare, for the metrics: by endpoint, HTTP status and OpenML's error code."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from app.core import metrics
from app.openml.errors import LostAnswerError, OpenMLError, RefusedError

_ENDPOINT: Final = re.compile(r"[a-z]+(/(list|features|edit|tag|untag|reset|inputs))?")
"""What of a path is not somebody's number or name."""
_NO_ANSWER: Final = "none"


def endpoint_of(path: str) -> str:
    """Return what a path asks for, without whose: `data/list` for `data/list/data_name/iris`."""
    found = _ENDPOINT.match(path)
    return found[0] if found else "other"


@contextmanager
def measured(path: str) -> Iterator[None]:
    """Count a call, and what comes of it, and how long that takes."""
    endpoint, began = endpoint_of(path), time.monotonic()
    status, code = "200", ""
    try:
        yield
    except OpenMLError as error:
        status = _NO_ANSWER
        if isinstance(error, RefusedError):
            status, code = str(error.http_status), str(error.code)
        elif isinstance(error, LostAnswerError):
            status = str(error.answered or _NO_ANSWER)
            metrics.OPENML_LOST.add(endpoint)
        raise
    finally:
        metrics.OPENML_REQUESTS.add(endpoint, status, code)
        metrics.OPENML_SECONDS.observe(time.monotonic() - began, endpoint)
