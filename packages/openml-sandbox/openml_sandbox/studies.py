"""The calls under `study/`: suites, which hold tasks, and studies, which hold runs."""

import re
import sqlite3

from openml_sandbox.answers import Answer, Node, error_document, leaf
from openml_sandbox.call import Call, Route, is_numeric, to_id
from openml_sandbox.document import Element
from openml_sandbox.errors import ApiError, ServerCrashError
from openml_sandbox.filters import Conditions, FilterRules, limit_and_offset, natural
from openml_sandbox.records import to_seconds
from openml_sandbox.schema import STUDY, XmlInvalidError, validate
from openml_sandbox.study_records import (
    EntityType,
    Study,
    add_study,
    delete_study,
    get_contents,
    get_linked,
    get_study,
    get_study_by_alias,
    link,
    set_study_status,
    unlink,
)
from openml_sandbox.upload import EMPTY_FILE

_ENTITY_TYPES: tuple[EntityType, ...] = ("task", "run")
_KNOWLEDGE_TYPES = ("runs", "flows", "setups", "data", "tasks")
_NATURALS = re.compile(r"[0-9]+(,[0-9]+)*")

_RULES = FilterRules(
    names=("limit", "offset", "main_entity_type", "uploader", "status", "benchmark_suite"),
    texts=("main_entity_type", "status"),
    illegal_name=596,
    illegal_value=597,
    offset_alone=598,
)


def create(call: Call) -> Node | Answer:
    """Answer `POST study`; any other method gets as far as the missing file, and dies there as well."""
    file = call.form.files.get("description")
    if file is None:
        raise ServerCrashError
    try:
        xml = validate(file.read_document() if file.size else b"", STUDY)
    except XmlInvalidError as error:
        refusal = ApiError(1032, str(error))
        if file.size:
            raise refusal from error
        # The server complains about the empty file, forgets to stop, and complains about what is in it.
        first = error_document(ApiError(1031, EMPTY_FILE), call.format)
        return first.followed_by(error_document(refusal, call.format))
    entity_type = _check_description(xml)
    with call.store.transaction() as connection:
        study_id = _insert(connection, call, xml, entity_type)
    return Node("study_upload", [leaf("id", study_id)])


def _check_description(xml: Element) -> EntityType:
    entity_type = next((known for known in _ENTITY_TYPES if known == xml.text_of("main_entity_type")), None)
    if entity_type is None:
        raise ApiError(1033)
    if any(xml.named(f"{known}s") for known in _ENTITY_TYPES if known != entity_type):
        raise ApiError(1034)
    if xml.texts("benchmark_suite"):
        if entity_type != "run":
            raise ApiError(1035)
        raise ServerCrashError  # it calls a method that there is not
    return entity_type


def _insert(connection: sqlite3.Connection, call: Call, xml: Element, entity_type: EntityType) -> int:
    alias = xml.text_of("alias") or None
    if alias and get_study_by_alias(connection, alias):
        raise ApiError(1038)
    if not xml.texts("description"):
        # Optional by the schema, but not by the table.
        raise ApiError(1039, "Problem creating study record. Please check whether the alias is unique. ")
    study_id = add_study(
        connection,
        entity_type,
        alias=alias,
        name=xml.text_of("name"),
        description=xml.text_of("description"),
        creator=call.caller.id,
    )
    ids = [
        int(text) for group in xml.named(f"{entity_type}s")[:1] for text in group.texts(f"{entity_type}_id")
    ]
    if not link(connection, study_id, entity_type, ids):
        raise ApiError(1039)
    return study_id


def attach(call: Call) -> Node:
    """Answer `POST study/{id}/attach`: any writer may, whatever the status."""
    with call.store.transaction() as connection:
        study, ids = _target(connection, call)
        if not link(connection, study.id, study.main_entity_type, ids):
            raise ApiError(1045)
        return _size(connection, study, "study_attach")


def detach(call: Call) -> Node:
    """Answer `POST study/{id}/detach`: what is not attached is no error."""
    with call.store.transaction() as connection:
        study, ids = _target(connection, call)
        unlink(connection, study.id, study.main_entity_type, ids)
        return _size(connection, study, "study_detach")


def _target(connection: sqlite3.Connection, call: Call) -> tuple[Study, list[int]]:
    study = get_study(connection, to_id(call.segments[0]))
    if study is None:
        raise ApiError(1041)
    ids = call.form.fields.get("ids", "")
    if not _NATURALS.fullmatch(ids):
        raise ApiError(1044)
    return study, [natural(number) for number in ids.split(",")]


def _size(connection: sqlite3.Connection, study: Study, name: str) -> Node:
    return Node(
        name,
        [
            leaf("id", study.id),
            leaf("main_entity_type", study.main_entity_type),
            leaf("linked_entities", len(get_linked(connection, study))),
        ],
    )


def update_status(call: Call) -> Node:
    """Answer `POST study/status/update`: any way is open, back to active, too."""
    status = call.field("status")
    if status not in {"active", "deactivated"}:
        raise ApiError(1051)
    with call.store.transaction() as connection:
        study = get_study(connection, to_id(call.field("study_id")))
        if study is None:
            raise ApiError(1052)
        if not study.may_be_changed_by(call.caller):
            raise ApiError(1053)
        set_study_status(connection, study.id, status)
    return Node("study_status_update", [leaf("id", study.id), leaf("status", status)])


def delete(call: Call) -> Node:
    """Answer `DELETE study/{id}`."""
    with call.store.transaction() as connection:
        study = get_study(connection, to_id(call.segments[0]))
        if study is None:
            raise ApiError(592)
        if not study.may_be_changed_by(call.caller):
            raise ApiError(594)
        if study.main_entity_type != "run" and study.status != "in_preparation":
            raise ApiError(595)
        delete_study(connection, study.id)
    return Node("study_delete", [leaf("id", study.id)])


def get_description(call: Call) -> Node:
    """Answer `GET study/{id or alias}` and `GET study/{id or alias}/{type}`, which filters nothing.

    The template escapes nothing: a name with `&` cannot be read back.
    """
    name, *rest = call.segments
    with call.store.transaction() as connection:
        study = (
            get_study(connection, to_id(name)) if is_numeric(name) else get_study_by_alias(connection, name)
        )
        if study is None:
            raise ApiError(601)
        if rest and rest[0] not in _KNOWLEDGE_TYPES:
            raise ApiError(600, f"Got: {rest[0]}")
        contents = get_contents(connection, study)
    groups = [_ids("data", "data_id", contents.data), _ids("tasks", "task_id", contents.tasks)]
    if study.main_entity_type == "run":
        groups += [
            _ids("flows", "flow_id", contents.flows),
            _ids("setups", "setup_id", contents.setups),
            _ids("runs", "run_id", contents.runs),
        ]
    return Node(
        "study",
        [
            leaf("id", study.id),
            *([leaf("alias", study.alias)] if study.alias else []),
            leaf("main_entity_type", study.main_entity_type),
            Node("name", study.name, raw=True),
            Node("description", study.description, raw=True),
            leaf("visibility", "public"),
            leaf("status", study.status),
            leaf("creation_date", to_seconds(study.creation_date).replace(" ", "T")),
            leaf("creator", study.creator),
            *groups,
        ],
    )


def _ids(name: str, child: str, ids: list[int]) -> Node:
    return Node(name, [leaf(child, number) for number in ids])


def list_studies(call: Call) -> Node:
    """Answer `GET study/list`; its template escapes nothing, so one name with `&` breaks it for everybody."""
    filters = _RULES.read(call.segments[1:])
    conditions = Conditions()
    if (status := filters.get("status", "active")) != "all":
        conditions.add("status = ?", status)
    if "main_entity_type" in filters:
        conditions.add("main_entity_type = ?", filters["main_entity_type"])
    if "uploader" in filters:
        # Several uploaders are no number: the query fails, and a failed query finds nothing.
        conditions.add("creator = ?", to_id(filters["uploader"]))
    if "benchmark_suite" in filters:
        conditions.add("FALSE")  # no study has one: none with one can be made
    query = f"SELECT * FROM studies WHERE {conditions.where} ORDER BY id LIMIT ? OFFSET ?"  # noqa: S608 - fixed texts only
    with call.store.transaction() as connection:
        rows = connection.execute(query, (*conditions.values, *limit_and_offset(filters))).fetchall()
    if not rows:
        raise ApiError(599)
    return Node("study_list", [_list_item(Study(**row)) for row in rows])


def _list_item(study: Study) -> Node:
    return Node(
        "study",
        [
            leaf("id", study.id),
            *([leaf("alias", study.alias)] if study.alias else []),
            leaf("main_entity_type", study.main_entity_type),
            Node("name", study.name, raw=True),
            leaf("status", study.status),
            leaf("creation_date", to_seconds(study.creation_date)),
            leaf("creator", study.creator),
        ],
    )


# The order matters where patterns overlap, and is the server's.
ROUTES = (
    Route((), "list/*", list_studies),
    Route((), "", create),
    Route((), "status/update", update_status),
    Route(("delete",), "#", delete),
    Route(("post",), "#/attach", attach),
    Route(("post",), "#/detach", detach),
    Route((), "+", get_description),
    Route((), "+/+", get_description),
)
