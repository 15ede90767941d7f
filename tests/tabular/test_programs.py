"""Files that LibreOffice, PSPP and R wrote come in value by value; long, and skipped where a program is missing."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.tabular import TabularError
from app.tabular.reading import Reading

Converter = Callable[..., Any]
pytestmark = pytest.mark.long
SECONDS = 240


def run(folder: Path, *command: str) -> None:
    """Run a program in a folder, or skip the test where it is missing."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed: what it writes was not read")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# --- LibreOffice: the values, and what ARFF then has

SHEET = """name;whole;part;day;moment;flag;sum;fault;code
"Ouse, the";1;1,5;02.01.2020;02.01.2020 03:04:05;TRUE;=B2+1;=1/0;"007"
Aire;-20;0,1;29.02.1960;01.01.2021 00:00:00;FALSE;=B3*2;=B3;"12"
"Nidd
Head";3000000000;;;;;=SUM(B2:B3);;"x"
"""
SHEET_ROWS = [
    '"Ouse, the",1,1.5,2020-01-02,"2020-01-02T03:04:05",TRUE,2,?,007',
    'Aire,-20,0.1,1960-02-29,"2021-01-01T00:00:00",FALSE,-40,-20,12',
    '"Nidd\\nHead",3000000000,?,?,?,?,-19,?,x',
]
# Semicolons, UTF-8, German numbers and dates, cells in quotes are texts, formulas count.
IN_FILTER = "CSV:59,34,76,1,1/2/2/1/3/1/4/4/5/4/6/1/7/1/8/1/9/2,1031,true,true,false,false,false,0,true"


@pytest.mark.parametrize("ending", ["xlsx", "xls", "ods"])
def test_a_workbook_when_libreoffice_wrote_it_then_its_values_arrive(
    converter: Converter, tmp_path: Path, ending: str
) -> None:
    (tmp_path / "table.csv").write_text(SHEET, encoding="utf-8")
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    run(
        tmp_path,
        "soffice",
        profile,
        "--headless",
        f"--infilter={IN_FILTER}",
        "--convert-to",
        ending,
        "table.csv",
    )
    done = converter((tmp_path / f"table.{ending}").read_bytes(), kind=ending)
    assert done.rows == SHEET_ROWS
    assert not done.conversion.doubts
    (told,) = [warning for warning in done.conversion.warnings if "#DIV/0!" in warning]
    where = "" if ending == "ods" else ": 'H2'"
    assert told == f"1 cell with an error such as #DIV/0! became missing{where}."


# --- PSPP

SYNTAX = """DATA LIST LIST (";") /id (F8.0) level (F8.3) town (A12) day (DATE11) at (DATETIME20) span (TIME8)
  rate (F2.0) mark (F2.0).
BEGIN DATA.
1;1.5;Köln;02-JAN-2020;02-JAN-2020 03:04:05;01:02:03;1;1
2;;Bath, UK;29-FEB-1960;01-JAN-2021 00:00:00;00:00:00;2;5
3;-0.25;;;;;9;3
END DATA.
VALUE LABELS rate 1 "low" 2 "high" 9 "no answer" /mark 1 "worst" 5 "best".
MISSING VALUES rate (9).
VARIABLE LABELS level "Level of the river".
SAVE OUTFILE="table.sav".
SAVE OUTFILE="table.zsav" /ZCOMPRESSED.
EXPORT OUTFILE="table.por".
"""
PSPP_ROWS = [
    '1,1.5,"Köln",2020-01-02,"2020-01-02T03:04:05","01:02:03",low,1',
    '2,?,"Bath, UK",1960-02-29,"2021-01-01T00:00:00","00:00:00",high,5',
    "3,-0.25,?,?,?,?,?,3",
]


@pytest.mark.parametrize("ending", ["sav", "zsav", "por"])
def test_a_file_when_pspp_wrote_it_then_its_values_arrive(
    converter: Converter, tmp_path: Path, ending: str
) -> None:
    plain = ending == "por"
    (tmp_path / "table.sps").write_text(SYNTAX.replace("ö", "oe") if plain else SYNTAX, encoding="utf-8")
    run(tmp_path, "pspp", "--syntax-encoding=UTF-8", "table.sps")
    done = converter((tmp_path / f"table.{ending}").read_bytes(), kind=ending)
    assert done.rows == [row.replace('"Köln"', "Koeln") if plain else row for row in PSPP_ROWS]
    # Of a portable file ReadStat says what is missing, and not which values those are.
    assert ('{low,high,"no answer"}' if plain else "{low,high}") in done.text
    head = done.text.partition("@RELATION")[0].lower()
    assert head == "% level: level of the river\n% mark: 1 = worst, 5 = best\n"


def test_a_portable_file_when_it_has_other_letters_then_refused_and_not_changed(
    converter: Converter, tmp_path: Path
) -> None:
    (tmp_path / "table.sps").write_text(SYNTAX, encoding="utf-8")
    run(tmp_path, "pspp", "--syntax-encoding=UTF-8", "table.sps")
    with pytest.raises(TabularError) as caught:
        converter((tmp_path / "table.por").read_bytes(), kind="por")
    assert caught.value.slug == "unsupported-encoding"
    assert ".sav" in str(caught.value)


# --- R, and its package haven

FRAME = """
frame <- data.frame(
  whole = c(1L, NA, -3L), part = c(1.5, NA, 1e-300), text = c("a b", NA, "\\u00fc"),
  level = factor(c("lo", "hi", NA), levels = c("lo", "mid", "hi")), flag = c(TRUE, NA, FALSE),
  day = as.Date(c("2020-01-02", NA, "1960-05-06")),
  at = as.POSIXct(c("2020-01-02 03:04:05", NA, "2021-06-07 00:00:00"), tz = "UTC"),
  stringsAsFactors = FALSE
)
"""
R_ROWS = [
    '1,1.5,"a b",lo,True,2020-01-02,"2020-01-02T03:04:05Z"',
    "?,?,?,hi,?,?,?",
    '-3,1e-300,"ü",?,False,1960-05-06,"2021-06-07T00:00:00Z"',
]
SAVES = [
    ("saveRDS(frame, 'table.rds')", "rds"),
    ("saveRDS(frame, 'table.rds', compress = 'xz')", "rds"),
    ("saveRDS(frame, 'table.rds', compress = 'bzip2')", "rds"),
    ("saveRDS(frame, 'table.rds', compress = FALSE)", "rds"),
    ("saveRDS(frame, 'table.rds', ascii = TRUE, version = 2)", "rds"),
    ("save(frame, file = 'table.rda')", "rda"),
    ("other <- 1:3; save(other, frame, file = 'table.RData', ascii = TRUE)", "RData"),
    ("saveRDS(tibble::as_tibble(frame), 'table.rds')", "rds"),
]


@pytest.mark.parametrize(("save", "ending"), SAVES)
def test_a_data_frame_when_r_wrote_it_then_its_values_arrive(
    converter: Converter, tmp_path: Path, save: str, ending: str
) -> None:
    (tmp_path / "save.R").write_text(FRAME + save, encoding="utf-8")
    run(tmp_path, "Rscript", "--encoding=UTF-8", "save.R")
    done = converter((tmp_path / f"table.{ending}").read_bytes(), kind=ending)
    assert done.rows == R_ROWS
    assert "{lo,mid,hi}" in done.text
    assert not done.conversion.doubts


def test_row_names_when_texts_or_numbers_then_kept_left_out_and_changeable(
    converter: Converter, tmp_path: Path
) -> None:
    script = (
        "d <- data.frame(x = 1:3); saveRDS(d[c(3, 1), , drop = FALSE], 'n.rds'); "
        "row.names(d) <- c('a', 'b', 'c'); saveRDS(d, 't.rds')"
    )
    (tmp_path / "save.R").write_text(script, encoding="utf-8")
    run(tmp_path, "Rscript", "save.R")
    texts, numbers = ((tmp_path / name).read_bytes() for name in ("t.rds", "n.rds"))
    assert converter(texts, kind="rds").rows == ["a,1", "b,2", "c,3"]
    assert converter(texts, kind="rds", reading=Reading(row_names="leave-out")).rows == ["1", "2", "3"]
    assert converter(numbers, kind="rds").rows == ["3", "1"]
    assert converter(numbers, kind="rds", reading=Reading(row_names="keep")).rows == ["3,3", "1,1"]


HAVEN = """
suppressMessages(library(haven))
frame <- data.frame(
  rate = labelled(c(1, 2, NA), c(low = 1, high = 2)), mark = labelled(c(1, 5, 3), c(worst = 1, best = 5)),
  part = c(1.5, NA, -2), text = c("a", "", "\\u00fc"), day = as.Date(c("2020-01-02", NA, "1960-05-06")),
  at = as.POSIXct(c("2020-01-02 03:04:05", NA, "2021-06-07 00:00:00"), tz = "UTC"), stringsAsFactors = FALSE
)
"""
HAVEN_ROWS = [
    'low,1,1.5,a,2020-01-02,"2020-01-02T03:04:05"',
    "high,5,?,?,?,?",
    '?,3,-2,"ü",1960-05-06,"2021-06-07T00:00:00"',
]


@pytest.mark.parametrize("ending", ["dta", "sav"])
def test_a_text_when_it_is_long_then_it_arrives_whole(
    converter: Converter, tmp_path: Path, ending: str
) -> None:
    script = (
        "long <- paste(rep('\\u00e4b', 2000), collapse = ''); "
        f"haven::write_{ending}(data.frame(s = c(long, 'x'), stringsAsFactors = FALSE), 'table.{ending}')"
    )
    (tmp_path / "save.R").write_text(script, encoding="utf-8")
    run(tmp_path, "Rscript", "--encoding=UTF-8", "save.R")
    done = converter((tmp_path / f"table.{ending}").read_bytes(), kind=ending)
    assert done.rows == [f'"{"äb" * 2000}"', "x"]


LESS = "frame$rate <- frame$mark <- NULL;"
# haven writes no labels into files of SAS, and labels of Stata belong to whole numbers.
HAVEN_SAVES = [
    ("write_sav(frame, 'table.sav')", "sav", 0),
    ("write_sav(frame, 'table.zsav', compress = 'zsav')", "zsav", 0),
    ("write_dta(frame, 'table.dta')", "dta", 0),
    ("write_dta(frame, 'table.dta', version = 13)", "dta", 0),
    (f"{LESS} write_xpt(frame, 'table.xpt')", "xpt", 2),
    (f"{LESS} write_xpt(frame, 'table.xpt', version = 5)", "xpt", 2),
    (f"{LESS} suppressWarnings(write_sas(frame, 'table.sas7bdat'))", "sas7bdat", 2),
]


@pytest.mark.parametrize(("save", "ending", "first"), HAVEN_SAVES)
def test_a_file_when_haven_wrote_it_then_its_values_arrive(
    converter: Converter, tmp_path: Path, save: str, ending: str, first: int
) -> None:
    (tmp_path / "save.R").write_text(HAVEN + save, encoding="utf-8")
    run(tmp_path, "Rscript", "--encoding=UTF-8", "save.R")
    done = converter((tmp_path / f"table.{ending}").read_bytes(), kind=ending)
    assert done.rows == [",".join(row.split(",")[first:]) for row in HAVEN_ROWS]


def test_a_data_frame_when_its_columns_are_of_other_classes_then_as_r_means_them(
    converter: Converter, tmp_path: Path
) -> None:
    script = """
    frame <- data.frame(o = factor(c("b", "a", NA), levels = c("b", "a"), ordered = TRUE))
    frame$day <- structure(c(1L, NA, 3L), class = "Date")
    frame$at <- as.POSIXct(c(0.25, NA, 1), origin = "1970-01-01", tz = "Europe/Berlin")
    frame$span <- as.difftime(c(90, NA, 1.5), units = "mins")
    saveRDS(frame, "table.rds")
    frame$m <- matrix(1:6, 3)
    saveRDS(frame, "matrix.rds")
    """
    (tmp_path / "save.R").write_text(script, encoding="utf-8")
    run(tmp_path, "Rscript", "save.R")
    done = converter((tmp_path / "table.rds").read_bytes(), kind="rds")
    assert "'o' {b,a}" in done.text
    assert done.rows == [
        'b,1970-01-02,"1970-01-01T00:00:00.250Z",PT1H30M0S',
        "a,?,?,?",
        '?,1970-01-04,"1970-01-01T00:00:01.000Z",PT0H1M30S',
    ]
    with pytest.raises(TabularError) as caught:
        converter((tmp_path / "matrix.rds").read_bytes(), kind="rds")
    assert (caught.value.slug, caught.value.column) == ("unusable-type", "m")
