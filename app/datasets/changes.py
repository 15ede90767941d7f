"""Computes the fields that an edit changes, as OpenML expects them. Pure functions."""

import csv
from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from app.core.errors import ValidationFailedError
from app.datasets.schemas import EditRequest
from app.openml.fields import (
    Ascii128,
    Ascii1024,
    Ascii16384,
    Name128,
    Name1024,
    Person,
    Repairs,
    Url,
    validated_text,
)
from app.openml.records import DatasetDescription

ROLES = ("default_target_attribute", "row_id_attribute", "ignore_attribute")
"""Fields that only the owner may change."""
WIRE_NAMES = {"collection_date": "date"}
"""What the form calls a field, where OpenML has another name."""
LIST_LENGTH = 128
"""OpenML takes one element of so many characters for all entries together."""

_TEXTS: Mapping[str, TypeAdapter[str]] = {
    "description": TypeAdapter(Ascii16384),
    "collection_date": TypeAdapter(Ascii128),
    "language": TypeAdapter(Name128),
    "default_target_attribute": TypeAdapter(Name1024),
    "row_id_attribute": TypeAdapter(Name128),
    "citation": TypeAdapter(Ascii1024),
    "original_data_url": TypeAdapter(Url),
    "paper_url": TypeAdapter(Url),
}
_ENTRIES: Mapping[str, TypeAdapter[str]] = {
    "creator": TypeAdapter(Person),
    "contributor": TypeAdapter(Person),
    "ignore_attribute": TypeAdapter(Name128),
}
_CAN_BE_EMPTIED = ("original_data_url", "paper_url")
_EMPTIED = (
    "OpenML cannot empty this field, only replace what is in it (addresses are the exception). "
    "Write something, or leave the field out to keep it."
)


def find_changes(
    request: EditRequest, current: DatasetDescription, repairs: Repairs | None = None
) -> dict[str, str]:
    """Return the fields that differ, as OpenML is to be told; what is changed in their texts is added to `repairs`.

    Raises:
        ValidationFailedError: OpenML could not take some of them; each is named.
    """
    changes: dict[str, str] = {}
    errors: list[dict[str, str]] = []
    for name in (*_TEXTS, *_ENTRIES):
        wire_name = WIRE_NAMES.get(name, name)
        wanted = getattr(request, wire_name)
        if wanted is None:
            continue
        try:
            if name in _ENTRIES:
                change = _changed_entries(name, wanted, current.lists[name], repairs)
            else:
                change = _changed_text(name, wanted, current.texts[name], repairs)
        except ValueError as error:
            errors.append({"field": wire_name, "message": str(error)})
        else:
            changes |= {} if change is None else {name: change}
    if errors:
        raise ValidationFailedError.for_fields(errors)
    return changes


def columns_named(changes: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the columns that changed roles name, by the field that names them."""
    return {name: changes[name].split(",") for name in ROLES if name in changes}


def roles_of(dataset: DatasetDescription) -> dict[str, str]:
    """Return the roles of columns that are set, as OpenML keeps them."""
    texts = {**dataset.texts, "ignore_attribute": ",".join(dataset.lists["ignore_attribute"])}
    return {name: texts[name] for name in ROLES if texts[name]}


def _changed_text(name: str, wanted: str, current: str, repairs: Repairs | None) -> str | None:
    if _plain(wanted) == _plain(current):
        return None
    if not wanted.strip():
        if name in _CAN_BE_EMPTIED:
            return ""
        raise ValueError(_EMPTIED)
    if name == "default_target_attribute":
        wanted = ",".join(part.strip() for part in wanted.split(","))
    value = validated_text(_TEXTS[name], WIRE_NAMES.get(name, name), _plain(wanted), repairs)
    return None if value == current else value


def _changed_entries(
    name: str, wanted: str | Sequence[str], current: Sequence[str], repairs: Repairs | None
) -> str | None:
    entries = (
        split_entries(wanted, current) if isinstance(wanted, str) else [entry.strip() for entry in wanted]
    )
    if entries == list(current):
        return None
    if not entries:
        raise ValueError(_EMPTIED)
    entries = [validated_text(_ENTRIES[name], name, entry, repairs) for entry in entries]
    if entries == list(current):
        return None
    # The server keeps the last of repeated elements, so all go into one, in the form that it stores.
    is_plain = name == "ignore_attribute" or (len(entries) == 1 and "," not in entries[0])
    value = ",".join(entries if is_plain else [f'"{entry}"' for entry in entries])
    if len(value) > LIST_LENGTH:
        raise ValueError(
            f"OpenML takes at most {LIST_LENGTH} characters here for all entries together, separators included; "
            f"these are {len(value)}. Name fewer, or shorter ones."
        )
    return value


def split_entries(text: str, known: Sequence[str]) -> list[str]:
    """Split a text at its commas, but not those inside quotes or inside an entry that is there already.

    Raises:
        ValueError: it has quotes, and they are not placed so that it could be split.
    """
    if '"' in text:
        try:
            entries = next(csv.reader([text], skipinitialspace=True), [])
        except csv.Error:
            raise ValueError("This cannot be split into names at its commas; send a list.") from None
        return [entry.strip() for entry in entries if entry.strip()]
    longest_first = sorted(known, key=len, reverse=True)
    entries = []
    rest = text.strip(" ,")
    while rest:
        entry = next((name for name in longest_first if f"{rest},".startswith(f"{name},")), None)
        if entry is None:
            entry = rest.partition(",")[0]
        rest = rest[len(entry) :].lstrip(" ,")
        entries.append(entry.strip())
    return entries


def _plain(text: str) -> str:
    """Return the text as browsers give it back."""
    return text.replace("\r\n", "\n").strip()
