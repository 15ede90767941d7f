"""Opens an S3-compatible store: checks its settings, tries it at the start, and translates its errors."""

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import structlog
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from app.core.setting_types import BUCKET
from app.core.settings import Settings, SettingsError
from app.storage.problems import StorageUnavailableError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config

log = structlog.get_logger(__name__)

PAGE = 1000
"""Objects that one listing answers with at most."""
CHECKS, CHECK = "checks", b"written by openml-web to see whether the store takes it"
WRITTEN_SECONDS = 60.0
"""How long a store that took bytes is taken to do so still: each trial costs an object."""
UNUSED_PROXY = "http://localhost:9"
"""The client takes no "none"; one that every host is excluded from is none."""
EVERYTHING = ("*", "0.0.0.0/0", "::/0")
LINK_LOCAL = ("169.254.0.0/16", "fd00:ec2::/32")
"""Where machines and pods at Amazon ask for their keys."""
RETRY_SECONDS = 15
RETRIES = 4
_STORE = re.compile(r"s3://[A-Za-z0-9][\w.-]{1,61}[A-Za-z0-9](/[\w./-]*)?", re.ASCII)
_ENDPOINT = re.compile(
    r"https?://[\w.-]+(:\d{1,5})?(/[\w./-]*)?|https?://\[[0-9a-fA-F:]+\](:\d{1,5})?/?", re.ASCII
)
_CAUSE = re.compile(
    r"<Code>(\w+)</Code>|InvalidCertificate\(\s*(\w+)|kind: (ConnectionRefused|ConnectionReset|Timeout)|(dns error)"
)
"""Where obstore's debugging output says what is wrong."""


def connect(settings: Settings) -> S3Store:
    """Return the store of the settings; nothing is asked of it yet.

    Raises:
        SettingsError: the settings are malformed, or do not fit together.
    """
    _check(settings)
    bucket, _, prefix = settings.storage_url.removeprefix("s3://").partition("/")
    endpoint = settings.aws_endpoint_url.replace(BUCKET, bucket)
    config: S3Config = {
        # Every store understands `endpoint/bucket/…`, but for those that say where in the host the bucket stands.
        "virtual_hosted_style_request": BUCKET in settings.aws_endpoint_url,
        # The name that comes first: with `endpoint`, a variable AWS_ENDPOINT_URL_S3 would win over the setting.
        **_given("aws_endpoint_url_s3", endpoint.rstrip("/")),
        **_given("region", settings.aws_region),
        **_given("access_key_id", settings.aws_access_key_id.get_secret_value()),
        **_given("secret_access_key", settings.aws_secret_access_key.get_secret_value()),
        **_given("session_token", settings.aws_session_token.get_secret_value()),
    }
    try:
        return S3Store(
            bucket,
            prefix=prefix.strip("/") or None,
            config=config,
            client_options={
                "allow_http": settings.storage_allow_http,
                "timeout": timedelta(seconds=settings.timings.storage_timeout_seconds),
                **_way_to(endpoint, settings),
            },
            retry_config={
                "max_retries": RETRIES,
                "retry_timeout": timedelta(seconds=RETRY_SECONDS),
                "backoff": {"max_backoff": timedelta(seconds=2)},
            },
        )
    except BaseError as error:
        raise SettingsError(f"The settings of the store do not fit together: {_reason(error)}") from None


def _way_to(endpoint: str, settings: Settings) -> "ClientConfig":
    """Return how the client reaches the store: left alone, it would heed the environment, even for this machine."""
    way_out = settings.way_out
    server = endpoint or f"https://s3.{settings.aws_region or 'us-east-1'}.amazonaws.com"
    proxy = way_out.proxy_to(server)
    options: ClientConfig = {
        "proxy_url": proxy.url if proxy else UNUSED_PROXY,
        "proxy_excludes": ",".join(LINK_LOCAL if proxy else EVERYTHING),
    }
    if way_out.ca_file:
        try:
            options["root_certificate"] = Path(way_out.ca_file).read_bytes()
        except OSError as error:
            raise SettingsError(f"OUTGOING_CA_FILE cannot be read: {error.strerror}") from None
    return options


async def try_out(store: S3Store, settings: Settings) -> None:
    """Write, read, list and delete a small object.

    Raises:
        SettingsError: one of these does not work; the text says which setting to look at.
    """
    place = f"STORAGE_URL={settings.storage_url} at {settings.aws_endpoint_url or 'Amazon'}"
    path = f"{CHECKS}/{secrets.token_hex(8)}"
    try:
        await obstore.put_async(store, path, CHECK, use_multipart=False)
        answer = await obstore.get_async(store, path)
        if bytes(await answer.bytes_async()) != CHECK:
            raise SettingsError(f"{place} does not return what was written there.")
        await _list_checks(store)
        await obstore.delete_async(store, [path])
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise SettingsError(
            f"{place} refuses this key. Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that they may list "
            f"the bucket and get, put and delete objects ({_reason(error)})."
        ) from None
    except (FileNotFoundError, BaseError) as error:
        reason = _reason(error)
        if reason == "NoSuchBucket":
            raise SettingsError(f"{place} has no such bucket. Make it first, or correct the name.") from None
        raise SettingsError(f"{place} does not answer as a store does: {reason}") from None


class Trial:
    """Tries the store out while the service runs: whether it answers each time, whether it takes bytes less often."""

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._written_until = 0.0

    async def check(self) -> None:
        """Return if all is well.

        Raises:
            StorageUnavailableError: it is not; the text says why.
        """
        try:
            if time.monotonic() < self._written_until:
                await _list_checks(self._store)
            else:
                await self._write()
        except (FileNotFoundError, BaseError) as error:
            raise StorageUnavailableError(f"The store does not work: {_reason(error)}.") from None

    async def _write(self) -> None:
        path = f"{CHECKS}/{secrets.token_hex(8)}"
        await obstore.put_async(self._store, path, CHECK, use_multipart=False)
        await obstore.delete_async(self._store, [path])
        self._written_until = time.monotonic() + WRITTEN_SECONDS


async def _list_checks(store: S3Store) -> None:
    async for _page in obstore.list(store, CHECKS, chunk_size=PAGE):
        break


@contextmanager
def store_faults(verb: str) -> Iterator[None]:
    """Turn what the client raises into a problem; that there is no such object passes."""
    try:
        yield
    except NotFoundError:
        if verb == "get":
            raise
        raise StorageUnavailableError from None
    except BaseError as error:
        log.error("the store does not answer", verb=verb, reason=_reason(error))  # noqa: TRY400 - the reason says it
        raise StorageUnavailableError from None


def _check(settings: Settings) -> None:
    """Refuse what is malformed: the client would panic, or ask Amazon instead."""
    if not _STORE.fullmatch(settings.storage_url):
        raise SettingsError(
            "STORAGE_URL is not a store's address. Write s3://bucket or s3://bucket/prefix, "
            "or leave it empty to keep files in DATA_DIR."
        )
    endpoint = settings.aws_endpoint_url
    if endpoint and not _ENDPOINT.fullmatch(endpoint.replace(BUCKET, "bucket")):
        raise SettingsError("AWS_ENDPOINT_URL is not an address. Write e.g. https://minio.example.org:9000")
    if endpoint.startswith("http://") and not settings.storage_allow_http:
        raise SettingsError(
            "AWS_ENDPOINT_URL has no TLS. Write https://…, or set STORAGE_ALLOW_HTTP=true for a store "
            "on a network of its own."
        )
    if bool(settings.aws_access_key_id.get_secret_value()) != bool(
        settings.aws_secret_access_key.get_secret_value()
    ):
        raise SettingsError(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together; set both, or neither."
        )


def _given(name: str, value: str) -> "S3Config":
    return {name: value} if value else {}  # type: ignore[misc]  # a key of it, as every caller writes


def _reason(error: BaseException) -> str:
    """Return the store's own word for what is wrong, or what obstore says of the line, in one line."""
    cause = _CAUSE.search(str(error))
    if cause and cause[1]:
        return cause[1]
    first_line = str(error).partition("\n")[0][:500]
    return f"{first_line} ({cause[cause.lastindex or 0]})" if cause else first_line
