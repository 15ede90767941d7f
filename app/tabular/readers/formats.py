"""Supported formats, recognised by file name and by first bytes; the two must agree."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from app.tabular.types import Compression, ConversionRequest, Format, TabularError

FORMATS: tuple[Format, ...] = get_args(Format)
TEXTS: dict[str, Format] = {
    "csv": "csv", "tsv": "tsv", "txt": "csv", "dat": "csv", "data": "csv", "tab": "tsv", "psv": "csv",
    "json": "json", "jsonl": "jsonl", "ndjson": "jsonl", "arff": "arff",
    "svm": "svmlight", "libsvm": "svmlight", "svmlight": "svmlight",
}  # fmt: skip
"""Formats of text, by what names end in; they may be packed."""
BINARIES: dict[str, Format] = {
    "parquet": "parquet", "pq": "parquet", "feather": "feather", "arrow": "feather", "ipc": "feather",
    "xlsx": "workbook", "xlsm": "workbook", "xls": "workbook", "xlsb": "workbook", "ods": "workbook",
    "sav": "sav", "zsav": "sav", "por": "por", "dta": "dta", "sas7bdat": "sas7bdat", "xpt": "xport",
    "rds": "r", "rda": "r", "rdata": "r", "zip": "zip",
}  # fmt: skip
PACKED: dict[str, Compression] = {"gz": "gzip", "bz2": "bz2", "xz": "xz", "zst": "zstd"}
SUFFIXES = (
    *(f".{name}" for name in (*TEXTS, *BINARIES)),
    *(f".{name}.{packed}" for name in TEXTS for packed in PACKED),
)
"""The supported file name extensions, in lower case."""
ACCEPTED = (
    f"{', '.join(f'.{name}' for name in (*TEXTS, *BINARIES))}; those of text also packed, as in .csv.gz "
    f"({', '.join(f'.{name}' for name in PACKED)})"
)
"""The same for people, as part of a sentence."""

MARKS: dict[Compression, bytes] = {
    "gzip": b"\x1f\x8b", "bz2": b"BZh", "xz": b"\xfd7zXZ", "zstd": b"\x28\xb5\x2f\xfd",
}  # fmt: skip
"""The first bytes of packed files."""
_START_BYTES = 8192
# Text formats are recognised by their first characters; in UTF-16 NULs are between them.
_NOISE = b"\xef\xbb\xbf\xff\xfe\x00"
_TITLES: dict[Format, str] = {
    "csv": "delimited text", "tsv": "delimited text", "json": "JSON", "jsonl": "JSON", "arff": "ARFF",
    "svmlight": "LIBSVM text", "parquet": "Parquet", "feather": "Feather or Arrow", "workbook": "a workbook",
    "sav": "an SPSS file", "por": "a portable SPSS file", "dta": "a Stata file", "sas7bdat": "a SAS file",
    "xport": "a SAS transport file", "r": "an R data file", "zip": "a ZIP archive",
}  # fmt: skip
_ENDINGS = {kind: name for name, kind in reversed([*TEXTS.items(), *BINARIES.items()])}
"""What names of files of a format end in most often."""
_ZIP = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_SAS = b"\x00" * 12 + b"\xc2\xea\x81\x60\xb3\x14\x11\xcf\xbd\x92\x08\x00\x09\xc7\x31\x8c\x18\x1f\x10\x11"
_STREAM = b"\xff\xff\xff\xff"
_READ: tuple[tuple[bytes, Format], ...] = (
    (b"PAR1", "parquet"),
    (b"ARROW1", "feather"),
    (b"FEA1", "feather"),
    (_STREAM, "feather"),
    (b"$FL2", "sav"),
    (b"$FL3", "sav"),
    (b"<stata_dta>", "dta"),
    (_SAS, "sas7bdat"),
    (b"HEADER RECORD*******LIB", "xport"),
    (b"RDX2\n", "r"),
    (b"RDX3\n", "r"),
)
_UNTITLED: dict[Format, tuple[bytes, ...]] = {
    # Other files begin like these, so that the name has to say it as well.
    "workbook": (_ZIP, _OLD_OFFICE),
    "zip": (_ZIP,),
    "dta": tuple(bytes((version,)) for version in range(104, 116)),
    "r": (MARKS["gzip"], MARKS["bz2"], MARKS["xz"], b"X\n", b"A\n", b"RDA2\n", b"RDA3\n"),
    "por": (b"",),
    "parquet": (b"PAR1",),
    "feather": (b"ARROW1", b"FEA1"),
}
_ENCRYPTED = (
    b"PARE", b"Salted__", b"-----BEGIN PGP MESSAGE", b"age-encryption.org", b"$ANSIBLE_VAULT",
)  # fmt: skip
_OTHER = {
    b"PK\x05\x06": "an empty ZIP archive",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"\x93NUMPY": "a NumPy array",
    b"\x80\x04\x95": "a Python pickle",
    b"\x80\x05\x95": "a Python pickle",
    b"MATLAB 5.0": "a MATLAB file",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
}
# What no text has: a table may have a column called PAR1 or ORCID.
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a]")
_WEB_PAGE = re.compile(rb"\s*<(?:!doctype|html|\?xml|table)", re.IGNORECASE)
_JSON = re.compile(rb"\s*(?:\[\s*[\[{]|\{\s*\"(?:[^\"\\]|\\.)*\"\s*:)")
_ARFF = re.compile(rb"(?:[ \t\r]*(?:%[^\n]*)?\n)*[ \t]*@relation\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileFormat:
    """The format that a file name stands for, and with what the file is packed."""

    format: Format
    compression: Compression | None = None


def format_of(file_name: str) -> FileFormat | None:
    """Return the format of a name such as `Table.CSV.gz`, or None if it is not supported.

    Blanks and points at its end do not count.
    """
    endings = file_name.rstrip(". \t").lower().split(".")[1:]
    compression = PACKED.get(endings[-1]) if endings else None
    if compression:
        kind = TEXTS.get(endings[-2]) if len(endings) > 1 else None
    else:
        kind = (TEXTS | BINARIES).get(endings[-1]) if endings else None
    return FileFormat(kind, compression) if kind else None


def check_content(request: ConversionRequest) -> None:
    """Refuse a file whose first bytes contradict its name.

    Raises:
        TabularError: `empty-file`, `mislabelled-file`, `encrypted-file`, `not-text`.
    """
    start = first_bytes(request.source)
    if not start:
        raise TabularError.empty_file()
    if start.startswith(_ENCRYPTED):
        raise TabularError("encrypted-file", "The file is encrypted.", hint="Upload it decrypted.")
    title = _TITLES[request.format]
    if request.format in TEXTS.values():
        _check_packing(request, start)
        if request.compression:
            return
    other = next((name for mark, name in _OTHER.items() if _has(start, mark)), None)
    if other:
        raise TabularError("not-text", f"The file is not {title} but {other}.", hint=HINT)
    if start.startswith(_UNTITLED.get(request.format, ())):
        return
    if start.startswith((_ZIP, _OLD_OFFICE)):
        what = (
            "a ZIP archive or a workbook"
            if start.startswith(_ZIP)
            else "an old workbook, or one with a password"
        )
        hint = "Name it .zip, .xlsx, .xlsm, .xlsb, .xls or .ods, if that is what it should be."
        choices = {"format": ["workbook", "zip"] if start.startswith(_ZIP) else ["workbook"]}
        raise TabularError("not-text", f"The file is not {title} but {what}.", hint=hint, choices=choices)
    found = recognise(start)
    if found and not _are_alike(found, request.format):
        raise _mislabelled(request, _TITLES[found], f".{_ENDINGS[found]}", found)
    if found is None and request.format in BINARIES.values():
        raise _mislabelled(request, "something else", None)


def check_unpacked(start: bytes, request: ConversionRequest) -> None:
    """Refuse uncompressed first bytes that are those of another format.

    Raises:
        TabularError: `mislabelled-file`, `not-text`.
    """
    found = recognise(start)
    if found and not _are_alike(found, request.format):
        raise _mislabelled(request, _TITLES[found], f".{_ENDINGS[found]}", found)


def recognise(start: bytes) -> Format | None:
    """Return the format that these first bytes identify, or None; delimited text has no signature.

    Raises:
        TabularError: `not-text`, for a web page.
    """
    marked = next((name for mark, name in _READ if _has(start, mark)), None)
    if marked:
        return marked
    text = start.translate(None, _NOISE)
    if _WEB_PAGE.match(text):
        raise TabularError("not-text", "The file is a web page, not a table.", hint=HINT)
    return "json" if _JSON.match(text) else "arff" if _ARFF.match(text) else None


def first_bytes(path: Path) -> bytes:
    """Return the first bytes of a file, 8192 at most."""
    with path.open("rb") as file:
        return file.read(_START_BYTES)


def packed_with(start: bytes) -> Compression | None:
    """Return with what a file is packed, by its first bytes."""
    return next((name for name, mark in MARKS.items() if _has(start, mark)), None)


def is_arrow_stream(path: Path) -> bool:
    """Return whether an Arrow file has the form of a stream, which can only be read from its beginning."""
    return first_bytes(path).startswith(_STREAM)


HINT = f"Upload a table as one of {ACCEPTED}."


def _has(start: bytes, mark: bytes) -> bool:
    return start.startswith(mark) and (not mark.isalnum() or bool(_NO_TEXT.search(start)))


def _are_alike(found: Format, named: Format) -> bool:
    return found == named or {found, named} == {"json", "jsonl"}


def _check_packing(request: ConversionRequest, start: bytes) -> None:
    packed = packed_with(start)
    if packed == request.compression:
        return
    if packed:
        ending = next(ending for ending, name in PACKED.items() if name == packed)
        raise _mislabelled(request, f"packed with {packed}", f".{_ENDINGS[request.format]}.{ending}")
    found = recognise(start)
    raise _mislabelled(
        request, f"not packed with {request.compression}", f".{_ENDINGS[found or request.format]}"
    )


def _mislabelled(
    request: ConversionRequest, found: str, right: str | None, kind: Format | None = None
) -> TabularError:
    hint = f"Name it {right}, if that is what it should be." if right else HINT
    message = f"By its name the file is {_TITLES[request.format]}, but it is {found}."
    choices = {"format": [kind]} if kind else None
    return TabularError("mislabelled-file", message, hint=hint, choices=choices)
