"""Documents of the API: one tree, written as XML or, by the server's own mechanical rule, as JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.entities import codepoint2name
from typing import Literal
from xml.etree.ElementTree import ParseError

from defusedxml.ElementTree import fromstring

from openml_sandbox.errors import ApiError, ServerCrashError

Format = Literal["xml", "json"]

NAMESPACE = "http://openml.org/openml"
MEDIA_TYPES: dict[Format, str] = {
    "xml": "text/xml; charset=utf-8",
    "json": "application/json; charset=utf-8",
}

_HTML_ENTITIES = {code: f"&{name};" for code, name in codepoint2name.items()} | {ord("'"): "&#039;"}
_XML_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#039;"})


@dataclass(slots=True)
class Node:
    """One element: its text, or its children; `raw` text is printed as it is, as some templates do."""

    name: str
    content: "str | Sequence[Node]" = ""
    attributes: dict[str, str] = field(default_factory=dict)
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished reply."""

    status: int
    body: bytes
    media_type: str
    headers: dict[str, str] = field(default_factory=dict)

    def followed_by(self, other: "Answer") -> "Answer":
        """Print a second document behind this one, as the server does where it forgets to stop."""
        return Answer(self.status, self.body + other.body, other.media_type)


def leaf(name: str, value: object) -> Node:
    """Make an element of one value."""
    return Node(name, str(value))


def html_entities(text: str) -> str:
    """Escape as PHP's `htmlentities` does, which the server applies to every error text."""
    return text.translate(_HTML_ENTITIES)


def document(root: Node, fmt: Format, status: int = 200) -> Answer:
    """Write the tree in the format that the call asked for."""
    body = "".join(_xml(root, 0)) if fmt == "xml" else _json(root)
    return Answer(status, body.encode(), MEDIA_TYPES[fmt])


def error_document(error: ApiError, fmt: Format) -> Answer:
    """Write an error; its texts are escaped twice in XML and once in JSON, as on the wire."""
    children = [leaf("code", error.code), Node("message", html_entities(error.message))]
    # The element is left out rather than sent empty.
    if error.additional:
        children.append(Node("additional_information", html_entities(error.additional)))
    return document(Node("error", children), fmt, error.status)


def _xml(node: Node, depth: int) -> Iterator[str]:
    indent = "  " * depth
    # The server's templates vary in their white space; parsers do not mind.
    namespace = "" if depth else f' xmlns:oml="{NAMESPACE}"'
    attributes = "".join(
        f' {key}="{value.translate(_XML_ENTITIES)}"' for key, value in node.attributes.items()
    )
    yield f"{indent}<oml:{node.name}{namespace}{attributes}>"
    if isinstance(node.content, str):
        yield node.content if node.raw else node.content.translate(_XML_ENTITIES)
    else:
        yield "\n"
        for child in node.content:
            yield from _xml(child, depth + 1)
        yield indent
    yield f"</oml:{node.name}>\n"


def _json(root: Node) -> str:
    text = json.dumps({root.name: _value(root)}, separators=(",", ":"))
    return text.replace("/", "\\/")  # as PHP's json_encode


def _value(node: Node) -> object:
    """Apply the rule: no children of a name -> absent, one -> its value, many -> a list; nothing -> []."""
    if isinstance(node.content, str):
        text = (_reparsed(node.content) if node.raw else node.content).strip()
        if not node.attributes:
            return text or []
        return node.attributes | ({"value": text} if text else {})
    members: dict[str, object] = dict(node.attributes)
    grouped: dict[str, list[object]] = {}
    for child in node.content:
        grouped.setdefault(child.name, []).append(_value(child))
    members |= {name: values[0] if len(values) == 1 else values for name, values in grouped.items()}
    return members or []


def _reparsed(text: str) -> str:
    """Read unescaped text as the server reads its own XML before it makes JSON of it."""
    try:
        return "".join(fromstring(f"<text>{text}</text>").itertext())
    except ParseError as error:
        raise ServerCrashError from error
