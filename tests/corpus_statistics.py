"""Statistics of the tables that packages ship, beside those of numpy and duckdb: `make corpus-statistics`.

    .venv/bin/python -m tests.corpus_statistics [--only PACKAGE]

Each table of `tests/corpus.tsv` that is read is converted, and its statistics are computed as they are for a published
file. They are compared with what numpy (`tests/statistics_oracle.py`) and duckdb compute of the same ARFF file as
liac-arff reads it. Prints each difference, and fails if there is any, or if there were fewer than a hundred tables.
"""

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa

from app.tabular import TabularError, format_of
from app.tabular.convert import convert
from app.tabular.statistics.computing import compute
from app.tabular.statistics.requests import FileRequest
from tests import statistics_oracle
from tests.corpus import LIST, Entry, content_of, request_of
from tests.statistics_oracle import Cells, is_close

WANTED = 100
QUANTILES = ("0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99")
MOST_BYTES = 20_000_000
"""Of an ARFF file: liac-arff holds all of it as Python's objects."""
Found = tuple[dict[str, Any], list[dict[str, Any]], list[Cells]]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="packages whose name begins with this")
    options = parser.parse_args()
    with LIST.open(encoding="utf-8", newline="") as lines:
        entries = [Entry(**row) for row in csv.DictReader(lines, delimiter="\t")]
    tables = columns = differing = 0
    for entry in entries:
        found = statistics_of(entry) if entry.package.startswith(options.only) else None
        if found is None:
            continue
        table, described, cells = found
        tables, columns = tables + 1, columns + len(cells)
        wrong = [*statistics_oracle.differences(table, described, cells), *beside_duckdb(described, cells)]
        differing += bool(wrong)
        for text in wrong[:10]:
            print(f"{entry.package} {entry.file}: {text}", flush=True)
    print(f"{tables} tables, {columns} columns; {differing} tables differ")
    return int(differing > 0 or (tables < WANTED and not options.only))


def statistics_of(entry: Entry) -> Found | None:
    """Return the statistics of a table, and its cells; None for one that is not read, or not compared."""
    kind = format_of(entry.file)
    if kind is None:
        return None
    with TemporaryDirectory() as name:
        folder = Path(name)
        source, made = folder / Path(entry.file).name, folder / "made.arff"
        source.write_bytes(content_of(entry))
        try:
            convert(request_of(kind, source, made))
        except TabularError:
            return None
        if made.stat().st_size > MOST_BYTES:
            return None
        cells = statistics_oracle.read(made.read_text(encoding="utf-8"))
        target = next((each.name for each in reversed(cells) if not each.is_number), cells[-1].name)
        compute(FileRequest("statistics", folder / "copy", made, folder / "json", target_attribute=target))
        table, _, *columns = map(json.loads, (folder / "json").read_text(encoding="utf-8").splitlines())
    return table, columns, cells


def beside_duckdb(found: Sequence[Mapping[str, Any]], cells: Sequence[Cells]) -> Iterator[str]:
    """Yield what duckdb computes otherwise."""
    for column, each in zip(found, cells, strict=True):
        kind = pa.float64() if each.is_number else pa.string()
        connection = duckdb.connect()
        connection.register("cells", pa.table({"x": pa.array(each.values, kind)}))
        plain = "count(x), count(*) - count(x), count(DISTINCT x)"
        (counts,) = connection.sql(f"SELECT {plain} FROM cells").fetchall()
        for name, value in zip(("count", "missing", "distinct"), counts, strict=True):
            if column[name] != value:
                yield f"{each.name}: {name}: {column[name]}, and duckdb has {value}"
        if each.stated:
            yield from (
                _numbers(connection, column, each) if each.is_number else _lengths(connection, column, each)
            )
        connection.close()


def _numbers(connection: duckdb.DuckDBPyConnection, column: Mapping[str, Any], cells: Cells) -> Iterator[str]:
    quantiles = f"quantile_cont(x, [{', '.join(QUANTILES)}])"
    try:
        (row,) = connection.sql(
            f"SELECT min(x), max(x), avg(x), stddev_samp(x), {quantiles} FROM cells"
        ).fetchall()
    except duckdb.OutOfRangeException:
        return  # A spread beyond all numbers is an error there.
    *figures, shares = row
    scale = max(map(abs, cells.stated))
    known = {
        **dict(zip(("min", "max", "mean", "standard_deviation"), figures, strict=True)),
        **dict(zip(QUANTILES, shares, strict=True)),
    }
    for name, value in known.items():
        ours = column["quantiles"][name] if name in QUANTILES else column[name]
        if not is_close(ours, value, scale):
            yield f"{cells.name}: {name}: {ours}, and duckdb has {value}"


def _lengths(connection: duckdb.DuckDBPyConnection, column: Mapping[str, Any], cells: Cells) -> Iterator[str]:
    lengths = "min(length(x)), max(length(x)), avg(length(x))"
    (found,) = connection.sql(f"SELECT {lengths} FROM cells").fetchall()
    ours = tuple(column["lengths"][name] for name in ("min", "max", "mean"))
    if ours[:2] != found[:2] or not is_close(ours[2], found[2], 1.0):
        yield f"{cells.name}: lengths: {ours}, and duckdb has {found}"


if __name__ == "__main__":
    sys.exit(main())
