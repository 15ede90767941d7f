"""Which quotes the readers of ARFF take: texts of every hostile kind in both forms, read by all of them.

The table stands in docs/formats.md, and is compared with what the readers do.
"""

import io
import re
from collections.abc import Callable
from pathlib import Path

import arff
import pyarrow as pa
import pytest

from app.tabular.arff.syntax import unquote
from app.tabular.arff.tokens import tokens
from openml_sandbox.arffcheck import check_arff
from openml_sandbox.tokenizer import tokenize

TEXTS = {
    "a blank": "two words",
    "a comma": "a,b",
    "a percent sign": "5% off",
    "braces": "{x}",
    "an apostrophe": "it's",
    "double quotes": 'say "x"',
    "both": "\"it's\", 'x'",
    "in single quotes": "'x'",
    "in double quotes": '"x"',
    "a backslash": "C:\\dir\\new",
    "a backslash, a quote": "a\\\"b\\'c",
    "a backslash at the end": "C:\\",
    "two of them": "C:\\\\",
    "a tab": "a\tb",
    "a line feed": "a\nb",
    "a carriage return": "a\rb",
    "a control character": "a\x07\x1bb",
    "the character NUL": "a\0b",
    "blanks around": " x ",
    "nothing": "",
    "a question mark": "?",
    "other than ASCII": "Zo\u00eb \u2028\u0085 \U0001f600",
}
HEADER = "@RELATION 'r'\n@ATTRIBUTE 's' STRING\n@ATTRIBUTE 'n' INTEGER\n@DATA\n"
_SINGLE = {"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def in_double_quotes(text: str) -> str:
    written: str = tokens(pa.array([text]))[0].as_py()
    return written


def in_single_quotes(text: str) -> str:
    """As liac-arff writes it, but for percent signs."""
    return "'" + "".join(_SINGLE.get(character, character) for character in text) + "'"


def by_scikit_learn(name: str) -> Callable[[str, Path], object]:
    """Return a reader of scikit-learn's, as `fetch_openml` calls it."""
    types = {"s": {"data_type": "string", "name": "s"}, "n": {"data_type": "integer", "name": "n"}}

    def read(content: str, folder: Path) -> object:  # noqa: ARG001 - the server's check needs a file
        # Not imported by all who collect tests: it takes a tenth of their time.
        from sklearn.datasets import _arff_parser

        parse = getattr(_arff_parser, name)
        frame = parse(io.BytesIO(content.encode()), "pandas", types, ["s", "n"], [])[2]
        return frame.to_numpy().tolist()

    return read


def by_liac_arff(content: str, folder: Path) -> object:  # noqa: ARG001 - the server's check needs a file
    return arff.load(io.StringIO(content, newline="\n"))["data"]


def by_weka(content: str, folder: Path) -> object:  # noqa: ARG001 - the server's check needs a file
    row = [token.value for token in tokenize(content.removeprefix(HEADER).removesuffix("\n").encode())]
    return [[None if value is None else value.decode() for value in row[:1]] + [int(row[1] or "0")]]


def by_the_server(content: str, folder: Path) -> object:
    """The check at the upload keeps nothing: what counts is whether it takes the row."""
    path = folder / "x.arff"
    path.write_text(content, newline="")
    return check_arff(path) is None


READERS: dict[str, Callable[[str, Path], object]] = {
    "scikit-learn, pandas": by_scikit_learn("_pandas_arff_parser"),
    "scikit-learn, liac-arff": by_scikit_learn("_liac_arff_parser"),
    "liac-arff": by_liac_arff,
    "Weka": by_weka,
    "the server": by_the_server,
}


def reads(reader: str, text: str, written: str, folder: Path) -> bool:
    try:
        found = READERS[reader](f"{HEADER}{written},7\n", folder)
    except Exception:  # noqa: BLE001 - whatever a reader raises, it does not read the text
        return False
    return found is True or found == [[text, 7]]


def table_of(folder: Path) -> list[str]:
    """Return the rows of the table: of each text, which readers read it in double and in single quotes."""
    rows = []
    for name, text in TEXTS.items():
        cells = [
            "/".join(
                "yes" if reads(reader, text, form(text), folder) else "no"
                for form in (in_double_quotes, in_single_quotes)
            )
            for reader in READERS
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows


def test_quotes_when_read_by_all_then_the_table_in_the_documentation_is_right(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/formats.md").read_text(encoding="utf-8")
    head = f"| a text with | {' | '.join(READERS)} |"
    assert head in page
    documented = page.split(head)[1].split("\n\n")[0].splitlines()[2:]
    assert documented == table_of(tmp_path)


def test_our_form_when_compared_then_no_reader_but_one_misreads_it_and_none_reads_less(
    tmp_path: Path,
) -> None:
    for row in table_of(tmp_path):
        pandas, *others = re.findall(r"(yes|no)/(yes|no)", row)
        assert all(double == "yes" for double, _ in others), row
        assert pandas[0] == "yes" or pandas[1] == "no", row


@pytest.mark.parametrize("text", TEXTS.values())
def test_a_text_when_written_then_our_own_reader_reads_it_back(text: str) -> None:
    assert unquote(in_double_quotes(text), 1) == text
