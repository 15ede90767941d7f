"""Documents as OpenML's own index has them, made of its lists and descriptions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from app.db.profiles import PublicProfile
from app.index.fields import as_number
from app.index.store import Put
from app.openml.listings import Entry
from app.openml.runs import Run

NO_COUNTS: Final = dict.fromkeys(
    (
        *("runs", "nr_of_likes", "nr_of_downloads", "total_downloads", "nr_of_issues", "nr_of_downvotes"),
        *("reach", "reuse", "impact", "impact_of_reuse", "reach_of_reuse"),
    ),
    0,
)
"""What pages show of each thing, and the REST API tells of none."""
_PLAIN: Final = (
    *(
        "name",
        "version_label",
        "format",
        "licence",
        "citation",
        "collection_date",
        "language",
        "url",
        "parquet_url",
    ),
    *(
        "default_target_attribute",
        "row_id_attribute",
        "original_data_url",
        "paper_url",
        "md5_checksum",
        "status",
    ),
    *("update_comment",),
)
_TEXT_OR_LIST: Final = ("creator", "contributor", "ignore_attribute")
_TRUE = "true"


def of_dataset(entry: Entry) -> Put:
    """Return the document of a line of the list."""
    number = entry.get("did", "")
    document = {
        "data_id": as_number(number),
        "exact_name": entry.get("name"),
        "uploader_id": as_number(entry.get("uploader")),
        "version": as_number(entry.get("version")),
        "qualities": _numbers(entry.get("quality")),
        **{name: entry.get(name) for name in ("name", "status", "format")},
    }
    return Put("data", str(number), document, detailed=False)


def of_description(
    dataset_id: int, entry: Entry, features: Sequence[Entry], qualities: Mapping[str, str]
) -> Put:
    """Return the document of a dataset that is known whole."""
    tags = _texts(entry.get("tag"))
    document = {
        "data_id": dataset_id,
        "exact_name": entry.get("name"),
        "version": as_number(entry.get("version")),
        "description": entry.get("description", ""),
        "date": moment(entry.get("upload_date")),
        "processing_date": moment(entry.get("processing_date")),
        "error_message": entry.get("error"),
        **{name: entry.get(name) for name in (*_PLAIN, *_TEXT_OR_LIST)},
        "tags": [{"tag": tag, "uploader": "0"} for tag in tags],
        "qualities": _numbers(qualities),
        "features": [_feature(feature) for feature in features],
        **NO_COUNTS,
    }
    return Put("data", str(dataset_id), document, public=entry.get("visibility", "public") == "public")


def _feature(entry: Entry) -> dict[str, Any]:
    is_nominal = entry.get("data_type") == "nominal"
    flags = {"target": "is_target", "identifier": "is_row_identifier", "ignore": "is_ignore"}
    return {
        "name": entry.get("name"),
        "index": entry.get("index"),
        "type": entry.get("data_type"),
        "missing": as_number(entry.get("number_of_missing_values")),
        **(
            {"distinct": entry.get("distinct"), "labels": entry.get("labels"), "distr": []}
            if is_nominal
            else {}
        ),
        **{name: "1" for name, flag in flags.items() if entry.get(flag) == _TRUE},
    }


def of_task(entry: Entry, procedures: Mapping[str, str]) -> Put:
    """Return the document of a task; `procedures` are the names of estimation procedures."""
    inputs = _object(entry.get("input"))
    procedure = str(inputs.get("estimation_procedure") or "")
    others = {
        name: value
        for name, value in inputs.items()
        if name not in {"source_data", "estimation_procedure"} and value
    }
    document = {
        **others,
        "task_id": as_number(entry.get("task_id")),
        "tasktype": {"tt_id": as_number(entry.get("task_type_id")), "name": entry.get("task_type")},
        "source_data": {
            "data_id": as_number(entry.get("did")),
            "name": entry.get("name"),
            "type": "Dataset",
        },
        "estimation_procedure": {"proc_id": as_number(procedure), "name": procedures.get(procedure, "")},
        **NO_COUNTS,
    }
    return Put("task", str(entry.get("task_id", "")), document)


def of_flow(entry: Entry, *, detailed: bool) -> Put:
    """Return the document of a flow."""
    number = entry.get("id", "")
    names = ("name", "external_version", "licence", "installation_notes", "language")
    document = {
        **{name: entry[name] for name in names if name in entry},
        "flow_id": as_number(number),
        "exact_name": entry.get("name"),
        "version": as_number(entry.get("version")),
        "uploader_id": as_number(entry.get("uploader")),
        # The frontend splits it without looking.
        "dependencies": entry.get("dependencies") or "",
        **NO_COUNTS,
    }
    if detailed:
        document |= {
            "description": entry.get("description") or "No description",
            "full_description": entry.get("full_description"),
            "date": moment(entry.get("upload_date")),
            "tags": [{"tag": tag, "uploader": "0"} for tag in _texts(entry.get("tag"))],
            "creator": entry.get("creator"),
            "contributor": entry.get("contributor"),
            "parameters": [
                _parameter(each) for each in _list(entry.get("parameter")) if isinstance(each, dict)
            ],
            "components": [],
            "qualities": {},
        }
    return Put("flow", str(number), document, detailed=detailed)


def _parameter(entry: Mapping[str, str]) -> dict[str, str]:
    return {name: entry.get(name, "") for name in ("name", "data_type", "default_value", "description")}


def of_listed_run(entry: Entry) -> Put:
    """Return the document of a line of the list of runs."""
    document = {
        **_run(entry.get("run_id"), entry.get("uploader"), entry.get("error_message")),
        "date": moment(entry.get("upload_time")),
        "run_task": {
            "task_id": as_number(entry.get("task_id")),
            "tasktype": {"tt_id": as_number(entry.get("task_type_id"))},
        },
        "run_flow": {"flow_id": as_number(entry.get("flow_id"))},
        **NO_COUNTS,
    }
    return Put("run", str(entry.get("run_id", "")), document, detailed=False)


def of_run(run: Run) -> Put:
    """Return the document of a run that is known whole."""
    document = {
        **_run(run.id, run.uploader, run.error),
        "uploader": run.uploader_name,
        "run_task": {
            "task_id": run.task_id,
            "tasktype": {"name": run.task_type},
            "source_data": {"data_id": run.data_id, "name": run.data_name},
        },
        "run_flow": {
            "flow_id": run.flow_id,
            "name": run.flow_name,
            "parameters": [{"parameter": name, "value": value} for name, value in run.settings],
        },
        "evaluations": [
            {
                "evaluation_measure": measure.name,
                "value": measure.value,
                "array_data": measure.array,
                "per_fold": [list(measure.folds)] if measure.folds else [],
            }
            for measure in run.measures
        ],
        "output_files": {name: {"name": name, "url": url} for name, url in run.files if name},
        "tags": [{"tag": tag, "uploader": "0"} for tag in run.tags],
        **NO_COUNTS,
    }
    return Put("run", str(run.id), document)


def _run(number: object, uploader: object, error: object) -> dict[str, Any]:
    return {"run_id": as_number(number), "uploader_id": as_number(uploader), "error": error or ""}


def of_study(entry: Entry, *, detailed: bool) -> Put:
    """Return the document of a collection."""
    number = entry.get("id", "")
    document = {
        **{name: entry.get(name) for name in ("name", "alias")},
        # Not `status`: the frontend counts what has none, or is active.
        "study_status": entry.get("status"),
        "study_id": as_number(number),
        "study_type": entry.get("main_entity_type"),
        "date": moment(entry.get("creation_date")),
        "uploader_id": as_number(entry.get("creator")),
    }
    if detailed:
        document["description"] = entry.get("description", "")
        document |= {
            f"{name}_included": len(_texts(entry.get(part)))
            for name, part in (("datasets", "data"), ("tasks", "tasks"), ("flows", "flows"), ("runs", "runs"))
        }
    return Put(
        "study",
        str(number),
        document,
        public=entry.get("visibility", "public") == "public",
        detailed=detailed,
    )


def members_of(entry: Entry) -> dict[str, list[int]]:
    """Return the numbers of what a collection holds, by kind."""
    parts = {"data": "data", "task": "tasks", "flow": "flows", "run": "runs"}
    return {
        kind: [int(text) for text in _texts(entry.get(part)) if text.isdecimal() and len(text) < 10]  # noqa: PLR2004 - what an id has
        for kind, part in parts.items()
    }


def of_task_type(entry: Entry) -> Put:
    """Return the document of a type of tasks."""
    document = {
        "tt_id": as_number(entry.get("id")),
        "name": entry.get("name"),
        "description": entry.get("description", ""),
        "input": [],
    }
    return Put("task_type", str(entry.get("id", "")), document)


def of_procedure(entry: Entry) -> Put:
    """Return the document of an estimation procedure."""
    number = entry.get("id", "")
    document = {
        "proc_id": as_number(number),
        "measure_type": "estimation_procedure",
        "task_type": as_number(entry.get("ttid")),
        "description": entry.get("type", ""),
        **{
            name: entry.get(name)
            for name in ("name", "type", "repeats", "folds", "percentage", "stratified_sampling")
        },
    }
    return Put("measure", str(number), document)


def of_measure(entry: Entry) -> Put:
    """Return the document of an evaluation measure."""
    return _named(entry, "evaluation_measure", "eval_id")


def of_quality(entry: Entry) -> Put:
    """Return the document of a quality of datasets."""
    return _named(entry, "data_quality", "quality_id")


def _named(entry: Entry, kind: str, field: str) -> Put:
    name = str(entry.get("name", ""))
    number = name.replace("_", "-")
    return Put("measure", number, {field: number, "measure_type": kind, "name": name, "description": ""})


def of_user(profile: PublicProfile) -> Put:
    """Return the document of a user."""
    document = {
        "user_id": profile.id,
        **{
            name: getattr(profile, name)
            for name in ("first_name", "last_name", "bio", "image", "company", "country")
        },
        "date": spelled(profile.created_at),
        **NO_COUNTS,
    }
    return Put("user", str(profile.id), document)


def spelled(at: datetime | None) -> str | None:
    """Return a moment as documents have it."""
    return at.strftime("%Y-%m-%d %H:%M:%S") if at else None


def moment(text: object) -> str | None:
    """Return a moment of a description as documents have it: `2026-11-29 10:00:00`."""
    return text.replace("T", " ")[:19] if isinstance(text, str) and text else None


def _numbers(values: object) -> dict[str, Any]:
    numbers = {str(name): as_number(value) for name, value in _object(values).items()}
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
        for name, value in numbers.items()
        if value is not None
    }


def _texts(value: object) -> list[str]:
    return [text for text in _list(value) if isinstance(text, str) and text]


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
