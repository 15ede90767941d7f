"""Pages for people: what was published, one dataset, task, flow, run or study. No script, nothing from elsewhere."""

import base64
import hashlib
from html import escape, unescape
from pathlib import Path

from openml_sandbox.flow_records import Flow, get_flow, get_parameters, to_flow
from openml_sandbox.records import (
    Dataset,
    Feature,
    get_dataset,
    get_descriptions,
    get_features,
    get_file,
    get_processing,
    get_tags,
    to_dataset,
    to_seconds,
)
from openml_sandbox.run_records import Run, get_evaluation_error, get_evaluations, get_run
from openml_sandbox.store import Store
from openml_sandbox.study_records import Study, get_linked, get_study
from openml_sandbox.task_records import Task, get_inputs, get_task
from openml_sandbox.tasktypes import TASK_TYPES

_ROWS_LISTED = 200
_FEATURES_SHOWN = 200
_LABELS_SHOWN = 12
_ROWS_SHOWN = 10
_LINE_MAX_LENGTH = 500
_PREVIEW_BYTES = 1 << 20

_STYLE = """
/* Every colour is named, for light and for dark: a browser's own links are too faint on some grounds. */
:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #1b2129; --link: #0b5cad; --line: #d4d9e0; --bad: #a91d2b;
  background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root { --page: #12161b; --text: #e8ecf1; --link: #8cc2f7; --line: #343d48; --bad: #ff9aa2; }
}
body { max-width: 70rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
a { color: var(--link); display: inline-block; min-width: 24px; min-height: 24px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
.wide { overflow-x: auto; overflow-wrap: normal; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .6rem; border: 1px solid var(--line); }
.error { border-left: .3rem solid var(--bad); color: var(--bad); padding-left: .6rem; overflow-wrap: anywhere; }
"""
# The policy below lets in this one style sheet, by its digest, and nothing else.
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def render_index(store: Store) -> str:
    """Write the page that lists what is public, the newest first."""
    with store.transaction() as connection:
        rows = connection.execute(
            "SELECT * FROM datasets WHERE visibility = 'public' ORDER BY id DESC LIMIT ?", (_ROWS_LISTED,)
        ).fetchall()
        found = [(dataset, get_file(connection, dataset.file_id)) for dataset in map(to_dataset, rows)]
        tasks = connection.execute("SELECT * FROM tasks ORDER BY id DESC LIMIT ?", (_ROWS_LISTED,)).fetchall()
        task_rows = [_task_row(Task(**row), get_inputs(connection, row["id"])) for row in tasks]
        studies = connection.execute(
            "SELECT * FROM studies ORDER BY id DESC LIMIT ?", (_ROWS_LISTED,)
        ).fetchall()
        study_rows = [
            _study_row(study, len(get_linked(connection, study)))
            for study in (Study(**row) for row in studies)
        ]
        flows = connection.execute("SELECT * FROM flows ORDER BY id DESC LIMIT ?", (_ROWS_LISTED,)).fetchall()
        flow_rows = [_flow_row(to_flow(row)) for row in flows]
        runs = connection.execute("SELECT run FROM sent_runs ORDER BY run DESC LIMIT ?", (_ROWS_LISTED,))
        run_rows = [_run_row(run) for row in runs.fetchall() if (run := get_run(connection, row["run"]))]
    dataset_rows = [_index_row(dataset, file.size if file else 0) for dataset, file in found]
    tables = [
        _table("Datasets", "Id,Name,Version,Status,Uploader,Bytes,Links", dataset_rows),
        _table("Tasks", "Id,Type,Dataset,Creator,Links", task_rows),
        _table("Flows", "Id,Name,Version,Uploader,Links", flow_rows),
        _table("Runs", "Id,Task,Flow,Uploader,Sent,Links", run_rows),
        _table("Suites and studies", "Id,Name,Alias,Of,Status,Creator,Size,Links", study_rows),
    ]
    body = "".join(tables) or "<p>Nothing yet.</p>"
    return _page("OpenML sandbox", f"<p>A stand-in for an OpenML server. What was published here:</p>{body}")


def _table(title: str, columns: str, rows: list[str]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns.split(","))
    return f"<h2>{title}</h2>{_wide(title, head, ''.join(rows))}"


def _task_row(task: Task, inputs: dict[str, str]) -> str:
    dataset_id = escape(inputs.get("source_data", ""))
    return (
        f'<tr><td><a href="/t/{task.id}">{task.id}</a></td><td>{escape(TASK_TYPES[task.task_type].name)}</td>'
        f"<td>{dataset_id}</td><td>{task.creator}</td><td>{_api_links('task', task.id)}</td></tr>"
    )


def _flow_row(flow: Flow) -> str:
    return (
        f'<tr><td>{flow.id}</td><td><a href="/f/{flow.id}">{escape(flow.name)}</a></td><td>{flow.version}</td>'
        f"<td>{flow.uploader}</td><td>{_api_links('flow', flow.id)}</td></tr>"
    )


def _run_row(run: Run) -> str:
    return (
        f'<tr><td><a href="/r/{run.id}">{run.id}</a></td><td><a href="/t/{run.task}">{run.task}</a></td>'
        f'<td><a href="/f/{run.flow}">{run.flow}</a></td><td>{run.uploader}</td>'
        f"<td>{to_seconds(run.start_time)}</td><td>{_api_links('run', run.id)}</td></tr>"
    )


def _study_row(study: Study, size: int) -> str:
    return (
        f'<tr><td>{study.id}</td><td><a href="/s/{study.id}">{escape(study.name)}</a></td>'
        f"<td>{escape(study.alias or '')}</td><td>{study.main_entity_type}s</td><td>{escape(study.status)}</td>"
        f"<td>{study.creator}</td><td>{size}</td><td>{_api_links('study', study.id)}</td></tr>"
    )


def _api_links(kind: str, number: int) -> str:
    return f'<a href="/api/v1/xml/{kind}/{number}">XML</a> <a href="/api/v1/json/{kind}/{number}">JSON</a>'


def _index_row(dataset: Dataset, size: int) -> str:
    name = escape(dataset.name)
    return (
        f'<tr><td>{dataset.id}</td><td><a href="/d/{dataset.id}">{name}</a></td><td>{dataset.version}</td>'
        f"<td>{escape(dataset.status)}</td><td>{dataset.uploader}</td><td>{size}</td><td>{_links(dataset)}</td></tr>"
    )


def _links(dataset: Dataset) -> str:
    name = escape(f"{dataset.name}.{dataset.format.lower()}")
    return (
        f'{_api_links("data", dataset.id)} <a href="/data/v1/download/{dataset.file_id}/{name}">download</a>'
    )


def render_dataset(store: Store, dataset_id: int) -> str | None:
    """Write the page of one public dataset; None if there is none."""
    with store.transaction() as connection:
        dataset = get_dataset(connection, dataset_id)
        if dataset is None or not dataset.is_visible_to(None):
            return None
        _, description = get_descriptions(connection, dataset.id)[0]
        tags = list(get_tags(connection, "data", dataset.id))
        processing = get_processing(connection, dataset.id)
        features = get_features(connection, dataset.id)
    facts = {
        "Version": str(dataset.version),
        "Status": dataset.status,
        "Uploader": str(dataset.uploader),
        "Uploaded": to_seconds(dataset.upload_date),
        "Format": dataset.format,
        "Tags": ", ".join(tags),
        **{key.replace("_", " ").capitalize(): value for key, value in dataset.metadata.items()},
    }
    parts = [f"<p>{_links(dataset)}</p>", _facts(facts)]
    # The error is stored escaped, as the real server stores it.
    if processing and processing.error:
        parts.append(f'<p class="error">Processed with an error: {escape(unescape(processing.error))}</p>')
    parts.append(f"<h2>Description</h2><pre>{escape(description)}</pre>")
    if features:
        parts.append(_features(features))
    parts.append(f"<h2>First rows</h2><pre>{escape(_first_rows(store.file_path(dataset.file_id)))}</pre>")
    return _page(f"{dataset.name} ({dataset.id})", "".join(parts))


def render_task(store: Store, task_id: int) -> str | None:
    """Write the page of one task; None if there is none."""
    with store.transaction() as connection:
        task = get_task(connection, task_id)
        if task is None:
            return None
        inputs = get_inputs(connection, task.id)
        tags = list(get_tags(connection, "task", task.id))
    facts = {
        "Type": TASK_TYPES[task.task_type].name,
        "Creator": str(task.creator),
        "Created": to_seconds(task.creation_date),
        "Tags": ", ".join(tags),
        **{key.replace("_", " ").capitalize(): value for key, value in inputs.items()},
    }
    return _page(f"Task {task.id}", f"<p>{_api_links('task', task.id)}</p>{_facts(facts)}")


def render_flow(store: Store, flow_id: int) -> str | None:
    """Write the page of one flow; None if there is none."""
    with store.transaction() as connection:
        flow = get_flow(connection, flow_id)
        if flow is None:
            return None
        parameters = get_parameters(connection, flow.id)
    facts = {
        "External version": flow.external_version,
        "Uploader": str(flow.uploader),
        "Uploaded": to_seconds(flow.upload_date),
        **{key.replace("_", " ").capitalize(): value for key, value in flow.metadata.items()},
        "Parameters": ", ".join(f"{each.name} = {each.default_value}" for each in parameters),
    }
    return _page(f"{flow.full_name} ({flow.id})", f"<p>{_api_links('flow', flow.id)}</p>{_facts(facts)}")


def render_run(store: Store, run_id: int) -> str | None:
    """Write the page of one run, with its evaluations as a whole; None if there is none."""
    with store.transaction() as connection:
        run = get_run(connection, run_id)
        if run is None:
            return None
        error = get_evaluation_error(connection, run.id)
        found = get_evaluations(connection, run.id)
    facts = {
        "Task": str(run.task),
        "Flow": str(run.flow),
        "Setup": str(run.setup),
        "Uploader": str(run.uploader),
        "Sent": to_seconds(run.start_time),
        "Could not be evaluated": error or "",
        **{
            each.function: str(each.value) for each in found if each.repeat is None and each.value is not None
        },
    }
    return _page(f"Run {run.id}", f"<p>{_api_links('run', run.id)}</p>{_facts(facts)}")


def render_study(store: Store, study_id: int) -> str | None:
    """Write the page of one suite or study; None if there is none."""
    with store.transaction() as connection:
        study = get_study(connection, study_id)
        if study is None:
            return None
        linked = get_linked(connection, study)
    facts = {
        "Alias": study.alias or "",
        "Status": study.status,
        "Creator": str(study.creator),
        "Created": to_seconds(study.creation_date),
        f"{study.main_entity_type}s".capitalize(): ", ".join(map(str, linked)),
    }
    links = _api_links("study", study.id)
    text = f"<h2>Description</h2><pre>{escape(study.description)}</pre>"
    return _page(f"{study.name} ({study.id})", f"<p>{links}</p>{_facts(facts)}{text}")


def _facts(facts: dict[str, str]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(key)}</th><td>{escape(value)}</td></tr>'
        for key, value in facts.items()
        if value
    )
    return f"<table>{rows}</table>"


def _features(features: list[Feature]) -> str:
    rows = "".join(
        f"<tr><td>{feature.position}</td><td>{escape(feature.name)}</td><td>{_kind(feature)}</td>"
        f"<td>{feature.missing_count}</td><td>{'target' if feature.is_target else ''}</td></tr>"
        for feature in features[:_FEATURES_SHOWN]
    )
    head = "".join(f'<th scope="col">{column}</th>' for column in ("#", "Name", "Type", "Missing", "Role"))
    return f"<h2>{len(features)} features</h2>{_wide('Features', head, rows)}"


def _wide(title: str, head: str, rows: str) -> str:
    """A table that scrolls by itself where the screen is narrow, with the keyboard as well."""
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{title}">'
        f"<table><tr>{head}</tr>{rows}</table></div>"
    )


def _kind(feature: Feature) -> str:
    if not feature.nominal_values:
        return escape(feature.data_type)
    more = ", …" if len(feature.nominal_values) > _LABELS_SHOWN else ""
    return escape(f"{{{', '.join(feature.nominal_values[:_LABELS_SHOWN])}{more}}}")


def _first_rows(path: Path) -> str:
    """Read some lines behind `@data`, as far as they are near the start of the file."""
    with path.open("rb") as file:
        text = file.read(_PREVIEW_BYTES).decode(errors="replace")
    lines = iter(text.splitlines())
    for line in lines:
        if line.strip().lower().startswith("@data"):
            break
    return "\n".join(line[:_LINE_MAX_LENGTH] for line, _ in zip(lines, range(_ROWS_SHOWN), strict=False))


def _page(title: str, body: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>\n"
    )
