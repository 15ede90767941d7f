"""What an INSERT, UPDATE or DELETE says of itself."""

from typing import Any, cast

from sqlalchemy import CursorResult, Result


def row_count(result: Result[Any]) -> int:
    """Return how many rows an UPDATE or DELETE matched."""
    return cast("CursorResult[Any]", result).rowcount


def inserted_id(result: Result[Any]) -> int:
    """Return the number that the database gave to an inserted row."""
    key = cast("CursorResult[Any]", result).inserted_primary_key
    if key is None:
        raise TypeError("not the result of a single INSERT")
    return int(key[0])
