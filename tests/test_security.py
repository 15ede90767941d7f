"""Attacks that worked on the Flask backend and have no other home; docs/security.md lists them all."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.accounts.links import LinkPurpose, create_link
from app.core import middleware
from app.core.clients import Client
from app.core.limits import LIMITS
from app.core.settings import Settings
from app.db.tables import audit_events, outbox, users, users_groups
from tests.conftest import (
    PASSWORD,
    PATIENCE_SECONDS,
    MakePerson,
    Person,
    Running,
    eventually,
    running,
    wait_until_up,
)
from tests.mailbox import link_in, mail_to
from tests.service import ADA, Service, wait_for
from tests.uploads.test_data_upload import form

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "path", ["/auth/oauth/github", "/auth/oauth/google", "/api/auth/callback/passkey", "/api/proxy-file"]
)
async def test_identity_when_only_claimed_then_nothing_is_given(
    app: Running, person: Person, path: str
) -> None:
    claims = {
        "provider": "github",
        "providerId": "1",
        "email": person.email,
        "name": "x",
        "user": {"id": "1"},
    }

    answer = await app.client.post(path, json=claims)

    assert answer.status_code in {404, 405, 501}
    assert person.api_key not in answer.text
    assert "access_token" not in answer.text


async def test_key_when_it_is_sql_then_no_account_and_never_forwarded(app: Running, person: Person) -> None:
    for key in [
        '" OR 1=1 -- ',
        "' OR ''='",
        f"{person.api_key}' -- ",
        person.api_key[:31],
        "%",
        "0" * 32,
        "",
    ]:
        answer = await app.client.post("/data-upload", headers={"X-API-Key": key}, files=form())
        assert answer.status_code == 401, key


async def test_key_when_right_then_uploads_as_its_owner(app: Running, make_person: MakePerson) -> None:
    owner, _ = await make_person(), await make_person()

    answer = await app.client.post(
        "/data-upload", headers={"X-API-Key": owner.api_key.upper()}, files=form(dataset_name="by-key")
    )
    lower = await app.client.post(
        "/data-upload", headers={"X-API-Key": owner.api_key}, files=form(dataset_name="by-key")
    )

    # OpenML's column compares without case on MySQL; either way it is the owner or nobody.
    assert answer.status_code in {200, 401}
    assert lower.json()["msg"] == "dataset uploaded"


async def test_key_when_account_is_not_confirmed_then_refused(app: Running, make_person: MakePerson) -> None:
    person = await make_person(active=False)

    answer = await app.client.post("/data-upload", headers={"X-API-Key": person.api_key}, files=form())

    assert answer.status_code == 401


async def test_login_when_it_is_sql_then_a_wrong_name(app: Running, person: Person) -> None:
    for login in [
        "' OR 1=1 -- ",
        f"{person.email}' -- ",
        "%",
        "_" * len(person.email),
        "\\",
        person.email + "\0",
    ]:
        answer = await app.client.post("/login", json={"email": login, "password": PASSWORD})
        assert "access_token" not in answer.text, login


async def test_resend_when_repeated_then_no_group_before_confirmation_and_a_bounded_number_of_mails(
    app: Running, make_person: MakePerson
) -> None:
    person = await make_person(active=False)

    for _ in range(8):
        answer = await app.client.post("/send-confirmation-token", json={"email": person.email})
        assert answer.status_code == 200

    assert len(await settled(app)) == 5
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(users_groups)) == 0


async def settled(app: Running) -> list[str]:
    """The kinds of all mails that went out, once nothing waits any more."""

    async def look() -> list[str] | None:
        async with app.resources.database.session() as session:
            rows = (await session.execute(sa.select(outbox.c.kind, outbox.c.state))).all()
        return [row.kind for row in rows] if all(row.state == "sent" for row in rows) else None

    return await eventually(look)


async def test_reset_when_a_stranger_asks_for_the_other_mails_first_then_the_owner_still_gets_it(
    app: Running, person: Person
) -> None:
    for _ in range(6):
        await app.client.post("/send-confirmation-token", json={"email": person.email})
    await app.client.post("/forgotpassword", json={"email": person.email})

    assert await settled(app) == ["reset_password"]


@pytest.mark.parametrize("marks", [30_000, 200_000])
async def test_password_when_normalising_it_would_take_for_ever_then_refused_at_once(
    app: Running, person: Person, marks: int
) -> None:
    password = "a" + "\u0301\u0316" * marks
    form_fields = {"username": (None, person.email), "password": (None, password)}

    by_form = await app.client.post("/token", files=form_fields)
    by_json = await app.client.post("/login", json={"email": person.email, "password": password})

    assert (by_form.status_code, by_form.json()["error"]) == (413, "invalid_request")
    assert by_json.status_code in {413, 422}


async def test_token_when_password_is_long_then_the_same_for_known_and_unknown(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    old = await make_person(password_hash="5f4dcc3b5aa765d61d8327deb882cf99")
    for length, expected in ((1024, 400), (1025, 400), (5000, 400)):
        for name in (person.email, old.email, "nobody@example.org"):
            answer = await app.client.post("/token", data={"username": name, "password": "a" * length})
            assert answer.status_code == expected, (name, length)


async def test_token_when_its_form_is_in_an_odd_charset_then_no_500(app: Running) -> None:
    for charset, name in (("utf-7", b"+2AA-"), ("unicode_escape", rb"\ud800"), ("no-such", b"x")):
        body = b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\n' + name + b"\r\n--x--"
        kind = f"multipart/form-data; boundary=x; charset={charset}"
        answer = await app.client.post("/token", content=body, headers={"Content-Type": kind})
        assert 400 <= answer.status_code < 500, (charset, answer.text)


async def test_login_when_under_way_while_the_password_is_reset_then_its_token_is_dead(
    app: Running, person: Person
) -> None:
    async with app.resources.database.session() as session:
        link = await create_link(
            session, app.resources.settings, user_id=person.id, purpose=LinkPurpose.RESET_PASSWORD
        )

    async def old_login(number: int) -> Any:
        await asyncio.sleep(number * 0.015)
        return await app.client.post("/login", json={"email": person.email, "password": PASSWORD})

    async def reset() -> Any:
        return await app.client.post("/resetpassword", json={"url": link, "password": "eleven clouds drift"})

    done, *logins = await asyncio.gather(reset(), *(old_login(number) for number in range(12)))

    assert done.status_code == 200
    tokens = [answer.json()["access_token"] for answer in logins if "access_token" in answer.json()]
    for token in tokens:
        answer = await app.client.get("/verifytoken", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401


async def test_guesses_when_they_come_in_one_burst_then_no_more_than_allowed_are_looked_at(
    app: Running, person: Person
) -> None:
    answers = await asyncio.gather(
        *(
            app.client.post("/login", json={"email": person.email, "password": f"guess {number}"})
            for number in range(40)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [429] * 30
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(audit_events)) == 10


async def test_login_when_the_database_takes_another_letter_for_the_same_then_we_do_not(
    app: Running, make_person: MakePerson
) -> None:
    """Else a guesser had many names for one account, and limits would tell which names exist."""
    await make_person(email="kate@example.org")

    for name in (
        "k\u00e1te@example.org",
        "\u212aate@example.org",
        "kate@example.org\u00a0x",
        "\U0001f600",
    ):
        answer = await app.client.post("/login", json={"email": name, "password": PASSWORD})
        assert "access_token" not in answer.text, name
        assert answer.status_code in {200, 422}, name
    answer = await app.client.post("/login", json={"email": "KATE@example.org", "password": PASSWORD})
    assert "access_token" in answer.text


@pytest.mark.parametrize("database_uri", ["sqlite", "openml"], indirect=True)
async def test_address_when_many_want_it_at_once_by_every_road_then_one_account_has_it(app: Running) -> None:
    person = {"first_name": "A", "last_name": "B", "password": PASSWORD}
    for number in range(4):
        body = {**person, "email": f"a{number}@example.org"}
        await asyncio.gather(
            *(app.client.post(path, json=body) for path in ("/signup", "/register", "/signup", "/register"))
        )
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(users)) == 4


async def test_confirmation_when_two_want_one_address_then_one_gets_it(
    app: Running, make_person: MakePerson
) -> None:
    people = [await make_person() for _ in range(4)]
    async with app.resources.database.session() as session:
        links = [
            await create_link(
                session,
                app.resources.settings,
                user_id=person.id,
                purpose=LinkPurpose.CHANGE_EMAIL,
                email="wanted@example.org",
            )
            for person in people
        ]

    answers = await asyncio.gather(*(app.client.post("/confirmation", json={"url": link}) for link in links))

    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]


async def test_logout_when_twelve_say_it_at_once_then_each_is_told_yes(app: Running, person: Person) -> None:
    answers = await asyncio.gather(*(app.client.post("/logout", headers=person.headers) for _ in range(12)))

    assert {answer.status_code for answer in answers} == {200}


async def test_metadata_when_it_has_half_a_million_mistakes_then_a_short_answer(
    app: Running, person: Person
) -> None:
    for field in ("creator", "contributor", "ignore_attribute", "def_tar_att"):
        mistakes: dict[str, Any] = {field: [0] * 300_000}
        answer = await app.client.post("/data-upload", files=form(**mistakes), headers=person.headers)
        assert answer.status_code == 422
        assert len(answer.content) < 20_000
    answer = await app.client.post(
        "/data-upload",
        files=form(attributes={f"column {number}": 5 for number in range(20_000)}),
        headers=person.headers,
    )
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 1)


async def test_upload_when_the_boundary_is_endless_then_400(app: Running, person: Person) -> None:
    headers = {**person.headers, "Content-Type": f"multipart/form-data; boundary={'x' * 300}"}

    assert (await app.client.post("/data-upload", content=b"--", headers=headers)).status_code == 400


async def test_key_when_guessed_then_slowed_down_and_the_right_one_is_not(
    app: Running, person: Person
) -> None:
    async def ask(key: str) -> int:
        return (await app.client.post("/data-upload", headers={"X-API-Key": key})).status_code

    assert [await ask(person.api_key) for _ in range(40)] == [400] * 40
    guesses = [await ask(f"{number:032x}") for number in range(32)]
    assert guesses == [401] * 30 + [429] * 2


async def test_account_when_closed_by_another_server_then_no_mail_opens_it_again(app: Running) -> None:
    body = {"first_name": "A", "last_name": "B", "email": "a@example.org", "password": PASSWORD}
    await app.client.post("/signup", json=body)
    await app.client.post("/confirmation", json={"url": link_in(await mail_to(app, body["email"]))})
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).values(active=0))

    await app.client.post("/send-confirmation-token", json={"email": body["email"]})

    assert await settled(app) == ["confirm_email"]


async def test_signup_when_accounts_are_hidden_then_odd_names_do_not_tell_either(
    settings: Settings,
) -> None:
    body = {"last_name": "B", "email": "a@example.org", "password": PASSWORD}
    async with running(settings.model_copy(update={"signup_hides_accounts": True})) as app:
        await app.client.post("/signup", json={**body, "first_name": "A"})
        taken, free = [
            await app.client.post("/signup", json={**body, "first_name": "\u0416", "email": email})
            for email in (body["email"], "b@example.org")
        ]
        names = [
            (await app.client.post("/register", json={**body, "first_name": "A", "email": email})).json()
            for email in (body["email"], "a@example.com")
        ]

    assert taken.status_code == free.status_code
    assert all(re.fullmatch(r"a-[0-9a-f]{6}", name["username"]) for name in names)


async def test_row_when_other_servers_wrote_it_then_every_route_answers(app: Running, person: Person) -> None:
    dialect = "sqlite" if app.resources.database.is_sqlite else "mysql"
    async with app.resources.database.session() as session:
        await session.execute(sa.text("UPDATE users SET first_name = NULL, last_name = NULL, image = '0000'"))
        if dialect == "sqlite":
            await session.execute(sa.text("UPDATE users SET core = '0000', bio = CAST(x'41ff42' AS TEXT)"))
        await session.execute(sa.insert(users_groups).values(user_id=person.id, group_id=2))

    for path in ("/profile", "/export", "/sessions", "/audit", "/api-key", "/verifytoken"):
        assert (await app.client.get(path, headers=person.headers)).status_code == 200, path
    login = await app.client.post("/login", json={"email": person.email, "password": PASSWORD})
    assert "access_token" in login.json()


async def test_database_error_when_logged_then_without_the_values(app: Running, person: Person) -> None:
    async with app.resources.database.session() as session:
        await session.execute(sa.text("SELECT 1"))
    with pytest.raises(sa.exc.DBAPIError) as failed:
        async with app.resources.database.session() as session:
            await session.execute(
                sa.text("SELECT no_such_column FROM users WHERE session_hash = :key"), {"key": person.api_key}
            )

    assert person.api_key not in str(failed.value)


async def test_feedback_when_one_line_is_endless_then_the_mail_has_lines_that_servers_take(
    app: Running,
) -> None:
    await app.client.post("/feedback", json={"email": "", "feedback": "x" * 9000})
    await settled(app)
    folder = app.resources.settings.data_dir / "mail"
    raw = await asyncio.to_thread(lambda: next(folder.glob("*.eml")).read_bytes())

    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_secret_when_anybody_could_guess_it_then_not_used_on_a_laptop_either(tmp_path: Path) -> None:
    for weak in ("abcd", "x" * 31):
        settings = Settings(_env_file=None, data_dir=tmp_path, app_secret_key=weak)
        assert len(settings.token_secret) >= 64
    strong = Settings(_env_file=None, data_dir=tmp_path, app_secret_key="y" * 32)
    assert strong.token_secret == "y" * 32


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_service_when_started_by_its_own_command_then_no_header_says_who_asks_and_no_path_forges_the_log(
    tmp_path: Path, database_uri: str, sandbox_url: str, free_port: int
) -> None:
    environment = {
        **os.environ,
        "DATA_DIR": str(tmp_path / "var"),
        "DATABASE_URI": database_uri,
        "OPENML_SERVER": sandbox_url,
        "PORT": str(free_port),
        "LOG_FORMAT": "text",
        "SEND_EMAIL": "false",
    }
    url, log = f"http://127.0.0.1:{free_port}", tmp_path / "log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "app.cli", "serve"]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            wait_until_up(f"{url}/health/live", process)
            for address in ("9.9.9.9", "x" * 60, ""):
                forged = {"X-Forwarded-For": address}
                body = {
                    "first_name": "A",
                    "last_name": "B",
                    "email": f"a{len(address)}@example.org",
                    "password": PASSWORD,
                }
                assert (
                    httpx.post(
                        f"{url}/signup", json=body, headers=forged, timeout=PATIENCE_SECONDS
                    ).status_code
                    == 200
                )
                login = httpx.post(f"{url}/login", json=body, headers=forged, timeout=PATIENCE_SECONDS).json()
                headers = {"Authorization": f"Bearer {login['access_token']}"}
                sessions = httpx.get(f"{url}/sessions", headers=headers, timeout=PATIENCE_SECONDS).json()[
                    "sessions"
                ]
                assert sessions[0]["ip_address"] == "127.0.0.1"
            with socket.create_connection(("127.0.0.1", free_port), timeout=PATIENCE_SECONDS) as connection:
                connection.sendall(b"GET /x%0aforged%1b[31m HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                while connection.recv(4096):
                    pass
        finally:
            process.terminate()
            process.wait(20)
    assert "\nforged" not in log.read_text()
    assert "forged" in log.read_text()


async def test_body_when_it_trickles_for_ever_then_408(app: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.3)

    async def trickle() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.05)

    answer = await app.client.post("/login", content=trickle(), headers={"Content-Type": "application/json"})

    assert answer.status_code == 408
    assert answer.json()["type"] == "https://openml.org/problems/body-stalled"


async def test_name_when_nobody_has_it_then_checked_against_the_same_mixture_of_hashes(
    settings: Settings,
) -> None:
    """A wrong name costs what a wrong password does, also where old hashes are about."""
    async with running(settings) as app:
        hasher = app.resources.passwords
        stored = {f"$2y$1{rounds}${'a' * 53}" for rounds in (0, 1, 2)}
        hasher.learn(sorted(stored))
        drawn = {hasher.dummy_for(f"nobody{number}") for number in range(100)}
        assert drawn == stored
        assert hasher.dummy_for("nobody") == hasher.dummy_for("nobody")


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_log_when_an_account_lived_its_life_then_no_secret_in_it(service: Service, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        service.start(output=output, LOG_LEVEL="DEBUG")
        headers = service.sign_up_and_log_in()
        key = httpx.get(f"{service.url}/api-key", headers=headers, timeout=PATIENCE_SECONDS).json()["apikey"]
        stale = "f" * 64
        for path in ("/confirmation", "/forgot-token", "/resetpassword"):
            httpx.post(
                f"{service.url}{path}",
                json={"url": f"?token={stale}", "password": ADA["password"]},
                timeout=PATIENCE_SECONDS,
            )
        httpx.post(
            f"{service.url}/login",
            json={"email": ADA["email"], "password": "a wrong password"},
            timeout=PATIENCE_SECONDS,
        )
        httpx.get(f"{service.url}/auth/confirm-page/?token={stale}", timeout=PATIENCE_SECONDS)
        httpx.post(f"{service.url}/data-upload", headers={"X-API-Key": key}, files=form(), timeout=60)
        httpx.post(f"{service.url}/forgotpassword", json={"email": ADA["email"]}, timeout=PATIENCE_SECONDS)
        wait_for(lambda: len(service.mails()) == 2)
        link_tokens = [re.findall(r"token=([0-9a-f]{64})", path.read_text())[0] for path in service.mails()]
        httpx.post(f"{service.url}/logout", headers=headers, timeout=PATIENCE_SECONDS)
        service.kill()
    text = log.read_text()

    assert '"path": "/login"' in text or "/login" in text, "the log was written"
    secrets = [ADA["password"], "a wrong password", key, headers["Authorization"][7:], stale, *link_tokens]
    secrets.append(service.environment["APP_SECRET_KEY"])
    assert [secret for secret in secrets if secret in text] == []
    uploads = service.folder / "uploads"
    assert key not in json.dumps([str(path) for path in uploads.rglob("*")])


def test_start_when_the_flask_backends_test_switch_is_set_then_ignored(tmp_path: Path) -> None:
    old = os.environ.get("TESTING")
    os.environ["TESTING"] = "True"
    try:
        settings = Settings(_env_file=None, data_dir=tmp_path)
    finally:
        os.environ.pop("TESTING") if old is None else os.environ.update(TESTING=old)

    assert settings == Settings(_env_file=None, data_dir=tmp_path)
    assert "TEST_ACCESS_TOKEN" not in os.environ


def test_repository_when_searched_then_no_database_key_or_person_in_it() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    names = [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]

    assert [name for name in names if re.search(r"\.(db|sqlite3?|pem|key|p12|env)$", name)] == []
    harmless = re.compile(
        r"@(example\.(org|com)|([\w-]+\.)?example|x\.org|y\.org|openml\.org|gmail\.com|localhost|127\.0)"
    )
    ours = [
        name
        for name in names
        if name.startswith(("app/", "docs/", "README")) and name.endswith((".py", ".md"))
    ]
    text = "\n".join((ROOT / name).read_text() for name in ours)
    people = {word for word in re.findall(r"[\w.+-]+@[\w-]+\.\w+", text) if not harmless.search(word)}
    assert people <= {"openmachinelearning@gmail.com"}, people


def test_image_when_run_then_not_as_root_and_without_anybodys_env() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()

    last_stage = lines[max(n for n, line in enumerate(lines) if line.startswith("FROM")) :]
    assert "USER openml" in last_stage
    assert "COPY . " not in "\n".join(lines)
    assert {".env", ".git"} <= set((ROOT / ".dockerignore").read_text().split()) or not any(
        line.startswith("COPY .") for line in lines
    )


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("203.0.113.1", "203.0.113.1"),
        ("", ""),
    ],
)
def test_visitor_when_they_have_a_whole_ipv6_network_then_it_counts_as_one(
    address: str, network: str
) -> None:
    assert Client(address, "").network == network
    larger = [found.name.rpartition("/")[2] for found in Client(address, "").networks[1:]]
    assert larger == (["56", "48"] if ":" in address else [])


def test_security_page_when_it_names_tests_then_they_exist_and_it_lists_every_limit() -> None:
    page = (ROOT / "docs/security.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    source = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    defined: set[Any] = set(re.findall(r"def (test_\w+)", source))

    assert named - defined == set()
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \|", page, re.MULTILINE))
    assert {name: text.strip() for name, text in rows.items() if name in LIMITS} == dict(LIMITS)
    defects = [int(number) for number in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)]
    assert defects == list(range(1, 40))


WISHES = ("reads", "publishes", "address", "password", "adds", "removes", "deletes", "exports", "stays")
"""What the table of docs/security.md has for each kind of attacker."""


def test_pairs_when_read_then_every_attacker_and_every_wish_has_an_answer() -> None:
    """That the tests which they name exist is held above."""
    page = (ROOT / "docs/security.md").read_text()
    part = page.partition("### What an attacker holds")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")][1:]
    pairs = [(holds, wish) for holds, wishes, *_ in rows for wish in wishes.split(", ")]
    holders = list(dict.fromkeys(holds for holds, _ in pairs))

    assert len(holders) == 10
    assert sorted(pairs) == sorted((holds, wish) for holds in holders for wish in WISHES)
    for holds, wishes, verdict, how in rows:
        assert verdict in {"yes", "partly", "no"}, (holds, wishes)
        assert "`test_" in how or verdict == "no", (holds, wishes)
