import pytest

from openml_sandbox.getcsv import getcsv


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('"a","b"', ["a", "b"]),
        ("a,b", ["a", "b"]),
        ("a", ["a"]),
        ('"Doe, Jane","b"', ["Doe, Jane", "b"]),
        ('"a""b"', ['a"b']),
        ("a,", ["a", ""]),
        # Seen on the wire: the backslash escapes the quote behind it.
        ('"c\\","d"', ['c\\",d"']),
        ('"c\\"', ['c\\"']),
        # What is escaped may be a backslash; both stay.
        ('"c\\\\","d"', ["c\\\\", "d"]),
        ('"a\\b","d"', ["a\\b", "d"]),
        # Outside quotes nothing is escaped.
        ('c\\,"d"', ["c\\", "d"]),
    ],
)
def test_line_when_split_as_php_does_then_a_backslash_hides_a_quote(text: str, fields: list[str]) -> None:
    assert getcsv(text) == fields
