"""What OpenML keeps of a dataset's description, and in how many characters."""

from collections.abc import Collection, Mapping

from app.openml.fields import IGNORE_LENGTH

DESCRIPTION_LENGTH = 16_384
_HEADING = "\n\nChanged for OpenML:"


def require_ignorable(names: Collection[str]) -> None:
    """Return if OpenML can keep all these columns as ignored ones.

    Raises:
        ValueError: their names are too long together.
    """
    if sum(map(len, names)) + 3 * len(names) - 1 > IGNORE_LENGTH:
        raise ValueError(
            f"OpenML keeps at most {IGNORE_LENGTH} characters for all ignored columns together "
            "(their names, plus 3 for each). Ignore fewer, or give them shorter names."
        )


def with_changes(description: str, repairs: Collection[Mapping[str, str]]) -> str:
    """Return the description with what was changed at its end, in ASCII, as much of it as there is room for."""
    room = DESCRIPTION_LENGTH - len(description) - len(_HEADING) - 40
    lines: list[str] = []
    for told, repair in enumerate(repairs):
        line = "\n- " + "".join(
            each if each.isascii() else f"(U+{ord(each):04X})" for each in repair["change"]
        )
        room -= len(line)
        if room < 0:
            lines.append(f"\n- and {len(repairs) - told} more")
            break
        lines.append(line)
    return f"{description}{_HEADING}{''.join(lines)}" if lines else description
