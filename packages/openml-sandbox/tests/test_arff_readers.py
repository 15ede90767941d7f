"""The two readers of the server: the gate of an upload, and the engine's Weka."""

import io
import json
from pathlib import Path

import pytest

from openml_sandbox.arffcheck import check_arff
from openml_sandbox.tokenizer import WekaError
from openml_sandbox.weka import Watcher, read_arff

# Files, and what Weka 3.9.7 made of them: "ok attributes rows missing rows-with-missing", or its message.
# A bare "error" stands where Weka crashes and its text is Java's.
VERDICTS: list[tuple[str, str]] = json.loads(Path(__file__).with_name("weka_verdicts.json").read_text())


def read(arff: str) -> str:
    try:
        summary = read_arff(io.BytesIO(arff.encode()), Watcher())
    except WekaError as error:
        return f"error {error}"
    missing = sum(attribute.missing_count for attribute in summary.attributes)
    return f"ok {len(summary.attributes)} {summary.row_count} {missing} {summary.rows_with_missing}"


@pytest.mark.parametrize(("arff", "verdict"), VERDICTS, ids=range(len(VERDICTS)))
def test_engine_when_it_reads_a_file_then_it_says_what_weka_says(arff: str, verdict: str) -> None:
    assert read(arff) == verdict or (verdict == "error" and read(arff).startswith("error"))


@pytest.mark.long
def test_engine_when_a_file_spans_many_blocks_then_counts_and_line_numbers_are_of_the_whole() -> None:
    header = "@relation r\n@attribute n numeric\n@attribute s string\n@data\n"
    plain, quoted = "1,abcdefgh\n", "?,'some text'\n"
    body = plain * 60_000 + quoted * 60_000

    assert read(header + body) == "ok 2 120000 60000 60000"
    assert read(header + body + "x,y\n") == "error number expected, read Token[x], line 120005"


N = "@relation t\n@attribute x numeric\n@data\n"
S = "@relation t\n@attribute s string\n@data\n"
C = "@relation t\n@attribute c {1,2,a}\n@data\n"
SPARSE = "@relation t\n@attribute x numeric\n@attribute c {a,b}\n@attribute s string\n@data\n"


@pytest.mark.parametrize(
    ("arff", "reason"),
    [
        # What the gate takes although other readers would not.
        ("", None),
        ("  \n\t\n% only a comment\n", None),
        ("@RELATION t\r\n@ATTRIBUTE x NUMERIC\r\n@DATA\r\n1\r\n", None),
        (N + "'1'\n", None),
        (N + "'?'\n", None),
        (N + "1e5\n.5\n5.\n+1\n", None),
        (S + "a b\nit's\n'a,b'\n\"x\"\n", None),
        (S + "\0\n", None),
        (C + "1.0\n01\n1e0\n' 2'\n2 \n", None),
        ("@relation t\n@attribute c {a,a,''}\n@data\na\n", None),
        ("@relation t\n@attribute d date\n@attribute b binary\n@data\nwhenever,1\n", None),
        (N + "1\n" + "% c\n" * 999 + "abc\n", None),
        (SPARSE + "{0 1,1 a}\n{1 b}\n{0 ?,0 2,1 a}\n", None),
        ("@relation t\n@attribute a string\n@attribute b string\n@data\n,x\n", None),
        # What it refuses.
        ("@relation\n", "unexpected end of line (l.1)"),
        ("@relation a b\n", "trailing content in @relation line (l.1)"),
        ("@relation 'a'x\n", "missing delimiter (l.1)"),
        ("@relation t\n@attribute a{x,y}\n", "unexpected end of line (l.2)"),
        ("@relation t\n@attribute a%b numeric\n", "unsupported attribute type:  (l.2)"),
        ("@relation t\n@attribute c {a,b\n", "format error in nominal attribute declaration (l.2)"),
        ("@relation t\n@attribute c {a,b} x\n", "trailing content in @attribute line (l.2)"),
        ("@relation t\n@attribute x boolean\n", "unsupported attribute type: boolean (l.2)"),
        ("@relation t\n@attribute x\tnumeric\n", "unexpected end of line (l.2)"),
        ("@relation t\n@data % x\n", "trailing content in @data line (l.2)"),
        ("@relation t\n@end t\n", "unsupported header field: @end (l.2)"),
        (N + "NaN\n", "invalid value for numeric attribute: NaN (l.4)"),
        (N + "inf\n", "invalid value for numeric attribute: inf (l.4)"),
        (N + "0x10\n", "invalid value for numeric attribute: 0x10 (l.4)"),
        (N + "1_000\n", "invalid value for numeric attribute: 1_000 (l.4)"),
        (N + "''\n", "invalid value for numeric attribute:  (l.4)"),
        (N + "1 % c\n", "trailing characters on data line  (l.4)"),
        (N + "{0.5}\n", "unexpected end of line (l.4)"),
        (S + "'end\\\\'\n", "missing trailing quote in string (l.4)"),
        (S + "'it''s'\n", "missing delimiter (l.4)"),
        (S + "'open\n", "missing trailing quote in string (l.4)"),
        (S + "a%b\n", "trailing characters on data line  (l.4)"),
        (
            "@relation t\n@attribute a string\n@attribute b string\n@data\nx,\n",
            "unexpected end of line (l.5)",
        ),
        (C + "A\n", "invalid value for nominal attribute: A (l.4)"),
        (C + "3\n", "invalid value for nominal attribute: 3 (l.4)"),
        (N + "1\n{0 1}\n", "mixing dense and sparse data lines is invalid"),
        (N + "{0 1}\n1\n", "mixing dense and sparse data lines is invalid"),
        (N + "{}\n", "trailing characters on data line  (l.4)"),
        (N + "{1 1}\n", "invalid feature index: 1 (l.4)"),
        (N + "{0 1\n", "closing brace missing in sparse data line  (l.4)"),
        (
            SPARSE + "{0 1}\n",
            "at least one string, date, or nominal feature value is missing; this is disallowed",
        ),
        (SPARSE + "{1 a,2 x}\n", "at least one string"),
    ],
)
def test_gate_when_it_checks_a_file_then_it_says_what_the_server_says(
    tmp_path: Path, arff: str, reason: str | None
) -> None:
    path = tmp_path / "file.arff"
    path.write_bytes(arff.encode())
    found = check_arff(path)

    if reason is None or found is None:
        assert found is reason
    else:
        assert found.startswith(reason)
