"""Values and counts as they are written in messages."""


def shortened(text: str, longest: int = 40) -> str:
    """Return a text in quotes for a message, cut if it is long."""
    return repr(text if len(text) <= longest else text[: longest - 1] + "…")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, for a message: `1 row`, `2 rows`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
