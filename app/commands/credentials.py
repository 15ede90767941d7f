"""Where commands for scripts find an API token or the API key: in the environment, or in openml-python's file."""

import configparser
import sys
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.api_tokens import is_whole
from app.openml.fields import is_api_key


class CredentialsError(Exception):
    """There is no usable token or key; the text says where one is looked for."""


class _Environment(BaseSettings):
    """What such a command reads from the environment; the service's own settings mean nothing to it."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    openml_web_token: SecretStr | None = None
    openml_apikey: SecretStr | None = None
    xdg_config_home: Path | None = None


class ClientCredentials(NamedTuple):
    """A header of requests that says who sends them."""

    header: str
    value: SecretStr


def find_credentials() -> ClientCredentials:
    """Return the API token of `OPENML_WEB_TOKEN`, or else the key of `OPENML_APIKEY` or of openml-python's file.

    Raises:
        CredentialsError: there is none, or it has not the shape of one.
    """
    environment = _Environment()
    token = environment.openml_web_token
    if token is None:
        return ClientCredentials("X-API-Key", _find_api_key(environment))
    if not is_whole(token.get_secret_value()):
        raise CredentialsError(
            "The API token in OPENML_WEB_TOKEN is none: one begins with openml_ and has 43 characters. Was it copied "
            "whole?"
        )
    return ClientCredentials("Authorization", SecretStr(f"Bearer {token.get_secret_value()}"))


def _find_api_key(environment: _Environment) -> SecretStr:
    key, place = environment.openml_apikey, "OPENML_APIKEY"
    if key is None:
        path = _openml_python_file(environment.xdg_config_home)
        key, place = _read(path), str(path)
    if key is None:
        raise CredentialsError(
            "There is no API key. Set OPENML_WEB_TOKEN to an API token, or OPENML_APIKEY to the key, or put the line "
            f"apikey=… into {place}, where openml-python looks as well."
        )
    if not is_api_key(key.get_secret_value()):
        raise CredentialsError(
            f"The API key in {place} is none: a key has 32 hexadecimal digits in lower case."
        )
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
        raise CredentialsError(f"{path} cannot be read: {error.strerror}.") from None
    except (configparser.Error, UnicodeDecodeError):
        # What the parser says would show the line, and the key may stand in it.
        raise CredentialsError(
            f"{path} is not written as openml-python's configuration is: name = value."
        ) from None
    found = parser.get("openml", "apikey", fallback="").strip()
    return SecretStr(found) if found else None
