"""`POST data/tag`, `POST data/untag` and `GET data/tag/list`."""

import re
import sqlite3

from app.sandbox.answers import Node, leaf
from app.sandbox.call import Call, to_id
from app.sandbox.errors import ApiError
from app.sandbox.records import Dataset, add_tag, delete_tag, get_all_tags, get_dataset, get_tags

_TAG = re.compile(r"[a-zA-Z0-9._\-]{1,64}")


def tag(call: Call) -> Node:
    """Tag a dataset; any writer may."""
    with call.store.transaction() as connection:
        dataset, text = _target(call, connection)
        what = f"id={call.field('data_id')}; tag={text}"
        if not _TAG.fullmatch(text):
            raise ApiError(477, what)
        if text in get_tags(connection, dataset.id):
            raise ApiError(473, what)
        if not add_tag(connection, dataset.id, text, call.caller.id):
            raise ApiError(474)
        return _remaining(connection, call, "data_tag")


def untag(call: Call) -> Node:
    """Remove a tag; whoever set it and administrators may."""
    with call.store.transaction() as connection:
        dataset, text = _target(call, connection)
        # The table finds a tag in any case, though its list shows the case it was set in.
        owners = {name.lower(): owner for name, owner in get_tags(connection, dataset.id).items()}
        if text.lower() not in owners:
            raise ApiError(475)
        if owners[text.lower()] != call.caller.id and not call.caller.is_admin:
            raise ApiError(476)
        delete_tag(connection, dataset.id, text)
        return _remaining(connection, call, "data_untag")


def list_tags(call: Call) -> Node:
    """List all tags of datasets."""
    with call.store.transaction() as connection:
        names = get_all_tags(connection)
    if not names:
        raise ApiError(1002)
    return Node("data_tag_list", [leaf("tag", name) for name in names])


def _target(call: Call, connection: sqlite3.Connection) -> tuple[Dataset, str]:
    data_id, text = call.field("data_id"), call.field("tag")
    if not data_id or not text:
        raise ApiError(471)
    dataset = get_dataset(connection, to_id(data_id))
    if dataset is None:
        raise ApiError(472)
    return dataset, text


def _remaining(connection: sqlite3.Connection, call: Call, name: str) -> Node:
    data_id = call.field("data_id")
    names = get_tags(connection, to_id(data_id) or 0)
    return Node(name, [leaf("id", data_id), *(leaf("tag", text) for text in names)])
