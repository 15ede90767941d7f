"""`openml-web upload`: publish a table from a script, over any line, on any server of ours.

It needs no database and none of the service's settings. Exit codes are part of what scripts may rely on
(docs/uploads.md).
"""

import json
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

import click

from app.commands.answers import (
    Document,
    NotSignedInError,
    RequestRefusedError,
    ServerUnreachableError,
    require_server,
)
from app.commands.credentials import CredentialsError, find_credentials
from app.commands.source import STANDARD_INPUT, open_source
from app.commands.terminal import Terminal, abandon, plain, say_if_heard
from app.commands.upload_choices import choice_options, choices_of
from app.commands.uploader import Uploader
from app.db.upload_states import AT_OPENML, UploadState

DEFAULT_SERVER = "http://127.0.0.1:5000"


class Exit(IntEnum):
    """How the command ends."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_SIGNED_IN = 4
    OUTPUT_LOST = 5
    INTERRUPTED = 130
    TERMINATED = 143


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", default="", help="The dataset's name.")
@click.option("--description", default="", help="What it is about: a text, or @FILE to read it from.")
@click.option(
    "--file-name",
    default="",
    help="The file's name, where FILE is a pipe or has another; its end says the format.",
)
@click.option(
    "--server",
    default=DEFAULT_SERVER,
    envvar="OPENML_WEB_SERVER",
    show_default=True,
    help="The server's address.",
)
@click.option("--target", multiple=True, help="Column to predict; may be repeated.")
@click.option("--creator", multiple=True, help="Who made it; may be repeated.")
@click.option("--licence", default="", help="Its licence, e.g. CC BY 4.0.")
@click.option(
    "--type", "types", multiple=True, metavar="COLUMN=TYPE", help="A column's type; may be repeated."
)
@choice_options
@click.option(
    "--metadata",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with any field of the description.",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=600.0,
    show_default=True,
    help="Seconds to try again while no byte gets through.",
)
@click.option("--draft", is_flag=True, help="Publish nothing yet; print the page to look at it.")
@click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Wait until everybody can use the dataset."
)
@click.option("--duplicate", is_flag=True, help="Publish the file even if you have before, under this name.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")
@click.option("--quiet", is_flag=True, help="Say nothing unless something is wrong.")
@click.option("--insecure-http", is_flag=True, help="Send the key over plain http to another machine.")
def upload(
    file: Path,
    *,
    name: str,
    description: str,
    file_name: str,
    server: str,
    target: tuple[str, ...],
    creator: tuple[str, ...],
    licence: str,
    types: tuple[str, ...],
    metadata: Path | None,
    patience: float,
    draft: bool,
    wait: bool,
    duplicate: bool,
    as_json: bool,
    quiet: bool,
    insecure_http: bool,
    **chosen: Any,  # noqa: ANN401 - the options of `choice_options`
) -> None:
    """Publish FILE as a dataset; started again after a break, it goes on where it was.

    FILE is the table, and the end of its name says its format; `-` reads standard input.

    Who publishes says an API token with the scope upload in OPENML_WEB_TOKEN, or else the API key in OPENML_APIKEY or
    in the file that openml-python uses. Exit codes: 0 it is published (or kept as a draft); 1 refused; 2 wrong use; 3
    the server could not be reached; 4 no valid token or key; 5 done, but the outcome could not be written; 130
    interrupted; 143 terminated.
    """
    try:
        root = require_server(server, insecure_http=insecure_http)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--server") from None
    options = {
        "dataset_name": name,
        "description": _text_of(description),
        "def_tar_att": target,
        "creator": creator,
        "licence": licence,
        "attributes": _types_of(types),
        "allow_duplicate": duplicate,
        **choices_of(chosen),
    }
    described = {**_metadata_of(metadata), **{field: value for field, value in options.items() if value}}
    if not draft and not (described.get("dataset_name") and described.get("description")):
        raise click.BadParameter("give --name and --description, or --draft to publish nothing yet")
    if file == STANDARD_INPUT and not file_name:
        raise click.BadParameter("give --file-name: its end says the format", param_hint="FILE")
    if file != STANDARD_INPUT and (not file.exists() or file.is_dir()):
        raise click.BadParameter(f"there is no file {file}", param_hint="FILE")
    run = _Run(Terminal(quiet=quiet), as_json=as_json, publish=not draft, wait=wait)
    run.go(file, file_name or file.name, root, described, patience_seconds=patience)


def _text_of(text: str) -> str:
    """Return a text, or that of the file which `@` names."""
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise click.BadParameter(f"{text[1:]} cannot be read: {reason}", param_hint="--description") from None


def _types_of(pairs: Sequence[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        column, equals, kind = pair.rpartition("=")
        if not (column and equals and kind):
            raise click.BadParameter(f"{pair!r} is not COLUMN=TYPE", param_hint="--type")
        found[column] = kind
    return found


def _metadata_of(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise click.BadParameter(f"{path} does not hold a JSON object", param_hint="--metadata")
    return document


class _Run:
    """One call of the command, and what is said at its end."""

    def __init__(self, terminal: "Terminal", *, as_json: bool, publish: bool, wait: bool) -> None:
        self._terminal = terminal
        self._as_json = as_json
        self._publish = publish
        self._wait = wait
        self._upload: Document | None = None
        self._page: str | None = None
        self._stopped_by = Exit.INTERRUPTED

    def go(
        self,
        file: Path,
        file_name: str,
        server: str,
        metadata: Mapping[str, Any],
        *,
        patience_seconds: float,
    ) -> None:
        """Send the file, say how it ended, and leave with its code."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._terminate)
        try:
            credentials = find_credentials()
            with Uploader(
                server, credentials, display=self._terminal, patience_seconds=patience_seconds
            ) as uploader:
                self._publish_file(uploader, file, file_name, metadata)
        except CredentialsError as error:
            self._end("not-signed-in", Exit.NOT_SIGNED_IN, {"detail": str(error)})
        except NotSignedInError as error:
            self._end("not-signed-in", Exit.NOT_SIGNED_IN, error.problem)
        except ServerUnreachableError as error:
            hint = self._how_to_go_on()
            if self._upload is None:
                hint += f" Or is {server} not the site? --server and OPENML_WEB_SERVER name it."
            self._end("unreachable", Exit.UNREACHABLE, error.problem, hint=hint)
        except RequestRefusedError as error:
            self._end("refused", Exit.REFUSED, error.problem)
        except KeyboardInterrupt:
            self._end("interrupted", self._stopped_by, {"detail": "Interrupted."}, hint=self._how_to_go_on())

    def _terminate(self, _number: int, _frame: object) -> None:
        self._stopped_by = Exit.TERMINATED
        raise KeyboardInterrupt

    def _publish_file(
        self, uploader: Uploader, file: Path, file_name: str, metadata: Mapping[str, Any]
    ) -> None:
        if self._publish and not metadata.get("def_tar_att"):
            self._terminal.say(
                "Note: without --target, OpenML's engine gives up on the dataset, which never becomes active."
            )
        uploader.check(file_name, _size_of(file), metadata)
        with open_source(file, file_name, self._terminal.hashed) as source:
            found = self._upload = uploader.begin(source, metadata, publish=self._publish)
            self._page = uploader.page(found)
            if uploader.began_before and found["state"] in AT_OPENML and found["dataset_id"] is not None:
                self._terminal.say(
                    "You have published this file under this name before; nothing else of this call was looked at "
                    "(--duplicate publishes it again)."
                )
            found = self._upload = uploader.send(found, source)
        self._terminal.moved(found)
        if self._wait:
            found = self._upload = uploader.wait(found, publish=self._publish)
            if found["state"] == UploadState.READY and not found.get("error"):
                self._terminal.advise(uploader.hints(found))
        self._conclude(found)

    def _conclude(self, found: Document) -> None:
        state = found["state"]
        if state == UploadState.FAILED:
            self._end("refused", Exit.REFUSED, found.get("error") or {"detail": "It has failed."})
        if state == UploadState.READY and found.get("error"):
            self._end("refused", Exit.REFUSED, found["error"])
        if state == UploadState.CANCELLED:
            self._end("refused", Exit.REFUSED, {"detail": "The upload was cancelled."})
        if found["dataset_id"] is None:
            self._end("accepted" if self._publish else "draft", Exit.DONE)
        self._end("duplicate" if state == UploadState.DUPLICATE else state, Exit.DONE)

    def _how_to_go_on(self) -> str:
        received = (self._upload or {}).get("received_bytes")
        safe = f"{received} bytes are safe; the" if received else "The"
        return f"{safe} same command, started again, goes on from where the upload stands."

    def _end(
        self, outcome: str, code: Exit, problem: Mapping[str, Any] | None = None, *, hint: str = ""
    ) -> None:
        """Say how it ended, on standard error to a person and on standard output to a program; leave.

        Raises:
            click.exceptions.Exit: always.
        """
        found = self._upload
        if problem is not None:
            self._terminal.complain(problem, hint)
        elif found is not None:
            self._terminal.conclude(outcome, found)
        if self._as_json:
            document = {
                "outcome": outcome,
                "exit_code": int(code),
                "page": self._page,
                "upload": found,
                "problem": problem,
            }
            code = _written(json.dumps(document), code)
        elif problem is None and found is not None:
            code = _written(plain(str(found["dataset_url"] or self._page)), code)
        raise click.exceptions.Exit(int(code))


def _written(text: str, code: Exit) -> Exit:
    """Print the outcome; return the code to end with, which is another where it cannot be written."""
    if sys.stdout is None:  # It was closed before we began.
        return Exit.OUTPUT_LOST if code == Exit.DONE else code
    try:
        click.echo(text)
        sys.stdout.flush()
    except OSError as error:
        abandon(sys.stdout)
        say_if_heard(f"The outcome cannot be written: {error.strerror}.")
        return Exit.OUTPUT_LOST if code == Exit.DONE else code
    return code


def _size_of(file: Path) -> int | None:
    """Return the bytes of a regular file; None where they are known only once it is read."""
    is_file = file != STANDARD_INPUT and file.is_file()
    return file.stat().st_size if is_file else None
