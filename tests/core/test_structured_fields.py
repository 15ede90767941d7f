"""Structured fields of HTTP headers, by the examples and rules of RFC 9651."""

from decimal import Decimal
from typing import Any

import pytest

from app.core.structured_fields import NotStructuredError, Token, parse_dictionary, parse_item


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("?1", True),
        ("?0", False),
        ("42", 42),
        ("-42", -42),
        ("  5  ", 5),
        ("007", 7),
        ("999999999999999", 999_999_999_999_999),
        ("4.5", Decimal("4.5")),
        ("tok/en", Token("tok/en")),
        ('"a \\"b\\" \\\\"', 'a "b" \\'),
        (":aGVsbG8=:", b"hello"),
        (":aGVsbG8:", b"hello"),
        ("::", b""),
        ("@1659578233", 1_659_578_233),
        ('%"f%c3%bc"', "fü"),
        ("?1;foo", True),
        ('?1;foo=bar;n=1;s="x;y";b=:aa==:', True),
        ("100; a=?0", 100),
    ],
)
def test_item_when_it_is_one_then_its_value_without_parameters(text: str, value: Any) -> None:
    found = parse_item(text)

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "?",
            "?2",
            "?true",
            "1 2",
            "1,2",
            "1;",
            "1;A=1",
            "1 ;a",
            "--1",
            "+1",
            "1.",
            ".5",
            "1.0000",
            "1e3",
        ),
        *(
            "1234567890123456",
            '"open',
            '"tab\t"',
            '"ü"',
            ":a:",
            ":a b:",
            "@1.5",
            '%"%ff"',
            '%"%C3"',
            "\t1",
            "²",
        ),
    ],
)
def test_item_when_it_is_none_then_refused(text: str) -> None:
    with pytest.raises(NotStructuredError):
        parse_item(text)


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("", {}),
        ("a=1, b;x=2 ,\tc=?0", {"a": 1, "b": True, "c": False}),
        ("a=1,a=2", {"a": 2}),
        ("sha-256=:aGVsbG8=:, unixsum=:AA==:;q=1", {"sha-256": b"hello", "unixsum": b"\0"}),
        ('l=(1 2  "x");p=1, e=()', {"l": [1, 2, "x"], "e": []}),
    ],
)
def test_dictionary_when_it_is_one_then_its_members(text: str, members: dict[str, Any]) -> None:
    assert parse_dictionary(text) == members


@pytest.mark.parametrize(
    "text", ["a=1,", "A=1", "a=", "a==1", "a=1 b=2", "a=(1", "a=(1,2)", "=1", "a" * 20_000]
)
def test_dictionary_when_it_is_none_then_refused(text: str) -> None:
    with pytest.raises(NotStructuredError):
        parse_dictionary(text)
