"""Filters of the list calls, which are pairs in the path: `limit/10/status/all`."""

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

from openml_sandbox.errors import ApiError

QUALITY_FILTERS = {
    "number_instances": "NumberOfInstances",
    "number_features": "NumberOfFeatures",
    "number_classes": "NumberOfClasses",
    "number_missing_values": "NumberOfMissingValues",
}
_UNSAFE = re.compile(r"[^a-zA-Z0-9\s.,_()-]")
_NATURALS = re.compile(r"\d+(,\d+)*")
_LARGEST = 2**63 - 1
_LARGEST_DIGITS = len(str(_LARGEST)) + 1
_RANGE = re.compile(r"(\d+(?:\.\d+)?)(?:\.\.(\d+(?:\.\d+)?))?")


@dataclass(frozen=True, slots=True)
class FilterRules:
    """What a list call takes: its filters in the order the server names them, which hold text, and its error codes."""

    names: tuple[str, ...]
    texts: tuple[str, ...]
    illegal_name: int
    illegal_value: int
    offset_alone: int

    def read(self, segments: tuple[str, ...]) -> dict[str, str]:
        """Read the filters; a last one without a value is ignored.

        Raises:
            ApiError: With the call's own codes.
        """
        illegal = [name for name in segments[::2] if name not in self.names]
        if illegal:
            raise ApiError(
                self.illegal_name,
                f"Legal filter operators: {','.join(self.names)}. Found illegal filter(s): {', '.join(illegal)}",
            )
        filters = {
            name: unquote_plus(value) for name, value in zip(segments[::2], segments[1::2], strict=False)
        }
        wrong = [name for name in self.names if name in filters and not self._is_legal(name, filters[name])]
        if wrong:
            raise ApiError(self.illegal_value, f"Filters with illegal values: {','.join(wrong)}")
        if filters.get("offset", "0") != "0" and filters.get("limit", "0") == "0":
            raise ApiError(self.offset_alone)
        return filters

    def _is_legal(self, name: str, value: str) -> bool:
        if name in QUALITY_FILTERS:
            return _RANGE.fullmatch(value) is not None
        if name in self.texts:
            return not _UNSAFE.search(value)
        if name in {"limit", "offset"}:
            return value.isdecimal() and value.isascii()
        return _NATURALS.fullmatch(value) is not None


class Conditions:
    """Conditions of a statement, and their values."""

    def __init__(self) -> None:
        self._texts: list[str] = ["TRUE"]
        self.values: list[object] = []

    def add(self, text: str, *values: object) -> None:
        """Ask for one thing more; `text` is never a caller's."""
        self._texts.append(text)
        self.values.extend(values)

    def add_status(self, status: str | None) -> None:
        """Filter by the status of datasets; without the filter, what is new or was withdrawn is not listed."""
        if status != "all":
            self.add("datasets.status = ?", status or "active")

    def add_qualities(self, filters: dict[str, str]) -> None:
        """Filter datasets by their qualities."""
        for name, quality in QUALITY_FILTERS.items():
            if match := _RANGE.fullmatch(filters.get(name, "")):
                self.add(
                    "datasets.id IN (SELECT dataset FROM qualities WHERE name = ? AND value BETWEEN ? AND ?)",
                    quality,
                    float(match[1]),
                    float(match[2] or match[1]),
                )

    def add_ids(self, column: str, ids: str | None) -> None:
        """Filter a column by comma-separated ids."""
        if ids is not None:
            plain = ",".join(str(natural(number)) for number in ids.split(","))
            self.add(f"{column} IN (SELECT value FROM json_each(?))", f"[{plain}]")  # noqa: S608 - fixed texts

    @property
    def where(self) -> str:
        """All conditions as one."""
        return " AND ".join(self._texts)


def limit_and_offset(filters: dict[str, str]) -> tuple[int, int]:
    """Read the page that is asked for; minus one is SQLite's word for "no limit"."""
    return natural(filters["limit"]) if "limit" in filters else -1, natural(filters.get("offset", "0"))


def natural(text: str) -> int:
    """Read the first of some natural numbers; one that is too large for the database stays the largest."""
    digits = text.partition(",")[0].lstrip("0")
    return min(int(digits[:_LARGEST_DIGITS] or "0"), _LARGEST)
