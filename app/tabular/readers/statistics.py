"""Files of SPSS, Stata and SAS, written anew as an Arrow file.

Two passes over the rows, some at a time: the first finds what the columns hold, the second writes them.
"""

import codecs
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from app.tabular.readers.formats import first_bytes
from app.tabular.readers.rewriting import Rewritten, library, new_arrow_file
from app.tabular.readers.variables import Variable, variable_of
from app.tabular.reading import Found, ReadingReport
from app.tabular.schema.names import CONTROL
from app.tabular.types import MIB, ConversionRequest, TabularError
from app.tabular.wording import counted

_READERS = {
    "sav": "read_sav", "por": "read_por", "dta": "read_dta", "sas7bdat": "read_sas7bdat", "xport": "read_xport",
}  # fmt: skip
_CELLS_AT_ONCE = 2_000_000
_BYTES_AT_ONCE = 128 * MIB
_ENCODINGS = ["utf-8", "cp1252", "cp1250", "cp1251", "gbk", "shift_jis"]
"""Offered where the texts are not in the encoding that the file names."""
_SHOWN = 20
_UNREADABLE = "\ufffd"
_FIRST_UTF8_RELEASE = 118
"""Of Stata's files (Stata 14)."""
_TRANSPORT_BYTES = 80
"""Files of SAS transport are made of records of this length."""

_Chunk = Mapping[str, list[Any]]


def rewrite_statistics(request: ConversionRequest) -> Rewritten:
    """Write the file anew, with labels in place of values where all values have one.

    Raises:
        TabularError: `not-installed`, `broken-file`, `unsupported-encoding`, `no-rows`, `too-many-columns`.
    """
    report = ReadingReport(request.reading)
    if request.format == "xport" and request.source.stat().st_size % _TRANSPORT_BYTES:
        raise _broken("it does not end with a whole record")
    with _errors_translated(request):
        file = _File(request, report)
        variables = file.variables
        for chunk in file.chunks(with_tags=True):
            for name, variable in variables.items():
                variable.scan(chunk[name])
        schema = pa.schema([variable.field() for variable in variables.values()])
        with new_arrow_file(request, schema) as (path, writer):
            for chunk in file.chunks():
                columns = [variable.column(chunk[name]) for name, variable in variables.items()]
                writer.write_batch(pa.record_batch(columns, schema=schema))
    inner = replace(request, source=path, format="feather")
    remarks = [remark for variable in variables.values() if (remark := variable.remark())]
    if len(remarks) > _SHOWN:
        remarks = [*remarks[:_SHOWN], f"So it is with {counted(len(remarks) - _SHOWN, 'column')} more."]
    comments = [CONTROL.sub(" ", f"% {text}") for each in variables.values() for text in each.comments()]
    return Rewritten(inner, report, remarks=tuple(remarks), comments=tuple(comments))


class _File:
    """A file, and what it says about its columns.

    Attributes:
        variables: the columns, by name.
    """

    def __init__(self, request: ConversionRequest, report: ReadingReport) -> None:
        """Read the metadata.

        Raises:
            TabularError: `not-installed`, `no-rows`, `too-many-columns`.
        """
        read = getattr(library("pyreadstat"), _READERS[request.format])
        self._read: Callable[..., tuple[_Chunk, Any]] = partial(
            read, str(request.source), output_format="dict", disable_datetime_conversion=True
        )
        self._has_tags = request.format in {"dta", "sas7bdat"}
        options: dict[str, Any] = {}
        if request.format == "sav":
            options["user_missing"] = True  # whoever asks for such values is told which they are
        if request.reading.encoding and request.format != "por":
            options["encoding"] = _iconv_name(request.reading.encoding)
        _, meta = self._read(metadataonly=True, **options)
        if not meta.column_names or meta.number_rows == 0:
            raise TabularError.no_rows()
        width = len(meta.column_names)
        if width > request.limits.max_columns:
            message = f"The table has {counted(width, 'column')}; {request.limits.max_columns} are allowed."
            raise TabularError("too-many-columns", message)
        self._names: list[str] = meta.column_names
        self._rows: int | None = meta.number_rows
        self._widths = {
            name: meta.variable_storage_width[name]
            for name in meta.column_names
            if meta.readstat_variable_types[name] == "string"
        }
        row_bytes = sum(meta.variable_storage_width.values())
        self._most_rows = max(1, min(_CELLS_AT_ONCE // width, _BYTES_AT_ONCE // max(row_bytes, 1)))
        self.variables: dict[str, Variable] = {
            name: variable_of(name, meta, request.format) for name in meta.column_names
        }
        self._encoding: str | None = None
        if request.format != "por":
            # ReadStat drops half a character at the end of a text, so that texts are taken byte by byte.
            self._read = partial(self._read, encoding="ISO-8859-1")
            self._encoding = report.decide("encoding", self._found_encoding(request, meta.file_encoding))

    def chunks(self, *, with_tags: bool = False) -> Iterator[_Chunk]:
        """Yield all rows, some at a time; with tags, numbers that are missing for a reason are its letter."""
        for chunk in self._raw_chunks(**({"user_missing": True} if with_tags and self._has_tags else {})):
            texts = {name: [self._text(name, value) for value in chunk[name]] for name in self._widths}
            yield {**chunk, **texts}

    def _raw_chunks(self, **options: Any) -> Iterator[_Chunk]:  # noqa: ANN401 - of pyreadstat
        first = 0
        while self._rows is None or first < self._rows:
            chunk, _ = self._read(row_offset=first, row_limit=self._most_rows, **options)
            rows = max(map(len, chunk.values()), default=0)
            if not rows:
                break
            # Names are in the encoding of the texts, which are taken byte by byte: the order is the same.
            yield dict(zip(self._names, chunk.values(), strict=True))
            first += rows
            if rows < self._most_rows:
                break
        if not first:
            raise TabularError.no_rows()
        if self._rows is not None and first < self._rows:
            raise _broken(f"it has {first} of {self._rows} rows")

    def _found_encoding(self, request: ConversionRequest, said: str | None) -> Found:
        """Return the encoding that a file names, or else that of the programs that wrote such files."""
        if request.format != "dta":
            return Found(codecs.lookup(said or "utf-8").name)
        release = first_bytes(request.source)[28:31]
        if release.isdigit() and int(release) >= _FIRST_UTF8_RELEASE:
            return Found("utf-8")
        is_utf8 = False
        with suppress(UnicodeDecodeError):
            for text in self._odd_texts() if request.reading.encoding is None else ():
                text.encode("latin-1").decode()
                is_utf8 = True
        # Texts in Windows-1252 are hardly ever UTF-8 by accident, and never all of them.
        return Found("utf-8", considered=("cp1252",)) if is_utf8 else Found("cp1252")

    def _odd_texts(self) -> Iterator[str]:
        """Yield the texts that are not in ASCII, a character for each byte."""
        for chunk in self._raw_chunks() if self._widths else ():
            for name in self._widths:
                yield from (text for text in chunk[name] if text and not text.isascii())

    def _text(self, name: str, value: str | None) -> str | None:
        # Stata's texts of any length (strL) have no width; ReadStat gives them as UTF-8 whatever is asked.
        if value is None or value.isascii() or not self._widths[name]:
            return value
        if self._encoding is None:
            if _UNREADABLE in value:
                hint = "Save it as .sav: a portable file has a place for letters without accents only."
                message = "A text has letters that cannot be read of a portable file."
                raise TabularError("unsupported-encoding", message, column=name, hint=hint)
            return value
        data = value.encode("latin-1")
        try:
            return data.decode(self._encoding)
        except UnicodeDecodeError as error:
            # A program that fills the width of a column cuts a text in the middle of a character.
            if error.end == len(data) >= self._widths[name] and error.start > len(data) - 4:
                return data[: error.start].decode(self._encoding)
            raise


def _iconv_name(encoding: str) -> str:
    """Return the name of an encoding of Python in iconv."""
    name = codecs.lookup(encoding).name.replace("_", "-").upper()
    return {"MAC-ROMAN": "MACINTOSH", "UTF-8-SIG": "UTF-8", "SHIFT-JIS": "SHIFT_JIS"}.get(name, name)


def _broken(why: str) -> TabularError:
    hint = "Open it in the program that made it, and save it anew."
    return TabularError("broken-file", f"The file is damaged or cut off: {why}.", hint=hint)


@contextmanager
def _errors_translated(request: ConversionRequest) -> Iterator[None]:
    """Translate pyreadstat's errors into `TabularError`; they have no common class but Exception."""
    try:
        yield
    except (TabularError, MemoryError, pa.ArrowException, ImportError):
        raise
    except Exception as error:
        if type(error).__name__ not in {
            "ReadstatError",
            "PyreadstatError",
            "UnicodeDecodeError",
            "LookupError",
        }:
            raise
        text = str(error)
        if (
            "convert string" in text
            or "encoding" in text
            or isinstance(error, UnicodeDecodeError | LookupError)
        ):
            raise TabularError(
                "unsupported-encoding",
                "The texts of the file are not in the encoding that it names, or that was chosen.",
                hint=f"Say in `reading` which `encoding` they are in: {', '.join(_ENCODINGS)} or another.",
                choices={"encoding": [name for name in _ENCODINGS if name != request.reading.encoding]},
            ) from None
        if "memory" in text:
            raise MemoryError from error
        raise _broken(text.strip().rstrip(".")) from None
