"""The statistics of a large file in constant memory: how long the child takes, and how much memory at most.

python -m benchmarks.statistics [MEGABYTES ...]
"""

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from app.core import child
from app.core.child_limits import ProcessLimits
from app.core.child_start import Program
from app.tabular.statistics.requests import FileRequest

LIMITS = ProcessLimits(memory_bytes=1_500_000_000, cpu_seconds=1800, wall_seconds=3600.0)
LABELS = ("low", "middle", "high")


def write_table(path: Path, megabytes: int) -> None:
    """Write an ARFF file of about this size: eight numbers, two of them whole, labels, and a text that never repeats."""
    draw = random.Random(1)
    lines = ["@relation large", *(f"@attribute n{each} numeric" for each in range(8))]
    lines += ["@attribute c {low,middle,high}", "@attribute t string", "@data", ""]
    block = [
        ",".join(
            [*(repr(draw.gauss(0, 10)) for _ in range(6)), str(number), str(number % 7), draw.choice(LABELS)]
        )
        for number in range(10_000)
    ]
    row = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("\n".join(lines))
        while file.tell() < megabytes * 1_000_000:
            file.write("".join(f"{text},'text {row + at}'\n" for at, text in enumerate(block)))
            row += len(block)


async def measure(folder: Path, megabytes: int) -> None:
    """Print how many rows there are, the seconds that statistics take, and the child's peak memory."""
    source = folder / "source.arff"
    write_table(source, megabytes)
    request = FileRequest("statistics", folder / "copy", source, folder / "json", target_attribute="c")
    began = time.monotonic()
    found, peak = await _ask(request)
    seconds = time.monotonic() - began
    copy = (folder / "copy").stat().st_size
    print(
        f"{source.stat().st_size / 1e6:.0f} MB, {found['rows']} rows: {seconds:.1f} s, peak {peak / 1e6:.0f} MB, "
        f"copy {copy / 1e6:.0f} MB"
    )


async def _ask(request: FileRequest) -> tuple[dict[str, int], int]:
    peaks: list[int] = []
    program = Program("app.tabular.__main__", (request.task,))
    with patch.object(child, "_note_memory", side_effect=lambda said: peaks.append(said["bytes"])):
        found = await child.ask(program, request.to_json(), LIMITS)
    return found, peaks[-1]


if __name__ == "__main__":
    for size in map(int, sys.argv[1:] or ["20", "200"]):
        with tempfile.TemporaryDirectory() as name:
            asyncio.run(measure(Path(name), size))
