"""The form of API tokens, which scanners for secrets know."""

import re
import zlib
from pathlib import Path

from app.core.api_tokens import DIGITS, PATTERN, checksum, is_whole, new_token

PAGE = (Path(__file__).parents[2] / "docs/security.md").read_text(encoding="utf-8")


def test_token_when_made_then_it_has_the_form_that_scanners_are_told() -> None:
    tokens = {new_token() for _ in range(200)}

    assert len(tokens) == 200
    assert all(re.fullmatch(PATTERN, token) and is_whole(token) for token in tokens)
    assert f"    {PATTERN}\n" in PAGE


def test_checksum_when_computed_then_the_crc_32_in_base_62() -> None:
    body = "0" * 30
    value = 0
    for digit in checksum(body):
        value = value * 62 + DIGITS.index(digit)

    assert value == zlib.crc32(body.encode())
    assert f"openml_{body}{checksum(body)}" in PAGE, "an example for whoever writes a scanner"


def test_text_when_one_character_is_another_then_no_token() -> None:
    token = new_token()

    for place, character in enumerate(token):
        other = "x" if character != "x" else "y"
        assert not is_whole(token[:place] + other + token[place + 1 :]), place
    assert not is_whole(token + "a")
    assert not is_whole(token[:-1])
    assert not is_whole(f" {token}")
