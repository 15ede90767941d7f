"""What the sandbox's engine takes of the processor to read a dataset, by what its cells are.

    .venv/bin/python -m benchmarks.sandbox [--rounds 9]

It reads a megabyte of each kind as it does after an upload, and counts the classes of the target. The least of all rounds is told.
"""

import argparse
import io
import time
from collections.abc import Callable, Sequence

from openml_sandbox.qualities import Classes
from openml_sandbox.weka import Watcher, read_arff

MEGABYTE = 1_000_000
TEXTS = b"@attribute id numeric\n@attribute x numeric\n@attribute text string\n@attribute kind {a,b,c}\n"
NUMBERS = (
    b"".join(b"@attribute x%d numeric\n" % column for column in range(10)) + b"@attribute kind {a,b,c}\n"
)

KINDS: dict[str, tuple[bytes, Callable[[int], bytes]]] = {
    "bare texts": (TEXTS, lambda row: b"%d,%.6f,word%d" % (row, row / 7, row)),
    "quoted texts": (TEXTS, lambda row: b'%d,%.6f,"word %d"' % (row, row / 7, row)),
    "with commas": (TEXTS, lambda row: b'%d,%.6f,"word, %d"' % (row, row / 7, row)),
    "with escapes": (TEXTS, lambda row: b'%d,%.6f,"a \\"word\\" %d"' % (row, row / 7, row)),
    "missing numbers": (TEXTS, lambda row: b'%d,?,"word %d"' % (row, row)),
    "numbers of nine digits": (
        NUMBERS,
        lambda row: b",".join(b"%.6f" % ((row + n) * 7919 % 1000 / 7) for n in range(10)),
    ),
    "numbers of three digits": (
        NUMBERS,
        lambda row: b",".join(b"%d" % ((row + n) * 7919 % 1000) for n in range(10)),
    ),
}


class Target(Watcher):
    """Counts the classes of the last column, as the engine does."""

    def __init__(self, width: int) -> None:
        self.target = width - 1
        self.classes = Classes()

    def on_target(self, values: Sequence[bytes | None]) -> None:
        """Count them."""
        self.classes.add(values)


def megabyte(header: bytes, row: Callable[[int], bytes]) -> bytes:
    """Return an ARFF file of about a megabyte."""
    rows: list[bytes] = []
    length = 0
    while length < MEGABYTE:
        rows.append(row(len(rows)) + b",%c\n" % b"abc"[len(rows) % 3])
        length += len(rows[-1])
    return b"@relation r\n" + header + b"@data\n" + b"".join(rows)


def seconds(file: bytes, width: int) -> float:
    """Return the processor time of reading it once."""
    began = time.process_time()
    read_arff(io.BytesIO(file), Target(width))
    return time.process_time() - began


def main() -> None:
    """Print what a megabyte of each kind takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    for name, (header, row) in KINDS.items():
        file = megabyte(header, row)
        least = min(seconds(file, header.count(b"\n")) for _ in range(options.rounds))
        print(f"{name:24}{least / len(file) * MEGABYTE:.3f} s/MB")


if __name__ == "__main__":
    main()
