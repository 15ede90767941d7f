"""Options of `openml-web upload` that say how the file is read and which columns are published, and which would do."""

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS = {
    "encoding": "Encoding of its text, e.g. cp1252.",
    "delimiter": "Character between cells, or tab, space, none (one column).",
    "quote": "Character around quoted cells, or none.",
    "escape": "How a quote is written inside quotes: double or backslash.",
    "skip_lines": "Lines before the header, or before the first row.",
    "comment": "What lines begin with that are no rows, or none.",
    "decimal": "Decimal mark: . or ,",
    "thousands": "Mark between thousands, or none.",
    "sheet": "Sheet of a workbook.",
    "member": "File in an archive, or object in an R data file.",
    "row_names": "First column that names the rows: keep or leave-out.",
}
"""Fields of the reading that have an option of their own, with what it says."""
_NAMES = {"": "none", "\t": "tab", " ": "space"}
"""Signs that a shell or a person would not see."""


def choice_options(command: F) -> F:
    """Add the options to a command, whose function takes their values by name."""
    options = [
        click.option(
            "--reading", multiple=True, metavar="FIELD=VALUE", help="Any other field of the reading."
        ),
        click.option(
            "--rename", multiple=True, metavar="OLD=NEW", help="A column's new name; may be repeated."
        ),
        click.option(
            "--leave-out", multiple=True, metavar="COLUMN", help="Column not to publish; may be repeated."
        ),
        click.option(
            "--missing", multiple=True, metavar="WORD", help="Word for a missing value; may be repeated."
        ),
        click.option(
            "--header/--no-header", default=None, help="Whether the first row has the columns' names."
        ),
        *(click.option(_option(field), help=text) for field, text in _OPTIONS.items()),
    ]
    for option in options:
        command = option(command)
    return command


def choices_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the choices as metadata has them: what is not given is empty."""
    reading: dict[str, Any] = dict(_pair(pair, "--reading", "FIELD=VALUE") for pair in given["reading"])
    reading |= {field: given[field] for field in (*_OPTIONS, "header") if given[field] is not None}
    if given["missing"]:
        reading["missing"] = list(given["missing"])
    rename = dict(_pair(pair, "--rename", "OLD=NEW") for pair in given["rename"])
    return {"reading": reading, "rename": rename, "leave_out": list(given["leave_out"])}


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is not {form}", param_hint=option)
    return name, value


def options_that_would_do(problem: Mapping[str, Any]) -> list[str]:
    """Return for each field that a refusal asks for the options that settle it, to be copied from a terminal."""
    asked = problem.get("choices")
    if not isinstance(asked, dict):
        return []
    column = str(problem.get("column", ""))
    return [
        " or ".join(dict.fromkeys(_as_option(field, value, column) for value in values))
        for field, values in asked.items()
        if isinstance(values, list) and values
    ]


def _as_option(field: str, value: object, column: str) -> str:
    if field == "attributes":
        return shlex.join(["--type", f"{column}={value}"])
    if field == "leave_out":
        return shlex.join(["--leave-out", str(value)])
    if field == "header":
        return "--header" if value else "--no-header"
    if isinstance(value, list):
        return " ".join(shlex.join(["--missing", str(word)]) for word in value) or "--reading missing="
    text = json.dumps(value) if isinstance(value, bool) else _NAMES.get(str(value), str(value))
    return shlex.join([_option(field), text] if field in _OPTIONS else ["--reading", f"{field}={text}"])


def _option(field: str) -> str:
    return f"--{field.replace('_', '-')}"
