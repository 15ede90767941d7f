"""The processes that work for this one: those it started, and those that its fork servers have forked."""

import os
from contextlib import suppress
from pathlib import Path


def children() -> set[int]:
    """Return their process ids, without the fork servers."""
    started = children_of(os.getpid())
    servers = {pid for pid in started if is_fork_server(pid)}
    return (started - servers).union(*map(children_of, servers))


def fork_servers(module: str) -> set[int]:
    """Return the process ids of the servers that fork children of this module for this process."""
    return {
        pid for pid in children_of(os.getpid()) if is_fork_server(pid) and module.encode() in command_of(pid)
    }


def descendants_of(parent: int) -> set[int]:
    """Return the process ids of its children, and of theirs."""
    found = children_of(parent)
    return found.union(*map(descendants_of, found))


def children_of(parent: int) -> set[int]:
    """Return the process ids of its children alone."""
    found: set[int] = set()
    # A thread that has just waited for an earlier child may end at any moment, and so may a server.
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{parent}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                found.update(map(int, (task / "children").read_text().split()))
    return found


def is_fork_server(pid: int) -> bool:
    return b"app.core.forkserver" in command_of(pid)


def command_of(pid: int) -> bytes:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
