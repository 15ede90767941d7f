"""The command, `openml-sandbox`."""

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module, metadata
from pathlib import Path
from typing import cast

from openml_sandbox.app import create_sandbox
from openml_sandbox.server import run
from openml_sandbox.settings import (
    REST_BYTES,
    UPLOAD_MAX_BYTES,
    AccountOf,
    SandboxSettings,
    nobodys,
    parse_keys,
)

log = logging.getLogger(__name__)

KEYS = "SANDBOX_KEYS"
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
"""Addresses that are listened on, and what this machine is reached by then."""
SWITCH_SECONDS = 0.0005
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the sandbox until it is told to stop; a mistake in an option is a sentence, and exit code 2."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    # Requests wait for the engine, which computes in a thread beside them, as often as they change threads.
    sys.setswitchinterval(SWITCH_SECONDS)
    logging.basicConfig(level=chosen.log_level, format="%(asctime)s %(levelname)s sandbox: %(message)s")
    if chosen.stop_with_stdin:
        threading.Thread(target=_stop_with_stdin, daemon=True).start()
    try:
        with _listen(chosen) as listener:
            settings = _settings(chosen, listener)
            log.info(
                "OpenML's API is at %s/api/v1/xml, its state in %s", settings.base_url, settings.data_dir
            )
            # uvicorn raises the signal again that stopped it.
            with suppress(KeyboardInterrupt):
                run(create_sandbox(settings), listener)
    except ValueError as error:
        parser.exit(2, f"{error}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="openml-sandbox",
        description="A strict stand-in for an OpenML server. Nothing leaves this machine.",
        epilog=f"{KEYS} in the environment names the API keys it knows: key=role,key=role (roles admin, writer, "
        "read-only). Without it, every key of 32 hexadecimal digits is a writer of its own.",
    )
    version = f"openml-sandbox {metadata.version('openml-sandbox')}"
    parser.add_argument("--version", action="version", version=version)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=5001, help="port to listen on; 0 takes a free one (default: %(default)s)")
    add("--fd", type=int, help="descriptor of a listening socket to take instead of host and port")
    add("--base-url", help="its own address as clients see it (default: where it listens)")
    add(
        "--data-dir",
        type=Path,
        default=Path("openml-sandbox-data"),
        help="its state (default: ./%(default)s)",
    )
    add(
        "--processing-seconds",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="how long a dataset stays in preparation before it is processed (default: %(default)s)",
    )
    add(
        "--upload-max-bytes",
        type=int,
        default=UPLOAD_MAX_BYTES,
        metavar="BYTES",
        help="the largest file that is taken (default: %(default)s); what is sent with it may have 1 GiB",
    )
    add(
        "--accounts",
        metavar="MODULE:FUNCTION",
        help="a function without arguments; what it returns is awaited with an API key, and tells the number of the "
        "account that has it, or None",
    )
    add("--stop-with-stdin", action="store_true", help="stop when standard input ends, as with its parent")
    add("--log-level", choices=LEVELS, default="INFO", help="(default: %(default)s)")
    return parser


def _listen(chosen: argparse.Namespace) -> socket.socket:
    """Return a listening socket.

    Raises:
        ValueError: Nobody can listen there.
    """
    family = socket.AF_INET6 if ":" in chosen.host else socket.AF_INET
    try:
        descriptor = chosen.fd
        if descriptor is None:
            descriptor = socket.create_server((chosen.host, chosen.port), family=family).detach()
        # Made of the descriptor, it knows that it is TCP; else asyncio leaves Nagle's algorithm on.
        return socket.socket(fileno=descriptor)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"Cannot listen on {chosen.host} port {chosen.port}: {reason}. Choose others with --host and --port."
        ) from None


def _settings(chosen: argparse.Namespace, listener: socket.socket) -> SandboxSettings:
    host = WILDCARDS.get(chosen.host, chosen.host)
    host = f"[{host}]" if ":" in host else host
    keys = os.environ.get(KEYS)
    try:
        known = parse_keys(keys) if keys else None
    except ValueError as error:
        raise ValueError(f"{KEYS}: {error}") from None
    return SandboxSettings(
        data_dir=chosen.data_dir,
        base_url=(chosen.base_url or f"http://{host}:{listener.getsockname()[1]}").rstrip("/"),
        keys=known,
        account_of=_load_accounts(chosen.accounts) if chosen.accounts else nobodys,
        processing_delay_seconds=chosen.processing_seconds,
        upload_max_bytes=chosen.upload_max_bytes,
        post_max_bytes=chosen.upload_max_bytes + REST_BYTES,
    )


def _load_accounts(name: str) -> AccountOf:
    """Call the function of that name.

    Raises:
        ValueError: There is none.
    """
    module, _, attribute = name.partition(":")
    try:
        create = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"--accounts {name}: {error}") from None
    return cast("Callable[[], AccountOf]", create)()


def _stop_with_stdin() -> None:
    """End this process when its standard input does: its parent is gone, perhaps without a word."""
    sys.stdin.buffer.read()
    signal.raise_signal(signal.SIGTERM)
