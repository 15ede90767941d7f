"""The calls under `flow/`."""

import json
import sqlite3

from openml_sandbox import tags
from openml_sandbox.answers import MEDIA_TYPES, Answer, Node, leaf
from openml_sandbox.call import Call, Route, to_id
from openml_sandbox.document import Element
from openml_sandbox.errors import ApiError
from openml_sandbox.filters import Conditions, FilterRules, limit_and_offset
from openml_sandbox.flow_records import (
    Flow,
    add_component,
    add_flow,
    add_parameter,
    find_flow,
    get_components,
    get_flow,
    get_parameters,
    to_flow,
)
from openml_sandbox.records import add_tag, get_tags, to_seconds
from openml_sandbox.run_schemas import FLOW
from openml_sandbox.schema import XmlInvalidError, validate

_FILES = ("source", "binary")
_PLAIN = (
    *("custom_name", "class_name", "description", "licence", "language", "full_description"),
    *("installation_notes", "dependencies", "implements", "source_format", "binary_format"),
)
_LISTS = ("creator", "contributor")
# What a description tells, in the order of the template; the parameters and so on stand in between.
_BEFORE = ("custom_name", "class_name")
_AFTER = (
    *("description", "creator", "contributor", "upload_date", "licence", "language", "full_description"),
    *("installation_notes", "dependencies"),
)

_RULES = FilterRules(
    names=("uploader", "tag", "limit", "offset"),
    texts=("tag",),
    illegal_name=501,
    illegal_value=502,
    offset_alone=503,
)


def upload(call: Call) -> Node:
    """Answer `POST flow`; the order of the checks is the server's."""
    files = {name: part for name, part in call.form.files.items() if name not in _FILES or part.size}
    if any(not part.size for part in files.values()):
        raise ApiError(160)
    text = call.field("description")
    if not text and "description" not in files:
        raise ApiError(161)
    try:
        xml = validate(text.encode() if text else files["description"].read_document(), FLOW)
    except XmlInvalidError as error:
        raise ApiError(163, str(error)) from error
    with call.store.transaction() as connection:
        # A description that comes as a field is compared with none.
        if not text and (similar := _find_similar(connection, xml)):
            raise ApiError(171, f"implementation_id:{similar}")
        digests = {}
        for name, part in files.items():
            if name == "description":
                continue
            if name not in _FILES:
                raise ApiError(167)
            digests[name] = part.md5
            if xml.text_of(f"{name}_md5") not in {"", part.md5}:
                raise ApiError(168)
        return Node("upload_flow", [leaf("id", _insert(connection, call, xml, digests))])


def _find_similar(connection: sqlite3.Connection, xml: Element) -> int | None:
    return find_flow(connection, xml.text_of("name"), xml.text_of("external_version"))


def _insert(connection: sqlite3.Connection, call: Call, xml: Element, digests: dict[str, str]) -> int:
    """Insert a flow with its parameters and those of its components that are not there yet."""
    metadata = {name: text for name in _PLAIN if (text := xml.text_of(name))}
    metadata |= {name: ",".join(texts) for name in _LISTS if (texts := xml.texts(name))}
    external = xml.text_of("external_version") or digests.get("source") or digests.get("binary") or ""
    flow_id = add_flow(connection, xml.text_of("name"), external, call.caller.id, metadata)
    for tag in dict.fromkeys(xml.texts("tag")):
        add_tag(connection, "flow", flow_id, tag, call.caller.id)
    for parameter in xml.named("parameter"):
        fields = ("name", "data_type", "default_value", "description")
        add_parameter(connection, flow_id, *(parameter.text_of(field) for field in fields))
    for component in xml.named("component"):
        for inner in component.named("flow"):
            child = _find_similar(connection, inner) or _insert(connection, call, inner, {})
            add_component(connection, flow_id, component.text_of("identifier"), child)
    return flow_id


def get_description(call: Call) -> Node:
    """Answer `GET flow/{id}`."""
    if call.segments[0] == "0":
        raise ApiError(180)
    with call.store.transaction() as connection:
        flow = get_flow(connection, to_id(call.segments[0]))
        if flow is None:
            raise ApiError(181)
        return _description(connection, flow)


def _description(connection: sqlite3.Connection, flow: Flow) -> Node:
    texts = flow.metadata | {"upload_date": to_seconds(flow.upload_date).replace(" ", "T")}
    return Node(
        "flow",
        [
            leaf("id", flow.id),
            leaf("uploader", flow.uploader),
            leaf("name", flow.name),
            *(leaf(name, texts[name]) for name in _BEFORE if name in texts),
            leaf("version", flow.version),
            *([leaf("external_version", flow.external_version)] if flow.external_version else []),
            *(leaf(name, texts[name]) for name in _AFTER if name in texts),
            *(
                Node(
                    "parameter",
                    [
                        leaf("name", parameter.name),
                        leaf("data_type", parameter.data_type),
                        leaf("default_value", parameter.default_value),
                        leaf("description", parameter.description),
                    ],
                )
                for parameter in get_parameters(connection, flow.id)
            ),
            *(
                Node("component", [leaf("identifier", identifier), _description(connection, child)])
                for identifier, number in get_components(connection, flow.id)
                if (child := get_flow(connection, number))
            ),
            *(leaf("tag", tag) for tag in get_tags(connection, "flow", flow.id)),
        ],
    )


def exists(call: Call) -> Node:
    """Answer `flow/exists/{name}/{version}` and `POST flow/exists`."""
    fields = call.segments[1:] or (
        call.form.fields.get("name", ""),
        call.form.fields.get("external_version", ""),
    )
    if not all(fields):
        raise ApiError(330)
    with call.store.transaction() as connection:
        found = find_flow(connection, *fields)
    is_there = "false" if found is None else "true"
    return Node("flow_exists", [leaf("exists", is_there), leaf("id", -1 if found is None else found)])


def list_flows(call: Call) -> Node | Answer:
    """Answer `GET flow/list`; the JSON form has its own template, with numbers as numbers."""
    filters = _RULES.read(call.segments[1:])
    conditions = Conditions()
    if "tag" in filters:
        conditions.add("id IN (SELECT flow FROM flow_tags WHERE tag = ?)", filters["tag"])
    if "uploader" in filters:
        conditions.add("uploader = ?", to_id(filters["uploader"]))
    query = f"SELECT * FROM flows WHERE {conditions.where} ORDER BY id LIMIT ? OFFSET ?"  # noqa: S608 - fixed texts only
    with call.store.transaction() as connection:
        rows = connection.execute(query, (*conditions.values, *limit_and_offset(filters))).fetchall()
    found = [_listed(to_flow(row)) for row in rows]
    if not found:
        raise ApiError(500)
    if call.format == "json":
        return Answer(200, json.dumps({"flows": {"flow": found}}).encode(), MEDIA_TYPES["json"])
    return Node("flows", [Node("flow", [leaf(*field) for field in flow.items()]) for flow in found])


def _listed(flow: Flow) -> dict[str, object]:
    return {
        "id": flow.id,
        "full_name": flow.full_name,
        "name": flow.name,
        "version": flow.version,
        "external_version": flow.external_version,
        "uploader": flow.uploader,
    }


# The order matters where patterns overlap, and is the server's.
ROUTES = (
    Route((), "list/*", list_flows),
    Route((), "exists/+/+", exists),
    Route((), "exists", exists),
    Route(("get", "post"), "#", get_description),
    Route(("post",), "", upload),
    Route(("post",), "tag", tags.FLOW.tag),
    Route(("post",), "untag", tags.FLOW.untag),
    Route((), "tag/list", tags.FLOW.list_all),
)
