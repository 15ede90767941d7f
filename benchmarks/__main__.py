"""Every measured line in its short form, beside its rival: `make bench`.

    .venv/bin/python -m benchmarks [MODULE …] [--long] [--keep]

Each module runs as a process of its own, one after another. All of them together write `benchmarks/RESULTS.md`. Ratios
are compared with those in `benchmarks/ratios.json`, and what became worse by over 15 % is shown; `--keep` writes the new
ones there. Named modules are only run and compared.
"""

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer

from benchmarks.lines import Aim, Line

MODULES = (
    "small",
    "clients",
    "receive",
    "convert",
    "login",
    "profile",
    "metrics",
    "upload",
    "growth",
    "hints",
    "claims",
)
"""The modules with lines, in the order of the page."""
FOLDER = Path(__file__).parent
SHORT_SECONDS, LONG_SECONDS = 200, 3600
"""After which a module is ended: on two quiet processors the short forms take six minutes, all together."""
GRACE_SECONDS = 20
"""For a module that is ended; then it is killed with all that it has started."""
PAGE = FOLDER / "RESULTS.md"
RATIOS = FOLDER / "ratios.json"
WORSE = 0.15
"""The share by which a ratio may be worse without a word: so much comes and goes on a shared machine."""
RUN = """
import json, os, sys
from importlib import import_module
found = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what else is printed, by processes that are started as well, is none of it
for line in import_module("benchmarks." + sys.argv[1]).lines(short=sys.argv[2] == "short"):
    print(line, file=sys.stderr, flush=True)
    print(json.dumps(line), file=found, flush=True)
"""
HEAD = """# What was measured last

Written by `make bench`: every line in its short form beside its rival, in the same run. Ratios carry over to other machines;
what they are made of does not. [README.md](README.md) says what is measured, and where the remaining cost is. "Before" is the
ratio in `ratios.json`.

{when}, {machine}.

| line | measured | rival | ratio | aim | | before | command |
|---|---|---|---|---|---|---|---|
"""


def measure(module: str, *, short: bool) -> list[Line]:
    """Run one module; what it could measure before it failed, or took too long, is returned."""
    print(f"-- {module}", file=sys.stderr, flush=True)
    command = [sys.executable, "-W", "ignore", "-c", RUN, module, "short" if short else "long"]
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        bound = SHORT_SECONDS if short else LONG_SECONDS
        # As by a key, so that it ends what it has started.
        too_long = Timer(bound, process.send_signal, [signal.SIGINT])
        much_too_long = Timer(bound + GRACE_SECONDS, os.killpg, [process.pid, signal.SIGKILL])
        too_long.start()
        much_too_long.start()
        try:
            printed, _ = process.communicate()
        except BaseException:
            process.send_signal(signal.SIGINT)
            raise
        finally:
            too_long.cancel()
            much_too_long.cancel()
    seconds = time.monotonic() - began
    print(f"   {module} {'FAILED' if process.returncode else 'took'} {seconds:.0f} s", file=sys.stderr)
    found = map(json.loads, printed.splitlines())
    return [
        Line(name, value, unit, rival, beside, Aim(*aim) if aim else None)
        for name, value, unit, rival, beside, aim in found
    ]


def row(module: str, line: Line, before: float | None) -> str:
    """Return a row of the page."""
    cells = (
        line.name,
        f"{line.value:.3g} {line.unit}",
        f"{line.beside}: {line.rival:.3g}",
        f"{line.ratio:.2f}",
        line.told_aim(),
        "" if line.is_met else "**not met**",
        "-" if before is None else f"{before:.2f}",
        f"`python -m benchmarks {module}`",
    )
    return f"| {' | '.join(cells)} |\n"


def machine() -> str:
    """Return what the figures were made on."""
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    name = found[1] if found else platform.processor() or platform.machine()
    return (
        f"{platform.system()}, {os.cpu_count()} x {name}, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(MODULES))
    parser.add_argument("--long", action="store_true", help="the long forms, which are not compared")
    parser.add_argument("--keep", action="store_true", help="keep these ratios to compare later ones with")
    options = parser.parse_args()
    found = [
        (module, line)
        for module in options.modules or MODULES
        for line in measure(module, short=not options.long)
    ]
    if options.long:
        return
    before: dict[str, float] = json.loads(RATIOS.read_text()) if RATIOS.exists() else {}
    if not options.modules:
        head = HEAD.format(when=datetime.now(UTC).date(), machine=machine())
        PAGE.write_text(head + "".join(row(module, line, before.get(line.name)) for module, line in found))
    for _, line in found:
        if line.name in before and line.worse_by(before[line.name]) > WORSE:
            print(f"WORSE: {line.name}: ratio {line.ratio:.2f}, before {before[line.name]:.2f}")
    if options.keep:
        kept = before | {line.name: round(line.ratio, 3) for _, line in found}
        RATIOS.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
