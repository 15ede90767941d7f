"""Files that tests make: packed ones, archives, and workbooks as small as they come."""

import bz2
import gzip
import io
import lzma
import struct
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pandas as pd
import pyarrow as pa
import pyreadstat
import rdata

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"


def pack(content: bytes, compression: str) -> bytes:
    """Return content packed with gzip, bz2, xz or zstd."""
    if compression == "zstd":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(content)
        return bytes(sink.getvalue())
    packers: dict[str, Callable[[bytes], bytes]]
    packers = {"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    return packers[compression](content)


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """Return a ZIP archive of files, by name."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return sink.getvalue()


def workbook(
    sheets: Mapping[str, Sequence[Sequence[Any]]],
    *,
    hidden: Sequence[str] = (),
    merged: str = "",
    is_1904: bool = False,
) -> bytes:
    """Return an .xlsx file of sheets, by name; cells are texts, numbers, booleans, None, or XML of their own."""
    entries, relations, files = [], [], {}
    for number, (name, rows) in enumerate(sheets.items(), start=1):
        state = ' state="hidden"' if name in hidden else ""
        entries.append(f'<sheet name="{escape(name)}" sheetId="{number}" r:id="r{number}"{state}/>')
        relations.append(
            f'<Relationship Id="r{number}" Type="{_DOCUMENT}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        )
        lines = "".join(
            f'<row r="{row}">{_cells(row, cells)}</row>' for row, cells in enumerate(rows, start=1)
        )
        merges = f'<mergeCells><mergeCell ref="{merged}"/></mergeCells>' if merged else ""
        files[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{_MAIN}"><sheetData>{lines}</sheetData>{merges}</worksheet>'
        )
    relations.append(f'<Relationship Id="s" Type="{_DOCUMENT}/styles" Target="styles.xml"/>')
    epoch = '<workbookPr date1904="1"/>' if is_1904 else "<workbookPr/>"
    formats = "".join(f'<xf numFmtId="{number}"/>' for number in (0, 14, 22, 21, 46))
    return archive(
        {
            "[Content_Types].xml": f'<Types xmlns="{_TYPES}"/>',
            "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="w" Type="{_DOCUMENT}/officeDocument"'
            ' Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}">{epoch}<sheets>{"".join(entries)}'
            "</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}">{"".join(relations)}</Relationships>',
            "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><cellXfs>{formats}</cellXfs></styleSheet>',
            **files,
        }
    )


def styled(number: float, style: str) -> str:
    """Return a cell that shows a number as a `date`, `datetime`, `time` or `duration`."""
    return f's="{1 + ("date", "datetime", "time", "duration").index(style)}"><v>{number}</v>'


def _cells(row: int, cells: Sequence[Any]) -> str:
    return "".join(
        f'<c r="{chr(ord("A") + column)}{row}" {_cell(cell)}</c>'
        for column, cell in enumerate(cells)
        if cell is not None
    )


def _cell(cell: Any) -> str:
    if isinstance(cell, str) and cell.startswith(("s=", "t=")):
        return cell
    if isinstance(cell, bool):
        return f't="b"><v>{int(cell)}</v>'
    if isinstance(cell, int | float):
        return f"><v>{cell}</v>"
    return f't="inlineStr"><is><t xml:space="preserve">{escape(str(cell))}</t></is>'


def written(ending: str, frame: pd.DataFrame, **options: Any) -> bytes:
    """Return a file of SPSS, Stata, SAS or R that pyreadstat or rdata write of a data frame."""
    writers: dict[str, Callable[..., Any]] = {
        "sav": pyreadstat.write_sav,
        "por": pyreadstat.write_por,
        "dta": pyreadstat.write_dta,
        "xpt": pyreadstat.write_xport,
        "rds": lambda frame, path: rdata.write_rds(path, _for_r(frame)),
        "rda": lambda frame, path: rdata.write_rda(path, {"table": _for_r(frame)}),
    }
    if ending == "zsav":
        options["compress"] = True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table"
        writers["sav" if ending == "zsav" else "rda" if ending == "rdata" else ending](
            frame, str(path), **options
        )
        return path.read_bytes()


def _for_r(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with texts of a type that rdata can write."""
    texts = [name for name in frame.columns if isinstance(frame[name].dtype, pd.StringDtype)]
    return frame.astype(dict.fromkeys(texts, "string[python]"))


def compound_file(stream: bytes, *, name: str = "Workbook", length: int = 4096) -> bytes:
    """Return an OLE2 compound file with one stream, which is filled up to a length, its sectors in reverse order."""
    size, end, free = 512, 0xFFFFFFFE, 0xFFFFFFFF
    stream = stream.ljust(length, b"\0")
    stream += bytes(-len(stream) % size)
    count = len(stream) // size
    tables = count // 120 + 1
    further = max(0, -(-(tables - 109) // 127))
    links = [end, *range(count - 1), end, *[0xFFFFFFFD] * tables, *[0xFFFFFFFC] * further]
    links += [free] * (tables * size // 4 - len(links))
    numbers = list(range(count + 1, count + 1 + tables))
    first_further = count + 1 + tables
    listed, rest = numbers[:109], numbers[109:]
    lists = [rest[at : at + 127] for at in range(0, len(rest), 127)]
    header = (
        bytes.fromhex("d0cf11e0a1b11ae1")
        + bytes(16)
        + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
        + bytes(10)
    )
    header += struct.pack(
        "<IIIIIIII", tables, count, 0, 4096, end, 0, first_further if further else end, further
    )
    header += struct.pack("<109I", *listed, *[free] * (109 - len(listed)))
    entries = b"".join(
        each.encode("utf-16-le").ljust(64, b"\0")
        + struct.pack("<HBB", 2 * len(each) + 2, kind, 1).ljust(52, b"\0")
        + struct.pack("<IQ", first, size_of)
        for each, kind, first, size_of in (("Root Entry", 5, end, 0), (name, 2, count - 1, len(stream)))
    ).ljust(size, b"\0")
    sectors = b"".join(stream[at : at + size] for at in range(len(stream) - size, -1, -size))
    more = b"".join(
        struct.pack(
            "<128I", *each, *[free] * (127 - len(each)), first_further + at + 1 if at + 1 < further else end
        )
        for at, each in enumerate(lists)
    )
    return header + sectors + entries + struct.pack(f"<{len(links)}I", *links) + more
