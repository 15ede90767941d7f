"""OpenML's documents: the ones we write, and how its answers are read. Pure functions.

Answers are read tolerantly, for the real server prints index errors in front of a document, two documents in a row,
or a document cut off in the middle.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree.ElementTree import Element, SubElement, tostring

from defusedxml.ElementTree import ParseError, fromstring

NAMESPACE = "http://openml.org/openml"
OML = f"{{{NAMESPACE}}}"

DATASET_FIELDS = (
    "name",
    "description",
    "format",
    "creator",
    "contributor",
    "collection_date",
    "language",
    "licence",
    "default_target_attribute",
    "row_id_attribute",
    "ignore_attribute",
    "citation",
    "original_data_url",
    "paper_url",
)
"""The elements we send, in the order that the server's schema demands."""

EDIT_FIELDS = (
    "description",
    "creator",
    "contributor",
    "collection_date",
    "language",
    "default_target_attribute",
    "row_id_attribute",
    "ignore_attribute",
    "citation",
    "original_data_url",
    "paper_url",
)
"""What an edit may change, in the order that the server's schema demands."""

_ERROR = re.compile(r"<oml:error\s")
_CODE = re.compile(r"<oml:code>\s*([0-9]{1,9})\s*<")
"""Up to the sign that shows that no digit is missing."""
_ID_DIGITS = 18
"""Of the largest number that every database keeps as it is."""
_TEXT_CHARACTERS = 2000
"""What is kept of a text of an error."""
_ESCAPED_CHARACTERS = 16 * _TEXT_CHARACTERS
"""What is unescaped for it: an answer may have megabytes of them."""


@dataclass(frozen=True, slots=True)
class ErrorDocument:
    """An error as OpenML writes it, unescaped."""

    code: int
    message: str
    details: str


def dataset_description(fields: Mapping[str, str | Sequence[str]]) -> bytes:
    """Return the description of a dataset to be uploaded; a list becomes repeated elements, empty values none.

    Raises:
        ValueError: a field is unknown.
    """
    unknown = set(fields) - set(DATASET_FIELDS)
    if unknown:
        raise ValueError(f"unknown fields: {sorted(unknown)}")
    root = Element("oml:data_set_description", {"xmlns:oml": NAMESPACE})
    for name in DATASET_FIELDS:
        value = fields.get(name, "")
        for text in [value] if isinstance(value, str) else value:
            if text:
                SubElement(root, f"oml:{name}").text = text
    document: str = tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{document}'.encode()


def edit_parameters(changes: Mapping[str, str]) -> bytes:
    """Return the document of an edit, each field once: of repeated elements OpenML keeps the last.

    Raises:
        ValueError: a field is unknown.
    """
    unknown = set(changes) - set(EDIT_FIELDS)
    if unknown:
        raise ValueError(f"unknown fields: {sorted(unknown)}")
    root = Element("oml:data_edit_parameters", {"xmlns:oml": NAMESPACE})
    for name in EDIT_FIELDS:
        if name in changes:
            SubElement(root, f"oml:{name}").text = changes[name]
    return _document(root)


def task_inputs(type_id: int, inputs: Mapping[str, str]) -> bytes:
    """Return the description of a task; the server judges the inputs in their order."""
    root = Element("oml:task_inputs", {"xmlns:oml": NAMESPACE})
    SubElement(root, "oml:task_type_id").text = str(type_id)
    for name, value in inputs.items():
        SubElement(root, "oml:input", {"name": name}).text = value
    return _document(root)


def study(
    kind: Literal["task", "run"], *, alias: str, name: str, description: str, ids: Sequence[int]
) -> bytes:
    """Return the description of a collection of tasks or runs."""
    root = Element("oml:study", {"xmlns:oml": NAMESPACE})
    texts = {"alias": alias, "main_entity_type": kind, "name": name, "description": description}
    for field, text in texts.items():
        SubElement(root, f"oml:{field}").text = text
    group = SubElement(root, f"oml:{kind}s")
    for number in ids:
        SubElement(group, f"oml:{kind}_id").text = str(number)
    return _document(root)


def _document(root: Element) -> bytes:
    document: bytes = tostring(root, encoding="ascii", xml_declaration=False)
    return document


def find_error(text: str) -> ErrorDocument | None:
    """Return the first error document in an answer, cut off as it may be."""
    code = _CODE.search(text)
    if "<oml:error" not in text or code is None:
        return None
    return ErrorDocument(int(code.group(1)), _plain(text, "message"), _plain(text, "additional_information"))


def begins_error(text: str) -> bool:
    """Say whether an error document begins in an answer; a dataset's description has an element of that name, too."""
    return _ERROR.search(text) is not None


def find_id(text: str, root: str) -> int | None:
    """Return the id in the last `<oml:root>` document of an answer, whatever stands around it."""
    # Not beyond the next tag: a search for what closes the first would begin anew behind each of very many.
    pattern = rf"<oml:{root}\b[^<>]*>\s*<oml:id>\s*([0-9]{{1,{_ID_DIGITS}}})\s*</oml:id>"
    ids: list[str] = re.findall(pattern, text)
    return int(ids[-1]) if ids else None


def parse_document(text: str, root: str) -> Element | None:
    """Return the `<oml:root>` document of an answer, or None if there is no whole one."""
    start = text.find(f"<oml:{root}")
    closing = f"</oml:{root}>"
    end = text.rfind(closing)
    if start < 0 or end < start:
        return None
    try:
        element: Element = fromstring(text[start : end + len(closing)])
    except ParseError:
        return None
    return element


def child_text(element: Element, name: str) -> str | None:
    """Return the text of a direct child, or None."""
    return element.findtext(f"{OML}{name}")


def child_texts(element: Element, name: str) -> tuple[str, ...]:
    """Return the texts of all direct children of that name, without the empty ones."""
    return tuple(child.text for child in element.findall(f"{OML}{name}") if child.text)


def _plain(text: str, name: str) -> str:
    """Return what the first element of that name begins with, unescaped twice, as OpenML escapes twice."""
    _, tag, rest = text.partition(f"<oml:{name}>")
    escaped = rest.partition(f"</oml:{name}>")[0][:_ESCAPED_CHARACTERS] if tag else ""
    return html.unescape(html.unescape(escaped)).strip()[:_TEXT_CHARACTERS]
