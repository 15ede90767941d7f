"""The calls under `run/`."""

import sqlite3

from openml_sandbox import tags
from openml_sandbox.answers import Node, leaf
from openml_sandbox.arffcheck import check_arff
from openml_sandbox.call import Call, Route, to_id
from openml_sandbox.document import Element, XmlSyntaxError, parse
from openml_sandbox.errors import ApiError
from openml_sandbox.filters import Conditions, FilterRules, limit_and_offset, natural
from openml_sandbox.flow_records import (
    Setup,
    find_parameter,
    get_flow,
    get_or_add_setup,
    get_settings,
    get_setup,
)
from openml_sandbox.form import FilePart
from openml_sandbox.records import (
    add_file,
    add_tag,
    get_dataset,
    get_file,
    get_qualities,
    get_tags,
    to_seconds,
)
from openml_sandbox.reference import EVALUATION_MEASURES
from openml_sandbox.run_records import (
    Evaluation,
    Run,
    add_run,
    add_run_file,
    get_evaluation_error,
    get_evaluations,
    get_run,
    get_run_files,
)
from openml_sandbox.run_schemas import RUN
from openml_sandbox.schema import XmlInvalidError, validate
from openml_sandbox.study_records import get_study
from openml_sandbox.task_records import get_inputs, get_task
from openml_sandbox.tasktypes import TASK_TYPES
from openml_sandbox.upload import EMPTY_FILE, move

MOST = 10_000
_RULES = FilterRules(
    names=(
        *("task", "setup", "flow", "uploader", "run", "tag", "limit", "offset", "task_type", "study"),
        "show_errors",
    ),
    texts=("tag", "show_errors"),
    illegal_name=514,
    illegal_value=511,
    offset_alone=515,
)


def upload(call: Call) -> Node:
    """Answer `POST run`; the order of the checks is the server's."""
    xml = _read_description(call)
    with call.store.transaction() as connection:
        flow = get_flow(connection, to_id(xml.text_of("flow_id")))
        if flow is None:
            raise ApiError(205)
        if flow.metadata.get("implements") in EVALUATION_MEASURES:
            raise ApiError(218)
        for name, part in call.form.files.items():
            _check_file(name, part)
        settings = _read_settings(connection, xml, flow.id)
        setup_id = get_or_add_setup(connection, flow.id, settings, xml.text_of("setup_string"))
        task_id = _check_task(connection, xml)
        _check_measures(xml)
        run_id = add_run(
            connection,
            flow=flow.id,
            setup=setup_id,
            task=task_id,
            uploader=call.caller.id,
            error_message=xml.text_of("error_message"),
            run_details=" ".join(xml.texts("run_details")),
        )
        for tag in dict.fromkeys(xml.texts("tag")):
            add_tag(connection, "run", run_id, tag, call.caller.id)
        for name, part in call.form.files.items():
            file_id = add_file(connection, part.filename, part.size, part.md5, media_type=part.media_type)
            add_run_file(connection, run_id, name, file_id)
            move(part.path, call.store, file_id)
    return Node("upload_run", [leaf("run_id", run_id)])


def _read_description(call: Call) -> Element:
    # Only a file part is looked at, as of a task.
    file = call.form.files.get("description")
    if file is None or not file.size:
        raise ApiError(201, "" if file is None else EMPTY_FILE)
    try:
        return validate(file.read_document(), RUN)
    except XmlInvalidError as error:
        raise ApiError(202, str(error)) from error


def _check_file(name: str, part: FilePart) -> None:
    _, dot, extension = part.filename.rpartition(".")
    if not dot or not extension:
        reason = f'Invalid extension for file "{name}". Original filename: {part.filename}'
        raise ApiError(206, reason)
    if not part.size:
        raise ApiError(207, f'Upload problem with file "{name}": {EMPTY_FILE}')
    if extension == "arff" and (complaint := check_arff(part.path)):
        raise ApiError(209, f"Arff error in {name} file: {complaint}")
    if extension == "xml":
        try:
            parse(part.read_document())
        except XmlSyntaxError as error:
            raise ApiError(209, f"XML error in {name} file: ") from error


def _read_settings(connection: sqlite3.Connection, xml: Element, flow_id: int) -> dict[int, str]:
    settings = {}
    for element in xml.named("parameter_setting"):
        name, component = element.text_of("name"), element.text_of("component") or str(flow_id)
        parameter = find_parameter(connection, to_id(component), name)
        if parameter is None:
            raise ApiError(213, f"Name: {name}, flow id (component): {component}")
        settings[parameter] = element.text_of("value")
    return settings


def _check_task(connection: sqlite3.Connection, xml: Element) -> int:
    task = get_task(connection, to_id(xml.text_of("task_id")))
    if task is None:
        raise ApiError(204)
    inputs = get_inputs(connection, task.id)
    if "source_data" not in inputs:
        raise ApiError(219)
    if "estimation_procedure" not in inputs:
        raise ApiError(220)
    dataset = get_dataset(connection, to_id(inputs["source_data"]))
    if dataset is None:
        raise ApiError(221)
    if "NumberOfInstances" not in get_qualities(connection, dataset.id):
        raise ApiError(208)
    return task.id


def _check_measures(xml: Element) -> None:
    """Look at the measures that were sent: their names are compared, their values are not kept."""
    sent = [each for output in xml.named("output_data") for each in output.named("evaluation")]
    unknown = sorted({name for each in sent if (name := each.text_of("name")) not in EVALUATION_MEASURES})
    if unknown:
        raise ApiError(217, f"Measure(s): {', '.join(unknown)}")


def get_description(call: Call) -> Node:
    """Answer `GET run/{id}`."""
    if call.segments[0] == "0":
        raise ApiError(235)
    with call.store.transaction() as connection:
        run = get_run(connection, to_id(call.segments[0]))
        if run is None:
            raise ApiError(236)
        flow, setup, task = (
            get_flow(connection, run.flow),
            get_setup(connection, run.setup),
            get_task(connection, run.task),
        )
        inputs = get_inputs(connection, run.task)
        measure = inputs.get("evaluation_measures")
        error = get_evaluation_error(connection, run.id)
        return Node(
            "run",
            [
                leaf("run_id", run.id),
                leaf("uploader", run.uploader),
                leaf("uploader_name", f"Sandbox User {run.uploader}"),
                leaf("task_id", run.task),
                leaf("task_type", TASK_TYPES[task.task_type].name if task else ""),
                *([leaf("task_evaluation_measure", measure)] if measure else []),
                leaf("flow_id", run.flow),
                leaf("flow_name", flow.full_name if flow else ""),
                leaf("setup_id", run.setup),
                *([leaf("error", error)] if error else []),
                *([leaf("error_message", run.error_message)] if run.error_message else []),
                *([leaf("run_details", run.run_details)] if run.run_details else []),
                leaf("setup_string", setup.setup_string if setup else ""),
                *_settings(connection, setup),
                *(leaf("tag", tag) for tag in get_tags(connection, "run", run.id)),
                _input_data(connection, call, inputs),
                _output_data(connection, call, run),
            ],
        )


def _settings(connection: sqlite3.Connection, setup: Setup | None) -> list[Node]:
    return [
        Node("parameter_setting", [leaf("name", parameter.name), leaf("value", value)])
        for parameter, _, value in (get_settings(connection, setup) if setup else [])
    ]


def _input_data(connection: sqlite3.Connection, call: Call, inputs: dict[str, str]) -> Node:
    dataset = get_dataset(connection, to_id(inputs.get("source_data", "")))
    if dataset is None:
        return Node("input_data", [])
    url = f"{call.settings.base_url}/data/v1/download/{dataset.file_id}/{dataset.name}.arff"
    return Node(
        "input_data",
        [Node("dataset", [leaf("did", dataset.id), leaf("name", dataset.name), leaf("url", url)])],
    )


def _output_data(connection: sqlite3.Connection, call: Call, run: Run) -> Node:
    files = []
    for field, file_id in get_run_files(connection, run.id).items():
        stored = get_file(connection, file_id)
        name = stored.filename if stored else field
        url = f"{call.settings.base_url}/data/v1/download/{file_id}/{name}"
        fields = {"did": "-1", "file_id": file_id, "name": field, "url": url}
        files.append(Node("file", [leaf(*item) for item in fields.items()]))
    return Node("output_data", [*files, *map(_evaluation, get_evaluations(connection, run.id))])


def _evaluation(found: Evaluation) -> Node:
    place = {} if found.repeat is None else {"repeat": str(found.repeat), "fold": str(found.fold)}
    return Node(
        "evaluation",
        [
            leaf("name", found.function),
            *([] if found.value is None else [leaf("value", found.value)]),
            *([] if found.array_data is None else [leaf("array_data", found.array_data)]),
        ],
        place,
    )


def list_runs(call: Call) -> Node:
    """Answer `GET run/list`."""
    filters = _RULES.read(call.segments[1:])
    if "limit" in filters and natural(filters["limit"]) > MOST:
        raise ApiError(516)
    if not filters.keys() - {"offset", "show_errors"}:
        raise ApiError(510)
    conditions = conditions_on_runs(filters)
    conditions.add_ids("tasks.task_type", filters.get("task_type"))
    if filters.get("show_errors", "").lower() != "true":
        conditions.add("evaluated.error IS NULL")
    query = (
        "SELECT runs.id, sent_runs.*, runs.flow, runs.setup, tasks.task_type FROM sent_runs"  # noqa: S608 - fixed texts only
        " JOIN runs ON runs.id = sent_runs.run JOIN tasks ON tasks.id = sent_runs.task"
        " LEFT JOIN evaluated ON evaluated.run = sent_runs.run"
        f" WHERE {conditions.where} ORDER BY sent_runs.run LIMIT ? OFFSET ?"
    )
    with call.store.transaction() as connection:
        check_study(connection, filters, 517)
        rows = connection.execute(query, (*conditions.values, *limit_and_offset(filters))).fetchall()
    if not rows:
        raise ApiError(512)
    if len(rows) > MOST:
        raise ApiError(513, f"Size of result set: {len(rows)}; max size: {MOST}")
    return Node("runs", [_listed(row) for row in rows])


def _listed(row: sqlite3.Row) -> Node:
    fields = {
        "run_id": row["id"],
        "task_id": row["task"],
        "setup_id": row["setup"],
        "flow_id": row["flow"],
        "uploader": row["uploader"],
        "task_type_id": row["task_type"],
        "upload_time": to_seconds(row["start_time"]),
        "error_message": row["error_message"],
        "run_details": row["run_details"],
    }
    return Node("run", [leaf(*field) for field in fields.items()])


def conditions_on_runs(filters: dict[str, str]) -> Conditions:
    """Return what the filters ask of `runs` and `sent_runs`; they are the same for runs and for evaluations."""
    conditions = Conditions()
    conditions.add_ids("sent_runs.task", filters.get("task"))
    conditions.add_ids("runs.setup", filters.get("setup"))
    conditions.add_ids("runs.flow", filters.get("flow"))
    conditions.add_ids("sent_runs.uploader", filters.get("uploader"))
    conditions.add_ids("runs.id", filters.get("run"))
    if "tag" in filters:
        conditions.add("runs.id IN (SELECT run FROM run_tags WHERE tag = ?)", filters["tag"])
    if "study" in filters:
        conditions.add(
            "runs.id IN (SELECT entity FROM study_runs WHERE study = ?)", natural(filters["study"])
        )
    return conditions


def check_study(connection: sqlite3.Connection, filters: dict[str, str], code: int) -> None:
    """Refuse a study that is none of runs."""
    if "study" in filters:
        study = get_study(connection, natural(filters["study"]))
        if study is None or study.main_entity_type != "run":
            raise ApiError(code)


# The order matters where patterns overlap, and is the server's.
ROUTES = (
    Route((), "list/*", list_runs),
    Route(("get", "post"), "#", get_description),
    Route(("post",), "", upload),
    Route(("post",), "tag", tags.RUN.tag),
    Route(("post",), "untag", tags.RUN.untag),
    Route((), "tag/list", tags.RUN.list_all),
)
