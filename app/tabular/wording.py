"""Values and counts as they are written in messages, and durations as they are published."""

from datetime import timedelta


def shortened(text: str, longest: int = 40) -> str:
    """Return a text in quotes for a message, cut if it is long."""
    return repr(text if len(text) <= longest else text[: longest - 1] + "…")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, for a message: `1 row`, `2 rows`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration_text(length: timedelta) -> str:
    """Return a duration in ISO 8601: `PT26H30M0S`."""
    sign = "-" if length < timedelta() else ""
    minutes, seconds = divmod(abs(length), timedelta(minutes=1))
    hours, minutes = divmod(minutes, 60)
    rest = f"{seconds.total_seconds():.6f}".rstrip("0").rstrip(".")
    return f"{sign}PT{hours}H{minutes}M{rest}S"
