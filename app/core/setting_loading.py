"""Reads the settings when a process starts, and says what is wrong with them by the names that operators set."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile

from pydantic import ValidationError
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from app.core.settings import Settings, SettingsError, every_name, unreadable, unusable_folder


def load_settings(changes: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from where the process stands; `changes` win, by names in lower case.

    Raises:
        SettingsError: a value is missing, malformed or unsafe; the text says what to set.
    """
    try:
        settings = Settings(**(changes or {}))  # type: ignore[arg-type]  # texts, as the environment has them
    except ValidationError as error:
        # The values stay out of the text: one of them may be a secret.
        found = [(_name_of_place(e["loc"]), e["msg"]) for e in error.errors()]
        # A list may have several wrong entries; its name and what to write are said once.
        complaints = dict.fromkeys(f"{name}: {text.removeprefix('Value error, ')}" for name, text in found)
        raise SettingsError("Some settings have wrong values.\n- " + "\n- ".join(complaints)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The file .env cannot be read: {unreadable(error)}") from None
    _require_folder(settings.data_dir)
    return settings


def load_settings_with(path: Path) -> Settings:
    """Read the settings as they are with those of a file like `.env` in place of the present ones.

    Raises:
        SettingsError: as `load_settings`, or the file cannot be read.
    """
    try:
        # An empty value counts here: it takes the place of the present one.
        found = DotEnvSettingsSource(
            Settings, env_file=path, env_file_encoding="utf-8", env_ignore_empty=False
        ).env_vars
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {unreadable(error)}") from None
    changes = {name: value for name, value in found.items() if value is not None}
    if unknown := sorted(changes.keys() - every_name()):
        raise SettingsError(f"{path} has names that are no settings: {', '.join(unknown).upper()}.")
    return load_settings(changes)


def files_of_values() -> list[Path]:
    """Return the files that values are read from and that are there: `.env`, and those that a `NAME_FILE` names."""
    environment = EnvSettingsSource(Settings).env_vars
    named = (environment.get(f"{name}_file") for name in sorted(every_name()))
    return [path for path in (Path(".env"), *map(Path, filter(None, named))) if path.exists()]


def _name_of_place(loc: tuple[int | str, ...]) -> str:
    """Return the name of a setting, with that of its part where it has parts with names."""
    name, *parts = loc or ("",)
    return ": ".join([str(name).upper(), *(part for part in parts if isinstance(part, str))])


def _require_folder(path: Path) -> None:
    """Make the folder if there is none, and see whether a file can be written there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            return
    except OSError as error:
        raise unusable_folder(path, error) from None
