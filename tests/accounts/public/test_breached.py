"""Breached passwords, where an operator has a file of them: refused wherever somebody chooses one."""

from pathlib import Path

import pytest

from app.core.settings import Settings, SettingsError
from app.doctor.diagnosis import Installation, Level, Wishes
from app.doctor.machine import check_breached
from tests.conftest import insert_person, running
from tests.core.test_breached_passwords import write_file, write_folder
from tests.mailbox import link_in, mail_to

LOST = "seven lost rivers flow"
SQLITE = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


@SQLITE
async def test_password_when_breached_then_refused_at_sign_up_reset_and_change(
    settings: Settings, tmp_path: Path, password_hash: str
) -> None:
    path = write_file(tmp_path / "hashes.txt", [LOST, *map(str, range(5000))])
    async with running(settings.model_copy(update={"breached_passwords": path})) as app:
        person = await insert_person(app, password_hash)
        await app.client.post("/forgotpassword", json={"email": person.email})
        link = link_in(await mail_to(app, person.email, subject="Reset"))
        name = {"first_name": "A", "last_name": "B", "email": "new@example.org"}
        for body in (
            ("/signup", {**name, "password": LOST}),
            ("/register", {**name, "password": LOST}),
            ("/resetpassword", {"url": link, "password": LOST}),
            ("/password", {"new_password": LOST}),
        ):
            answer = await app.client.post(body[0], json=body[1], headers=person.headers)
            assert answer.status_code == 422, body
            assert "another site has lost it" in answer.json()["errors"][0]["message"]
            assert LOST not in answer.text
        answer = await app.client.post("/signup", json={**name, "password": "seven kept rivers flow"})
        assert answer.json()["msg"] == "User created"


@SQLITE
async def test_start_when_the_file_is_none_that_we_read_then_said_so(
    settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=r"BREACHED_PASSWORDS: .* cannot be read"):
        async with running(settings.model_copy(update={"breached_passwords": tmp_path / "none"})):
            pass


@pytest.mark.parametrize(
    ("what", "level", "words"),
    [
        (None, Level.SKIPPED, "is not set"),
        ("hashes.txt", Level.OK, "can be read"),
        ("ranges", Level.WARNING, "3 of 1048576 ranges"),
        ("missing", Level.FAULT, "cannot be read"),
    ],
)
async def test_doctor_when_it_looks_at_them_then_it_says_what_is_missing(
    tmp_path: Path, what: str | None, level: Level, words: str
) -> None:
    write_file(tmp_path / "hashes.txt", [LOST])
    write_folder(tmp_path / "ranges", [])
    path = tmp_path / what if what else None
    installation = Installation(Settings(_env_file=None, breached_passwords=path), Wishes(), None)

    found = [remark async for remark in check_breached(installation)]

    assert [found_level for found_level, _ in found] == [level]
    assert words in found[0][1]
