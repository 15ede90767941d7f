"""`GET data/list` with its filters."""

import json

from openml_sandbox.answers import MEDIA_TYPES, Answer, Node, leaf
from openml_sandbox.call import Call
from openml_sandbox.errors import ApiError
from openml_sandbox.filters import QUALITY_FILTERS, Conditions, FilterRules, limit_and_offset, natural
from openml_sandbox.records import Dataset, get_listed_qualities, to_dataset

_RULES = FilterRules(
    names=(
        *("tag", "status", "limit", "offset", "data_id", "data_name", "data_version", "uploader"),
        *QUALITY_FILTERS,
    ),
    texts=("tag", "status", "data_name"),
    illegal_name=370,
    illegal_value=371,
    offset_alone=373,
)


def list_datasets(call: Call) -> Node | Answer:
    """Answer the call; the JSON form has its own template, with numbers as numbers."""
    filters = _RULES.read(call.segments[1:])
    conditions = _conditions(filters, call.user.id if call.user else 0)
    query = f"SELECT * FROM datasets WHERE {conditions.where} ORDER BY id LIMIT ? OFFSET ?"  # noqa: S608 - fixed texts only
    with call.store.transaction() as connection:
        rows = connection.execute(query, (*conditions.values, *limit_and_offset(filters))).fetchall()
        found = [(dataset, get_listed_qualities(connection, dataset.id)) for dataset in map(to_dataset, rows)]
    if not found:
        raise ApiError(372)
    if call.format == "json":
        body = json.dumps({"data": {"dataset": [_json_item(*item) for item in found]}})
        return Answer(200, body.encode(), MEDIA_TYPES["json"])
    return Node("data", [_xml_item(*item) for item in found])


def _conditions(filters: dict[str, str], user_id: int) -> Conditions:
    conditions = Conditions()
    conditions.add("(visibility = 'public' OR uploader = ?)", user_id)
    conditions.add_status(filters.get("status"))
    if "tag" in filters:
        conditions.add("id IN (SELECT dataset FROM tags WHERE tag = ?)", filters["tag"])
    if "data_name" in filters:
        conditions.add("name = ?", filters["data_name"])
    conditions.add_ids("id", filters.get("data_id"))
    # Several versions or uploaders end in one quoted text, of which the database reads the first number.
    if "data_version" in filters:
        conditions.add("version = ?", natural(filters["data_version"]))
    if "uploader" in filters:
        conditions.add("uploader = ?", natural(filters["uploader"]))
    conditions.add_qualities(filters)
    return conditions


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
