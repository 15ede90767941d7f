"""Checks of this machine: isolation and limits of child processes that read tables."""

import asyncio
import os
import resource
import tempfile
from pathlib import Path

from app.core import isolation
from app.core.breached_passwords import RANGES, open_breached
from app.core.settings import SettingsError
from app.core.system import allow_many_files, usable_processors
from app.doctor.diagnosis import Found, Installation, fault, ok, skipped, warning
from app.resources import RECEIVES_AT_ONCE, STREAMS_AT_ONCE
from app.tabular import ConversionRequest, ProcessLimits, TabularError, format_of
from app.tabular.process import convert_in_process

FILES_OF_A_PROCESS = 2 * RECEIVES_AT_ONCE + STREAMS_AT_ONCE + 500
"""Each body that is received has a connection and a file; the rest is for pools and libraries."""
ALL_OF_LINUX = 3
"""No new privileges, seccomp, Landlock."""
TABLE = "station,level\nOuse,4.20\nAire,1.05\n"


async def check_children(installation: Installation) -> Found:
    """Say by what children are isolated, and have one convert a small table."""
    settings = installation.settings
    found = isolation.available()
    limits = ProcessLimits(memory_bytes=settings.conversion_memory_bytes)
    try:
        with tempfile.TemporaryDirectory(prefix="doctor-", dir=settings.data_dir) as name:
            await convert_in_process(_request(Path(name)), limits)
    except OSError as error:
        yield fault(f"DATA_DIR has no room for a small table, or takes none: {error.strerror}.")
        return
    except TabularError as error:
        yield fault(
            f"A process that reads tables does not get to its end: {error}. Look at the log, at ulimit -a, "
            "and at the memory of this machine or container; CONVERSION_MEMORY_BYTES is "
            f"{settings.conversion_memory_bytes}."
        )
        return
    yield ok(f"A process of its own converts a table, isolated by: {', '.join(found) or 'limits alone'}.")
    if len(found) < ALL_OF_LINUX:
        yield warning(
            "What reads files of strangers is bounded less than it could be: this kernel, or the container, has "
            f"no {_lacking(found)}. Let the container use them (docs/security.md)."
        )


async def check_breached(installation: Installation) -> Found:
    """Say whether the breached passwords can be read, and how many ranges of a folder are missing."""
    path = installation.settings.breached_passwords
    if path is None:
        yield skipped("BREACHED_PASSWORDS is not set: only the list of common passwords is asked.")
        return
    try:
        await asyncio.to_thread(open_breached, path)
        ranges = await asyncio.to_thread(_count_ranges, path)
    except (SettingsError, OSError) as error:
        yield fault(str(error))
        return
    if ranges is not None and ranges < RANGES:
        yield warning(
            f"BREACHED_PASSWORDS has {ranges} of {RANGES} ranges; fetch the others with its downloader."
        )
    else:
        yield ok("The breached passwords can be read.")


def _count_ranges(path: Path) -> int | None:
    """Return how many ranges a folder has; None for a file."""
    return sum(1 for _ in path.iterdir()) if path.is_dir() else None


def _request(folder: Path) -> ConversionRequest:
    source = folder / "table.csv"
    source.write_text(TABLE, encoding="utf-8")
    found = format_of(source.name)
    assert found is not None  # noqa: S101 - CSV is read
    return ConversionRequest(source, folder / "table.arff", found.format, "doctor")


def _lacking(found: tuple[str, ...]) -> str:
    return " and no ".join(
        name for name in ("seccomp", "Landlock") if not any(name in each for each in found)
    )


async def check_limits(installation: Installation) -> Found:
    """Say whether the system grants what the settings promise: memory and open files."""
    settings = installation.settings
    allow_many_files()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= files < FILES_OF_A_PROCESS:
        yield warning(
            f"A process may have {files} files and connections open, and {FILES_OF_A_PROCESS} serve as many "
            "clients as it takes. Raise the limit: LimitNOFILE= of the systemd unit, ulimit -n."
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    at_once = settings.conversions_per_machine or usable_processors()
    wanted = at_once * settings.conversion_memory_bytes
    if wanted > memory:
        yield warning(
            f"{at_once} conversions at once may use {wanted / 1e9:.1f} GB, and the machine has "
            f"{memory / 1e9:.1f}. Lower CONVERSIONS_PER_MACHINE or CONVERSION_MEMORY_BYTES."
        )
    yield ok(
        f"{files} open files a process; {at_once} conversions at once, {wanted / 1e9:.1f} of {memory / 1e9:.1f} GB."
    )
