"""Isolation of child processes before they read untrusted data, as far as the kernel supports it (Linux).

No new privileges; no socket, no other program, no process but its own threads, nothing of other processes (seccomp); no
file but those named, and the libraries (Landlock). What a kernel lacks is left out: the limits hold without it.

Imports little, for it is imported by each child that is started by itself.
"""

import ctypes
import errno
import os
import platform
import signal
import struct
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from app.core import seccomp

_IS_LINUX: bool = sys.platform == "linux"
_O_PATH = 0o10000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_RULESET_VERSION, _RULE_PATH_BENEATH = 1, 1
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
_READ = _READ_FILE | _READ_FOLDER
# Writing, reading and truncating; in a folder, making and removing files as well.
_USE_FILE = 1 << 1 | _READ_FILE | 1 << 14
_USE_FOLDER = _USE_FILE | _READ_FOLDER | 1 << 5 | 1 << 8
# What each version of Landlock can refuse, of files; the bits of one are those of the one before and its own.
_REFUSABLE = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP, _SCOPES = 0b11, 0b11
_WITH_TCP, _WITH_SCOPES = 4, 6
_SYSTEM_LIBRARIES = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/dev/null",
)


def available() -> tuple[str, ...]:
    """Return what this machine isolates children by, in words for an operator."""
    if not _IS_LINUX:
        return ()
    version = _landlock_version()
    landlock = (f"Landlock {version}",) if version else ()
    # The kernel looks at the mode before it looks for the filter, of which there is none.
    refused = _call("prctl", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, 0, 0, 0)
    has_seccomp = refused == -errno.EFAULT and platform.machine() in seccomp.ARCHITECTURES
    return ("no new privileges", *(("seccomp",) if has_seccomp else ()), *landlock)


def prepare() -> None:
    """Compute once what each child forked from this process needs for `isolate`."""
    _libraries()
    _libc()


def isolate(*, reads: Sequence[Path] = (), writes: Sequence[Path] = (), folders: Sequence[Path] = ()) -> None:
    """Irrevocably drop all rights that this process, its threads included, will not need.

    Descriptors that are open stay as they are. Called while the process has one thread.

    Args:
        reads: files that it may read.
        writes: files that it may write; they are there.
        folders: where it may make files, and remove them; they are there.

    Raises:
        OSError: one of the files is not there, or there is no descriptor left.
    """
    if not _IS_LINUX:
        return
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if version := _landlock_version():
        _bound_files(version, reads, writes, folders)
    program = seccomp.filter_for(platform.machine(), os.getpid())
    if program:
        instructions = ctypes.create_string_buffer(program)
        header = struct.pack("HP", len(program) // seccomp.INSTRUCTION_BYTES, ctypes.addressof(instructions))
        _call("prctl", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.create_string_buffer(header), 0, 0)


def end_with_parent(parent: int) -> None:
    """Have this process killed when its parent, of this number, ends."""
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # It has ended before it was asked to.


def _bound_files(
    version: int, reads: Sequence[Path], writes: Sequence[Path], folders: Sequence[Path]
) -> None:
    refusable = _REFUSABLE[min(version, max(_REFUSABLE))]
    fields = [refusable]
    fields += [_TCP] if version >= _WITH_TCP else []
    fields += [_SCOPES] if version >= _WITH_SCOPES else []
    attributes = struct.pack(f"{len(fields)}Q", *fields)
    rules = _call("syscall", _LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        raise OSError(-rules, os.strerror(-rules))
    try:
        for path in _libraries():
            _allow(rules, path, refusable & (_READ if path.is_dir() else _READ_FILE))
        # How much memory it had (`say_memory`).
        _allow(rules, Path("/proc/self/status"), refusable & _READ_FILE)
        for paths, rights in ((reads, _READ_FILE), (writes, _USE_FILE), (folders, _USE_FOLDER)):
            for path in paths:
                _allow(rules, path, refusable & rights)
        _call("syscall", _LANDLOCK_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: Path, rights: int) -> None:
    file = os.open(path, _O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, file)
        error = -_call("syscall", _LANDLOCK_ADD_RULE, rules, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(file)
    if error > 0:
        raise OSError(error, os.strerror(error), str(path))


@cache
def _libraries() -> tuple[Path, ...]:
    """Return what may be read to import a module late: never the folder that the service was started in."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    paths: Iterable[str] = [*map(sysconfig.get_path, names), *_SYSTEM_LIBRARIES]
    ours = Path(__file__).parents[1]
    return tuple({path.resolve(): None for path in (ours, *map(Path, paths)) if os.access(path, os.R_OK)})


def _landlock_version() -> int:
    """Return the kernel's version of Landlock; 0 if it has none, or does not let us."""
    return max(0, _call("syscall", _LANDLOCK_CREATE_RULESET, None, 0, _RULESET_VERSION))


def _call(function: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Return what a function of the C library returns; minus the error's number if it failed."""
    as_words = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    result: int = getattr(_libc(), function)(*as_words)
    return -ctypes.get_errno() if result < 0 else result


@cache
def _libc() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library
