"""The settings as documents: a page of the docs and an example file, both made from the settings themselves."""

from collections.abc import Callable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from app.core.removed_settings import REMOVED
from app.core.setting_groups import EverybodysSettings, LargerSitesSettings, RareSettings
from app.core.timings import Timings

INTRODUCTION = """# Configuration

Every setting is an environment variable; a file `.env` in the working directory may hold them as well (the
environment wins). `NAME_FILE` names a file that holds the value of `NAME`, for secrets. Names that the Flask backend
had and that still mean something are honoured, and an address with a synchronous driver (`mysql://`,
`mysql+pymysql://`, `sqlite:///`) is taken as its asynchronous one. `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are
heeded as other programs heed them ([deploy.md](deploy.md)). Names that are not listed here are ignored.

This page is made from the settings: `make docs`.
"""
GROUPS: Mapping[str, type[BaseSettings]] = {
    "Everybody": EverybodysSettings,
    "Larger sites": LargerSitesSettings,
    "Rarely": RareSettings,
}
"""Who needs the settings of each class of `app.core.setting_groups`."""
HEAD = """
| Name | Default | Meaning |
|---|---|---|
"""
TIMINGS = """
## Timings

What `TIMINGS` can change, each with its unit at the end of its name. They fit most sites as they are: shorter ones give
up where a slow server would have answered, longer ones keep people waiting for one that is gone.

| Name | Default | Meaning |
|---|---|---|
"""
NO_SETTINGS = """
## No settings any more

Whoever still sets one of these is told so by a line when the service starts.

| Name | What holds |
|---|---|
"""

EXAMPLE = """# Every setting with its default, to be copied to .env. See docs/configuration.md; made by `make docs`.
"""


def as_markdown() -> str:
    """Return docs/configuration.md."""
    tables = (f"\n## {title}\n{HEAD}{_rows(group)}" for title, group in GROUPS.items())
    removed = (f"| `{name}` | {holds} |\n" for name, holds in REMOVED.items())
    return INTRODUCTION + "".join(tables) + TIMINGS + _rows(Timings, str) + NO_SETTINGS + "".join(removed)


def as_env_example() -> str:
    """Return .env.example."""
    parts = (
        f"\n# --- {title}\n"
        + "".join(
            f"\n# {field.description}\n#{name.upper()}={_value(field)}\n"
            for name, field in group.model_fields.items()
        )
        for title, group in GROUPS.items()
    )
    return EXAMPLE + "".join(parts)


def _rows(group: type[BaseModel], spell: Callable[[str], str] = str.upper) -> str:
    rows = (
        f"| `{spell(name)}` | {_default(field)} | {_sentence(field)} |\n"
        for name, field in group.model_fields.items()
    )
    return "".join(rows)


def _default(field: FieldInfo) -> str:
    value = _value(field)
    return f"`{value}`" if value else "-"


def _value(field: FieldInfo) -> str:
    default: Any = field.default
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    if isinstance(default, Timings):
        return "{}"
    if isinstance(default, bool):
        return str(default).lower()
    return str(default)


def _sentence(field: FieldInfo) -> str:
    choices = [f"`{choice}`" for choice in get_args(field.annotation) if isinstance(choice, str)]
    text = (field.description or "").replace("|", "\\|")
    return f"{text} One of {', '.join(choices)}." if choices else text
