"""A megabyte of one sign, where a cell, a name or a label stands: no reader tries each of them as a beginning."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest

from app.tabular import ConversionRequest, ProcessLimits, TabularError
from app.tabular.process import convert_in_process, profile_in_process
from app.tabular.readers.formats import format_of

LENGTH = 900_000
CPU_SECONDS = 30
"""A tenth of which any of these takes; one look from each sign to the end takes hours."""
SIGNS = (
    " ",
    "a",
    "\t",
    "'",
    '"',
    "\\",
    "7",
    "-",
    ".",
    "{",
    "}",
    "%",
    "#",
    ":",
    ";",
    "é",
    "1e",
    '",',
    "',",
    '" ',
    "a ",
    "[",
    '{"a":',
    "?",
    "<",
)
HEAD = "@relation r\n@attribute x numeric\n@attribute y {a,b}\n@attribute z string\n@data\n"
PLACES: Mapping[str, tuple[str, str]] = {
    "cell.csv": ("x,y\n1,", "\n2,b\n"),
    "quoted.csv": ('x,y\n1,"', '"\n2,b\n'),
    "not-utf8.csv": ("x,y\nKöln,", "\n2,b\n"),
    "all.csv": ("", ""),
    "name.csv": ("", ",y\n1,2\n"),
    "cell.tsv": ("x\ty\n1\t", "\n2\tb\n"),
    "quoted.arff": (HEAD + "1,a,'", "'\n"),
    "bare.arff": (HEAD + "1,a,", "\n"),
    "entry.arff": (HEAD.replace(" string", " numeric") + "{0 ", "}\n"),
    "row.arff": (HEAD.replace(" string", " numeric") + "{", "}\n"),
    "label.arff": ("@relation r\n@attribute x {", "}\n@data\na\n"),
    "name.arff": ("@relation r\n@attribute ", " numeric\n@data\n1\n"),
    "all.json": ("", ""),
    "text.json": ('[{"a": "', '"}]'),
    "value.jsonl": ('{"a": ', "}\n"),
    "value.svm": ("1 1:", "\n"),
    "all.svm": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize(
    ("place", "sign"),
    [
        pytest.param(place, sign, marks=() if sign == " " and "csv" in place else pytest.mark.long)
        for place, sign in product(PLACES, SIGNS)
    ],
)
async def test_a_long_run_of_one_sign_when_read_then_told_in_time_what_it_is(
    tmp_path: Path, place: str, sign: str
) -> None:
    before, after = PLACES[place]
    content = before + (sign * LENGTH)[:LENGTH] + after
    source, kind = tmp_path / place, format_of(place)
    assert kind is not None
    source.write_bytes(content.encode("cp1252" if "not-utf8" in place else "utf-8"))
    request = ConversionRequest(source, tmp_path / "target", kind.format, "t")
    told = []
    for ask in (convert_in_process, profile_in_process):
        try:
            await ask(request, ProcessLimits(cpu_seconds=CPU_SECONDS))
        except TabularError as error:
            told.append(error.slug)
    assert not {"took-too-long", "out-of-memory", "conversion-failed"}.intersection(told)
