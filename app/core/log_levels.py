"""Logger levels that can be changed at run time: a file in `DATA_DIR`, which each process polls.

A signal would reach one process, and the server that starts the others has a meaning of its own for most. Whoever has
the same `DATA_DIR` heeds the file within `LOOK_SECONDS`, a process that starts later as well, until the levels are
taken back.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NoReturn

import structlog

from app.core.errors import OperatorError
from app.core.logging import REQUESTS
from app.core.tasks import heed_cancellation

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 2.0
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
OURS: Final = "app"


class LogLevelError(OperatorError):
    """Such a level cannot be set; the text says what can."""


def read_levels(data_dir: Path) -> dict[str, str]:
    """Return the levels that are set, by the name of their logger; what is no such file says nothing."""
    try:
        found = json.loads(_file(data_dir).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {
        str(name): level
        for name, level in (found.items() if isinstance(found, dict) else ())
        if level in LEVELS
    }


def set_level(data_dir: Path, name: str, level: str | None) -> dict[str, str]:
    """Set the level of our logger `name` and those below it, or take it back; return what is set now.

    Raises:
        LogLevelError: there is no such logger.
    """
    is_ours = name.partition(".")[0] == OURS and (name == REQUESTS or _exists(name))
    if level is not None and not is_ours:
        raise LogLevelError(
            f"There is no logger {name}. Name a package or module, e.g. app.openml or {REQUESTS}."
        )
    levels = {**read_levels(data_dir), name: level}
    kept = {each: value for each, value in levels.items() if value is not None}
    write_levels(data_dir, kept)
    return kept


def write_levels(data_dir: Path, levels: Mapping[str, str]) -> None:
    """Replace the stored levels by these."""
    new = _file(data_dir).with_suffix(".new")
    new.write_text(json.dumps(levels), encoding="utf-8")
    new.replace(_file(data_dir))


async def follow_levels(data_dir: Path) -> NoReturn:
    """Poll the file and apply its levels, until cancelled."""
    heeded: dict[str, str] = {}
    while True:
        heed_cancellation()
        wanted = await asyncio.to_thread(read_levels, data_dir)
        if wanted != heeded:
            for name in heeded.keys() - wanted.keys():
                logging.getLogger(name).setLevel(logging.NOTSET)
            for name, level in wanted.items():
                logging.getLogger(name).setLevel(level)
            heeded = wanted
            log.info("levels of the log have changed", levels=wanted)
        await asyncio.sleep(LOOK_SECONDS)


def _file(data_dir: Path) -> Path:
    return data_dir / "log-levels.json"


def _exists(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
