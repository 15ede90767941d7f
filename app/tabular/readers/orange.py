"""Lines below the names that describe columns, as Orange writes them: a line of types and a line of flags."""

from collections.abc import Sequence

_TYPES = frozenset({"c", "continuous", "d", "discrete", "s", "string", "t", "time", "basket"})
_FLAGS = frozenset({"", "c", "class", "m", "meta", "i", "ignore", "w", "weight"})


def lines_of_orange(rows: Sequence[Sequence[str]], lines: Sequence[int]) -> int:
    """Return how many rows below the first one describe the columns: none, one if the flags are a blank line, or two.

    Args:
        rows: the values of the first rows.
        lines: the lines on which they begin.
    """
    if len(rows) < 3:  # noqa: PLR2004 - names, types and a row
        return 0
    types, flags = rows[1], rows[2]
    known = [cell for cell in types if cell in _TYPES]
    others = [cell for cell in types if cell and cell not in _TYPES]
    # A list of labels has blanks between them.
    if len(known) <= len(others) or not all(" " in cell for cell in others):
        return 0
    # Values that are such letters stand further down as well.
    if any(
        cell in known and cell == row[at] for row in rows[3:] for at, cell in enumerate(types[: len(row)])
    ):
        return 0
    are_flags = all(cell in _FLAGS or "=" in cell for cell in flags)
    if are_flags and (not any(flags) or any(len(cell) > 1 for cell in flags)):
        return 2
    return int(lines[2] > lines[1] + 1)
