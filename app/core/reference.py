"""The settings as documents: a page of the docs and an example file, both made from the settings themselves."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from app.core.settings import Settings

INTRODUCTION = """# Configuration

Every setting is an environment variable; a file `.env` in the working directory may hold them as well (the
environment wins). `NAME_FILE` names a file that holds the value of `NAME`, for secrets. Names that the Flask backend
had and that still mean something are honoured, and an address with a synchronous driver (`mysql://`,
`mysql+pymysql://`, `sqlite:///`) is taken as its asynchronous one. Names that are not listed here are ignored.

This page is made from the settings: `make docs`.

| Name | Default | Meaning |
|---|---|---|
"""

EXAMPLE = """# Every setting with its default, to be copied to .env. See docs/configuration.md; made by `make docs`.
"""


def as_markdown() -> str:
    """Return docs/configuration.md."""
    rows = (f"| `{name}` | {_default(field)} | {_sentence(field)} |" for name, field in _fields())
    return INTRODUCTION + "\n".join(rows) + "\n"


def as_env_example() -> str:
    """Return .env.example."""
    parts = (f"\n# {field.description}\n#{name}={_value(field)}" for name, field in _fields())
    return EXAMPLE + "\n".join(parts) + "\n"


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    for name, field in Settings.model_fields.items():
        yield name.upper(), field


def _default(field: FieldInfo) -> str:
    value = _value(field)
    return f"`{value}`" if value else "-"


def _value(field: FieldInfo) -> str:
    default: Any = field.default
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    if isinstance(default, bool):
        return str(default).lower()
    return str(default)


def _sentence(field: FieldInfo) -> str:
    choices = [f"`{choice}`" for choice in get_args(field.annotation) if isinstance(choice, str)]
    text = (field.description or "").replace("|", "\\|")
    return f"{text} One of {', '.join(choices)}." if choices else text
