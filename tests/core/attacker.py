"""A child that was taken over: what it has, and what comes of all that it tries. Run by `test_isolation.py`."""

import ctypes
import errno
import mmap
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from app.core.child_limits import begin, leave, say, say_memory
from app.core.isolation import isolate

PTRACE_ATTACH, GET_NO_NEW_PRIVS = 16, 39
IO_URING_SETUP, NEW_USERS = 425, 0x10000000


def preload() -> None:
    """Nothing but this module is needed."""


def main() -> None:
    """Do what the request says: `sleep`, or try everything in the folder that it names."""
    request = begin().request
    if request == "sleep":
        say(progress=os.getpid())
        time.sleep(60)
    folder = Path(request)
    found = {"environment": dict(os.environ), "files": open_files(), "limits": limits(), "nice": os.nice(0)}
    isolate(reads=[folder / "source"], writes=[folder / "target"], folders=[folder / "work"])
    found["new privileges"] = ctypes.CDLL(None).prctl(GET_NO_NEW_PRIVS, 0, 0, 0, 0)
    attacks = {name: outcome(attack) for name, attack in attacks_on(folder).items()}
    say(result={**found, "attacks": attacks, "work": outcome(lambda: work_in(folder))})


def open_files() -> list[int]:
    found = []
    for number in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0] * 16):
        with suppress(OSError):
            os.fstat(number)
            found.append(number)
    return found


def limits() -> dict[str, list[int]]:
    names = ("DATA", "CPU", "NOFILE", "FSIZE", "CORE")
    return {name: list(resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))) for name in names}


def outcome(attack: Callable[[], Any]) -> str:
    """Return the name of the error that ended an attack, or `done`."""
    try:
        attack()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))
    except sqlite3.OperationalError as error:
        return str(error)
    except ValueError as error:  # what Python makes of EPERM for a limit
        return str(error)
    return "done"


def attacks_on(folder: Path) -> dict[str, Callable[[], Any]]:
    server = os.getppid()
    most = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    return {
        "tcp": lambda: socket.create_connection(("127.0.0.1", int((folder / "source").read_text()))),
        "unix socket": partial(socket.socket, socket.AF_UNIX),
        "socket pair": socket.socketpair,
        "socket of a ring": partial(library, "syscall", IO_URING_SETUP, 1, ctypes.create_string_buffer(120)),
        "program": partial(os.execv, "/bin/true", ["true"]),
        "program beside": partial(subprocess.run, ["/bin/true"], check=True),
        "shell": partial(os.posix_spawn, "/bin/sh", ["sh", "-c", "true"], {}),
        "process": os.fork,
        "session": os.setsid,
        "group": partial(os.setpgid, 0, 0),
        "signal": partial(os.kill, server, signal.SIGCONT),
        "signal to a thread": partial(library, "tgkill", server, server, 0),
        "debugger": partial(library, "ptrace", PTRACE_ATTACH, server, 0, 0),
        "namespace": partial(library, "unshare", NEW_USERS),
        "limits": partial(resource.setrlimit, resource.RLIMIT_DATA, most),
        "limits of another": partial(resource.prlimit, server, resource.RLIMIT_CPU, (1, 1)),
        "priority of all": partial(os.setpriority, os.PRIO_USER, os.getuid(), 19),
        "processor of the server": partial(os.sched_setaffinity, server, os.sched_getaffinity(0)),
        "shared memory": partial(mmap.mmap, -1, 1 << 20),
        "memory file": partial(os.memfd_create, "attack"),
        "age of a file": partial(os.utime, folder / "other", (0, 0)),
        "mode": lambda: (folder / "target").chmod(0o777),
        "secrets of the server": lambda: Path(f"/proc/{server}/environ").read_bytes(),
        "other file": lambda: Path("/etc/passwd").read_bytes(),
        "other upload": (folder / "other").read_bytes,
        "settings": (Path(__file__).parents[2] / ".env.example").read_bytes,
        "folder": partial(os.listdir, folder),
        "change of the source": lambda: (folder / "source").write_bytes(b"x"),
        "new file": (folder / "new").touch,
        "end of the source": (folder / "source").unlink,
        "move": lambda: (folder / "work").rename(folder / "moved"),
        "link": partial(os.link, folder / "other", folder / "work" / "link"),
        "database": lambda: sqlite3.connect(folder / "database").execute("SELECT * FROM secrets"),
        "memory of the machine": (Path("/dev/shm") / "attack").touch,  # noqa: S108 - that is the attack
    }  # fmt: skip


def work_in(folder: Path) -> None:
    """Do what a conversion does, threads and late imports included."""
    import xml.dom.minidom  # noqa: F401 - late

    text = (folder / "source").read_text()
    thread = threading.Thread(target=(folder / "target").write_text, args=(text,))
    thread.start()
    thread.join()
    made = folder / "work" / "made"
    made.write_text(text)
    made.unlink()
    shutil.rmtree(folder / "work", ignore_errors=True)
    resource.getrlimit(resource.RLIMIT_CPU)
    say_memory("work")
    Path("/proc/self/status").read_text()


def library(name: str, *arguments: int | ctypes.Array[ctypes.c_char]) -> None:
    """Call a function of the C library.

    Raises:
        OSError: it failed.
    """
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


if __name__ == "__main__":
    main(*sys.argv[1:])
    leave()
