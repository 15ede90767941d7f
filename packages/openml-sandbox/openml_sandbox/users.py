"""The one call under `user/`."""

from openml_sandbox.answers import Node, leaf
from openml_sandbox.call import Call, Route, is_numeric, to_id
from openml_sandbox.errors import ApiError, ServerCrashError
from openml_sandbox.records import get_users


def list_users(call: Call) -> Node:
    """Answer `GET user/list/user_id/{ids}`: what the users of some ids are called."""
    filters = dict(zip(call.segments[1::2], call.segments[2::2], strict=False))
    for name in call.segments[1::2]:
        if name != "user_id":
            raise ApiError(370, f"Legal filter operators: user_id. Found illegal filter: {name}")
    wanted = filters.get("user_id", "").split(",")
    if not all(map(is_numeric, wanted)):
        raise ServerCrashError  # what was asked for is pasted into a statement
    with call.store.transaction() as connection:
        ids = get_users(connection, [to_id(number) or 0 for number in wanted])
    if not ids:
        raise ServerCrashError  # the template walks over a result that is none
    # Only keys are known of users, so their names are made up.
    return Node("users", [Node("user", [leaf("id", n), leaf("username", f"Sandbox User {n}")]) for n in ids])


ROUTES = (Route((), "list/*", list_users),)
