"""Each check of `openml-web doctor` beside a counterpart that is not well."""

import asyncio
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from app.cli import cli
from app.core.settings import Settings
from app.db.upload_tables import upload_parts
from app.doctor.clocks import blame
from app.doctor.diagnosis import Found, Installation, Level, Wishes, examine, ok
from app.doctor.examination import NAMES
from tests.broker_servers import shared_broker
from tests.chaos import FAKETIME
from tests.doctor.conftest import Diagnose, told
from tests.servers import serving
from tests.small_disk import small_disk
from tests.web.search.elastic import SearchServer

ROOT = Path(__file__).parents[2]
HIDDEN = "a secret that nobody prints"


def seen(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its mode and content."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) for path in files}


def test_doctor_when_all_is_well_then_each_check_says_so_and_nothing_is_changed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("# Nothing yet.\n")
    (tmp_path / ".env").chmod(0o600)
    given = {
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URI": settings.database_uri.get_secret_value(),
        "OPENML_SERVER": settings.openml_server,
        "PORT": str(settings.port),
        "APP_SECRET_KEY": HIDDEN * 2,
        "SMTP_PASS": HIDDEN,
        "SMTP_LOGIN": "ada",
    }
    before = seen(tmp_path)

    result = CliRunner().invoke(cli, ["doctor", "--json"], env=given)
    strict = CliRunner().invoke(
        cli, ["doctor", "--strict", "--only", "settings", "--only", "modes"], env=given
    )
    shown = CliRunner().invoke(cli, ["doctor", "--settings"], env=given)

    findings = json.loads(result.stdout)["findings"]
    assert (result.exit_code, strict.exit_code, shown.exit_code) == (0, 1, 0), result.output
    assert {each["check"] for each in findings} == set(NAMES)
    assert {each["level"] for each in findings} == {"ok", "skipped", "warning"}
    assert strict.output.splitlines()[0].startswith("warning  settings   ENVIRONMENT is development.")
    assert strict.output.splitlines()[-1] == "0 faults, 1 warnings."
    assert f"SMTP_PASS=(a secret of {len(HIDDEN)} characters)\n    Password to log in with." in shown.output
    assert HIDDEN not in result.output + strict.output + shown.output
    assert seen(tmp_path) == before


async def test_check_when_it_hangs_or_falls_then_said_without_what_it_holds(settings: Settings) -> None:
    async def hang(_: Installation) -> Found:
        yield ok("It began.")
        await asyncio.sleep(60)

    async def fall(_: Installation) -> Found:
        yield ok(f"The server repeats {HIDDEN}\nand \x1b[2J more.")
        raise KeyError(HIDDEN)

    told_secret = settings.model_copy(update={"smtp_pass": type(settings.smtp_pass)(HIDDEN)})
    found = await examine({"a": hang, "b": fall}, Installation(told_secret, Wishes(), None), seconds=0.1)

    assert [each[:2] for each in found] == [
        ("a", Level.OK), ("a", Level.FAULT), ("b", Level.OK), ("b", Level.FAULT),
    ]  # fmt: skip
    assert "within 0.1 seconds" in found[1].text
    assert found[2].text == "The server repeats … and U+001B[2J more."
    assert found[3].text.startswith("It cannot be looked at: KeyError at test_doctor.py:")


def test_page_when_it_lists_the_checks_then_all_of_them() -> None:
    section = (ROOT / "docs/operations.md").read_text().partition("## What is wrong?")[2]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]

    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(NAMES)


# --- settings, files and ports


async def test_files_with_secrets_when_others_may_read_them_then_each_is_named(
    diagnose: Diagnose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (".env", "password", "openml.db"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    monkeypatch.setenv("SMTP_PASS_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("PASS_CROISSANT", "true")

    warnings = told(await diagnose("modes", "settings"), Level.WARNING)

    assert {line.rpartition(" ")[2] for line in warnings.splitlines() if "chmod o-rwx" in line} == {
        ".env", str(tmp_path / "password"), str(tmp_path / "openml.db"),
    }  # fmt: skip
    assert "PASS_CROISSANT is no setting any more" in warnings
    assert stat.S_IMODE((tmp_path / "openml.db").stat().st_mode) == 0o644, "it is for the start to mend"


async def test_ports_when_taken_silent_or_none_of_this_machine_then_faults(
    diagnose: Diagnose, sandbox_url: str, free_port: int
) -> None:
    taken = int(sandbox_url.rstrip("/").rpartition(":")[2])

    assert "Another program listens" in told(await diagnose("ports", port=taken), Level.FAULT)
    assert "Check HOST and PORT" in told(await diagnose("ports", host="192.0.2.7"), Level.FAULT)
    assert "openml-web serve does not run here" in told(await diagnose("ports"), Level.WARNING)
    with socket.create_server(("127.0.0.1", free_port)) as closing:
        asyncio.get_running_loop().call_later(0.1, closing.close)
        assert "does not answer" in told(await diagnose("ports", port=free_port), Level.FAULT)


# --- this machine


async def test_machine_when_it_has_less_than_the_settings_promise_then_warned(diagnose: Diagnose) -> None:
    found = await diagnose("limits", conversion_memory_bytes=10**15)

    assert "Lower CONVERSIONS_PER_MACHINE or CONVERSION_MEMORY_BYTES" in told(found, Level.WARNING)


async def test_children_when_they_cannot_end_their_work_then_a_fault(
    diagnose: Diagnose, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Less than its libraries take: no setting allows as little, a container may.
    monkeypatch.setattr("app.doctor.machine.ProcessLimits", lambda **_: _limits_of(1 << 20))

    assert "does not get to its end" in told(await diagnose("children"), Level.FAULT)
    assert not list(settings.data_dir.glob("doctor-*"))


def _limits_of(memory_bytes: int) -> Any:
    from app.core.child_limits import ProcessLimits

    return ProcessLimits(memory_bytes=memory_bytes)


def test_clock_and_open_files_when_wrong_here_then_said(settings: Settings, tmp_path: Path) -> None:
    if not FAKETIME.exists():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("not installed: libfaketime")
    given = {
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URI": settings.database_uri.get_secret_value(),
        "OPENML_SERVER": settings.openml_server,
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME": "+90s",
    }
    command = f"ulimit -n 900 && exec {sys.executable} -m app.cli doctor --only clocks --only limits --json"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), **given},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    texts = {(each["check"], each["level"]): each["text"] for each in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1
    assert re.search(r"clock: OpenML's (8[5-9]|9[0-5]) s behind\. Set the clocks", texts["clocks", "fault"])
    assert "A process may have 900 files" in texts["limits", "warning"]


@pytest.mark.parametrize(
    ("database", "openml_server", "says"),
    [
        (120.0, 0.4, " The wrong one is the database's, for the others agree."),
        (0.4, -120.0, " The wrong one is OpenML's, for the others agree."),
        (-120.0, -121.0, " The wrong one is this machine's, for the others agree."),
        (120.0, -120.0, ""),
    ],
)
def test_clocks_when_three_are_known_then_the_one_that_stands_alone_is_blamed(
    database: float, openml_server: float, says: str
) -> None:
    assert blame({"the database's": database, "OpenML's": openml_server}) == says


# --- stores and servers


async def test_store_when_its_disk_is_full_then_both_checks_say_so_and_nothing_is_left(
    diagnose: Diagnose, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "full", mebibytes=1) as folder:
        (folder / "ballast").write_bytes(bytes((1 << 20) - 4096))

        faults = told(await diagnose("disk", "storage", data_dir=folder), Level.FAULT)

        assert "disk: DATA_DIR takes no bytes: No space left on device" in faults
        assert "storage:" in faults
        assert {path.name for path in folder.rglob("*") if path.is_file()} == {
            "ballast",
            "development-secret",
        }
        assert "children: DATA_DIR" in told(await diagnose("children", data_dir=folder), Level.FAULT)


async def test_store_when_another_one_is_there_then_a_fault_names_the_uploads_it_lacks(
    diagnose: Diagnose, settings: Settings, tmp_path: Path
) -> None:
    part = {"upload_id": "5" * 32, "start": 0, "name": "0.part", "length": 9}
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'openml.db'}")
    with engine.begin() as connection:
        connection.execute(sa.insert(upload_parts).values(part))
    engine.dispose()

    assert f"lacks bytes of 1 uploads that are not published: {'5' * 32}." in told(
        await diagnose("storage"), Level.FAULT
    )

    folder = settings.data_dir / "uploads" / ("5" * 32)
    folder.mkdir()
    (folder / "0.part").write_bytes(b"station,1")
    assert told(await diagnose("storage"), Level.FAULT) == ""


async def test_disk_when_conversions_wait_for_room_then_warned(diagnose: Diagnose, tmp_path: Path) -> None:
    reserve = int(shutil.disk_usage(tmp_path).free / 1.25)

    assert "conversions wait" in told(await diagnose("disk", disk_reserve_bytes=reserve), Level.WARNING)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"redis_url": "redis://127.0.0.1:9/0"}, "REDIS_URL: the server does not answer (127.0.0.1:9"),
        ({"broker_url": "amqp://127.0.0.1:9/"}, "BROKER_URL: the server does not answer (127.0.0.1:9"),
        ({"broker_url": "redis://nowhere.invalid/"}, "BROKER_URL names a host that is not known"),
        ({"elasticsearch_server": "http://127.0.0.1:9/"}, "http://127.0.0.1:9/: the search server"),
        ({"openml_server": "http://127.0.0.1:9/"}, "http://127.0.0.1:9/ cannot be reached"),
        ({"smtp_server": "127.0.0.1", "smtp_port": 9}, "mail: 127.0.0.1:9: "),
        (
            {"storage_url": "s3://bucket", "aws_endpoint_url": "http://127.0.0.1:9"},
            "AWS_ENDPOINT_URL has no TLS",
        ),
    ],
)
async def test_server_when_away_or_misnamed_then_its_setting_is_named(
    diagnose: Diagnose, changes: dict[str, Any], says: str
) -> None:
    assert says in told(
        await diagnose("redis", "broker", "search", "openml", "mail", "storage", **changes), Level.FAULT
    )


async def test_redis_when_it_refuses_the_password_then_a_fault_without_it(diagnose: Diagnose) -> None:
    with shared_broker("redis") as server:
        place = server.url.partition("://")[2]
        faults = told(
            await diagnose("redis", redis_url=f"redis://nobody:{HIDDEN.replace(' ', '-')}@{place}"),
            Level.FAULT,
        )
        well = told(await diagnose("redis", redis_url=server.url), Level.OK)

    assert "refuses us. Check user and password" in faults
    assert HIDDEN.replace(" ", "-") not in faults
    assert "lets us in" in well


@pytest.mark.parametrize(
    ("documents", "level", "says"),
    [(2, Level.OK, "has 2 datasets in its index"), (0, Level.WARNING, "has no dataset in its index `data`")],
)
async def test_search_when_its_index_has_datasets_or_none_then_said(
    diagnose: Diagnose, documents: int, level: Level, says: str
) -> None:
    server = SearchServer(version=8)
    for number in range(documents):
        server.put("data", str(number), data_id=number, name="iris", status="active", visibility="public")
    async with serving(server.app) as url:
        assert says in told(await diagnose("search", elasticsearch_server=url), level)


@pytest.mark.long
async def test_store_when_its_key_or_bucket_is_wrong_then_a_fault_else_tried(
    diagnose: Diagnose, s3: dict[str, str]
) -> None:
    well = await diagnose("storage", **s3)
    wrong_key = await diagnose("storage", **{**s3, "aws_secret_access_key": HIDDEN.replace(" ", "")})
    wrong_bucket = await diagnose("storage", **{**s3, "storage_url": "s3://elsewhere"})

    assert "takes, returns, lists and deletes" in told(well, Level.OK)
    assert "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in told(wrong_key, Level.FAULT)
    assert "has no such bucket" in told(wrong_bucket, Level.FAULT)
    assert HIDDEN.replace(" ", "") not in str(wrong_key)
