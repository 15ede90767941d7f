"""Statistics, rows and downloads of a large file in constant memory: how long children take, and how much memory at most.

python -m benchmarks.statistics [MEGABYTES ...]

Takes three times as much room on the disk below `TMPDIR`, and removes it at the end.
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
from app.published.service import FOR_PAGES, FOR_STATISTICS
from app.tabular.statistics.requests import ExportFormat, FileRequest, Page

FORMATS: tuple[ExportFormat, ...] = ("csv", "parquet", "feather", "jsonl")
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
    """Print the seconds, and the child's peak memory, of each thing that is asked about a file."""
    source, copy = folder / "source.arff", folder / "copy"
    write_table(source, megabytes)
    size = source.stat().st_size
    request = FileRequest("statistics", copy, source, folder / "json", target_attribute="c")
    found = await _told(f"statistics of {size / 1e6:.0f} MB", request, FOR_STATISTICS)
    source.unlink()
    print(f"  {found['rows']} rows; the copy has {copy.stat().st_size / 1e6:.0f} MB")
    pages = {
        "the first rows": Page(),
        "rows in the middle": Page(offset=found["rows"] // 2),
        "rows of a label": Page(column="c", value="high", offset=10_000),
        "rows whose text has a part": Page(column="t", operator="contains", value="99999"),
    }
    for name, page in pages.items():
        await _told(name, FileRequest("rows", copy, page=page), FOR_PAGES)
    for kind in FORMATS:
        target = folder / "export"
        await _told(kind, FileRequest("export", copy, target=target, format=kind), FOR_STATISTICS)
        print(f"  {target.stat().st_size / 1e6:.0f} MB")
        target.unlink()


async def _told(name: str, request: FileRequest, limits: ProcessLimits) -> dict[str, int]:
    peaks: list[int] = []
    program = Program("app.tabular.__main__", (request.task,))
    began = time.monotonic()
    with patch.object(child, "_note_memory", side_effect=lambda said: peaks.append(said["bytes"])):
        found: dict[str, int] = await child.ask(program, request.to_json(), limits, max_line_bytes=64_000_000)
    print(f"{name}: {time.monotonic() - began:.1f} s, peak {peaks[-1] / 1e6:.0f} MB", flush=True)
    return found


if __name__ == "__main__":
    for size in map(int, sys.argv[1:] or ["20", "200"]):
        with tempfile.TemporaryDirectory() as name:
            asyncio.run(measure(Path(name), size))
