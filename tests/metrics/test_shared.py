"""The values of several processes in one folder: summed, dead ones too, and new with each start."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.metrics.recorder import SummedCollector
from app.metrics.shared import SharedFolder

PROCESS = """
import sys
from pathlib import Path
from app.core import measuring, metrics
from app.metrics.recorder import FileRecorder
from app.metrics.shared import SharedFolder
folder = SharedFolder(Path(sys.argv[1]))
measuring.record_with(FileRecorder(folder))
metrics.LOGINS.add("ok", by=float(sys.argv[2]))
metrics.OPENML_SECONDS.observe(0.07, "data")
metrics.CONVERSIONS_RUNNING.add(by=1)
metrics.CLOCK_OFFSET.set(float(sys.argv[2]))
print(folder.number, flush=True)
sys.stdin.readline()
folder.leave()
"""


def start(data_dir: Path, logins: int) -> "tuple[subprocess.Popen[str], int]":
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(data_dir), str(logins)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def values(folder: SharedFolder) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(SummedCollector(folder))
    text = generate_latest(registry).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        sample.name.removeprefix("openml_web_")
        + sample.labels.get("outcome", sample.labels.get("le", "")): sample.value
        for sample in samples
    }


def test_folder_when_processes_come_and_die_then_what_they_counted_stays_and_what_they_had_open_goes(
    tmp_path: Path,
) -> None:
    first, number = start(tmp_path, 5)
    ours = SharedFolder(tmp_path)
    try:
        second, other = start(tmp_path, 7)
        assert {number, ours.number, other} == {0, 1, 2}
        found = values(ours)
        assert (found["logins_totalok"], found["conversions_running"]) == (12, 2)
        assert found["database_clock_offset_seconds"] == 7
        assert found["openml_request_duration_seconds_bucket0.1"] == 2

        second.send_signal(signal.SIGKILL)
        second.communicate()
        found = values(ours)
        assert (found["logins_totalok"], found["conversions_running"]) == (12, 1)

        third, again = start(tmp_path, 1)
        assert again == other
        assert values(ours)["logins_totalok"] == 13
        assert len(list(ours.path.glob("counter_*.db"))) == 3
        for process in (first, third):
            process.communicate("\n")
    finally:
        ours.leave()
    assert not list(ours.path.glob("*.db"))

    anew, number = start(tmp_path, 2)
    later = SharedFolder(tmp_path)
    assert (number, values(later)["logins_totalok"]) == (0, 2)
    anew.communicate("\n")
    later.leave()


def test_files_when_made_then_their_whole_room_is_taken(tmp_path: Path) -> None:
    folder = SharedFolder(tmp_path)

    sizes = {
        path.name: (path.stat().st_size, path.stat().st_blocks * 512) for path in folder.path.glob("*.db")
    }

    assert len(sizes) == 4
    assert all(taken >= size for size, taken in sizes.values())
    assert folder.path.stat().st_uid == os.getuid()
    folder.leave()
