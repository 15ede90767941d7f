"""Checks Redis and RabbitMQ before anything starts: refused credentials or names end the start with a message.

One that is merely away is no reason not to start: everything it does for us, the database does more slowly.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from app.core.settings import Settings, SettingsError, missing_extra

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 5.0


class ServerAwayError(Exception):
    """The server does not answer; the text says where it should be, and what went wrong, without secrets."""


class _RefusedError(Exception):
    """The server is there, and lets us not do what we need; the text says what to check."""


async def look_at_servers(settings: Settings) -> None:
    """Check that the servers of `REDIS_URL` and `BROKER_URL` accept our credentials; one that is away is logged.

    Raises:
        SettingsError: one refuses them, or its host name does not resolve.
    """
    for setting in ("REDIS_URL", "BROKER_URL"):
        try:
            await look_at_server(settings, setting)
        except ServerAwayError as error:
            log.warning(
                "the server does not answer; nothing waits for it, the database is asked instead. "
                "Is the address right?",
                setting=setting,
                reason=str(error),
            )


async def look_at_server(settings: Settings, setting: str) -> str:
    """Log in to the server that a setting names, if it names one; return where it is.

    Raises:
        SettingsError: it refuses us, or its host name does not resolve.
        ServerAwayError: it does not answer.
    """
    secret: SecretStr = getattr(settings, setting.lower())
    url = secret.get_secret_value()
    look = _LOOKS.get(urlsplit(url).scheme)
    if look is None:
        return ""
    parts = urlsplit(url)
    place = f"{parts.hostname or 'localhost'}" + (f":{parts.port}" if parts.port else "")
    await _require_name(setting, parts.hostname or "localhost")
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await look(url)
    except ImportError:
        extra = "redis" if look is _look_at_redis else "rabbitmq"
        raise missing_extra(setting, extra) from None
    except _RefusedError as error:
        raise SettingsError(
            f"{setting}: the server at {place} refuses us. Check {error} (in a password, write @ as %40, / as %2F)."
        ) from None
    except Exception as error:  # noqa: BLE001 - each driver has its own, whose texts hold the address
        raise ServerAwayError(f"{place}: {type(error).__name__}") from None
    return place


async def _require_name(setting: str, host: str) -> None:
    try:
        await asyncio.get_running_loop().getaddrinfo(host, None)
    except (socket.gaierror, UnicodeError) as error:
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
            return  # The name server is away.
        raise SettingsError(f"{setting} names a host that is not known: {host}. Check the address.") from None


async def _look_at_redis(url: str) -> None:
    from redis.asyncio import Redis  # noqa: PLC0415 - an extra
    from redis.exceptions import AuthenticationError, ResponseError  # noqa: PLC0415 - an extra

    client = Redis.from_url(url, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS)
    try:
        await client.ping()
    except AuthenticationError:
        raise _RefusedError("user and password, redis://user:password@host:6379/0") from None
    except ResponseError:
        raise _RefusedError("the number of the database and what this user may do") from None
    finally:
        await client.aclose()


async def _look_at_rabbitmq(url: str) -> None:
    from aio_pika import connect  # noqa: PLC0415 - an extra
    from aio_pika.exceptions import (  # noqa: PLC0415 - an extra
        AMQPConnectionError,
        AMQPError,
        AuthenticationError,
        ProbableAuthenticationError,
    )

    try:
        connection = await connect(url, timeout=PATIENCE_SECONDS)
    except (AuthenticationError, ProbableAuthenticationError):
        raise _RefusedError("user and password, amqp://user:password@host:5672/vhost") from None
    except AMQPConnectionError:
        raise
    except AMQPError:
        raise _RefusedError("the name of the vhost, and whether this user may use it") from None
    await connection.close()


_LOOKS: Mapping[str, Callable[[str], Awaitable[None]]] = {
    "redis": _look_at_redis,
    "rediss": _look_at_redis,
    "amqp": _look_at_rabbitmq,
    "amqps": _look_at_rabbitmq,
}
