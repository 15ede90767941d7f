"""Which encoding a text without a mark has, judged by how much its words look like words."""

# ruff: noqa: RUF001 - letters of many alphabets

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

CANDIDATES = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "iso8859-2", "koi8-r", "mac-roman", "cp850", "cp866",
    "gb18030", "big5", "shift_jis", "euc_kr", "euc_jp",
)  # fmt: skip
"""Encodings that are considered, the commonest first."""
_MOST_CELLS, _LONGEST_CELL = 2_000, 200
_OUTSIDE_ASCII = re.compile(rb"[\x80-\xff]")
_DELIMITER = re.compile(rb'[,;\t\r\n"]')
_CLOSE, _CLOSE_IF_SECONDED = 0.3, 0.1
"""How near another encoding may come to the best one without a doubt; nearer if the library agrees."""
_FEWEST_SIGNS, _CLOSE_FOR_FEW = 3, 1.5
_POOR = 0.7
_BEFORE_NUL = 4096

_LETTERS = re.compile(r"[^\W\d_µªº]+(?:['\u2019][^\W\d_µªº]+)*")
_USUAL_SIGNS = frozenset(
    "€£¥©®°–—“”„‘’‚…•«»‹›¿¡§µ±×÷½¼¾™²³ºª·№\u00a0\u3000、。，（）：；！？「」『』・ー％～“”《》【】"
)
_RARE_LETTERS = frozenset("ÿþðýÞÐÝŸĺŕŔĹđţŢąƒıßŞşğĞ")
_SPOILT = re.compile("[ÃÂÐÑ][\u0080-\u00bf\u2000-\u2122\u0152-\u0192\u02c6\u02dc]|â€")
_VOWELS = frozenset("aeiouyøæœıаеёиоуыэюяіїєαεηιουω")
_ALPHABETS = tuple(
    map(
        frozenset,
        (
            "àâæçèéêëîïôœùûüÿ", "äöüßéèà", "áéíñóúüª", "àáâãçéêíóôõúü", "àèéìíîòóùú", "áèéëïóöü", "åäöæøéü",
            "áéíóúýþæöð", "ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţșț", "čćđšž",
            "çğıöşüâîi̇",
            "àçèéíïòóúü", "õäöüšž",
        ),
    )
)  # fmt: skip
"""What the Latin alphabets of languages have beside ASCII."""
_KANA = ("HIRAGANA", "KATAKANA")
_CHINESE = {
    "gb18030": ("gb2312", 0xD7),
    "big5": ("big5", 0xC6),
    "shift_jis": ("shift_jis", 0x97),
    "euc_jp": ("euc_jp", 0xCF),
}
"""Encodings that have common characters first, and the last first byte of those."""


@dataclass(frozen=True, slots=True)
class Guess:
    """An encoding, and cells as they read in it.

    Attributes:
        encoding: as in `app.tabular.reading.ENCODINGS`.
        cells: cells outside ASCII.
        penalty: how little they look like words, by letter.
    """

    encoding: str
    cells: tuple[str, ...]
    penalty: float


def wide_encoding(start: bytes) -> str | None:
    """Return UTF-16 or UTF-32 if that is what a text begins in, without a mark: each line end has NULs beside it."""
    some = start[: _BEFORE_NUL - _BEFORE_NUL % 4]
    some = some[: len(some) - len(some) % 4] or some
    for name, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        try:
            text = some[: len(some) - len(some) % width].decode(name)
        except UnicodeDecodeError:
            continue
        if text and "\0" not in text and all(sign.isprintable() or sign in "\t\r\n" for sign in text):
            ascii_share = sum(sign.isascii() for sign in text) / len(text)
            if ascii_share > 0.1:  # noqa: PLR2004 - digits and delimiters; other bytes read so have next to none
                return name
    return None


def cells_outside_ascii(chunks: Iterable[bytes]) -> list[bytes]:
    """Return different cells that are not ASCII, as many as the encoding is judged by."""
    found: dict[bytes, None] = {}
    for chunk in chunks:
        for cell in _cells_outside_ascii(chunk):
            found[cell] = None
            if len(found) >= _MOST_CELLS:
                return list(found)
    return list(found)


def _cells_outside_ascii(chunk: bytes) -> Iterator[bytes]:
    """Yield the cells that are not ASCII and not too long; what touches the end may be half a character."""
    at = 0
    # One expression for whole cells would try each byte of the others as a beginning.
    while first := _OUTSIDE_ASCII.search(chunk, at):
        end = _DELIMITER.search(chunk, first.end())
        if end is None:
            return
        before = chunk[max(at, first.start() - _LONGEST_CELL) : first.start()]
        at = end.start()
        cell = _DELIMITER.split(before)[-1] + chunk[first.start() : at]
        if len(cell) <= _LONGEST_CELL:
            yield cell


def guesses(cells: Sequence[bytes]) -> list[Guess]:
    """Return the encodings that cells may have, the likeliest first; those that read them alike are one."""
    found: dict[tuple[str, ...], Guess] = {}
    for encoding in CANDIDATES:
        try:
            texts = tuple(cell.decode(encoding) for cell in cells)
        except UnicodeDecodeError:
            continue
        found.setdefault(texts, Guess(encoding, texts, _penalty(texts, encoding)))
    return sorted(found.values(), key=lambda guess: guess.penalty)


def likely(cells: Sequence[bytes]) -> list[Guess]:
    """Return the likeliest encoding of cells, and those that are nearly as likely; if it stands alone, it is sure."""
    ranked = guesses(cells)
    if len(ranked) < 2:  # noqa: PLR2004 - nothing to choose from
        return ranked
    best = ranked[0]
    if sum(not sign.isascii() for cell in best.cells for sign in cell) < _FEWEST_SIGNS:
        margin = _CLOSE_FOR_FEW
    else:
        margin = _CLOSE_IF_SECONDED if _library_reads(cells) == best.cells else _CLOSE
    return [guess for guess in ranked if guess.penalty <= best.penalty + margin or best.penalty > _POOR]


def _library_reads(cells: Sequence[bytes]) -> tuple[str, ...]:
    """Return the cells in the encoding that charset-normalizer finds."""
    from charset_normalizer import from_bytes  # noqa: PLC0415 - only for what is not UTF-8: it takes long

    best = from_bytes(b"\n".join(cells)).best()
    try:
        return tuple(cell.decode(best.encoding) for cell in cells) if best else ()
    except UnicodeDecodeError:
        return ()


def _penalty(texts: Sequence[str], encoding: str) -> float:
    total, letters = 0.0, 0
    for text in texts:
        total += _of_signs(text)
        for word in _LETTERS.findall(text):
            outside = sum(not sign.isascii() for sign in word)
            if outside:
                letters += outside
                total += _of_word(word, outside, encoding)
        letters += sum(not sign.isascii() and not sign.isalpha() for sign in text)
    return total / max(letters, 1) + _of_alphabet("".join(texts))


def _of_alphabet(text: str) -> float:
    """Return the penalty for combinations of Latin letters that no language has."""
    found = {sign for sign in text.lower() if not sign.isascii() and _script(sign) == "LATIN"} - {"ª", "º"}
    return 0.0 if not found or any(found <= letters for letters in _ALPHABETS) else 0.35


def _of_signs(text: str) -> float:
    """Return the penalty for characters that are not letters."""
    total = 0.0
    for at, sign in enumerate(text):
        if sign.isascii() or (sign.isalpha() and sign not in _USUAL_SIGNS):
            continue
        before, after = text[at - 1 : at], text[at + 1 : at + 2]
        if unicodedata.category(sign)[0] == "C":
            total += 5
        elif before.isalpha() and after.isalpha() and sign not in "’‘·–—\u00a0、。・ー，：°µ":
            total += 2
        elif sign not in _USUAL_SIGNS or (before and not before.isascii() and not before.isalpha()):
            total += 1
    return total


def _of_word(word: str, outside: int, encoding: str) -> float:
    scripts = {_script(sign) for sign in word if not sign.isascii() and sign.isalpha()}
    is_latin = any(sign.isascii() for sign in word)
    if scripts & {"CJK", "HANGUL", *_KANA}:
        return _of_ideographs(word, scripts, encoding, is_latin=is_latin)
    total = 3.0 * (len(scripts | ({"LATIN"} if is_latin else set())) > 1)
    if scripts == {"LATIN"} and len(word) > 2 and outside > len(word) / 2:  # noqa: PLR2004 - a syllable
        total += 3
    total += 2.0 * _has_odd_case(word)
    total += _of_sounds(word)
    return total + sum(0.3 for sign in word if sign in _RARE_LETTERS)


def _of_ideographs(word: str, scripts: set[str], encoding: str, *, is_latin: bool) -> float:
    # One ideograph beside a number or a blank is more often a unit in a smaller alphabet.
    total = 0.3 * (len(word) == 1)
    total += 2.0 * is_latin * len(word) * (word[:1].isascii() and word[-1:].isascii())
    total += 3.0 * len(scripts - {"CJK", "HANGUL", *_KANA})
    for sign in word:
        script = _script(sign)
        if "\uff61" <= sign <= "\uff9f":
            total += 1
        elif script == "CJK":
            total += _of_ideograph(sign, encoding)
    if encoding in {"shift_jis", "euc_jp"} and not scripts & set(_KANA):
        total += 0.15 * len(word)
    return total


def _of_ideograph(sign: str, encoding: str) -> float:
    if encoding == "euc_kr":
        return 0.7
    codec, last = _CHINESE.get(encoding, ("gb2312", 0xD7))
    try:
        return 0.0 if sign.encode(codec)[0] <= last else 0.5
    except UnicodeEncodeError:
        return 1.0


@lru_cache(maxsize=4096)
def _script(sign: str) -> str:
    return unicodedata.name(sign, "NONE").split(" ")[0].split("-")[0].replace("FULLWIDTH", "LATIN")


def _has_odd_case(word: str) -> bool:
    """Return whether capitals stand where no word has them, and not only those of ASCII."""
    rest = word[1:]
    if word.isupper() or not any(sign.isupper() for sign in rest):
        return False
    odd = [sign for sign in rest if sign.isupper()]
    lower = [sign for sign in word if sign.islower()]
    return any(not sign.isascii() for sign in odd) or (
        all(not sign.isascii() for sign in lower) and len(odd) > 1
    )


def _of_sounds(word: str) -> float:
    """Return the penalty for runs of vowels or consonants that hold letters outside ASCII."""
    plain = [
        (unicodedata.normalize("NFD", sign)[0].lower() in _VOWELS, sign.isascii())
        for sign in word
        if sign.isalpha()
    ]
    total, start = 0.0, 0
    for at in range(1, len(plain) + 1):
        if at < len(plain) and plain[at][0] == plain[start][0]:
            continue
        run = plain[start:at]
        if len(run) > (2 if run[0][0] else 3) and not all(is_ascii for _, is_ascii in run):
            total += 1
        start = at
    if len(plain) > 2 and not any(is_vowel for is_vowel, _ in plain):  # noqa: PLR2004 - a syllable
        total += 1.5
    elif len(plain) == 2 and not any(is_vowel for is_vowel, _ in plain):  # noqa: PLR2004 - as above
        total += 0.5
    return total


def words_that_differ(near: Sequence[Guess], most: int = 3) -> list[tuple[str, list[str]]]:
    """Return each encoding with some cells that read differently in others."""
    places = [
        at for at, same in enumerate(zip(*(guess.cells for guess in near), strict=True)) if len(set(same)) > 1
    ]
    return [(guess.encoding, [guess.cells[at] for at in places[:most]]) for guess in near]


def is_partly_utf8(cells: Iterable[bytes]) -> bool:
    """Return whether some of the cells are UTF-8, and would be decoded wrongly in the encoding of the others."""
    for cell in cells:
        try:
            cell.decode()
        except UnicodeDecodeError:
            continue
        if _SPOILT.search(cell.decode("cp1252", errors="replace")):
            return True
    return False
