"""Backups that somebody edited: a sentence says so, and nothing is read or written outside of them."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.backup.folder import Backup
from app.backup.restoring import restore
from app.backup.site import BackupError, open_site
from app.core.settings import Settings
from tests.backup.test_backup import as_settings, back_up, quiet
from tests.conftest import insert_person, serving
from tests.uploads.test_data_upload import CSV
from tests.uploads.test_resources import begin, send

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
Harm = Callable[[Path], None]


def sealed(folder: Path, **changes: Any) -> None:
    """Let the manifest fit whatever `SHA256SUMS` says, and have other values."""
    path = folder / "manifest.json"
    sums = hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
    path.write_text(json.dumps({**json.loads(path.read_text()), "sums": sums, **changes}))


def listing(line: str) -> Harm:
    def harm(folder: Path) -> None:
        with (folder / "SHA256SUMS").open("a") as file:
            file.write(line)
        sealed(folder)

    return harm


def saying(**changes: Any) -> Harm:
    return lambda folder: sealed(folder, **changes)


def table(name: str, text: str) -> Harm:
    def harm(folder: Path) -> None:
        path = folder / "tables" / f"{name}.jsonl"
        old = hashlib.sha256(path.read_bytes()).hexdigest()
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        sums = folder / "SHA256SUMS"
        sums.write_text(sums.read_text().replace(old, hashlib.sha256(path.read_bytes()).hexdigest()))
        sealed(folder)

    return harm


def linked(folder: Path) -> None:
    """Put a link where a part was, to a file of the same bytes outside."""
    part = next(path for path in (folder / "files/uploads").rglob("*") if path.is_file())
    outside = folder.with_name("outside")
    shutil.move(part, outside)
    part.symlink_to(outside)


EMPTY = hashlib.sha256(b"").hexdigest()
HARMS: dict[str, Harm] = {
    "a name that climbs out": listing(f"{EMPTY}  files/uploads/../../../outside\n"),
    "an absolute name": listing(f"{EMPTY}  /etc/hostname\n"),
    "a name of no store": listing(f"{EMPTY}  files/elsewhere/a\n"),
    "an empty name": listing(f"{EMPTY}  \n"),
    "a long name": listing(f"{EMPTY}  files/uploads/{'a' * 5000}/b\n"),
    "no digest": listing("0  files/uploads/a/b\n"),
    "no text": listing("\u00e9\n"),
    "a zero in a name": listing(f"{EMPTY}  files/uploads/a\0/b\n"),
    "a link": linked,
    "tables that are none": saying(rows={"../../x": 1}),
    "tables twice as text": saying(rows={"uploads": "many"}),
    "a huge number": saying(rows={"uploads": 10**30}),
    "an infinite number": saying(bytes=float("inf")),
    "a negative last number": saying(last_ids={"uploads": -1}),
    "last numbers too large": saying(last_ids={"outbox": 10**19}),
    "a table not listed": saying(rows={"groups": 1, "rate_counters": 0, "openml_web_version": 1}),
    "a revision that is none": saying(revision="../0001"),
    "columns that are none": table("uploads", '["id; DROP TABLE users"]\n'),
    "no columns": table("uploads", ""),
    "no JSON": table("uploads", "[\n"),
    "rows that are none": table("upload_parts", '["upload_id","start","name","length"]\n{"a":1}\n'),
    "rows too short": table("upload_parts", '["upload_id","start","name","length"]\n["a"]\n'),
    "values of another kind": table(
        "upload_parts", '["upload_id","start","name","length"]\n["a",{"b":1},"c",null]\n'
    ),
    "no date": table("sessions", '["jti","user_id","created_at"]\n["a",1,"never"]\n'),
    "deep JSON": table("uploads", "[" * 100_000 + "\n"),
}


@pytest.fixture
async def saved(settings: Settings, password_hash: str, tmp_path: Path) -> Path:
    async with serving(settings.model_copy(update={"embedded_worker": False})) as app:
        person = await insert_person(app, password_hash)
        await send(app, person, await begin(app, person), CSV[:20])
    await back_up(settings, tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.long
async def test_backup_when_somebody_edited_it_then_refused_in_words_and_nothing_is_restored(
    settings: Settings, saved: Path, tmp_path: Path
) -> None:
    wrong = []
    for number, (what, harm) in enumerate(HARMS.items()):
        folder = tmp_path / f"edited{number}" / "backup"
        shutil.copytree(saved, folder)
        harm(folder)
        place = {
            "data_dir": str(folder.with_name("var")),
            "database_uri": f"sqlite:///{folder.with_name('openml.db')}",
        }
        try:
            backup = Backup(folder)
            backup.verify()
            async with open_site(settings.model_copy(update=as_settings(place))) as site:
                await restore(backup, site, quiet)
            wrong.append((what, "restored"))
        except BackupError as error:
            if str(tmp_path / "openml") in str(error) or not str(error):
                wrong.append((what, str(error)))
        except Exception as error:  # noqa: BLE001 - each that gets through is listed
            wrong.append((what, repr(error)[:200]))

    assert wrong == []
