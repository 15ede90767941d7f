"""The header of an ARFF file, read as Weka's `ArffLoader` does."""

from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from openml_sandbox.tokenizer import CLOSE, END, OPEN, Token, WekaError, error_at, tokenize
from openml_sandbox.weka_values import JAVA_DOUBLE, Attribute


class Lines:
    """The lines of the header, as tokens; empty ones are left out."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = 0
        self.end_number = 1

    def __iter__(self) -> Iterator[list[Token]]:
        while line := self._file.readline():
            self.number += 1
            self.end_number += line.endswith(b"\n")
            if tokens := tokenize(line.rstrip(b"\r\n")):
                yield tokens


class Header:
    """Reads the lines down to `@data`."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def read(self) -> list[Attribute]:
        """Return the columns in their order.

        Raises:
            WekaError: Weka refuses the header.
        """
        lines = iter(self._lines)
        first = next(lines, None)
        if first is None:
            raise self._end_of_file()
        if not _is_keyword(first[0], b"@relation"):
            raise self._failure("keyword @relation expected", first[0])
        self._get(first, 1)
        self._expect_end(first, 2)
        attributes: list[Attribute] = []
        for tokens in lines:
            if not _is_keyword(tokens[0], b"@attribute"):
                return self._finish(tokens[0], attributes)
            attributes.append(self._attribute(tokens))
        raise self._end_of_file()

    def _finish(self, token: Token, attributes: list[Attribute]) -> list[Attribute]:
        if not _is_keyword(token, b"@data"):
            raise self._failure("keyword @data expected", token)
        if not attributes:
            raise self._failure("no attributes declared", token)
        counts = Counter(attribute.name.decode(errors="replace") for attribute in attributes)
        repeated = sorted(name for name, count in counts.items() if count > 1)
        if repeated:
            causes = " ".join(f"'{name}'" for name in repeated)
            raise WekaError(f"Attribute names are not unique! Causes: {causes} ")
        return attributes

    def _attribute(self, tokens: list[Token]) -> Attribute:
        name = self._get(tokens, 1).text
        kind = self._get(tokens, 2)
        if kind.is_symbol or kind.value is None:
            return Attribute(name, "nominal", self._labels(tokens, name))
        match kind.text.lower():
            case b"real" | b"integer" | b"numeric":
                return Attribute(name, "numeric")
            case b"string":
                return Attribute(name, "string")
            case b"date":
                return Attribute(name, "date")
            case _:
                raise self._failure("no valid attribute type or invalid enumeration", kind)

    def _labels(self, tokens: list[Token], name: bytes) -> dict[bytes, None]:
        if tokens[2] != OPEN:
            raise self._failure("{ expected at beginning of enumeration", tokens[2])
        try:
            end = tokens.index(CLOSE, 3)
        except ValueError:
            raise self._failure("} expected at end of enumeration", END) from None
        # An attribute may have a weight, as a row may.
        self._expect_end(after_weight(tokens[end + 1 :], self._lines.number), 0)
        if OPEN in tokens[3:end]:
            raise self._failure("nominal value expected", OPEN)
        labels: dict[bytes, None] = {}
        for token in tokens[3:end]:
            if token.text in labels:
                shown = name.decode(errors="replace")
                raise WekaError(
                    f"A nominal attribute ({shown}) cannot have duplicate labels ({token.shown})."
                )
            labels[token.text] = None
        return labels

    def _get(self, tokens: list[Token], index: int) -> Token:
        if index >= len(tokens):
            raise self._failure("premature end of line", END)
        return tokens[index]

    def _expect_end(self, tokens: list[Token], index: int) -> None:
        if index < len(tokens):
            raise self._failure("end of line expected", tokens[index])

    def _end_of_file(self) -> WekaError:
        return error_at("premature end of file", Token(b"EOF"), self._lines.end_number)

    def _failure(self, message: str, token: Token) -> WekaError:
        return error_at(message, token, self._lines.number)


def _is_keyword(token: Token, keyword: bytes) -> bool:
    return not token.is_symbol and token.text.lower() == keyword


def after_weight(tokens: list[Token], line: int) -> list[Token]:
    """Drop what Weka takes for an instance weight: `{number}`, or any one token that is none."""
    if not tokens or tokens[0] != OPEN:
        return tokens[1:]
    if len(tokens) == 1 or tokens[1].is_symbol or not JAVA_DOUBLE.fullmatch(tokens[1].text):
        return tokens[2:]
    rest = [*tokens[2:], END]
    if rest[0] != CLOSE:
        raise error_at("Problem reading instance weight: } expected", rest[0], line)
    if rest[1] is not END:
        raise error_at("end of line expected", rest[1], line)
    return []
