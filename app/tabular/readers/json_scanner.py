"""Incremental parsing of JSON: values one by one, from a file of any length, by the standard library's scanner."""

import codecs
import gc
import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from app.tabular.readers.json_records import RecordColumn, columns_of
from app.tabular.readers.json_values import Number
from app.tabular.readers.text import BLOCK_BYTES, MAX_ROW_BYTES, TextFile
from app.tabular.types import MIB, TabularError
from app.tabular.wording import shortened

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER_TAIL = len("e+")
_RUN_CHARACTERS = BLOCK_BYTES // 8
# What is read by columns: first a little, because what is unlike is seldom far. A column costs as much as some hundred
# values that are read one by one.
_FEWEST_CHARACTERS, _MOST_CHARACTERS = 32 * 1024, MIB
_FEWEST_ROWS = 300
_RUN_VALUES = 256
_NEXT_KEY = re.compile(r'[ \t\r\n]*,[ \t\r\n]*"([^"\\\x00-\x1f]*)"[ \t\r\n]*:[ \t\r\n]*')
_BETWEEN = {sign: re.compile(rf"[ \t\r\n]*{sign}[ \t\r\n]*") for sign in ("", ",")}


class JsonScanner:
    """A JSON text, read value by value through a window that holds at least one value."""

    def __init__(self, text: TextFile) -> None:
        self._stream = text.open()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        decoder: Any = json.JSONDecoder(
            parse_int=str.encode, parse_float=str.encode, parse_constant=_constant, strict=False
        )
        self._scan = decoder.scan_once  # `raw_decode` without its wrapping
        self._window = ""
        self._at = 0
        self._before = 0
        self._lines = 1
        self._is_end = False
        # What was read since a certain place, if somebody wants it.
        self._taken: list[str] | None = None
        self._taken_from = 0

    def watch(self) -> None:
        """Keep what is read from here on, for `taken`."""
        self._taken, self._taken_from = [], self._at

    def taken(self) -> str:
        """Return the text that was read since the last call, or since `watch`."""
        text = "".join([*(self._taken or []), self._window[self._taken_from : self._at]])
        self.watch()
        return text

    def unwatch(self) -> None:
        """Keep no more of what is read."""
        self._taken = None

    def beginning(self) -> str:
        """Return the part of the text from the current position that is in the window."""
        self.peek()
        return self._window[self._at :]

    @property
    def consumed(self) -> int:
        """Return how many characters were read."""
        return self._before + self._at

    def position(self) -> int:
        """Return how many bytes of the file were read."""
        return self._stream.position()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def peek(self) -> str:
        """Return the next character that is not blank, or an empty text at the end."""
        while True:
            found = _SPACE.match(self._window, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._window):
                return self._window[self._at]
            if not self._more():
                return ""

    def take(self, *expected: str) -> str:
        """Consume and return the next character, which must be one of these.

        Raises:
            TabularError: `invalid-json`.
        """
        character = self.peek()
        if character not in expected or not character:
            found = shortened(character) if character else "the end of the file"
            raise self.error(f"Here stands {found} in place of {' or '.join(map(repr, expected))}.")
        self._at += 1
        return character

    def value(self) -> Any:  # noqa: ANN401 - of any type that JSON has
        """Return the next value; numbers as the bytes that spell them.

        Raises:
            TabularError: `invalid-json`, `row-too-long`.
        """
        self.peek()
        stuck = -1
        while True:
            try:
                value, end = self._scan(self._window, self._at)
            except (StopIteration, json.JSONDecodeError) as error:
                position = error.pos if isinstance(error, json.JSONDecodeError) else error.value
                # An error at the same place after more text was read is final, unless a string is still open.
                is_open = isinstance(error, json.JSONDecodeError) and error.msg.startswith("Unterminated")
                is_final = self._before + position == stuck and not is_open
                stuck = self._before + position
                if not is_final and self._more():
                    continue
                at = min(stuck - self._before, len(self._window))
                raise self.error("This is not valid JSON.", at) from None
            except RecursionError:
                raise self.error("Arrays and objects are nested too deeply.") from None
            # A number at the end of the window may continue: `1`, `.5`; `1`, `e+`, `5`.
            stop = self._before + end
            if end < len(self._window) - _NUMBER_TAIL or not self._more():
                self._at = stop - self._before
                return value

    def items(self) -> Iterator[Any]:
        """Yield the values of an array."""
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        while True:
            yield self.value()
            if self.take(",", "]") == "]":
                return

    def members(self) -> Iterator[str]:
        """Yield the keys of an object; the caller reads the values."""
        self.take("{")
        if self.peek() == "}":
            self.take("}")
            return
        while True:
            if self.peek() != '"':
                raise self.error("A key must be a text in double quotes.")
            key: str = self.value()
            self.take(":")
            yield key
            if self.take(",", "}") == "}":
                return

    def pairs(self) -> Iterator[tuple[str, Any]]:
        """Yield the keys and values of an object."""
        for key in self.members():
            yield key, self.value()

    def items_ahead(self) -> Iterator[Any]:
        """Yield the values of an array; what is at hand is read at once, so that nothing else can be in between."""
        for value in self.items():
            yield value
            while run := self.run(",", _RUN_VALUES):
                yield from run

    def pairs_ahead(self) -> Iterator[tuple[str, Any]]:
        """Yield the keys and values of an object, read as `items_ahead` reads."""
        for pair in self.pairs():
            yield pair
            while run := self._run_of_pairs():
                yield from run

    def lines(self) -> Iterator[Any]:
        """Yield values until the end."""
        while self.peek():
            yield self.value()

    def run(self, sign: str, most: int) -> list[Any]:
        """Return the next values of an array, or the next lines, without a call for each: as many as are at hand.

        Args:
            sign: `,` for values of an array, nothing for lines.
            most: how many.
        """
        found = _BETWEEN[sign].match(self._window, self._at)
        between = found[0] if found else ""
        scan, window, at = self._scan, self._window, self._at
        stop = min(len(window) - _NUMBER_TAIL, at + _RUN_CHARACTERS)
        values: list[Any] = []
        while between and len(values) < most and window.startswith(between, at):
            try:
                value, end = scan(window, at + len(between))
            except (StopIteration, json.JSONDecodeError, RecursionError):
                break  # `value` finds out what it is
            if end >= stop:
                break
            values.append(value)
            at = end
        self._at = at
        return values

    def _run_of_pairs(self) -> list[tuple[str, Any]]:
        """Return the next keys and values of an object as `run` does; keys with escapes end it."""
        scan, window, at = self._scan, self._window, self._at
        stop = min(len(window) - _NUMBER_TAIL, at + _RUN_CHARACTERS)
        pairs: list[tuple[str, Any]] = []
        while len(pairs) < _RUN_VALUES and (key := _NEXT_KEY.match(window, at)):
            try:
                value, end = scan(window, key.end())
            except (StopIteration, json.JSONDecodeError, RecursionError):
                break  # `value` finds out what it is
            if end >= stop:
                break
            pairs.append((key[1], value))
            at = end
        self._at = at
        return pairs

    def alike(
        self, sign: str, names: Sequence[str], kinds: Sequence[Collection[type]]
    ) -> Iterator[list[RecordColumn]]:
        """Yield the columns of the next objects, some of these at a time, as long as all are alike.

        Args:
            sign: as in `run`.
            names: the names that each has, in this order; no two are the same.
            kinds: for each name, the types of its values so far.
        """
        if not names or any(str in each and len(each) > 1 for each in kinds):
            return
        are_texts = [str in each for each in kinds]
        most = _FEWEST_CHARACTERS
        while True:
            text, between = self._objects(sign, most)
            rows = text.count("}" + between + "{") + 1
            if not text or rows * _MOST_CHARACTERS < len(text) * _FEWEST_ROWS:
                return
            columns = columns_of(text, between, names, are_texts)
            if columns is None:
                return
            self._at += len(between) + len(text)
            self.watch()
            yield columns
            most = min(most * 8, _MOST_CHARACTERS)

    def _objects(self, sign: str, most: int) -> tuple[str, str]:
        """Return what seem to be the next objects, from brace to brace, and what stands between each two of them."""
        if len(self._window) - self._at < most:
            self._more()
        found = _BETWEEN[sign].match(self._window, self._at)
        if found is None:
            return "", ""
        last = self._window.rfind("}" + found[0] + "{", self._at, self._at + most)
        return self._window[found.end() : last + 1], found[0]

    def has_lines(self) -> bool:
        """Return whether an array or object begins here that another one follows, as far as that is known."""
        self.peek()
        try:
            _, end = self._scan(self._window, self._at)
        except (StopIteration, json.JSONDecodeError, RecursionError):
            return False
        found = _SPACE.match(self._window, end)
        return self._window[found.end() if found else end :][:1] in {"[", "{"}

    def skip(self) -> None:
        """Consume a value of any length."""
        mark = self.peek()
        if mark == "[":
            for _ in self.items():
                pass
        elif mark == "{":
            for _ in self.members():
                self.skip()
        else:
            self.value()

    def error(self, message: str, position: int | None = None) -> TabularError:
        """Return the error about the text at `position` of the window, by default the current one."""
        at = self._at if position is None else position
        line = self._lines + self._window.count("\n", 0, at)
        return TabularError("invalid-json", message, line=line)

    def _more(self) -> bool:
        """Read more of the file into the window; return False at its end."""
        if self._is_end:
            return False
        if len(self._window) - self._at > MAX_ROW_BYTES:
            line = self._lines + self._window.count("\n", 0, self._at)
            message = f"A value is longer than {MAX_ROW_BYTES // MIB} MiB, or it never ends."
            raise TabularError("row-too-long", message, line=line)
        if self._taken is not None:
            self._taken.append(self._window[self._taken_from : self._at])
            self._taken_from = 0
        chunk = self._stream.read(BLOCK_BYTES)
        self._is_end = not chunk
        self._lines += self._window.count("\n", 0, self._at)
        self._window = self._window[self._at :] + self._decoder.decode(chunk, final=self._is_end)
        self._before, self._at = self.consumed, 0
        return not self._is_end


def _constant(name: str) -> Number | None:
    """Take NaN as missing, as pandas does; infinite numbers are refused by the scans."""
    return None if name == "NaN" else name.encode()


@contextmanager
def without_collector() -> Iterator[None]:
    """Disable the cyclic garbage collector for the body: records have no cycles, and it takes half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
