"""What the failure of a call to OpenML means to whoever asked for it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from app.core.errors import ApiKeyMissingError, OpenMLRefusedError, OpenMLUnreachableError, Problem
from app.openml.client import is_api_key
from app.openml.errors import AUTHENTICATION, PASSING, RefusedError, UpstreamError


def require_key(api_key: str | None) -> str:
    """Return the key.

    Raises:
        ApiKeyMissingError: there is none that OpenML could know.
    """
    if api_key is None or not is_api_key(api_key):
        raise ApiKeyMissingError
    return api_key


@contextmanager
def explained(known: Mapping[int, Callable[[RefusedError], Problem]] | None = None) -> Iterator[None]:
    """Raise problems in place of upstream errors; `known` says what some error codes mean in this place."""
    try:
        yield
    except RefusedError as error:
        explain = (known or {}).get(error.code)
        raise (explain(error) if explain else _refused(error)) from error
    except UpstreamError as error:
        raise OpenMLUnreachableError(
            f"{error}. Send the same request again: what was done already is not done twice."
        ) from error


def _refused(error: RefusedError) -> Problem:
    if error.code in PASSING:
        return OpenMLUnreachableError(
            "OpenML is out of order at the moment; try again later.", code=error.code
        )
    if error.code in AUTHENTICATION:
        return OpenMLRefusedError(f"OpenML does not take your API key: {error.message}", code=error.code)
    # The texts can list every dataset of the server.
    reason = " ".join(filter(None, [error.message, error.details]))[:500]
    return OpenMLRefusedError(f"OpenML refused this: {reason}", code=error.code)
