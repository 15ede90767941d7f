"""What one table of 100 000 rows and 14 columns (13 MB as CSV) costs in each format: conversion and preview.

    .venv/bin/python -m benchmarks.formats [--folder /tmp] [FORMAT …]

Each is a process of its own, its start included; the least of three rounds counts. Formats whose writer is not there
(LibreOffice for workbooks) are left out. Of sparse rows, 40 000 state 25 of 500 columns each.
"""

import argparse
import bz2
import gzip
import lzma
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks.convert import OURS, PREVIEW, write_mixed
from benchmarks.processes import in_turns, run

WORKBOOK_ROWS = 20_000
"""LibreOffice takes long to write more."""
SPARSE_ROWS, SPARSE_COLUMNS, STATED = 40_000, 500, 25
Write = Callable[[pd.DataFrame, bytes, Path], object]

WRITERS: Mapping[str, Write] = {
    "csv": lambda _, text, path: path.write_bytes(text),
    "tsv": lambda frame, _, path: frame.to_csv(path, sep="\t", index=False),
    "latin1.csv": lambda _, text, path: path.write_bytes(text.decode().encode("latin-1")),
    "csv.gz": lambda _, text, path: path.write_bytes(gzip.compress(text)),
    "csv.bz2": lambda _, text, path: path.write_bytes(bz2.compress(text)),
    "csv.xz": lambda _, text, path: path.write_bytes(lzma.compress(text)),
    "jsonl": lambda frame, _, path: frame.to_json(path, orient="records", lines=True, double_precision=6),
    "records.json": lambda frame, _, path: frame.to_json(path, orient="records", double_precision=6),
    "columns.json": lambda frame, _, path: frame.to_json(path, double_precision=6),
    "parquet": lambda frame, _, path: frame.to_parquet(path),
    "feather": lambda frame, _, path: frame.to_feather(path),
    "arff": lambda frame, text, path: path.write_text(as_arff(frame, text.decode())),
    "sparse.arff": lambda _, __, path: path.write_text(sparse("{{{}}}", "{} {}", ",")),
    "libsvm": lambda _, __, path: path.write_text(sparse("1 {}", "{}:{}", " ")),
    "xlsx": lambda frame, _, path: as_workbook(frame, path),
    "ods": lambda frame, _, path: as_workbook(frame, path),
}


def as_arff(frame: pd.DataFrame, text: str) -> str:
    """Return the table with texts in quotes, as other programs write them."""
    names = "".join(
        f"@attribute {name} {'string' if frame[name].dtype.kind not in 'if' else 'numeric'}\n"
        for name in frame
    )
    rows = text.partition("\n")[2].replace(",,", ",?,").replace('"', "'").replace("New York", "'New York'")
    return f"@relation t\n{names}@data\n{rows.replace('Den Haag', repr('Den Haag'))}"


def sparse(row: str, entry: str, between: str) -> str:
    """Return sparse rows, in ARFF with a head."""
    chance = random.Random(3)
    head = "".join(f"@attribute c{n} numeric\n" for n in range(SPARSE_COLUMNS))
    rows = (
        between.join(
            entry.format(index, chance.randrange(1000) / 10)
            for index in sorted(chance.sample(range(SPARSE_COLUMNS), STATED))
        )
        for _ in range(SPARSE_ROWS)
    )
    return ("@relation t\n" + head + "@data\n") * (between == ",") + "".join(
        row.format(each) + "\n" for each in rows
    )


def as_workbook(frame: pd.DataFrame, path: Path) -> None:
    table = path.with_name("sheet.csv")
    frame.head(WORKBOOK_ROWS).to_csv(table, index=False)
    profile = f"-env:UserInstallation={(path.parent / 'profile').as_uri()}"
    command = [
        "soffice",
        profile,
        "--headless",
        "--convert-to",
        path.suffix[1:],
        "--outdir",
        str(path.parent),
        str(table),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    table.with_suffix(path.suffix).rename(path)


def files(folder: Path, endings: list[str]) -> Iterator[Path]:
    """Write the table in each format, one after another."""
    table = folder / "written.csv"
    write_mixed(table, 10)
    frame, text = pd.read_csv(table), table.read_bytes()
    for ending in endings or WRITERS:
        if ending in {"xlsx", "ods"} and shutil.which("soffice") is None:
            continue
        path = folder / f"table.{ending}"
        WRITERS[ending](frame, text, path)
        yield path
        path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=", ".join(WRITERS))
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    if unknown := set(options.formats) - WRITERS.keys():
        parser.error(f"not written here: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for path in files(Path(name), options.formats):
            ending, size = path.name.partition(".")[2], path.stat().st_size / 1e6
            sides = [partial(run, program, str(path)) for program in (OURS, PREVIEW)]
            conversion, preview = in_turns(*sides)
            print(
                f"{ending:13} {size:6.1f} MB   conversion {conversion.cpu:5.2f} s CPU   preview {preview.cpu:5.2f} s CPU",
                flush=True,
            )


if __name__ == "__main__":
    main()
