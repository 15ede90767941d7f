"""Cuts lines into tokens as `java.io.StreamTokenizer` does with Weka's tables.

Everything up to the blank, and the comma, is white space (so `a,,b` has two values); `%` starts a comment
anywhere; a quote inside a word ends the word; a quoted value ends at the line end at the latest.
"""

import re
from typing import NamedTuple

_TOKEN = re.compile(
    rb"'((?:[^'\\]|\\.)*)(?:'|\\?$)"
    rb'|"((?:[^"\\]|\\.)*)(?:"|\\?$)'
    rb"|([{}])"
    rb"|([^\x00-\x20,%'\"{}]+)"
    rb"|(%)",
    re.DOTALL,
)
_SYMBOL, _WORD, _COMMENT = 3, 4, 5
_ESCAPE = re.compile(rb"\\(?:([0-3][0-7]{0,2}|[4-7][0-7]?)|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"a": b"\a", b"v": b"\v"}


class WekaError(Exception):
    """The file is not what Weka calls ARFF; the text is Weka's."""


class Token(NamedTuple):
    """A word, a quoted value or a brace."""

    text: bytes
    is_symbol: bool = False
    is_bare: bool = False

    @property
    def value(self) -> bytes | None:
        """The value that it stands for; None is a missing one, a bare `?`."""
        return None if self.is_bare and self.text == b"?" else self.text

    @property
    def shown(self) -> str:
        """How Java prints it in a message."""
        if self.is_symbol or self.value is None:
            return f"'{self.text.decode()}'"
        return self.text.decode(errors="replace")


END = Token(b"EOL")
OPEN = Token(b"{", is_symbol=True)
CLOSE = Token(b"}", is_symbol=True)


def error_at(message: str, token: Token, line: int) -> WekaError:
    """Word an error as Weka does."""
    # The tokenizer has counted a line end when it returns it.
    line += token is END
    return WekaError(f"{message}, read Token[{token.shown}], line {line}")


def tokenize(line: bytes) -> list[Token]:
    """Cut one line, without its end."""
    tokens = []
    for match in _TOKEN.finditer(line):
        kind = match.lastindex
        if kind == _COMMENT:
            break
        text = match[kind or 0]
        if kind == _SYMBOL:
            tokens.append(Token(text, is_symbol=True))
        elif kind == _WORD:
            tokens.append(Token(text, is_bare=True))
        else:
            tokens.append(Token(_unescape(text)))
    return tokens


def _unescape(text: bytes) -> bytes:
    return _ESCAPE.sub(_unescape_one, text) if b"\\" in text else text


def _unescape_one(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return chr(int(match[1], 8)).encode()
    return _ESCAPED.get(match[2], match[2])
