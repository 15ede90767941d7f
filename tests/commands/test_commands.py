"""`openml-web mail` and `openml-web user`, as an operator types them."""

import asyncio
import re
from collections.abc import Callable

import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from click.testing import CliRunner, Result

from app.cli import cli
from app.core.clock import utc_now
from app.core.settings import Settings
from app.db import linked_accounts
from app.db import outbox as mails
from app.db.engine import Database
from app.db.tables import audit_events, outbox, users
from app.db.upload_tables import upload_parts
from app.jobs import mail_delivery
from tests.accounts.tokens.conftest import make_token_for
from tests.conftest import PASSWORD, insert_person, running

Run = Callable[..., Result]


def queue(settings: Settings, recipient: str, *, state: str = "pending") -> int:
    async def add() -> int:
        database = Database(settings)
        try:
            async with database.session() as session:
                await mails.add_mail(
                    session, kind="api_key_changed", recipient=recipient, parameters={}, now=utc_now()
                )
                found = await session.scalar(sa.select(sa.func.max(outbox.c.id)))
                if state == "failed":
                    await mails.set_failed(session, found or 0, now=utc_now(), error="550 no such user")
            return found or 0
        finally:
            await database.close()

    return asyncio.run(add())


def test_mail_list_when_asked_what_became_of_a_mail_then_said(run: Run, settings: Settings) -> None:
    queue(settings, "ada@example.org", state="failed")
    queue(settings, "bob@example.org")

    everything, hers, failed = (
        run("mail", "list"),
        run("mail", "list", "--to", "ada@example.org"),
        run("mail", "list", "--state", "failed"),
    )

    assert len(everything.output.splitlines()) == 2
    assert hers.output == failed.output
    assert re.fullmatch(
        r"\d+  [-\d: ]+Z  api_key_changed  ada@example.org  failed  at [-\d: ]+Z  \(550 no such user\)\n",
        hers.output,
    )
    assert run("mail", "list", "--to", "nobody@example.org").output == "No such mail.\n"


def test_mail_retry_when_given_up_then_goes_out(run: Run, settings: Settings) -> None:
    number = queue(settings, "ada@example.org", state="failed")
    assert run("mail", "retry", str(number + 1)).exit_code == 1
    assert run("mail", "retry").exit_code == 2

    assert run("mail", "retry", "--failed").output == "1 to be tried again.\n"

    async def deliver() -> None:
        async with running(settings) as app:
            assert await mail_delivery(app.resources).deliver_one(lease_owner="test")

    asyncio.run(deliver())
    assert "sent" in run("mail", "list").output
    assert run("mail", "retry", str(number)).exit_code == 1, "what is out is not sent twice"


def test_mail_test_when_the_server_takes_it_then_said(run: Run, free_port: int) -> None:
    controller = Controller(Sink(), hostname="127.0.0.1", port=free_port)
    controller.start()
    try:
        taken = run("mail", "test", "ada@example.org", SMTP_SERVER="127.0.0.1", SMTP_PORT=str(free_port))
    finally:
        controller.stop()
    away = run("mail", "test", "ada@example.org", SMTP_SERVER="127.0.0.1", SMTP_PORT=str(free_port))

    assert (taken.exit_code, away.exit_code) == (0, 1)
    assert taken.output == f"Sent: 127.0.0.1:{free_port} took it for ada@example.org\n"
    assert away.output.startswith("Not sent: ")
    assert run("mail", "test", "no address").exit_code == 1


def test_user_when_created_by_an_operator_then_the_owner_chooses_the_password(
    run: Run, settings: Settings
) -> None:
    created = run("user", "create", "ada@example.org", "--first-name", "Ada", "--last-name", "L")
    again = run("user", "create", "ADA@example.org", "--first-name", "Ada", "--last-name", "L")

    assert created.exit_code == 0, created.output
    assert again.exit_code == 2
    assert "has an account already" in again.output

    async def choose() -> None:
        async with running(settings) as app:
            for word in ("none", "", "x"):
                login = await app.client.post("/login", json={"email": "ada@example.org", "password": word})
                assert login.json() == {"msg": "Wrong username or password"}
            assert await mail_delivery(app.resources).deliver_one(lease_owner="test")
            text = next((settings.data_dir / "mail").glob("*.eml")).read_text()
            link = next(word for word in text.split() if "token=" in word)
            body = {"url": link, "password": PASSWORD}
            assert (await app.client.post("/resetpassword", json=body)).status_code == 200
            login = await app.client.post("/login", json={"email": "ada@example.org", "password": PASSWORD})
            assert "access_token" in login.json()

    asyncio.run(choose())


def test_user_when_it_has_api_tokens_then_shown_without_them_and_revoked(
    run: Run, settings: Settings, password_hash: str
) -> None:
    async def prepare() -> tuple[str, str, str]:
        async with running(settings) as app:
            person = await insert_person(app, password_hash)
            made = [await make_token_for(app, person, "upload", name=name) for name in ("one", "two")]
            publisher = {"issuer": settings.trusted_issuers[0], "subject": "repo:rivers/levels:ref:x"}
            answer = await app.client.post("/trusted-publishers", json=publisher, headers=person.headers)
            assert answer.status_code == 201
            return person.email, str(made[0]["id"]), made[0]["token"]

    email, number, token = asyncio.run(prepare())
    shown = run("user", "show", email).output

    assert f"API token {number}  one  upload  until " in shown
    assert "repo:rivers/levels:ref:x" in shown
    assert token not in shown
    assert run("user", "revoke-tokens", email, "--token", number).exit_code == 0
    assert run("user", "revoke-tokens", email, "--token", number).exit_code == 2
    left = run("user", "show", email).output
    assert "API tokens revoked by an operator" in left
    assert ("one  upload" in left, "two  upload" in left) == (False, True)
    assert run("user", "revoke-tokens", email).exit_code == 0
    assert "Trusted publisher" not in run("user", "show", email).output


def test_user_when_closed_opened_shown_and_anonymised_then_each_is_so(run: Run, settings: Settings) -> None:
    run("user", "create", "ada@example.org", "--first-name", "Ada", "--last-name", "L")

    closed = run("user", "deactivate", "ada@example.org")
    shown = run("user", "show", "ada@example.org")
    opened = run("user", "activate", "ada@example.org")
    ended = run("user", "end-sessions", "ada@example.org")
    kept = CliRunner().invoke(cli, ["user", "anonymise", "ada@example.org"], input="n\n")
    gone = run("user", "anonymise", "ada@example.org", "--yes")

    assert [result.exit_code for result in (closed, shown, opened, ended, kept, gone)] == [0, 0, 0, 0, 1, 0]
    assert re.search(r"active +0\n", shown.output)
    assert "deactivated by an operator" in shown.output
    assert "password" not in shown.output
    assert run("user", "show", "ada@example.org").exit_code == 2

    async def look() -> None:
        database = Database(settings)
        async with database.session() as session:
            assert await session.scalar(sa.select(users.c.active)) == 0
            kinds = (await session.scalars(sa.select(audit_events.c.kind))).all()
        await database.close()
        assert kinds == [], "an anonymised account has no trail"

    asyncio.run(look())


def test_user_when_a_linked_account_is_taken_away_then_shown_no_more_and_told(
    run: Run, settings: Settings
) -> None:
    run("user", "create", "ada@example.org", "--first-name", "Ada", "--last-name", "L")

    async def link() -> None:
        database = Database(settings)
        async with database.session() as session:
            user_id = await session.scalar(sa.select(users.c.id))
            for subject in ("583231", "583232"):
                digest = linked_accounts.identity_digest("https://github.com", subject)
                made = linked_accounts.LinkedAccount(
                    digest,
                    user_id or 0,
                    "github",
                    "https://github.com",
                    subject,
                    "octocat",
                    database.now(),
                    None,
                )
                assert await linked_accounts.add_link(session, made)
        await database.close()

    asyncio.run(link())
    shown = run("user", "show", "ada@example.org")
    [first, second] = re.findall(r"linked account +([0-9a-f]{12})  github  octocat  58323[12]", shown.output)

    unclear = run("user", "unlink", "ada@example.org", "")
    gone = run("user", "unlink", "ada@example.org", first)

    assert (unclear.exit_code, gone.exit_code) == (2, 0), gone.output
    left = run("user", "show", "ada@example.org").output
    assert first not in left
    assert second in left
    assert "linked account taken away by an operator" in left


def test_user_when_nobody_has_the_name_then_said(run: Run) -> None:
    result = run("user", "deactivate", "nobody@example.org")

    assert result.exit_code == 2
    assert "nobody has the name or address" in result.output


def test_user_show_when_a_row_hides_something_then_its_code_point_is_shown(
    run: Run, settings: Settings
) -> None:
    # OpenML's table is latin1: it has no place for marks that turn text, and ours has.
    cleared, agent = "Ada\x1b[2J", "curl\x1b]0;pwned\x07 \u202eecalevoL"

    async def sign_up() -> None:
        async with running(settings) as app:
            body = {"first_name": "Ada", "last_name": "L", "email": "ada@example.org", "password": PASSWORD}
            await app.client.post("/signup", json=body)
            async with app.resources.database.session() as session:
                # Other servers write the same table.
                await session.execute(sa.update(users).values(first_name=cleared))
                await session.execute(sa.update(audit_events).values(user_agent=agent))

    asyncio.run(sign_up())
    shown = run("user", "show", "ada@example.org").output

    assert "AdaU+001B[2J" in shown
    assert "curlU+001B]0;pwnedU+0007 U+202Eecal" in shown
    assert "\x1b" not in shown


def test_store_when_another_is_there_then_shown_and_adopted_only_with_what_it_lacks(
    run: Run, settings: Settings
) -> None:
    mark = settings.data_dir / "uploads" / "store-id"

    async def settle() -> None:
        async with running(settings) as app:
            await app.resources.store.require()
            part = {"upload_id": "5" * 32, "start": 0, "name": "0.part", "length": 9}
            async with app.resources.database.session() as session:
                await session.execute(sa.insert(upload_parts).values(part))

    asyncio.run(settle())
    known = mark.read_text()
    assert run("store", "show").exit_code == 0
    mark.unlink()

    lost, refused = run("store", "show"), run("store", "adopt")
    assert (lost.exit_code, "it has no id" in lost.output) == (1, True)
    assert "lacks bytes of 1 uploads" in str(refused.exception)
    assert not mark.exists()
    adopted = run("store", "adopt", "--yes")
    assert adopted.exit_code == 0
    assert mark.read_text() in adopted.output
    assert mark.read_text() != known
    assert run("store", "show").exit_code == 0


def test_lists_when_there_is_nothing_then_they_say_so_and_not_that_it_was_asked_for(run: Run) -> None:
    for command, says in {
        ("mail", "list"): "No mail.\n",
        ("mail", "list", "--state", "failed"): "No such mail.\n",
        ("uploads", "list"): "No upload.\n",
        ("uploads", "list", "--user", "7"): "No such upload.\n",
        ("reports", "list"): "No open report.\n",
        ("reports", "list", "--all"): "No report.\n",
        ("announcements", "list"): "No announcement.\n",
    }.items():
        assert run(*command).stdout == says, command
