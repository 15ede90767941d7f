"""`openml-sandbox` as a process of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

MODULE = (sys.executable, "-m", "openml_sandbox")


@contextmanager
def running(
    folder: Path, *options: str, command: Sequence[str] = MODULE, **environment: str
) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Start it in a folder, on a free port; yield its address once it serves."""
    with subprocess.Popen(
        [*command, "--port=0", *options],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if "startup complete" in line:
                break
        found = re.search(r"API is at (http://127\.0\.0\.1:\d+)/api/v1/xml", said)
        try:
            assert found, f"it did not start: {said}"
            yield found[1], process
        finally:
            process.terminate()
