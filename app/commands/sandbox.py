"""`openml-web sandbox`, and the sandbox beside `dev`: the package openml-sandbox, run as a process of its own.

Nothing of it is imported: it gets options, as its command takes them.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import click

from app.core.serving import listening
from app.core.setting_loading import load_settings
from app.core.settings import Settings, SettingsError

MODULE = "openml_sandbox"
ACCOUNTS = "app.commands.sandbox_accounts:create_account_finder"


@click.command()
def sandbox() -> None:
    """Run the stand-in for an OpenML server on HOST:SANDBOX_PORT; nothing leaves this machine."""
    settings = load_settings()
    _require_sandbox()
    with listening(settings.host, settings.sandbox_port, port_setting="SANDBOX_PORT") as listener:
        command = _command(settings, listener, log_level=settings.log_level)
        os.execve(command[0], command, _environment(settings))  # noqa: S606 - our own program


@contextmanager
def sandbox_beside(settings: Settings) -> Iterator[Settings]:
    """Run the sandbox for as long as this process lives, on a socket bound here; yield settings that know its port.

    Raises:
        SettingsError: It is not installed, or nobody can listen there.
    """
    _require_sandbox()
    with listening(settings.host, settings.sandbox_port, port_setting="SANDBOX_PORT") as listener:
        settings = _with_port_of(listener, settings)
        process = subprocess.Popen(  # noqa: S603 - our own program
            # The greeting says where it is, and Ctrl-C that it stops.
            [*_command(settings, listener, log_level="WARNING"), "--stop-with-stdin"],
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            env=_environment(settings),
        )
    with process:
        try:
            yield settings
        finally:
            process.terminate()


def _require_sandbox() -> None:
    if find_spec(MODULE) is None:
        raise SettingsError(
            "The sandbox is not installed: run `pip install packages/openml-sandbox` in the folder of the checkout, "
            "or set OPENML_SERVER to the address of an OpenML server."
        )


def _with_port_of(listener: socket.socket, settings: Settings) -> Settings:
    return settings.model_copy(update={"sandbox_port": listener.getsockname()[1]})


def _command(settings: Settings, listener: socket.socket, *, log_level: str) -> list[str]:
    options = {
        "fd": listener.fileno(),
        "base-url": _with_port_of(listener, settings).sandbox_url,
        "data-dir": settings.data_dir / "sandbox",
        "accounts": ACCOUNTS,
        "log-level": log_level,
    }
    return [sys.executable, "-m", MODULE, *(f"--{name}={value}" for name, value in options.items())]


def _environment(settings: Settings) -> dict[str, str]:
    """Return ours with the keys, which a list of processes would show, and which may come from a file."""
    return {**os.environ, "SANDBOX_KEYS": settings.sandbox_keys.get_secret_value()}  # noqa: TID251 - handed on whole
