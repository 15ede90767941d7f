"""`POST data` and `POST data/fork`: how a dataset comes to be."""

import sqlite3
from pathlib import Path
from typing import NoReturn

from openml_sandbox.answers import Answer, Node, document, error_document, leaf
from openml_sandbox.arffcheck import check_arff
from openml_sandbox.call import Call, to_id
from openml_sandbox.document import Element
from openml_sandbox.errors import ApiError
from openml_sandbox.form import FilePart
from openml_sandbox.records import (
    NewDataset,
    add_dataset,
    add_file,
    add_tag,
    get_dataset,
    get_descriptions,
    hold,
)
from openml_sandbox.schema import UPLOAD, XmlInvalidError, validate
from openml_sandbox.store import Store

EMPTY_FILE = "Filesize is 0 bytes, which is not allowed. "

_PLAIN_FIELDS = (
    "collection_date",
    "language",
    "licence",
    "default_target_attribute",
    "row_id_attribute",
    "version_label",
    "citation",
    "original_data_url",
    "paper_url",
)
_LIST_FIELDS = ("creator", "contributor", "ignore_attribute")
# The column of the database, which cuts what is longer without a word.
_IGNORE_ATTRIBUTE_MAX_LENGTH = 128


def upload(call: Call) -> Answer:
    """Answer `POST data`; the order of the checks is the server's."""
    xml = _read_description(call)
    # Read by the prefix `oml`: under another one the schema is satisfied, but there seems to be no format.
    if xml.text_of("format").lower() not in {"arff", "sparse_arff"}:
        raise ApiError(133)
    file = call.form.files.get("dataset")
    if file and xml.texts("url"):
        raise ApiError(140)
    if file is None:
        # By address alone: nothing is fetched here, as if the other side had sent no headers.
        raise ApiError(136 if xml.texts("url") else 141)
    _check_file(file)
    dataset_id, refusals = _publish(call, _new_dataset(xml), file, xml.texts("tag"))
    answer = document(Node("upload_data_set", [leaf("id", dataset_id)]), call.format)
    for refusal in reversed(refusals):
        answer = error_document(refusal, call.format).followed_by(answer)
    return answer


def _read_description(call: Call) -> Element:
    # A field wins over a file part of the same name.
    text = call.field("description")
    if text:
        data = text.encode()
    elif file := call.form.files.get("description"):
        if not file.size:
            raise ApiError(135, EMPTY_FILE)
        data = file.read_document()
    else:
        raise ApiError(135)
    try:
        return validate(data, UPLOAD)
    except XmlInvalidError as error:
        raise ApiError(131, str(error)) from error


def _check_file(file: FilePart) -> None:
    if not file.size:
        raise ApiError(130, f"File dataset: {EMPTY_FILE}")
    reason = check_arff(file.path)
    if reason is not None:
        raise ApiError(145, f"Arff error in dataset file: {reason}")


def _new_dataset(xml: Element) -> NewDataset:
    metadata = {name: text for name in _PLAIN_FIELDS if (text := xml.text_of(name))}
    for name in _LIST_FIELDS:
        if values := xml.texts(name):
            # Quotes inside a value are not escaped; whoever reads the list back gets what comes of it.
            metadata[name] = ",".join(f'"{value}"' for value in values)
    if "ignore_attribute" in metadata:
        metadata["ignore_attribute"] = metadata["ignore_attribute"][:_IGNORE_ATTRIBUTE_MAX_LENGTH]
    return NewDataset(
        name=xml.text_of("name"),
        format=xml.text_of("format"),
        description=xml.text_of("description"),
        visibility=xml.text_of("visibility") or "public",
        metadata=metadata,
    )


def _publish(call: Call, new: NewDataset, file: FilePart, tags: list[str]) -> tuple[int, list[ApiError]]:
    """Insert the dataset once its file is complete and in place: a killed process leaves no half of it."""
    refusals = []
    if call.meets("race-134"):
        _lose_the_race(call, file)
    with call.store.transaction() as connection:
        file_id = _add_file(connection, file)
        dataset_id = add_dataset(connection, new, call.caller.id, file_id)
        _hold(call, connection, dataset_id)
        for number, tag in enumerate(tags):
            if tag in tags[:number]:
                # The refusal is printed in front of the answer; the dataset stands.
                refusals.append(ApiError(473, f"id={dataset_id}; tag={tag}"))
            else:
                add_tag(connection, "data", dataset_id, tag, call.caller.id)
        move(file.path, call.store, file_id)
    return dataset_id, refusals


def _lose_the_race(call: Call, file: FilePart) -> NoReturn:
    """Keep the file, which nobody will ask for, and say that the version was taken meanwhile."""
    with call.store.transaction() as connection:
        move(file.path, call.store, _add_file(connection, file))
    raise ApiError(134)


def _add_file(connection: sqlite3.Connection, file: FilePart) -> int:
    return add_file(connection, file.filename, file.size, file.md5, media_type=file.media_type)


def _hold(call: Call, connection: sqlite3.Connection, dataset_id: int) -> None:
    if call.meets("never-active"):
        hold(connection, dataset_id, None)
    elif call.meets("engine-error"):
        hold(connection, dataset_id, "The engine failed, as it was told to.")


def move(source: Path, store: Store, file_id: int) -> None:
    """Put the bytes of a part where the file of that number belongs."""
    target = store.file_path(file_id)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
    except OSError as error:
        raise ApiError(132) from error


def fork(call: Call) -> Node:
    """Answer `POST data/fork`: a new version of the name, with the same file and the latest description."""
    if not call.field("data_id"):
        raise ApiError(1070)
    with call.store.transaction() as connection:
        source = get_dataset(connection, to_id(call.field("data_id")))
        if source is None:
            raise ApiError(1071)
        _, description = get_descriptions(connection, source.id)[0]
        new = NewDataset(source.name, source.format, description, source.visibility, source.metadata)
        dataset_id = add_dataset(connection, new, call.caller.id, source.file_id)
        _hold(call, connection, dataset_id)
    return Node("data_fork", [leaf("id", dataset_id)])
