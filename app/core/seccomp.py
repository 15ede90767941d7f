"""The system calls that a child process may not make, as a program for the kernel (seccomp, x86-64 and AArch64)."""

import errno
import struct
from typing import NamedTuple

INSTRUCTION_BYTES = 8
_LOAD, _IF_EQUAL, _IF_LEAST, _IF_ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_CLONE_THREAD = 0x00010000
_MAP_SHARED, _MAP_ANONYMOUS = 0x01, 0x20
# Calls of the x32 ABI have numbers of their own, from here on.
_X32 = 0x40000000


class Architecture(NamedTuple):
    """A kind of processor: how the kernel names it, and which column of the table is its own."""

    audit: int
    column: int


ARCHITECTURES = {"x86_64": Architecture(0xC000003E, 0), "aarch64": Architecture(0xC00000B7, 1)}

# Numbers on x86-64 and on AArch64, which lacks the older of some pairs.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # the network, and what can open sockets without the calls for it
    "socket": (41, 198), "socketpair": (53, 199), "io_uring_setup": (425, 425),
    # other programs, and processes that would outlive this one
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    "setsid": (112, 157), "setpgid": (109, 154),
    # other processes of the same user: their memory, their files, their end
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "kill": (62, 129),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    "sched_setscheduler": (144, 119), "sched_setaffinity": (203, 122), "process_madvise": (440, 440),
    "migrate_pages": (256, 238), "move_pages": (279, 239),
    # memory that no limit of a process counts; for that of `mmap` see below
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    # who may read a file, and how old it is, which Landlock does not look at, and ways around its paths
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "utime": (132, None),
    "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88), "open_by_handle_at": (304, 265),
    # another view of the system
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    # parts of the kernel that are attacked rather than used
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "personality": (135, 92),
    "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    # what this process was bounded by, which root could take back
    "setrlimit": (160, 164),
}  # fmt: skip
_CLONE, _CLONE3, _TGKILL, _PRLIMIT, _MMAP = (56, 220), (435, 435), (234, 131), (302, 261), (9, 222)


def filter_for(machine: str, pid: int) -> bytes | None:
    """Return the program for this kind of processor and process; None if its system calls are not known.

    Threads may be started. Only the process itself may be signalled, as `abort` does. Limits may be read. Memory that
    is shared, and of no file, is refused: RLIMIT_DATA does not count it.
    """
    architecture = ARCHITECTURES.get(machine)
    if architecture is None:
        return None
    column = architecture.column
    refuse = _FAIL | errno.EPERM
    return b"".join(
        [
            _step(_LOAD, _ARCHITECTURE_AT),
            _step(_IF_EQUAL, architecture.audit, 1, 0),
            _step(_RETURN, _KILL),
            _step(_LOAD, _NUMBER_AT),
            _step(_IF_LEAST, _X32, 0, 1),
            _step(_RETURN, refuse),
            *(_answered(numbers[column], refuse) for numbers in _REFUSED.values()),
            # Its flags lie in memory, where a filter cannot look: C libraries fall back to `clone`.
            _answered(_CLONE3[column], _FAIL | errno.ENOSYS),
            _only(_CLONE[column], [_word(0), _step(_IF_ANY, _CLONE_THREAD, 0, 1)], refuse),
            _only(_TGKILL[column], [_word(0), _step(_IF_EQUAL, pid, 0, 1)], refuse),
            # The third argument is where the new limit is; both halves of a null pointer are nothing.
            _only(
                _PRLIMIT[column],
                [_word(4), _step(_IF_EQUAL, 0, 0, 3), _word(5), _step(_IF_EQUAL, 0, 0, 1)],
                refuse,
            ),
            _only(
                _MMAP[column],
                [_word(6), _step(_IF_ANY, _MAP_ANONYMOUS, 0, 1), _step(_IF_ANY, _MAP_SHARED, 1, 0)],
                refuse,
            ),
            _step(_RETURN, _ALLOW),
        ]
    )


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _answered(number: int | None, answer: int) -> bytes:
    """Return the instructions that give one system call this result, whatever its arguments."""
    return b"" if number is None else _step(_IF_EQUAL, number, 0, 1) + _step(_RETURN, answer)


def _only(number: int, tests: list[bytes], otherwise: int) -> bytes:
    """Return the instructions that allow one call if tests of its arguments pass; the last skips one if not."""
    body = [*tests, _step(_RETURN, _ALLOW), _step(_RETURN, otherwise)]
    return _step(_IF_EQUAL, number, 0, len(body)) + b"".join(body)


def _word(place: int) -> bytes:
    """Return the instruction that loads half of a 64-bit argument, the lower half first."""
    return _step(_LOAD, _ARGUMENTS_AT + 4 * place)
