"""Where commands for scripts find the API key: in the environment, or in the file that openml-python uses."""

import configparser
import sys
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.openml.fields import is_api_key


class ApiKeyError(Exception):
    """There is no usable key; the text says where one is looked for."""


class _Environment(BaseSettings):
    """What such a command reads from the environment; the service's own settings mean nothing to it."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    openml_apikey: SecretStr | None = None
    xdg_config_home: Path | None = None


def find_api_key() -> SecretStr:
    """Return the key of `OPENML_APIKEY`, or of openml-python's configuration.

    Raises:
        ApiKeyError: there is none, or it has not the shape of one.
    """
    environment = _Environment()
    key, place = environment.openml_apikey, "OPENML_APIKEY"
    if key is None:
        path = _openml_python_file(environment.xdg_config_home)
        key, place = _read(path), str(path)
    if key is None:
        raise ApiKeyError(
            "There is no API key. Set OPENML_APIKEY to it, or put the line apikey=… into "
            f"{place}, where openml-python looks as well."
        )
    if not is_api_key(key.get_secret_value()):
        raise ApiKeyError(f"The API key in {place} is none: a key has 32 hexadecimal digits in lower case.")
    return key


def _openml_python_file(config_home: Path | None) -> Path:
    """Return the path that openml-python 0.15 uses on this kind of machine."""
    if sys.platform.startswith("linux"):
        folder = (config_home or Path.home() / ".config").expanduser() / "openml"
    else:
        folder = Path.home() / ".openml"
    return folder / "config"


def _read(path: Path) -> SecretStr | None:
    """Return the file's `apikey`, None if it has none. It is an INI file without a section."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string("[openml]\n" + path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ApiKeyError(f"{path} cannot be read: {error.strerror}.") from None
    except (configparser.Error, UnicodeDecodeError):
        # What the parser says would show the line, and the key may stand in it.
        raise ApiKeyError(
            f"{path} is not written as openml-python's configuration is: name = value."
        ) from None
    found = parser.get("openml", "apikey", fallback="").strip()
    return SecretStr(found) if found else None
