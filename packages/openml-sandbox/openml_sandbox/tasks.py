"""The calls under `task/`."""

import json
import sqlite3

from openml_sandbox import tags
from openml_sandbox.answers import MEDIA_TYPES, Answer, Node, document, error_document, leaf
from openml_sandbox.call import Call, Route, is_numeric, to_id
from openml_sandbox.errors import ApiError, ServerCrashError
from openml_sandbox.filters import QUALITY_FILTERS, Conditions, FilterRules, limit_and_offset
from openml_sandbox.records import (
    Dataset,
    add_tag,
    get_dataset,
    get_features,
    get_listed_qualities,
    get_tags,
    to_dataset,
)
from openml_sandbox.reference import ESTIMATION_PROCEDURES, MATH_FUNCTIONS, EstimationProcedure
from openml_sandbox.run_records import has_runs
from openml_sandbox.schema import TASK, XmlInvalidError, validate
from openml_sandbox.task_records import (
    Task,
    add_task,
    delete_inputs,
    delete_task,
    find_tasks,
    get_inputs,
    get_task,
)
from openml_sandbox.tasktypes import TASK_TYPES, Input, TaskType

Inputs = dict[str, str]

_RULES = FilterRules(
    names=(
        *("type", "tag", "data_tag", "status", "limit", "offset", "task_id", "data_id", "data_name"),
        *QUALITY_FILTERS,
    ),
    texts=("type", "tag", "data_tag", "status", "data_name"),
    illegal_name=480,
    illegal_value=481,
    offset_alone=483,
)


def upload(call: Call) -> Answer:
    """Answer `POST task`; the order of the checks is the server's."""
    type_id, inputs, wanted_tags = _read_description(call)
    with call.store.transaction() as connection:
        _check_inputs(connection, type_id, inputs)
        matches = find_tasks(connection, type_id, inputs)
        if matches and not call.meets("race-614"):
            raise ApiError(614, f"matched id(s): [{','.join(map(str, matches))}]")
        if type_id not in TASK_TYPES:
            raise ApiError(615)
        task_id = add_task(connection, type_id, inputs, call.caller.id)
        # Where the index fails the server stops here, before the tags.
        refusals = (
            [] if call.meets("error-105-after-write") else _add_tags(connection, call, task_id, wanted_tags)
        )
    answer = document(Node("upload_task", [leaf("id", task_id)]), call.format)
    for refusal in reversed(refusals):
        answer = error_document(refusal, call.format).followed_by(answer)
    return answer


def _read_description(call: Call) -> tuple[int, Inputs, list[str]]:
    # Only a file part is looked at; a field of that name is not.
    file = call.form.files.get("description")
    if file is None or not file.size:
        raise ApiError(611)
    try:
        xml = validate(file.read_document(), TASK)
    except XmlInvalidError as error:
        raise ApiError(613, str(error)) from error
    inputs: Inputs = {}
    for element in xml.named("input"):
        name = element.attributes.get(("", "name"), "")
        if name in inputs:
            raise ApiError(617, f"problematic input: {name}")
        inputs[name] = element.text
    # Under another prefix there seems to be nothing in the document, though its schema is satisfied.
    return int(xml.text_of("task_type_id")[:18] or "0"), inputs, xml.texts("tag")


def _check_inputs(connection: sqlite3.Connection, type_id: int, inputs: Inputs) -> None:
    task_type = TASK_TYPES.get(type_id)
    for name, value in inputs.items():
        known = task_type.input(name) if task_type else None
        if task_type is None or known is None:
            raise ApiError(616, f"problematic input: {name}")
        _check_kind(known, value)
        if known.choice is not None:
            acceptable = _acceptable(connection, known, task_type, inputs)
            if not any(_is_loosely_equal(value, choice) for choice in acceptable):
                raise ApiError(
                    622, f"problematic input: [{name}], acceptable inputs: [{', '.join(acceptable)}]"
                )
        if name == "source_data":
            dataset = get_dataset(connection, to_id(value))
            if dataset is None or dataset.status != "active":
                raise ApiError(623, "problematic input: source_data, dataset not active.")
    required = (
        [known.name for known in task_type.inputs if known.requirement == "required"] if task_type else []
    )
    missing = [name for name in required if name not in inputs]
    if missing:
        raise ApiError(618, f"problematic input(s): {', '.join(missing)}")


def _check_kind(known: Input, value: str) -> None:
    if known.kind is None:
        raise ApiError(619, f"problematic input: {known.name}")
    is_wrong = (known.kind == "numeric" and not is_numeric(value)) or (
        known.kind == "json" and not _is_json(value)
    )
    if is_wrong:
        raise ApiError(621, f"problematic input: {known.name}; should be of type: {known.kind}")


def _is_json(text: str) -> bool:
    def refuse(_constant: str) -> None:
        raise ValueError("PHP knows no NaN and no Infinity")

    try:
        json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _is_loosely_equal(value: str, choice: str) -> bool:
    # PHP's `in_array`: `01` and `1.0` are 1.
    if value != choice and is_numeric(value) and is_numeric(choice):
        return float(value) == float(choice)
    return value == choice


def _acceptable(
    connection: sqlite3.Connection, known: Input, task_type: TaskType, inputs: Inputs
) -> list[str]:
    """List every legal value, as the refusal prints them: that is every dataset of the server, too."""
    if known.choice == "dataset":
        return [str(row["id"]) for row in connection.execute("SELECT id FROM datasets ORDER BY id")]
    if known.choice == "procedure":
        return [str(p.id) for p in ESTIMATION_PROCEDURES if p.task_type == task_type.id]
    if known.choice == "measure":
        return list(MATH_FUNCTIONS)
    kinds = {"nominal feature": {"nominal"}, "numeric feature": {"numeric"}}.get(known.choice or "")
    features = get_features(connection, to_id(inputs.get("source_data", "")) or 0)
    return [feature.name for feature in features if kinds is None or feature.data_type in kinds]


def _add_tags(connection: sqlite3.Connection, call: Call, task_id: int, wanted: list[str]) -> list[ApiError]:
    # A refusal is printed in front of the answer; the task stands.
    return [
        ApiError(473, f"id={task_id}; tag={tag}")
        for tag in wanted
        if not add_tag(connection, "task", task_id, tag, call.caller.id)
    ]


def get_description(call: Call) -> Node:
    """Answer `GET task/{id}`; its template escapes nothing."""
    with call.store.transaction() as connection:
        task = get_task(connection, to_id(call.segments[0]))
        if task is None:
            raise ApiError(151)
        inputs = get_inputs(connection, task.id)
        dataset = get_dataset(connection, to_id(inputs.get("source_data", "")))
        task_tags = get_tags(connection, "task", task.id)
    if "custom_testset" in inputs:
        raise ApiError(153)
    if not inputs:
        raise ServerCrashError  # a task whose deletion failed half-way: PHP looks for keys in what is no array
    task_type = TASK_TYPES[task.task_type]
    about = f": {dataset.name}" if dataset else ""
    return Node(
        "task",
        [
            leaf("task_id", task.id),
            leaf("task_name", f"Task {task.id}{about} ({task_type.name})"),
            leaf("task_type_id", task_type.id),
            leaf("task_type", task_type.name),
            *_parsed_inputs(task, task_type, inputs, call.settings.base_url),
            *_outputs(task_type),
            *(leaf("tag", tag) for tag in task_tags),
        ],
    )


_DATA_SET_FIELDS = {
    "source_data": "data_set_id",
    "source_data_labeled": "labeled_data_set_id",
    "target_feature": "target_feature",
    "target_value": "target_value",
    "target_feature_left": "target_feature_left",
    "target_feature_right": "target_feature_right",
    "target_feature_event": "target_feature_event",
}


def _parsed_inputs(task: Task, task_type: TaskType, inputs: Inputs, base_url: str) -> list[Node]:
    """Write the inputs by their templates: those that were not given appear, too, and are empty."""
    data_set = [
        Node(_DATA_SET_FIELDS[known.name], inputs.get(known.name, ""), raw=True)
        for known in task_type.inputs
        if known.name in _DATA_SET_FIELDS
    ]
    nodes = [_input("source_data", Node("data_set", data_set))] if "source_data" in inputs else []
    for known in task_type.inputs:
        value = inputs.get(known.name, "")
        if known.name == "estimation_procedure":
            nodes.append(_input(known.name, _procedure(task, task_type, value, base_url)))
        elif known.name == "evaluation_measures":
            measure = Node("evaluation_measure", value, raw=True)
            nodes.append(_input(known.name, Node("evaluation_measures", [measure])))
        elif known.name not in _DATA_SET_FIELDS and known.requirement != "hidden":
            nodes.append(_input(known.name, Node(known.name, value, raw=True)))
    return nodes


def _input(name: str, content: Node) -> Node:
    return Node("input", [content], {"name": name})


def _procedure(task: Task, task_type: TaskType, value: str, base_url: str) -> Node:
    procedure = next(p for p in ESTIMATION_PROCEDURES if p.id == to_id(value))
    children = [leaf("id", procedure.id), leaf("type", procedure.type)]
    if task_type.parameters:
        # The address is printed whether or not there are splits.
        children.append(
            leaf("data_splits_url", f"{base_url}/api_splits/get/{task.id}/Task_{task.id}_splits.arff")
        )
    children += [
        Node("parameter", _parameter(procedure, name), {"name": name}) for name in task_type.parameters
    ]
    return Node("estimation_procedure", children)


def _parameter(procedure: EstimationProcedure, name: str) -> str:
    value = {
        "number_repeats": procedure.repeats,
        "number_folds": procedure.folds,
        "percentage": procedure.percentage,
        "stratified_sampling": procedure.stratified,
    }.get(name)
    return "" if value is None else str(value).lower()


def _outputs(task_type: TaskType) -> list[Node]:
    if not task_type.predictions:
        return []
    features = [Node("feature", "", {"name": name, "type": kind}) for name, kind in task_type.predictions]
    predictions = Node("predictions", [leaf("format", "ARFF"), *features])
    return [Node("output", [predictions], {"name": "predictions"})]


def get_flat_inputs(call: Call) -> Node:
    """Answer `GET task/inputs/{id}`; its template escapes nothing."""
    with call.store.transaction() as connection:
        task = get_task(connection, to_id(call.segments[1]))
        if task is None:
            raise ApiError(156)
        inputs = get_inputs(connection, task.id)
    if not inputs:
        raise ApiError(157)
    rows = [Node("input", value, {"name": name}, raw=True) for name, value in inputs.items()]
    return Node("task_inputs", [leaf("task_id", task.id), leaf("task_type_id", task.task_type), *rows])


def list_tasks(call: Call) -> Node | Answer:
    """Answer `GET task/list`; tasks of several datasets are not in it."""
    filters = _RULES.read(call.segments[1:])
    conditions = _conditions(filters, call.user.id if call.user else 0)
    query = (
        "SELECT tasks.id AS task, tasks.task_type, datasets.* FROM tasks"  # noqa: S608 - fixed texts only
        " JOIN task_inputs ON task_inputs.task = tasks.id AND task_inputs.name = 'source_data'"
        " JOIN datasets ON datasets.id = CAST(task_inputs.value AS INTEGER)"
        f" WHERE {conditions.where} ORDER BY tasks.id LIMIT ? OFFSET ?"
    )
    with call.store.transaction() as connection:
        rows = connection.execute(query, (*conditions.values, *limit_and_offset(filters))).fetchall()
        found = [_listed(connection, row) for row in rows]
    if not found:
        raise ApiError(482)
    if call.format == "json":
        body = json.dumps({"tasks": {"task": [_json_item(*item) for item in found]}})
        return Answer(200, body.encode(), MEDIA_TYPES["json"])
    return Node("tasks", [_xml_item(*item) for item in found])


def _conditions(filters: dict[str, str], user_id: int) -> Conditions:
    conditions = Conditions()
    conditions.add("(datasets.visibility = 'public' OR datasets.uploader = ?)", user_id)
    conditions.add_status(filters.get("status"))
    if "type" in filters:
        conditions.add("tasks.task_type = ?", filters["type"])
    if "tag" in filters:
        conditions.add("tasks.id IN (SELECT task FROM task_tags WHERE tag = ?)", filters["tag"])
    if "data_tag" in filters:
        conditions.add("datasets.id IN (SELECT dataset FROM tags WHERE tag = ?)", filters["data_tag"])
    if "data_name" in filters:
        conditions.add("datasets.name = ?", filters["data_name"])
    conditions.add_ids("tasks.id", filters.get("task_id"))
    conditions.add_ids("datasets.id", filters.get("data_id"))
    conditions.add_qualities(filters)
    return conditions


Listed = tuple[int, TaskType, Dataset, Inputs, dict[str, float]]


def _listed(connection: sqlite3.Connection, row: sqlite3.Row) -> Listed:
    values = dict(row)
    task_id, task_type = values.pop("task"), TASK_TYPES[values.pop("task_type")]
    dataset = to_dataset(values)
    return (
        task_id,
        task_type,
        dataset,
        get_inputs(connection, task_id),
        get_listed_qualities(connection, dataset.id),
    )


def _xml_item(
    task_id: int, task_type: TaskType, dataset: Dataset, inputs: Inputs, qualities: dict[str, float]
) -> Node:
    return Node(
        "task",
        [
            leaf("task_id", task_id),
            leaf("task_type_id", task_type.id),
            leaf("task_type", task_type.name),
            leaf("did", dataset.id),
            leaf("name", dataset.name),
            leaf("status", dataset.status),
            leaf("format", dataset.format),
            *(Node("input", value, {"name": name}) for name, value in sorted(inputs.items())),
            *(Node("quality", str(value), {"name": name}) for name, value in qualities.items()),
        ],
    )


def _json_item(
    task_id: int, task_type: TaskType, dataset: Dataset, inputs: Inputs, qualities: dict[str, float]
) -> dict[str, object]:
    return {
        "task_id": task_id,
        "task_type_id": task_type.id,
        "task_type": task_type.name,
        "did": dataset.id,
        "name": dataset.name,
        "status": dataset.status,
        "format": dataset.format,
        "input": [{"name": name, "value": value} for name, value in sorted(inputs.items())],
        "quality": [{"name": name, "value": str(value)} for name, value in qualities.items()],
    }


def delete(call: Call) -> Node:
    """Answer `DELETE task/{id}`."""
    with call.store.transaction() as connection:
        task = get_task(connection, to_id(call.segments[0]))
        if task is None:
            raise ApiError(452)
        if not task.may_be_changed_by(call.caller):
            raise ApiError(453)
        if has_runs(connection, task.id):
            raise ApiError(454)
        # The inputs go first and stay gone, even where a suite then keeps the task from going, too.
        delete_inputs(connection, task.id)
        is_deleted = delete_task(connection, task.id)
    if not is_deleted:
        raise ApiError(455)
    return Node("task_delete", [leaf("id", task.id)])


# The order matters where patterns overlap, and is the server's.
ROUTES = (
    Route((), "list/*", list_tasks),
    Route(("get", "post"), "#", get_description),
    Route((), "inputs/#", get_flat_inputs),
    Route(("post",), "", upload),
    Route(("delete",), "#", delete),
    Route(("post",), "tag", tags.TASK.tag),
    Route(("post",), "untag", tags.TASK.untag),
    Route((), "tag/list", tags.TASK.list_all),
)
