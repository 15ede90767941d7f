"""What many routes have in common on the API page: described once, and referred to."""

from collections.abc import Mapping
from typing import Any

Described = Mapping[str, Mapping[str, Any]]
"""Headers, or parameters, as the OpenAPI document has them, by name."""


def component(kind: str, name: str) -> dict[str, str]:
    """Return the reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def headers(*names: str) -> dict[str, dict[str, str]]:
    """Return what a response has as `headers`: those of an answer, described elsewhere."""
    return {name: component("headers", name) for name in names}


def asked(*names: str) -> list[dict[str, str]]:
    """Return what an operation has as `parameters`: headers that a request may have, described elsewhere."""
    return [component("parameters", name) for name in names]


def takes(content: Mapping[str, Mapping[str, Any]], *, required: bool = True) -> dict[str, Any]:
    """Return what an operation has as `requestBody`: the schema of each type that it takes."""
    return {
        "requestBody": {
            "required": required,
            "content": {media_type: {"schema": schema} for media_type, schema in content.items()},
        }
    }
