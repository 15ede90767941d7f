"""Tags of datasets, tasks, flows and runs: `POST data/tag`, `POST task/untag`, `GET data/tag/list` and so on."""

import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from openml_sandbox.answers import Node, leaf
from openml_sandbox.call import Call, to_id
from openml_sandbox.errors import ApiError
from openml_sandbox.flow_records import Flow, get_flow
from openml_sandbox.records import Dataset, Tagged, add_tag, delete_tag, get_all_tags, get_dataset, get_tags
from openml_sandbox.run_records import Run, get_run
from openml_sandbox.task_records import Task, get_task

_FINDERS: dict[Tagged, Callable[[sqlite3.Connection, int | None], Dataset | Task | Flow | Run | None]] = {
    "data": get_dataset,
    "task": get_task,
    "flow": get_flow,
    "run": get_run,
}
_TAG = re.compile(r"[a-zA-Z0-9._\-]{1,64}")


@dataclass(frozen=True, slots=True)
class TagCalls:
    """The calls about tags of one kind of things."""

    kind: Tagged

    def tag(self, call: Call) -> Node:
        """Tag a thing; any writer may."""
        with call.store.transaction() as connection:
            entity_id, text = self._target(call, connection)
            what = f"id={call.field(self._field)}; tag={text}"
            if not _TAG.fullmatch(text):
                raise ApiError(477, what)
            if text in get_tags(connection, self.kind, entity_id):
                raise ApiError(473, what)
            if not add_tag(connection, self.kind, entity_id, text, call.caller.id):
                raise ApiError(474)
            return self._remaining(connection, call, f"{self.kind}_tag")

    def untag(self, call: Call) -> Node:
        """Remove a tag; whoever set it and administrators may."""
        with call.store.transaction() as connection:
            entity_id, text = self._target(call, connection)
            # The table finds a tag in any case, though its list shows the case it was set in.
            tags = get_tags(connection, self.kind, entity_id)
            owners = {name.lower(): owner for name, owner in tags.items()}
            if text.lower() not in owners:
                raise ApiError(475)
            if owners[text.lower()] != call.caller.id and not call.caller.is_admin:
                raise ApiError(476)
            delete_tag(connection, self.kind, entity_id, text)
            return self._remaining(connection, call, f"{self.kind}_untag")

    def list_all(self, call: Call) -> Node:
        """List all tags of the kind."""
        with call.store.transaction() as connection:
            names = get_all_tags(connection, self.kind)
        if not names:
            raise ApiError(1002)
        return Node(f"{self.kind}_tag_list", [leaf("tag", name) for name in names])

    @property
    def _field(self) -> str:
        return f"{self.kind}_id"

    def _target(self, call: Call, connection: sqlite3.Connection) -> tuple[int, str]:
        entity_id, text = call.field(self._field), call.field("tag")
        if not entity_id or not text:
            raise ApiError(471)
        entity = _FINDERS[self.kind](connection, to_id(entity_id))
        if entity is None:
            raise ApiError(472)
        return entity.id, text

    def _remaining(self, connection: sqlite3.Connection, call: Call, name: str) -> Node:
        entity_id = call.field(self._field)
        names = get_tags(connection, self.kind, to_id(entity_id) or 0)
        return Node(name, [leaf("id", entity_id), *(leaf("tag", text) for text in names)])


DATA = TagCalls("data")
TASK = TagCalls("task")
FLOW = TagCalls("flow")
RUN = TagCalls("run")
