"""Claim, renew and end through app.db.queue.Queue, or set_state with a lease_owner: they ask whose the row is.

A statement that writes `lease_owner` or `available_at` by itself is a way around the lease.
"""

import ast
from collections.abc import Iterator

from tests.rules.source import Source, Violation

COLUMNS = {"lease_owner", "available_at"}
STATEMENTS = {
    "app/db/queue.py": "the mechanism",
    "app/db/outbox.py": "a new mail, or one that an operator tries again and nobody has",
    "app/db/task_requests.py": "a new request, or those of a dataset that is ready, which nobody has",
    "app/db/uploads.py": "set_state asks for the owner; a new upload; the uploads of an account that is deleted",
    "app/db/open_requests.py": "the leases of many forms in one statement, each with its owner",
    "app/db/upload_bytes.py": "the latest request that sends bytes is the owner, whoever was before",
}
"""Where statements of these columns may stand, and why."""


def violations(source: Source) -> Iterator[Violation]:
    """Yield `values(lease_owner=…)` in statements, and `{"lease_owner": …}` in modules that have none of their own."""
    if source.name in STATEMENTS or not source.name.startswith("app/"):
        return
    for name, call in source.calls():
        found = {keyword.arg for keyword in call.keywords} & COLUMNS
        if found and name.rpartition(".")[2] == "values":
            yield call.lineno, f"{', '.join(sorted(map(str, found)))} is written"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Dict):
            keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            if found_keys := keys & COLUMNS:
                yield node.lineno, f"{', '.join(sorted(map(str, found_keys)))} is written"
