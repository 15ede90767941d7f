"""Arrow's own threads, started while there is memory for them."""

import mmap

import pyarrow as pa
import pyarrow.csv as pa_csv

from app.tabular.types import MIB

_STACKS_BYTES = 2 * 9 * MIB
"""More than the stacks of two threads."""


def start_threads() -> None:
    """Have Arrow start the threads that read delimited text, one of each of its pools.

    Its reader waits for ever for a thread that the system refuses (Arrow 26). With pools of one thread
    (`ENVIRONMENT` in app/core/child_start.py) no other one is asked for later, when memory may be short.

    Raises:
        MemoryError: there is no room for their stacks.
    """
    try:
        mmap.mmap(-1, _STACKS_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError as error:
        raise MemoryError from error
    options = pa_csv.ReadOptions(use_threads=False)
    pa_csv.open_csv(pa.BufferReader(b"a\n1\n"), options).read_all()
