"""Whether answers are as the OpenAPI document says."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import jsonschema_rs

from app.core.settings import Settings
from app.main import create_app

OF_ANY_SERVER = re.compile(
    r"access-control-.*|allow|connection|content-(length|type|encoding|security-policy)|cross-origin-.*|date|referrer-policy"
    r"|server|pragma|strict-transport-security|transfer-encoding|vary|x-accel-buffering|x-content-type-options|cache-control"
)
"""Headers that say nothing of what was asked."""


@cache
def document() -> dict[str, Any]:
    """Return the document, as `/openapi.json` has it but for the servers."""
    with TemporaryDirectory() as folder:
        return create_app(Settings(_env_file=None, data_dir=Path(folder))).openapi()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and description of each operation."""
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def resolved(described: Any) -> Any:
    """Return what a reference points at, or the thing itself."""
    while isinstance(described, dict) and "$ref" in described:
        found: Any = document()
        for step in described["$ref"].removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        described = found
    return described


def faults(schema: Mapping[str, Any], value: object) -> list[str]:
    """Return what is wrong with a value, by a schema of the document."""
    return [
        f"{list(error.instance_path)}: {error.message}"
        for error in _validator(json.dumps(schema)).iter_errors(value)
    ]


@cache
def _validator(schema: str) -> Any:
    return jsonschema_rs.Draft202012Validator({**json.loads(schema), "components": document()["components"]})


@cache
def _patterns() -> list[tuple[str, re.Pattern[str], dict[str, Any]]]:
    # What has no parameter is asked first.
    ordered = sorted(operations(), key=lambda found: found[1].count("{"))
    return [
        (
            method,
            re.compile(
                re.sub(r"\\\{name\\\}", ".+", re.sub(r"\\\{(?!name)\w+\\\}", "[^/]+", re.escape(path)))
            ),
            operation,
        )
        for method, path, operation in ordered
    ]


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """Return the operation that answers, None if the document has none."""
    return next(
        (found for asked, pattern, found in _patterns() if asked == method and pattern.fullmatch(path)), None
    )


def untold(answer: httpx.Response) -> list[str]:
    """Return what an answer has that the document does not tell; its body was read."""
    request = answer.request
    operation = operation_of(request.method, request.url.path)
    # Who names another method in a header is answered as that operation does, but with a body.
    if operation is None or "x-http-method-override" in request.headers:
        return []
    described = resolved(operation["responses"].get(str(answer.status_code)))
    if described is None:
        return [f"{answer.status_code} is not declared"]
    return [*_untold_headers(described, answer), *_untold_body(described, answer)]


def _untold_headers(described: Mapping[str, Any], answer: httpx.Response) -> Iterator[str]:
    told = {name.lower(): resolved(header) for name, header in described.get("headers", {}).items()}
    for name in answer.headers:
        if name not in told and OF_ANY_SERVER.fullmatch(name) is None:
            yield f"{answer.status_code} has a header {name}"
    for name, header in told.items():
        if name in answer.headers:
            text = answer.headers[name]
            value = int(text) if header["schema"]["type"] == "integer" and text.isdecimal() else text
            yield from (f"{name}: {fault}" for fault in faults(header["schema"], value))
        elif header.get("required"):
            yield f"{answer.status_code} lacks the header {name}"


def _untold_body(described: Mapping[str, Any], answer: httpx.Response) -> Iterator[str]:
    kind = answer.headers.get("content-type", "").partition(";")[0]
    content = described.get("content", {})
    if not answer.content and not content:
        return
    if kind not in content:
        yield f"{answer.status_code} is {kind or 'without a type'}, and may be {sorted(content) or 'empty'}"
    elif kind.endswith("json"):
        yield from (
            f"{answer.status_code} {fault}" for fault in faults(content[kind]["schema"], answer.json())
        )
