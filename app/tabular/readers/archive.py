"""ZIP archives: the one table in them, or the one that their owner names, unpacked to the disk within bounds."""

import lzma
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from app.tabular.disk import is_of_disk
from app.tabular.readers.formats import ACCEPTED, format_of
from app.tabular.readers.rewriting import Rewritten, new_file
from app.tabular.reading import Doubt, Found, ReadingReport, offered
from app.tabular.types import MIB, ConversionRequest, TabularError
from app.tabular.wording import counted, shortened

_SHOWN = 5
_WORKBOOK = frozenset({"xl/workbook.xml", "xl/workbook.bin", "content.xml"})
"""What an archive that is a workbook has, one of these."""


def unpack_member(request: ConversionRequest) -> Rewritten:
    """Unpack the table of an archive; the names in it never become paths.

    Raises:
        TabularError: `broken-file`, `encrypted-file`, `mislabelled-file`, `no-table`, `unknown-member`, and what
            `DiskBudget.spend` raises.
    """
    report = ReadingReport(request.reading)
    try:
        with zipfile.ZipFile(request.source) as archive:
            member = _member(archive.infolist(), report)
            kind = format_of(member.filename)
            assert kind is not None  # noqa: S101 - it is among the tables
            with new_file(request, kind.format) as (path, target), archive.open(member) as source:
                while chunk := source.read(MIB):
                    target.write(chunk)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        ValueError,
        OverflowError,
        OSError,
    ) as error:
        if is_of_disk(error):
            raise
        raise TabularError(
            "broken-file", "The ZIP archive is damaged or cut off.", hint="Pack it anew."
        ) from None
    except NotImplementedError:
        raise TabularError(
            "broken-file",
            "The ZIP archive is packed in a way that only some programs can read.",
            hint="Pack it anew, with the usual method (Deflate).",
        ) from None
    inner = replace(
        request,
        source=path,
        format=kind.format,
        compression=kind.compression,
        reading=replace(request.reading, member=None),
    )
    return Rewritten(inner, report, hidden=frozenset(), keeps_lines=True)


def is_workbook(path: Path) -> bool:
    """Return whether an archive is a workbook."""
    try:
        with zipfile.ZipFile(path) as archive:
            return not _WORKBOOK.isdisjoint(archive.namelist())
    except (zipfile.BadZipFile, ValueError, OverflowError, EOFError):
        return False


def _member(members: Sequence[zipfile.ZipInfo], report: ReadingReport) -> zipfile.ZipInfo:
    files = [member for member in members if not member.is_dir() and not _is_hidden(member.filename)]
    names = [member.filename for member in files]
    if "[Content_Types].xml" in names or names[:1] == ["mimetype"]:
        message = "The file is no archive of tables but a document."
        hint = "If it is a workbook, name it .xlsx, .xlsm, .xlsb or .ods."
        formats = None if _WORKBOOK.isdisjoint(names) else {"format": ["workbook"]}
        raise TabularError("mislabelled-file", message, hint=hint, choices=formats)
    tables = [name for name in names if (kind := format_of(name)) and kind.format != "zip"]
    chosen = report.chosen.member
    if chosen is not None and chosen not in tables:
        choices = {"member": list(offered(tables))}
        message = f"The archive has no table {shortened(chosen)}."
        raise TabularError("unknown-member", message, hint=f"It has {_listed(tables)}.", choices=choices)
    if not tables:
        what = f"has {_listed(names)}" if names else "is empty"
        raise TabularError(
            "no-table", f"The archive holds no table: it {what}.", hint=f"A table is a file of {ACCEPTED}."
        )
    doubt = Doubt(
        "member",
        f"The archive holds {counted(len(tables), 'table')}: {_listed(tables)}.",
        tuple(tables),
    )
    found = Found(
        tables[0],
        considered=tuple(tables[1:]),
        why=f"The archive has {counted(len(files), 'file')}, {len(tables)} of them tables.",
    )
    name = report.decide("member", found, doubt if len(tables) > 1 else None)
    if names.count(name) > 1:
        hint = "Pack it anew, each file once."
        raise TabularError("broken-file", f"The archive has two files {shortened(name)}.", hint=hint)
    member = files[names.index(name)]
    if member.flag_bits & 1:
        hint = "Upload it without a password."
        message = f"{shortened(name)} in the archive is encrypted."
        others = [other for other in tables if other != name]
        members_left = {"member": list(offered(others))} if others else None
        raise TabularError("encrypted-file", message, hint=hint, choices=members_left)
    return member


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in parts)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(shortened(name) for name in names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown or "none"
