"""Cuts lines into tokens as `java.io.StreamTokenizer` does with Weka's tables.

Everything up to the blank, and the comma, is white space (so `a,,b` has two values); `%` starts a comment
anywhere; a quote inside a word ends the word; a quoted value ends at the line end at the latest. Rows that have
nothing but values between commas, as nearly all have, are cut many lines at once.
"""

import re
from typing import Any, NamedTuple

_TOKEN = re.compile(
    rb"'((?:[^'\\]|\\.)*)(?:'|\\?$)"
    rb'|"((?:[^"\\]|\\.)*)(?:"|\\?$)'
    rb"|([{}])"
    rb"|([^\x00-\x20,%'\"{}]+)"
    rb"|(%)",
    re.DOTALL,
)
_SYMBOL, _WORD, _COMMENT = 3, 4, 5
# A quoted value, whose text is the group; without a group up to the line end where its quote is not closed.
_QUOTED = re.compile(
    rb"""['"](?:((?<=')[^'\\\n\r]*+(?:\\[^\n\r][^'\\\n\r]*+)*|(?<=")[^"\\\n\r]*+(?:\\[^\n\r][^"\\\n\r]*+)*)['"]"""
    rb"|[^\n\r]*+)"
)
_QUOTE = b"'"
# What stands in no bare value; the line end ends a row.
_NOT_BARE = bytes({*range(ord(" ") + 1)} - {*b"\n"}) + b"%{}"
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


def cut(block: bytes, width: int) -> list[bytes | None] | None:
    """Cut lines, with no line end behind the last, into the values of all their tokens, row by row.

    Returns:
        `width` values for each line; None where a line may be anything else than that many values between commas.
    """
    # Quoted values are set aside, and a quote stands for each of them meanwhile.
    pieces = _split_at_quotes(block)
    plain, quoted = _QUOTE.join(pieces[::2]), pieces[1::2]
    if None in quoted or len(plain.translate(None, _NOT_BARE)) < len(plain):
        return None
    cells: list[bytes | None] = [*plain.replace(b"\n", b",\n,").split(b",")]
    more_rows = plain.count(b"\n")
    ends = slice(width, None, width + 1)
    if len(cells) != (more_rows + 1) * (width + 1) - 1 or cells[ends].count(b"\n") != more_rows:
        return None
    del cells[ends]
    if b"" in cells or cells.count(_QUOTE) != len(quoted):
        return None
    if b"?" in cells:
        cells = [None if cell == b"?" else cell for cell in cells]
    if quoted:
        texts = map(_unescape, quoted) if b"\\" in block else iter(quoted)
        cells = [next(texts) if cell == _QUOTE else cell for cell in cells]
    return cells


def _split_at_quotes(block: bytes) -> list[bytes | Any]:
    """Return what stands around quoted values, and after each piece of it the next value, None if it is not closed."""
    quote = b'"' if b'"' in block else _QUOTE
    if b"\\" not in block and (quote == _QUOTE or _QUOTE not in block):
        # One kind of quote and no escape: what stands between two of them is a value, or spans lines.
        pieces = block.split(quote)
        texts = b"".join(pieces[1::2])
        if b"\n" not in texts and b"\r" not in texts:
            return pieces
    return _QUOTED.split(block)


def _unescape(text: bytes) -> bytes:
    return _ESCAPE.sub(_unescape_one, text) if b"\\" in text else text


def _unescape_one(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return chr(int(match[1], 8)).encode()
    return _ESCAPED.get(match[2], match[2])
