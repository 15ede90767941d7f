"""What a dataset's file holds, as its page shows it: its columns with a chart each, and its first rows.

All of it comes from what is kept of the file; a page waits for nothing that is computed.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from app.core.errors import ProblemError
from app.openml.files import path_of
from app.openml.records import DatasetFile
from app.published.reading import read_described
from app.published.service import NotYetError, PublishedFiles
from app.web.catalogue.charts import Chart, chart_of, in_bytes
from app.web.catalogue.documents import Dataset, ShownFeature
from app.web.catalogue.texts import one_line, plain

COLUMNS_ON_A_PAGE: Final = 50
ROWS_ON_A_PAGE: Final = 10
ROW_COLUMNS: Final = 30
CELL_CHARACTERS: Final = 80
ROW_CHARACTERS: Final = 2_500
"""Of a row, which bounds what a page of rows weighs."""
NAME_CHARACTERS: Final = 200
WAITS, WAIT_SECONDS = 8, 0.25
"""How long who asks for it without a script waits for a small file."""
State = Literal["kept", "computing", "unasked", "problem", "private"]


@dataclass(frozen=True, slots=True)
class ShownColumn:
    """A column, and a chart of it where there are figures."""

    feature: ShownFeature
    chart: Chart | None


@dataclass(frozen=True, slots=True)
class ShownRows:
    """Some of the first rows.

    Attributes:
        names: of the columns that are shown.
        left_out: how many columns are not.
        rows: each row's number from 1, and its cells; None is a missing one.
        page: of `pages`, from 1.
        total: rows of the whole table.
    """

    names: list[str]
    left_out: int
    rows: list[tuple[int, list[str | None]]]
    page: int
    pages: int
    total: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What is known of a file.

    Attributes:
        state: whether figures are kept, being computed, not asked for, or not to be had, and then why (`text`).
        table: what is told of the table as a whole; empty without figures.
    """

    state: State
    text: str
    columns: list[ShownColumn]
    column_count: int
    columns_page: int
    columns_pages: int
    rows: ShownRows | None
    table: Mapping[str, Any]

    @property
    def size(self) -> str:
        """How large the file is, in words; empty where that is not known."""
        return in_bytes(self.table["bytes"]) if self.table else ""

    @property
    def is_readable(self) -> bool:
        """Whether other formats of the file can be had."""
        return self.state in {"kept", "computing", "unasked"}


@dataclass(frozen=True, slots=True)
class WantedPart:
    """Which part of a file an address asks for.

    Attributes:
        columns: a page of columns, from 1.
        rows: a page of rows, from 1.
        look: whether figures are to be computed if there are none.
    """

    columns: int = 1
    rows: int = 1
    look: bool = False


def file_of(dataset: Dataset) -> DatasetFile:
    """Return where a public dataset's file lies, as its document tells."""
    return DatasetFile(
        dataset_id=dataset.id,
        name=dataset.name,
        path=path_of(dataset.file),
        md5=dataset.checksum.lower(),
        format=dataset.format,
        target=dataset.target,
        private=False,
    )


async def find_contents(
    dataset: Dataset,
    asked: WantedPart,
    published: PublishedFiles,
    run: Callable[..., Awaitable[Contents]],
) -> Contents:
    """Return what is kept of a dataset's file; have it computed only if that is asked for."""
    if dataset.is_private:
        return await run(_without, "private", "", dataset, asked)
    try:
        path = await _find(file_of(dataset), published, look=asked.look)
    except NotYetError:
        return await run(_without, "computing", "", dataset, asked)
    except ProblemError as problem:
        return await run(_without, "problem", plain(problem.detail), dataset, asked)
    if path is None:
        return await run(_without, "unasked", "", dataset, asked)
    return await run(_read, path, dataset, asked)


async def _find(file: DatasetFile, published: PublishedFiles, *, look: bool) -> Path | None:
    if not look:
        return await published.find_statistics(file)
    for _ in range(WAITS):
        try:
            return await published.statistics(file, None)
        except NotYetError:
            await asyncio.sleep(WAIT_SECONDS)
    return await published.statistics(file, None)


def _without(state: State, text: str, dataset: Dataset, asked: WantedPart) -> Contents:
    page, pages, begin = _page(asked.columns, len(dataset.features), COLUMNS_ON_A_PAGE)
    shown = [ShownColumn(each, None) for each in dataset.features[begin : begin + COLUMNS_ON_A_PAGE]]
    return Contents(state, text, shown, len(dataset.features), page, pages, None, {})


def _read(path: Path, dataset: Dataset, asked: WantedPart) -> Contents:
    """Return a page of columns and one of rows; without figures, if they were removed just now. Blocking."""
    try:
        table = json.loads(read_described(path, offset=0, limit=0).table)
        count = table["columns"]
        page, pages, begin = _page(asked.columns, count, COLUMNS_ON_A_PAGE)
        _, head, lines = read_described(path, offset=begin, limit=COLUMNS_ON_A_PAGE)
    except OSError:
        return _without("unasked", "", dataset, asked)
    columns = _columns(dataset, [json.loads(line) for line in lines], table)
    rows = _rows(json.loads(head), asked.rows, table)
    return Contents("kept", "", columns, count, page, pages, rows, table)


def _columns(
    dataset: Dataset, found: Sequence[Mapping[str, Any]], table: Mapping[str, Any]
) -> list[ShownColumn]:
    """Join our figures and what OpenML tells of columns by their names; its server may have left some out."""
    known = {feature.name: feature for feature in reversed(dataset.features)}
    return [
        ShownColumn(known.get(one_line(each["name"])) or _feature(each, table), chart_of(each, table))
        for each in found
    ]


def _feature(figures: Mapping[str, Any], table: Mapping[str, Any]) -> ShownFeature:
    return ShownFeature(
        name=one_line(figures["name"]),
        type=figures["kind"],
        roles=["target"] if figures["name"] == table["target"] else [],
        missing=figures["missing"],
        distinct=figures["distinct"],
        labels=[],
    )


def _rows(head: Mapping[str, Any], page: int, table: Mapping[str, Any]) -> ShownRows:
    page, pages, begin = _page(page, len(head["rows"]), ROWS_ON_A_PAGE)
    numbers = head["rows"][begin : begin + ROWS_ON_A_PAGE]
    cells = [
        [_cell(cell) for cell in row[:ROW_COLUMNS]] for row in head["cells"][begin : begin + ROWS_ON_A_PAGE]
    ]
    width = _width(head["columns"][:ROW_COLUMNS], cells)
    return ShownRows(
        names=[one_line(name, limit=CELL_CHARACTERS) for name in head["columns"][:width]],
        left_out=table["columns"] - width,
        rows=[(number + 1, row[:width]) for number, row in zip(numbers, cells, strict=True)],
        page=page,
        pages=pages,
        total=table["rows"],
    )


def _width(names: Sequence[str], cells: Sequence[Sequence[str | None]]) -> int:
    """Return of how many columns a page shows cells: fewer where their texts are long, but one at least."""
    used = 0
    for index, name in enumerate(names):
        used += max([len(name[:CELL_CHARACTERS]), *(len(row[index] or "") for row in cells)])
        if used > ROW_CHARACTERS:
            return max(1, index)
    return len(names)


def _cell(value: object) -> str | None:
    if value is None:
        return None
    return (
        repr(value).removesuffix(".0") if isinstance(value, float) else one_line(value, limit=CELL_CHARACTERS)
    )


def _page(wanted: int, count: int, size: int) -> tuple[int, int, int]:
    """Return the page that is shown, how many there are, and with what it begins."""
    pages = max(1, -(-count // size))
    page = min(max(wanted, 1), pages)
    return page, pages, (page - 1) * size
