"""What OpenML takes: API keys, names, and what describes a dataset; and texts repaired until it takes them."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import (
    AfterValidator,
    AnyUrl,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)

from app.core.ascii import text_in_ascii
from app.core.errors import ValidationFailedError

API_KEY = re.compile(r"[0-9a-fA-F]{32}")
"""OpenML pastes the key into SQL text: nothing else may be sent."""
NAME = re.compile(r"[a-zA-Z0-9_\-.(),]+")
NAME_RULE = "Use only the letters a-z and A-Z, digits, and _ - . ( ) , without spaces (OpenML's rule)."
NOT_PLAIN = re.compile(r"[^\t\r\n -~]")
LONGEST_TEXT = 65_536
"""Characters of any text, before it is looked at further: four times what the longest field takes."""
IGNORE_LENGTH = 128
"""OpenML keeps all ignored columns in one cell of 128 characters, as `"a","b"`, and cuts what is longer."""


def is_api_key(text: str | None) -> bool:
    """Return whether `text` has the format of an API key."""
    return text is not None and API_KEY.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Return whether OpenML accepts the text as a name, whatever its length."""
    return NAME.fullmatch(text) is not None


def none_if_empty(value: object) -> object:
    """Take the SPA's `""` and `false` (a select that nobody touched) as "not given"."""
    return None if value in ("", False) else value


def _printable_ascii(value: str, info: ValidationInfo) -> str:
    """Return a text of plain ASCII; another one is written so, where that may be and there is one way to do it."""
    if not value.isascii():
        plain = text_in_ascii(value)
        if plain.isascii() and tell(
            info,
            "The text of {field} is published in plain ASCII.",
            "OpenML takes no other characters there.",
        ):
            value = plain
    if odd := NOT_PLAIN.search(value):
        raise ValueError(
            f"OpenML takes plain ASCII text here; character {odd.start() + 1} is {odd[0]!r}. Write it otherwise."
        )
    return value


def _in_openml_alphabet(value: str) -> str:
    if not is_name(value):
        raise ValueError(NAME_RULE)
    return value


def _without_quotes(value: str) -> str:
    if '"' in value:
        raise ValueError('OpenML cannot keep the character " in a name; leave it out.')
    return value


def _no_escape_at_the_end(value: str, info: ValidationInfo) -> str:
    """Return a name that PHP's getcsv takes for one: a backslash at its end escapes the quote behind it.

    Two of them are one that escapes the other, and stay.
    """
    kept = value.rstrip("\\")
    if (len(value) - len(kept)) % 2 == 0:
        return value
    kept = value[:-1]
    if kept.strip() and tell(
        info,
        "A backslash at the end of a name in {field} is left out.",
        "OpenML would take that name and the next one for one person.",
    ):
        return kept
    raise ValueError("OpenML cannot keep a backslash at the end of a name; leave it out.")


def _readable_back(value: str) -> str:
    for character, instead in {"&": "and", "<": "less than"}.items():
        if character in value:
            raise ValueError(
                f"OpenML could not show a collection with the character {character} in its texts (it does not "
                f'escape them, and nobody could read the list of collections any more). Write e.g. "{instead}".'
            )
    return value


def _seen_by_php(value: str) -> str:
    if value == "0":
        raise ValueError("OpenML's server takes 0 for no tag at all; choose another.")
    return value


Optional = BeforeValidator(none_if_empty)
Ascii = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_TEXT), AfterValidator(_printable_ascii)
]
Ascii64 = Annotated[Ascii, StringConstraints(max_length=64)]
Ascii128 = Annotated[Ascii, StringConstraints(max_length=128)]
Ascii1024 = Annotated[Ascii, StringConstraints(max_length=1024)]
Ascii16384 = Annotated[Ascii, StringConstraints(max_length=16384)]
Name128 = Annotated[str, StringConstraints(max_length=128), AfterValidator(_in_openml_alphabet)]
Name1024 = Annotated[str, StringConstraints(max_length=1024), AfterValidator(_in_openml_alphabet)]
Url = Annotated[
    str,
    StringConstraints(max_length=LONGEST_TEXT),
    AfterValidator(lambda value: str(AnyUrl(value))),
    AfterValidator(_printable_ascii),
]
Person = Annotated[Ascii128, AfterValidator(_without_quotes), AfterValidator(_no_escape_at_the_end)]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._\-]{1,64}$"), AfterValidator(_seen_by_php)]
StudyText = AfterValidator(_readable_back)


class Licence(NamedTuple):
    """A licence: what OpenML shows, its SPDX identifier where it has one, and where its text is."""

    name: str
    spdx: str | None
    url: str | None


_CREATIVE_COMMONS = "https://creativecommons.org/licenses"

LICENCES = (
    Licence("Public Domain (CC0)", "CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    Licence("Publicly available", None, None),
    Licence("Attribution (CC BY)", "CC-BY-4.0", f"{_CREATIVE_COMMONS}/by/4.0/"),
    Licence("Attribution-ShareAlike (CC BY-SA)", "CC-BY-SA-4.0", f"{_CREATIVE_COMMONS}/by-sa/4.0/"),
    Licence("Attribution-NoDerivs (CC BY-ND)", "CC-BY-ND-4.0", f"{_CREATIVE_COMMONS}/by-nd/4.0/"),
    Licence("Attribution-NonCommercial (CC BY-NC)", "CC-BY-NC-4.0", f"{_CREATIVE_COMMONS}/by-nc/4.0/"),
    Licence(
        "Attribution-NonCommercial-ShareAlike (CC BY-NC-SA)",
        "CC-BY-NC-SA-4.0",
        f"{_CREATIVE_COMMONS}/by-nc-sa/4.0/",
    ),
    Licence(
        "Attribution-NonCommercial-NoDerivs (CC BY-NC-ND)",
        "CC-BY-NC-ND-4.0",
        f"{_CREATIVE_COMMONS}/by-nc-nd/4.0/",
    ),
    Licence("PDDL 1.0", "PDDL-1.0", "https://opendatacommons.org/licenses/pddl/1-0/"),
    Licence("ODC-By 1.0", "ODC-By-1.0", "https://opendatacommons.org/licenses/by/1-0/"),
    Licence("ODbL 1.0", "ODbL-1.0", "https://opendatacommons.org/licenses/odbl/1-0/"),
    Licence("MIT", "MIT", "https://opensource.org/license/mit"),
    Licence("Apache 2.0", "Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
)


DESCRIPTION_LENGTH = 16_384
CHANGES = "\n\nChanged for OpenML:"
"""What stands in a description above what was changed of the table."""


def require_ignorable(names: Collection[str]) -> None:
    """Return if OpenML can keep all these columns as ignored ones.

    Raises:
        ValueError: their names are too long together.
    """
    if sum(map(len, names)) + 3 * len(names) - 1 > IGNORE_LENGTH:
        raise ValueError(
            f"OpenML keeps at most {IGNORE_LENGTH} characters for all ignored columns together "
            "(their names, plus 3 for each). Ignore fewer, or give them shorter names."
        )


def with_changes(description: str, repairs: Collection[Mapping[str, str]]) -> str:
    """Return the description with what was changed at its end, in ASCII, as much of it as there is room for."""
    room = DESCRIPTION_LENGTH - len(description) - len(CHANGES) - 40
    lines: list[str] = []
    for told, repair in enumerate(repairs):
        line = "\n- " + "".join(
            each if each.isascii() else f"(U+{ord(each):04X})" for each in repair["change"]
        )
        room -= len(line)
        if room < 0:
            lines.append(f"\n- and {len(repairs) - told} more")
            break
        lines.append(line)
    return f"{description}{CHANGES}{''.join(lines)}" if lines else description


M = TypeVar("M", bound=BaseModel)
_REPAIRS, _FIELD = "repairs", "field"


class RepairResponse(BaseModel):
    """One change that was made so that OpenML can take it; of an upload it stands in the description as well."""

    column: str = Field(description="The column, by its published name; empty where it is none.")
    change: str
    reason: str


class Repairs:
    """Collects the changes of a description's texts; each change of a field is kept once."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], dict[str, str]] = {}

    def add(self, change: str, reason: str) -> None:
        """Note a change."""
        self._made[change, reason] = {"column": "", "change": change, "reason": reason}

    def records(self) -> list[dict[str, str]]:
        """Return the changes as the rows of uploads keep them."""
        return list(self._made.values())

    def sentences(self) -> list[str]:
        """Return the changes for people."""
        return [f"{made['change']} {made['reason']}" for made in self._made.values()]


def validated(kind: type[M], document: Mapping[str, Any], repairs: Repairs | None) -> M:
    """Return the document as a model, repaired where that is wanted.

    Raises:
        ValidationFailedError: some field is not what OpenML takes.
    """
    try:
        return kind.model_validate(dict(document), context={_REPAIRS: repairs})
    except ValidationError as error:
        raise ValidationFailedError.from_pydantic(
            error.errors(include_input=False, include_url=False)
        ) from None


def validated_text(kind: TypeAdapter[str], field: str, value: object, repairs: Repairs | None) -> str:
    """Return one text, repaired where that is wanted; `field` is what its author calls it.

    Raises:
        ValueError: it is not what OpenML takes; the text says what to change.
    """
    try:
        return kind.validate_python(value, context={_REPAIRS: repairs, _FIELD: field})
    except ValidationError as error:
        message = str(error.errors(include_input=False)[0]["msg"])
        raise ValueError(message.removeprefix("Value error, ")) from None


def tell(info: ValidationInfo, change: str, reason: str) -> bool:
    """Note a change of the value that is being validated; False if it must not be changed.

    In `change`, `{field}` stands for the field's name.
    """
    context: Mapping[str, Any] = info.context or {}
    repairs: Repairs | None = context.get(_REPAIRS)
    if repairs is None:
        return False
    repairs.add(change.format(field=info.field_name or context.get(_FIELD, "")), reason)
    return True
