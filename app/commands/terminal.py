"""What `openml-web upload` shows on standard error while it works."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import click

from app.commands.answers import Document
from app.commands.upload_choices import options_that_would_do
from app.core.hidden import printable
from app.db.upload_states import UploadState

LINE_SECONDS = 15.0
"""Seconds between progress lines in a log; a terminal is updated at once."""
REDRAW_SECONDS = 0.1
_UNITS = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB"), (1, "bytes"))


class Terminal:
    """Standard error: one line that moves where it is a terminal, a line now and then in a log."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._redraws = sys.stderr.isatty()
        self._shown_at = 0.0
        self._state = ""
        self._has_line = False

    def hashed(self, done: int, total: int) -> None:
        """So many of the file's bytes were read."""
        self._bar("Reading", done, total)

    def sent(self, done: int, total: int) -> None:
        """So many of the file's bytes are on their way."""
        self._bar("Sending", done, total)

    def waits(self, reason: str, seconds: float) -> None:
        """The line broke; it goes on after that long."""
        self.say(f"{reason} Trying again in {seconds:.1f} s.")

    def moved(self, upload: Document) -> None:
        """The upload has taken a step, or the work on it has."""
        progress = upload.get("progress")
        if upload["state"] != self._state:
            self._state = upload["state"]
            self.say(f"{self._state.capitalize()}.")
        elif progress and progress["total_bytes"]:
            self._bar(progress["phase"].capitalize(), progress["bytes"], progress["total_bytes"])

    def conclude(self, outcome: str, upload: Document) -> None:
        """Say what was published, and what its owner may want to know of it."""
        if outcome == UploadState.DUPLICATE:
            self.say("You have published this file under this name before (--duplicate publishes it again).")
        for repair in upload["repairs"]:
            column = f"{repair['column']}: " if repair["column"] else ""
            self.say(f"Changed: {column}{repair['change']} ({repair['reason']})")
        for warning in upload["warnings"]:
            self.say(f"Note: {warning}")
        if upload["dataset_id"] is not None:
            self.say(f"Dataset {upload['dataset_id']} ({outcome}):")
        elif outcome == "draft":
            self.say("Nothing is published yet. Look at it and publish it here:")
        else:
            self.say("The bytes are safe, and the rest goes on by itself. See how it fares here:")

    def advise(self, hints: Sequence[Mapping[str, Any]]) -> None:
        """Say what one may want to change before the table is published."""
        for hint in hints:
            named = ", ".join(map(str, hint.get("columns") or ()))
            more = int(hint.get("column_count") or 0) - len(hint.get("columns") or ())
            columns = f" ({named}{f' and {more} more' if more > 0 else ''})" if named else ""
            self.say(f"Hint: {hint.get('message')}{columns} {hint.get('advice')}")

    def complain(self, problem: Mapping[str, Any], hint: str) -> None:
        """Say what is wrong, where, and what to do; printed also with `--quiet`."""
        self._end_line()
        detail = str(problem.get("detail") or problem.get("title"))
        self._print(plain(f"Not published: {detail}"))
        for field in ("row", "column", "value", "hint"):
            # Most details end with their hint.
            if problem.get(field) is not None and not (field == "hint" and problem[field] in detail):
                self._print(plain(f"  {field}: {problem[field]}"))
        asked = options_that_would_do(problem)
        # Each doubt needs an answer; of another refusal one choice is enough.
        for options in (
            asked if problem.get("reason") == "unsure-reading" else [" or ".join(asked)] * bool(asked)
        ):
            self._print(plain(f"  Say which, with: {options}"))
        if hint:
            self._print(hint)

    def say(self, text: str) -> None:
        """Print a line."""
        if not self._quiet:
            self._end_line()
            self._print(plain(text))

    def _bar(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        pause = REDRAW_SECONDS if self._redraws else LINE_SECONDS
        if self._quiet or (now - self._shown_at < pause and not (self._redraws and done == total)):
            return
        self._shown_at = now
        share = f"{100 * done // total:3d} %" if total else ""
        line = f"{what} {share}  {progress_of(done, total)}"
        self._print(f"\r\x1b[K{line}" if self._redraws else line, nl=not self._redraws)
        self._has_line = self._redraws

    def _end_line(self) -> None:
        if self._has_line:
            self._has_line = False
            self._print("")

    def _print(self, text: str, *, nl: bool = True) -> None:
        """Write to standard error; that nobody reads it, or a disk is full, does not end an upload."""
        say_if_heard(text, nl=nl)


def say_if_heard(text: str, *, nl: bool = True) -> None:
    """Print to standard error; once that fails, nothing more is written there."""
    try:
        click.echo(text, err=True, nl=nl)
    except OSError:
        abandon(sys.stderr)


def abandon(stream: TextIO) -> None:
    """Let what is still to be written to a stream go nowhere: Python would try it once more at its end, and fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def progress_of(done: int, total: int) -> str:
    """Return e.g. `1.2 of 3.4 MB`, in the unit that fits the whole."""
    size, unit = next(((size, unit) for size, unit in _UNITS if total >= size), _UNITS[-1])
    digits = 1 if size > 1 else 0
    return f"{done / size:.{digits}f} of {total / size:.{digits}f} {unit}"


def plain(text: str) -> str:
    """Return a text of the server without what would steer a terminal."""
    return printable(text, keep="\n\t")
