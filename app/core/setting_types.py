"""Types of settings: what an entry of the environment is read as, and what it must be."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from app.core.mailboxes import parse_mailbox
from app.core.providers import read_providers
from app.core.setting_checks import (
    MINIMUM_SECRET_BYTES,
    read_listen_address,
    read_network,
    require_host,
    require_http_url,
    require_server_url,
)
from app.core.timings import Timings, read_timings

BUCKET = "{bucket}"
"""Stands in `AWS_ENDPOINT_URL` for the bucket, where a store wants it in the host."""


def split_commas(text: str) -> tuple[str, ...]:
    """Return the entries of a text, without empty ones and blanks around them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _read_list(value: object) -> object:
    return split_commas(value) if isinstance(value, str) else value


def _read_list_or_none(value: object) -> object:
    # An empty value would mean the default, as it does for every setting.
    return () if value == "none" else _read_list(value)


def _check_address(text: str) -> str:
    if text:
        require_http_url(text)
    return text


def _check_address_or_path(text: str) -> str:
    return text if text.startswith("/") else _check_address(text)


def _check_endpoint(text: str) -> str:
    _check_address(text.replace(BUCKET, "bucket"))
    return text


def _check_server(secret: SecretStr) -> SecretStr:
    require_server_url(secret.get_secret_value())
    return secret


def split_keys(text: str) -> tuple[str, ...]:
    """Return the keys of a text that has them between commas or blanks."""
    return tuple(text.replace(",", " ").split())


def _check_keys(secret: SecretStr) -> SecretStr:
    if any(len(key.encode()) < MINIMUM_SECRET_BYTES for key in split_keys(secret.get_secret_value())):
        raise ValueError(
            f"one of them is shorter than {MINIMUM_SECRET_BYTES} bytes, or has a comma or a blank in it"
        )
    return secret


def _check_providers(secret: SecretStr) -> SecretStr:
    read_providers(secret.get_secret_value())
    return secret


def _check_host(text: str) -> str:
    if text:
        require_host(text)
    return text


def _check_listen_address(text: str) -> str:
    if text:
        read_listen_address(text)
    return text


def _check_mailbox(text: str) -> str:
    parse_mailbox(text)
    return text


def _strip_slash(text: str) -> str:
    return text.rstrip("/")


Commas = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_read_list)]
Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_strip_slash)], ...], NoDecode, BeforeValidator(_read_list)
]
Issuers = Annotated[
    tuple[Annotated[str, AfterValidator(_check_address)], ...], NoDecode, BeforeValidator(_read_list_or_none)
]
"""Exactly as their tokens name them."""
Networks = Annotated[
    tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(read_network)], ...],
    NoDecode,
    BeforeValidator(_read_list),
]
PassedOn = Annotated[
    tuple[Literal["croissant", "reads", "files"], ...], NoDecode, BeforeValidator(_read_list_or_none)
]
Address = Annotated[str, AfterValidator(_check_address)]
"""Of a server that is asked by HTTP; empty: none."""
Prefix = Annotated[str, AfterValidator(_strip_slash), AfterValidator(_check_address)]
"""An address that paths are put behind, without a slash at the end."""
PrefixOrPath = Annotated[str, AfterValidator(_strip_slash), AfterValidator(_check_address_or_path)]
Endpoint = Annotated[str, AfterValidator(_check_endpoint)]
ServerAddress = Annotated[SecretStr, AfterValidator(_check_server)]
"""Of a server with a scheme of its own, perhaps with a password."""
SignInProviders = Annotated[SecretStr, AfterValidator(_check_providers)]
"""Providers that people may sign in with, and our secrets there."""
SecretKeys = Annotated[SecretStr, AfterValidator(_check_keys)]
"""Several, between commas or blanks."""
Host = Annotated[str, AfterValidator(_check_host)]
ListenAddress = Annotated[str, AfterValidator(_check_listen_address)]
"""Of this machine, `host:port`; empty: none."""
MailboxText = Annotated[str, AfterValidator(_check_mailbox)]
TimingsText = Annotated[Timings, NoDecode, BeforeValidator(read_timings)]
