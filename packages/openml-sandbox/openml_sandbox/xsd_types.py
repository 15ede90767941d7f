"""The value types that OpenML's schemas use: what they accept, and how libxml2 words what they do not."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

_CASUAL = r"([a-zA-Z0-9_\-\.\(\),])+"
_CASUAL_OF_RUNS = r"([a-zA-Z0-9_\-\.,\(\):])+"
_CASUAL_OF_FLOWS = r"([a-zA-Z0-9_\-\.,\(\):=])+"
_SYSTEM = r"([a-zA-Z0-9_\-\.])+"
_LATIN = r"\p{IsBasicLatin}*"
_RUN_OR_TASK = r"(run|task)"
# XML Schema's patterns match whole values and have no flags; only \p{...} needs another spelling in Python.
_PYTHON_PATTERNS = {
    text: re.compile(text.replace(r"\p{IsBasicLatin}", r"[\x00-\x7f]"))
    for text in (_CASUAL, _CASUAL_OF_RUNS, _CASUAL_OF_FLOWS, _SYSTEM, _LATIN, _RUN_OR_TASK)
}


@dataclass(frozen=True, slots=True)
class TextType:
    """A restricted string: `shortest` to `longest` characters of one pattern; None: the pattern alone decides."""

    name: str
    pattern: str
    longest: int | None = None
    shortest: int = 1

    def complaints(self, value: str) -> Iterator[str]:
        """Word the facets that the value breaks."""
        if not value and self.longest is not None and self.shortest:
            yield "[facet 'minLength'] The value has a length of '0'; this underruns the allowed minimum length of '1'."
        if self.longest is not None and len(value) > self.longest:
            yield (
                f"[facet 'maxLength'] The value has a length of '{len(value)}'; "
                f"this exceeds the allowed maximum length of '{self.longest}'."
            )
        if not _PYTHON_PATTERNS[self.pattern].fullmatch(value):
            yield f"[facet 'pattern'] The value '{value}' is not accepted by the pattern '{self.pattern}'."

    def xsd(self) -> str:
        """Write the type's definition."""
        lengths = (
            ""
            if self.longest is None
            else f'      <xs:maxLength value="{self.longest}"/>\n      <xs:minLength value="{self.shortest}"/>\n'
        )
        return (
            f'  <xs:simpleType name="{self.name}">\n    <xs:restriction base="xs:string">\n'
            f'      <xs:pattern value="{self.pattern}"/>\n{lengths}    </xs:restriction>\n  </xs:simpleType>\n'
        )


@dataclass(frozen=True, slots=True)
class ChoiceType:
    """One of a few words."""

    name: str
    values: tuple[str, ...]

    def complaints(self, value: str) -> Iterator[str]:
        """Word the complaint about another word."""
        if value not in self.values:
            allowed = ", ".join(f"'{known}'" for known in self.values)
            yield f"[facet 'enumeration'] The value '{value}' is not an element of the set {{{allowed}}}."

    def xsd(self) -> str:
        """Write the type's definition."""
        values = "".join(f'      <xs:enumeration value="{value}"/>\n' for value in self.values)
        return (
            f'  <xs:simpleType name="{self.name}">\n    <xs:restriction base="xs:string">\n'
            f"{values}    </xs:restriction>\n  </xs:simpleType>\n"
        )


@dataclass(frozen=True, slots=True)
class BuiltInType:
    """One of XML Schema's own types."""

    name: str
    accepts: Callable[[str], bool]

    def complaints(self, value: str) -> Iterator[str]:
        """Word the complaint about a value of another kind."""
        if not self.accepts(value):
            yield f"'{value}' is not a valid value of the atomic type '{self.name}'."


_INT_MAX_LENGTH = 1000


def _is_integer(value: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+", value.strip(" \t\r\n")) is not None


def _is_int(value: str) -> bool:
    # Python would refuse thousands of digits, which are too many anyway.
    return _is_integer(value) and len(value) <= _INT_MAX_LENGTH and -(2**31) <= int(value) < 2**31


_DATE_TIME = re.compile(
    r"-?(?!0+-)(\d{4,})-(\d\d)-(\d\d)T(?:24:00:00(?:\.0+)?|(\d\d):(\d\d):(\d\d)(?:\.\d+)?)"
    r"(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d|[+-]14:00)?"
)


def _is_date_time(value: str) -> bool:
    match = _DATE_TIME.fullmatch(value)
    if not match:
        return False
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        # Years have no end here; only their calendar matters.
        return bool(datetime(2000 + year % 400, month, day, hour, minute, second, tzinfo=UTC))
    except ValueError:
        return False


_DOUBLE = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|-?INF|NaN")


def _is_double(value: str) -> bool:
    return _DOUBLE.fullmatch(value.strip(" \t\r\n")) is not None


_CHARACTER = r"(?:[A-Za-z0-9\-._~!$&'()*+,;= ]|%[0-9A-Fa-f]{2})"
_PATH_CHARACTER = rf"(?:{_CHARACTER}|[:@])"
_AUTHORITY = rf"//(?:(?:{_CHARACTER}|:)*@)?(?:\[[^\]]*\]|{_CHARACTER}*)(?::[0-9]+)?"
_SEGMENTS = rf"(?:/{_PATH_CHARACTER}*)*"
_ABSOLUTE_PATH = rf"/(?:{_PATH_CHARACTER}+{_SEGMENTS})?"
_URI_REFERENCE = re.compile(
    rf"(?:[A-Za-z][A-Za-z0-9+.\-]*:(?:{_AUTHORITY}{_SEGMENTS}|{_ABSOLUTE_PATH}|{_PATH_CHARACTER}+{_SEGMENTS})?"
    rf"|{_AUTHORITY}{_SEGMENTS}|{_ABSOLUTE_PATH}|(?:{_CHARACTER}|@)+{_SEGMENTS})?"
    rf"(?:\?(?:{_PATH_CHARACTER}|[/?])*)?(?:#(?:{_PATH_CHARACTER}|[/?\[\]])*)?"
)


def _is_uri(value: str) -> bool:
    # libxml2 lets characters pass that would have to be escaped, so it accepts sentences.
    text = re.sub(r"[^\x20-\x7e]|[<>\"{}|\\^`]", "_", value.strip(" \t\r\n"))
    return _URI_REFERENCE.fullmatch(text) is not None


casual = partial(TextType, pattern=_CASUAL)
latin = partial(TextType, pattern=_LATIN)
CASUAL_64, CASUAL_128, CASUAL_1024 = (casual(f"casual_string{n}", longest=n) for n in (64, 128, 1024))
LATIN_64, LATIN_128, LATIN_256, LATIN_1024, LATIN_4096, LATIN_16384 = (
    latin(f"basic_latin{n}", longest=n) for n in (64, 128, 256, 1024, 4096, 16384)
)
SYSTEM_32, SYSTEM_64 = (TextType(f"system_string{n}", _SYSTEM, n) for n in (32, 64))
SYSTEM_128 = TextType("system_string128", _SYSTEM, 128)
SYSTEM = TextType("system_string", _SYSTEM)
RUN_CASUAL_128, RUN_CASUAL_1024 = (TextType(f"casual_string{n}", _CASUAL_OF_RUNS, n) for n in (128, 1024))
RUN_LATIN_2048 = TextType("basic_latin2048", _LATIN, 2048, shortest=0)
FLOW_CASUAL_64, FLOW_CASUAL_128, FLOW_CASUAL_1024 = (
    TextType(f"casual_string{n}", _CASUAL_OF_FLOWS, n) for n in (64, 128, 1024)
)
ENTITY_TYPE = TextType("entity_type", _RUN_OR_TASK)
VISIBILITY = ChoiceType("access_policy", ("circles", "public", "private"))
STRING = BuiltInType("xs:string", lambda _: True)
INTEGER = BuiltInType("xs:integer", _is_integer)
INT = BuiltInType("xs:int", _is_int)
DATE_TIME = BuiltInType("xs:dateTime", _is_date_time)
URI = BuiltInType("xs:anyURI", _is_uri)
DOUBLE = BuiltInType("xs:double", _is_double)

Type = TextType | ChoiceType | BuiltInType
