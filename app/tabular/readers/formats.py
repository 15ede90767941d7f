"""Supported formats, recognised by file name and by first bytes; the two must agree."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from app.tabular.types import ConversionRequest, Format, TabularError

FORMATS: tuple[Format, ...] = get_args(Format)
COMPRESSIBLE: tuple[Format, ...] = ("csv", "tsv", "jsonl", "arff")
SUFFIXES = (*(f".{name}" for name in FORMATS), *(f".{name}.gz" for name in COMPRESSIBLE))
"""The supported file name extensions, in lower case."""

GZIP = b"\x1f\x8b"
_START_BYTES = 8192
# Text formats are recognised by their first characters; in UTF-16 NULs are between them.
_NOISE = b"\xef\xbb\xbf\xff\xfe\x00"
_TITLES: dict[Format, str] = {
    "csv": "CSV", "tsv": "TSV", "parquet": "Parquet", "feather": "Feather",
    "json": "JSON", "jsonl": "JSON", "arff": "ARFF",
}  # fmt: skip
_READ: tuple[tuple[bytes, Format], ...] = (
    (b"PAR1", "parquet"),
    (b"ARROW1", "feather"),
    (b"FEA1", "feather"),
)
_ENCRYPTED = (
    b"PARE", b"Salted__", b"-----BEGIN PGP MESSAGE", b"age-encryption.org", b"$ANSIBLE_VAULT",
)  # fmt: skip
_OTHER = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"PK\x05\x06": "an empty ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook, or one with a password",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
    b"\xfd7zXZ": "an xz archive",
    b"BZh": "a bzip2 archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"\x93NUMPY": "a NumPy array",
    b"\x80\x04\x95": "a Python pickle",
    b"\x80\x05\x95": "a Python pickle",
    b"RDX": "an R data file",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
}
_WEB_PAGE = re.compile(rb"\s*<(?:!doctype|html|\?xml|table)", re.IGNORECASE)
_JSON = re.compile(rb"\s*(?:\[\s*[\[{]|\{\s*\"(?:[^\"\\]|\\.)*\"\s*:)")
_ARFF = re.compile(rb"(?:[ \t\r]*(?:%[^\n]*)?\n)*[ \t]*@relation\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileFormat:
    """The format that a file name stands for."""

    format: Format
    is_compressed: bool


def format_of(file_name: str) -> FileFormat | None:
    """Return the format of a name such as `Table.CSV.gz`, or None if it is not supported."""
    name = file_name.lower()
    suffix = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)
    if suffix is None:
        return None
    is_compressed = suffix.endswith(".gz")
    plain = suffix.removesuffix(".gz").removeprefix(".")
    return FileFormat(next(each for each in FORMATS if each == plain), is_compressed)


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
    ending = "." + request.format + (".gz" if request.is_compressed else "")
    if start.startswith(GZIP) != request.is_compressed:
        _refuse_compression(ending, start, request)
    if request.is_compressed:
        return
    other = next((name for mark, name in _OTHER.items() if start.startswith(mark)), None)
    if other:
        raise TabularError("not-text", f"The file is not {_TITLES[request.format]} but {other}.", hint=_HINT)
    found = recognise(start)
    is_right = found == request.format or {found, request.format} <= {"json", "jsonl"}
    if found and not is_right:
        raise _mislabelled(ending, _TITLES[found], f".{found}")
    if found is None and request.format in {"parquet", "feather"}:
        raise _mislabelled(ending, f"not {_TITLES[request.format]}", None)


def check_unpacked(start: bytes, request: ConversionRequest) -> None:
    """Refuse uncompressed first bytes that are those of another format.

    Raises:
        TabularError: `mislabelled-file`, `not-text`.
    """
    found = recognise(start)
    if found and found != request.format and {found, request.format} != {"json", "jsonl"}:
        raise _mislabelled(f".{request.format}.gz", _TITLES[found], f".{found}")


def recognise(start: bytes) -> Format | None:
    """Return the format that these first bytes identify, or None; CSV and TSV have no signature.

    Raises:
        TabularError: `not-text`, for a web page.
    """
    marked = next((name for mark, name in _READ if start.startswith(mark)), None)
    if marked:
        return marked
    text = start.translate(None, _NOISE)
    if _WEB_PAGE.match(text):
        raise TabularError("not-text", "The file is a web page, not a table.", hint=_HINT)
    return "json" if _JSON.match(text) else "arff" if _ARFF.match(text) else None


def first_bytes(path: Path) -> bytes:
    """Return the first bytes of a file, 8192 at most."""
    with path.open("rb") as file:
        return file.read(_START_BYTES)


_HINT = f"Upload a table as one of {', '.join(SUFFIXES)}."


def _refuse_compression(ending: str, start: bytes, request: ConversionRequest) -> None:
    if not request.is_compressed and request.format in COMPRESSIBLE:
        raise _mislabelled(ending, "a gzip file", f"{ending}.gz")
    found = recognise(start) if request.is_compressed else None
    name = f".{found}" if found else None
    raise _mislabelled(ending, "not a gzip file" if request.is_compressed else "a gzip file", name)


def _mislabelled(ending: str, found: str, right: str | None) -> TabularError:
    hint = f"Name it {right}, if that is what it should be." if right else _HINT
    return TabularError("mislabelled-file", f"The file is named {ending} but is {found}.", hint=hint)
