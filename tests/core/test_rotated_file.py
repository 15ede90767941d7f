"""A log file of several processes: no line is lost or mixed with another while it is put aside."""

import subprocess
import sys
from pathlib import Path

WRITER = """
import logging, sys
from pathlib import Path
from app.core.rotated_file import RotatedFile
handler = RotatedFile(Path(sys.argv[1]), most_bytes=20_000, files=500)
for number in range(2000):
    handler.emit(logging.LogRecord("x", 20, "", 0, f"{sys.argv[2]} {number} " + "x" * 40, (), None))
"""


def test_lines_when_several_processes_write_then_each_is_whole_and_there_once(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(number)]) for number in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]

    files = [each for each in tmp_path.iterdir() if each.suffix != ".lock"]
    lines = [line for file in files for line in file.read_text().splitlines()]

    assert len(files) > 10
    assert all(file.stat().st_size < 21_000 for file in files)
    assert sorted(lines) == sorted(f"{w} {number} {'x' * 40}" for w in range(3) for number in range(2000))


def test_files_when_more_than_are_kept_then_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    writer = WRITER.replace("files=500", "files=2")
    subprocess.run([sys.executable, "-c", writer, path, "0"], check=True)

    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "log.json",
        "log.json.1",
        "log.json.2",
        "log.json.lock",
    ]
    assert (tmp_path / "log.json").read_text().splitlines()[-1].startswith("0 1999 ")
