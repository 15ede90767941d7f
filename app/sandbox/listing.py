"""`GET data/list` with its filters."""

import json
import re
from urllib.parse import unquote_plus

from app.sandbox.answers import MEDIA_TYPES, Answer, Node, leaf
from app.sandbox.call import Call
from app.sandbox.errors import ApiError
from app.sandbox.records import Dataset, get_qualities, to_dataset

_QUALITY_FILTERS = {
    "number_instances": "NumberOfInstances",
    "number_features": "NumberOfFeatures",
    "number_classes": "NumberOfClasses",
    "number_missing_values": "NumberOfMissingValues",
}
_TEXT_FILTERS = ("tag", "status", "data_name", *_QUALITY_FILTERS)
# In the order in which the server names them.
_FILTERS = (
    *("tag", "status", "limit", "offset", "data_id", "data_name", "data_version", "uploader"),
    *_QUALITY_FILTERS,
)
_UNSAFE = re.compile(r"[^a-zA-Z0-9\s.,_()-]")
_NATURALS = re.compile(r"\d+(,\d+)*")
_RANGE = re.compile(r"(\d+(?:\.\d+)?)(?:\.\.(\d+(?:\.\d+)?))?")

Listed = tuple[Dataset, dict[str, float]]


def list_datasets(call: Call) -> Node | Answer:
    """Answer the call; the JSON form has its own template, with numbers as numbers."""
    filters = _read_filters(call.segments[1:])
    where, values = _conditions(filters, call.user.id if call.user else 0)
    # Minus one is SQLite's word for "no limit".
    limit = int(filters.get("limit", "-1"))
    query = f"SELECT * FROM datasets WHERE {where} ORDER BY id LIMIT ? OFFSET ?"  # noqa: S608 - fixed texts only
    with call.store.transaction() as connection:
        rows = connection.execute(query, (*values, limit, int(filters.get("offset", "0")))).fetchall()
        found = [(dataset, get_qualities(connection, dataset.id)) for dataset in map(to_dataset, rows)]
    if not found:
        raise ApiError(372)
    if call.format == "json":
        body = json.dumps({"data": {"dataset": [_json_item(*item) for item in found]}})
        return Answer(200, body.encode(), MEDIA_TYPES["json"])
    return Node("data", [_xml_item(*item) for item in found])


def _read_filters(segments: tuple[str, ...]) -> dict[str, str]:
    # A last filter without a value is ignored.
    names = segments[::2]
    illegal = [name for name in names if name not in _FILTERS]
    if illegal:
        allowed = ",".join(_FILTERS)
        raise ApiError(
            370, f"Legal filter operators: {allowed}. Found illegal filter(s): {', '.join(illegal)}"
        )
    filters = {name: unquote_plus(value) for name, value in zip(names, segments[1::2], strict=False)}
    wrong = [name for name in _FILTERS if name in filters and not _is_legal(name, filters[name])]
    if wrong:
        raise ApiError(371, f"Filters with illegal values: {','.join(wrong)}")
    if filters.get("offset", "0") != "0" and filters.get("limit", "0") == "0":
        raise ApiError(373)
    return filters


def _is_legal(name: str, value: str) -> bool:
    if name in _QUALITY_FILTERS:
        return _RANGE.fullmatch(value) is not None
    if name in _TEXT_FILTERS:
        return not _UNSAFE.search(value)
    if name in {"limit", "offset"}:
        return value.isdecimal() and value.isascii()
    return _NATURALS.fullmatch(value) is not None


def _conditions(filters: dict[str, str], user_id: int) -> tuple[str, list[object]]:
    conditions = ["(visibility = 'public' OR uploader = ?)"]
    values: list[object] = [user_id]

    def add(condition: str, *arguments: object) -> None:
        conditions.append(condition)
        values.extend(arguments)

    # Without this filter, what is new or was withdrawn is not listed.
    status = filters.get("status", "active")
    if status != "all":
        add("status = ?", status)
    if "tag" in filters:
        add("id IN (SELECT dataset FROM tags WHERE tag = ?)", filters["tag"])
    if "data_name" in filters:
        add("name = ?", filters["data_name"])
    if "data_id" in filters:
        add("id IN (SELECT value FROM json_each(?))", f"[{_plain(filters['data_id'])}]")
    # Several versions or uploaders end in one quoted text, of which the database reads the first number.
    if "data_version" in filters:
        add("version = ?", int(filters["data_version"].partition(",")[0]))
    if "uploader" in filters:
        add("uploader = ?", int(filters["uploader"].partition(",")[0]))
    for name, quality in _QUALITY_FILTERS.items():
        if match := _RANGE.fullmatch(filters.get(name, "")):
            bounds = float(match[1]), float(match[2] or match[1])
            add(
                "id IN (SELECT dataset FROM qualities WHERE name = ? AND value BETWEEN ? AND ?)",
                quality,
                *bounds,
            )
    return " AND ".join(conditions), values


def _plain(numbers: str) -> str:
    return ",".join(str(int(number)) for number in numbers.split(","))


def _json_item(dataset: Dataset, qualities: dict[str, float]) -> dict[str, object]:
    return {
        "did": dataset.id,
        "name": dataset.name,
        "version": dataset.version,
        "status": dataset.status,
        "format": dataset.format,
        "md5_checksum": "",  # the template prints what the query does not select
        "file_id": dataset.file_id,
        "quality": [{"name": name, "value": str(float(value))} for name, value in qualities.items()],
    }


def _xml_item(dataset: Dataset, qualities: dict[str, float]) -> Node:
    return Node(
        "dataset",
        [
            leaf("did", dataset.id),
            leaf("name", dataset.name),
            leaf("version", dataset.version),
            leaf("uploader", dataset.uploader),
            leaf("status", dataset.status),
            leaf("format", dataset.format),
            leaf("file_id", dataset.file_id),
            *(Node("quality", str(float(value)), {"name": name}) for name, value in qualities.items()),
        ],
    )
