"""Codes of an authenticator app and recovery codes, over HTTP: what opens an account, and what does not."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from app.accounts import audit
from app.accounts.audit import AuditKind
from app.accounts.recovery_codes import digest
from app.accounts.totp import OFFER_LIFETIME, reseal, take_code
from app.core.clients import Client
from app.core.clock import utc_now
from app.core.settings import Settings
from app.core.totp import as_text
from app.db import recovery_codes as kept_codes
from app.db.factor_tables import factor_resets, recovery_codes, totp_secrets
from app.db.tables import audit_events
from tests.conftest import MakePerson, Person, Running, grow_stale, insert_person, running
from tests.mailbox import link_in, mail_to
from tests.second_factors import Phone, ask_for_token, client_at, log_in, ok, secret_of, set_up, wait


async def second_step(app: Running, ticket: str, **proof: str) -> Any:
    return await app.client.post("/sign-in/code", json={"ticket": ticket, **proof})


async def ticket_of(app: Running, person: Person) -> str:
    answer = await ask_for_token(app, person)
    assert answer.json()["error"] == "mfa_required", answer.text
    ticket: str = answer.json()["ticket"]
    return ticket


async def kinds_of(app: Running, person: Person) -> list[str]:
    async with app.resources.database.session() as session:
        statement = sa.select(audit_events.c.kind).where(audit_events.c.user_id == person.id)
        return list(await session.scalars(statement.order_by(audit_events.c.id)))


# --- setting up


async def test_app_when_set_up_then_on_with_ten_recovery_codes_and_its_owner_is_told(
    app: Running, person: Person
) -> None:
    _, codes = await set_up(app, person)

    status = await ok(app, "GET", "/second-factor", person)
    assert status["app_since"] is not None
    assert status["recovery_codes_left"] == len(set(codes)) == 10
    mail = await mail_to(app, person.email, subject="changed")
    assert "An authenticator app was set up" in str(mail.get_body(("plain",)))
    assert "authenticator app set up" in await kinds_of(app, person)


@pytest.mark.long
async def test_app_when_offered_and_not_confirmed_then_nothing_is_kept_and_nothing_asked_for(
    app: Running, person: Person
) -> None:
    offer = await ok(app, "POST", "/second-factor/totp/offer", person, json={})
    wrong = Phone(app, bytes(20)).code()
    body = {"enrolment": offer["enrolment"], "code": wrong}
    answer = await app.client.post("/second-factor/totp", headers=person.headers, json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "code"
    assert (await ok(app, "GET", "/second-factor", person))["app_since"] is None
    assert (await ask_for_token(app, person)).status_code == 200


@pytest.mark.long
async def test_offer_when_too_old_or_somebody_elses_then_refused(
    app: Running, make_person: MakePerson
) -> None:
    ada, bob = await make_person(), await make_person()
    offer = await ok(app, "POST", "/second-factor/totp/offer", ada, json={})
    phone = _phone_of(app, offer)

    async def confirm(person: Person) -> Any:
        body = {"enrolment": offer["enrolment"], "code": phone.code()}
        return await app.client.post("/second-factor/totp", headers=person.headers, json=body)

    assert (await confirm(bob)).json()["errors"][0]["field"] == "enrolment"
    wait(app, seconds=OFFER_LIFETIME.total_seconds() - 60)
    ada = await _fresh(app, ada)
    wait(app, seconds=61)
    assert (await confirm(ada)).json()["errors"][0]["field"] == "enrolment"


@pytest.mark.long
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/second-factor/totp/offer"),
        ("POST", "/second-factor/totp"),
        ("DELETE", "/second-factor/totp"),
        ("POST", "/second-factor/recovery-codes"),
        ("DELETE", "/second-factor/reset"),
    ],
)
async def test_second_factor_when_the_token_alone_is_there_then_nothing_changes(
    app: Running, person: Person, method: str, path: str
) -> None:
    _, codes = await set_up(app, person)
    await grow_stale(app)

    answer = await app.client.request(
        method, path, headers=person.headers, json={"enrolment": "x", "code": "1"}
    )

    assert answer.status_code == 403
    assert answer.json()["type"].endswith("/password-needed")
    assert {"password", "code"} <= set(answer.json()["methods"])
    assert (await ok(app, "GET", "/second-factor", person))["recovery_codes_left"] == len(codes)


async def test_export_when_second_factors_are_there_then_it_lists_them(app: Running, person: Person) -> None:
    assert (await ok(app, "GET", "/export", person))["second_factors"] == []
    _, codes = await set_up(app, person)

    found = (await ok(app, "GET", "/export", person))["second_factors"]

    assert [(each["kind"], each["left"]) for each in found] == [
        ("authenticator app", None),
        ("recovery codes", len(codes)),
    ]
    now = app.resources.database.now()
    for moment in (found[0]["since"], found[0]["last_used_at"], found[1]["since"]):
        assert abs(datetime.fromisoformat(moment) - now) < timedelta(minutes=2)


async def test_secret_when_kept_then_encrypted_and_in_no_answer_export_or_audit_trail(
    app: Running, person: Person
) -> None:
    phone, codes = await set_up(app, person)

    async with app.resources.database.session() as session:
        rows = [
            *await session.execute(sa.select(totp_secrets)),
            *await session.execute(sa.select(recovery_codes)),
        ]
    said = [
        repr([tuple(row) for row in rows]),
        (await app.client.get("/export", headers=person.headers)).text,
        (await app.client.get("/audit", headers=person.headers)).text,
        (await app.client.get("/second-factor", headers=person.headers)).text,
    ]

    for text in said:
        for form in (
            phone.secret.hex(),
            as_text(phone.secret),
            *codes,
            *(code.replace("-", "") for code in codes),
        ):
            assert form not in text


@pytest.mark.long
async def test_secret_when_signing_secrets_rotate_then_codes_work_and_the_old_one_can_go(
    settings: Settings, password_hash: str
) -> None:
    old, new = (SecretStr(word * 8) for word in ("first-", "second-"))
    async with running(settings.model_copy(update={"app_secret_key": old})) as app:
        person = await insert_person(app, password_hash)
        phone, _ = await set_up(app, person)

    both = settings.model_copy(update={"app_secret_key": new, "accepted_secret_keys": old})
    async with running(both) as app:
        wait(app, steps=2)
        assert (await ask_for_token(app, person, otp=replace(phone, app=app).code())).status_code == 200
        await reseal(app.resources.database, app.resources.sealer)
    async with running(settings.model_copy(update={"app_secret_key": new})) as app:
        wait(app, steps=4)
        assert (await ask_for_token(app, person, otp=replace(phone, app=app).code())).status_code == 200


@pytest.mark.long
async def test_secret_when_its_key_is_lost_then_a_recovery_code_gets_in(
    settings: Settings, password_hash: str
) -> None:
    old, new = (SecretStr(word * 8) for word in ("first-", "second-"))
    async with running(settings.model_copy(update={"app_secret_key": old})) as app:
        person = await insert_person(app, password_hash)
        phone, codes = await set_up(app, person)

    async with running(settings.model_copy(update={"app_secret_key": new})) as app:
        wait(app, steps=2)
        await reseal(app.resources.database, app.resources.sealer)
        assert (await ask_for_token(app, person, otp=replace(phone, app=app).code())).status_code == 400
        assert (await ask_for_token(app, person, otp=codes[0])).status_code == 200


# --- signing in


async def test_token_when_the_password_is_right_then_a_ticket_and_with_the_code_a_token(
    app: Running, person: Person
) -> None:
    phone, _ = await set_up(app, person)

    asked = await ask_for_token(app, person)
    answer = await second_step(app, asked.json()["ticket"], code=phone.code())

    assert asked.status_code == 403
    assert set(asked.json()["methods"]) == {"code", "recovery_code"}
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await app.client.get("/profile", headers=headers)).json()["id"] == person.id


@pytest.mark.long
async def test_token_when_the_code_comes_with_the_password_then_at_once(app: Running, person: Person) -> None:
    phone, codes = await set_up(app, person)

    assert (await ask_for_token(app, person, otp=phone.code())).status_code == 200
    assert (await ask_for_token(app, person, otp=codes[0])).status_code == 200
    assert (await ask_for_token(app, person, otp=codes[0])).json()["error"] == "invalid_grant"


@pytest.mark.long
@pytest.mark.parametrize("form", ["{password} {code}", "{password}{code}", "{password} {gap}"])
async def test_login_when_the_code_stands_behind_the_password_then_the_frontend_gets_in(
    app: Running, person: Person, form: str
) -> None:
    phone, _ = await set_up(app, person)
    code = phone.code()
    typed = form.format(password=person.password, code=code, gap=f"{code[:3]} {code[3:]}")

    answer = await log_in(app, person, typed)

    assert answer.status_code == 200
    assert "access_token" in answer.json()


@pytest.mark.long
async def test_login_when_a_recovery_code_stands_behind_the_password_then_once(
    app: Running, person: Person
) -> None:
    _, codes = await set_up(app, person)

    first, second = [await log_in(app, person, f"{person.password} {codes[3]}") for _ in range(2)]

    assert "access_token" in first.json()
    assert second.json() == {"msg": "Wrong username or password"}
    assert "9 of your codes" in str(await mail_to(app, person.email, subject="recovery code"))


async def test_login_when_the_code_is_missing_or_wrong_then_no_token_that_the_frontend_would_keep(
    app: Running, person: Person
) -> None:
    phone, _ = await set_up(app, person)

    missing = await log_in(app, person, person.password)
    wrong = await log_in(app, person, f"{person.password} {phone.wrong_code()}")
    guess = await log_in(app, person, f"another password {phone.code()}")

    assert missing.status_code == 403, "the frontend takes every 2xx that it does not know for a token"
    assert wrong.json() == guess.json() == {"msg": "Wrong username or password"}
    mail = await mail_to(app, person.email, subject="second factor")
    assert "behind the" in str(mail.get_body(("plain",)))


@pytest.mark.long
async def test_login_when_no_app_is_set_up_then_digits_behind_the_password_make_it_wrong(
    app: Running, person: Person
) -> None:
    assert (await log_in(app, person, f"{person.password} 123456")).json() == {
        "msg": "Wrong username or password"
    }
    assert (await log_in(app, person, f"{person.password}123456")).json() == {
        "msg": "Wrong username or password"
    }


async def test_login_when_the_password_itself_ends_in_six_digits_then_it_works_with_and_without_a_code(
    app: Running, make_person: MakePerson
) -> None:
    password = "seven rivers 654321"
    person = await make_person(password_hash=await app.resources.passwords.hash(password))

    assert "access_token" in (await log_in(app, person, password)).json()
    phone, _ = await set_up(app, person)
    assert (await log_in(app, person, password)).status_code == 403
    assert "access_token" in (await log_in(app, person, f"{password} {phone.code()}")).json()


# --- codes


@pytest.mark.long
@pytest.mark.parametrize(("steps", "status"), [(-2, 401), (-1, 200), (0, 200), (1, 200), (2, 401)])
async def test_code_when_of_another_time_then_taken_half_a_minute_before_and_after(
    app: Running, person: Person, steps: int, status: int
) -> None:
    phone, _ = await set_up(app, person)
    wait(app, steps=3)

    answer = await second_step(app, await ticket_of(app, person), code=phone.code(steps=steps))

    assert answer.status_code == status


async def test_code_when_used_then_neither_it_nor_an_earlier_one_works_again(
    app: Running, person: Person
) -> None:
    phone, _ = await set_up(app, person)
    wait(app, steps=3)
    earlier, code = phone.code(steps=-1), phone.code()
    assert (await ask_for_token(app, person, otp=code)).status_code == 200

    for replayed in (code, earlier):
        assert (await ask_for_token(app, person, otp=replayed)).status_code == 400
        assert (await second_step(app, await ticket_of(app, person), code=replayed)).status_code == 401
    wait(app)
    assert (await ask_for_token(app, person, otp=code)).status_code == 400, "in the next step's window"
    assert (await ask_for_token(app, person, otp=phone.code())).status_code == 200


@pytest.mark.long
async def test_code_when_it_confirmed_the_app_then_it_opens_nothing(app: Running, person: Person) -> None:
    offer = await ok(app, "POST", "/second-factor/totp/offer", person, json={})
    phone = _phone_of(app, offer)
    code = phone.code()
    await ok(app, "POST", "/second-factor/totp", person, json={"enrolment": offer["enrolment"], "code": code})

    assert (await ask_for_token(app, person, otp=code)).status_code == 400


@pytest.mark.long
async def test_code_when_of_another_account_then_refused(app: Running, make_person: MakePerson) -> None:
    ada, bob = await make_person(), await make_person()
    hers, her_codes = await set_up(app, ada)
    his, _ = await set_up(app, bob)

    assert (await ask_for_token(app, bob, otp=hers.code())).status_code == 400
    assert (await ask_for_token(app, bob, otp=her_codes[0])).status_code == 400
    assert (await second_step(app, await ticket_of(app, bob), code=hers.code())).status_code == 401
    assert (await second_step(app, await ticket_of(app, bob), code=his.code())).status_code == 200


@pytest.mark.long
async def test_ticket_when_used_old_or_made_up_then_the_password_is_asked_for_again(
    app: Running, person: Person
) -> None:
    phone, codes = await set_up(app, person)
    used, old = await ticket_of(app, person), await ticket_of(app, person)
    assert (await second_step(app, used, code=phone.code())).status_code == 200
    wait(app, seconds=301)

    for ticket in (used, old, "0" * 64, "", "é"):
        answer = await second_step(app, ticket, recovery_code=codes[0])
        assert answer.status_code == 400
        assert answer.json()["type"].endswith("/ticket-not-valid")
    assert (await ok(app, "GET", "/second-factor", person))["recovery_codes_left"] == 10


@pytest.mark.long
async def test_ticket_when_the_password_is_reset_or_sessions_are_ended_then_dead(
    app: Running, person: Person
) -> None:
    phone, _ = await set_up(app, person)
    ticket = await ticket_of(app, person)
    await ok(app, "DELETE", "/sessions", person)

    assert (await second_step(app, ticket, code=phone.code())).status_code == 400


# --- guessing


async def test_codes_when_guessed_with_the_right_password_then_it_ends_after_a_few_and_the_owner_is_told(
    app: Running, person: Person
) -> None:
    phone, _ = await set_up(app, person)

    answers = []
    for _ in range(6):
        ticket = await ticket_of(app, person)
        answers += [await _from_elsewhere(app, ticket, code=phone.wrong_code()) for _ in range(6)]

    tried = [answer for answer in answers if answer.status_code == 401]
    assert len(tried) == 20
    right = await _from_elsewhere(app, await ticket_of(app, person), code=phone.code())
    assert right.status_code == 429
    await mail_to(app, person.email, subject="second factor")
    assert "second factor failed" in await kinds_of(app, person)


async def test_codes_when_guessed_by_whoever_resets_the_password_in_many_networks_then_they_share_their_guesses(
    app: Running, person: Person
) -> None:
    """A reader of the mailbox gets a new password anywhere; none of these networks is one of the owner's for that."""
    phone, _ = await set_up(app, person)
    tried = []
    for address in ("203.0.113.7", "198.51.100.7"):
        async with app.resources.database.session() as session:
            await audit.write(session, person.id, AuditKind.PASSWORD_RESET, Client(address, ""))
        for _ in range(3):
            ticket = await ticket_of(app, person)
            async with client_at(app, address) as there:
                for _ in range(5):
                    body = {"ticket": ticket, "code": phone.wrong_code()}
                    tried.append((await there.post("/sign-in/code", json=body)).status_code)

    assert tried == [401] * 20 + [429] * 10


@pytest.mark.long
async def test_owner_when_others_guess_from_elsewhere_then_gets_in_from_where_they_were_before(
    app: Running, person: Person
) -> None:
    phone, codes = await set_up(app, person)
    assert (await ask_for_token(app, person, otp=codes[0])).status_code == 200
    for _ in range(5):
        ticket = await ticket_of(app, person)
        for _ in range(5):
            await _from_elsewhere(app, ticket, code=phone.wrong_code())

    assert (await second_step(app, await ticket_of(app, person), code=phone.code())).status_code == 200


@pytest.mark.long
async def test_ticket_when_five_codes_were_wrong_then_no_sixth_is_looked_at(
    app: Running, person: Person
) -> None:
    phone, _ = await set_up(app, person)
    ticket = await ticket_of(app, person)
    for _ in range(5):
        assert (await second_step(app, ticket, code=phone.wrong_code())).status_code == 401

    assert (await second_step(app, ticket, code=phone.code())).status_code == 429
    assert (await second_step(app, await ticket_of(app, person), code=phone.code())).status_code == 200


@pytest.mark.long
async def test_codes_when_guessed_behind_the_password_then_they_count_as_well(
    app: Running, person: Person
) -> None:
    phone, _ = await set_up(app, person)
    for address in ("203.0.113.7", "203.0.113.8"):
        async with client_at(app, address) as elsewhere:
            for _ in range(10):
                body = {"email": person.email, "password": f"{person.password} {phone.wrong_code()}"}
                assert (await elsewhere.post("/login", json=body)).status_code == 200

    answer = await log_in(app, person, f"{person.password} {phone.code()}")

    assert answer.status_code == 429


# --- afterwards


@pytest.mark.long
async def test_confirmation_when_a_code_or_recovery_code_is_given_then_fresh_and_once(
    app: Running, person: Person
) -> None:
    phone, codes = await set_up(app, person)
    for proof in ({"code": phone.code()}, {"recovery_code": codes[0]}):
        await grow_stale(app)
        assert (
            await app.client.post("/reauthenticate", headers=person.headers, json=proof)
        ).status_code == 200
        await ok(app, "POST", "/second-factor/totp/offer", person, json={})
        await grow_stale(app)
        again = await app.client.post("/reauthenticate", headers=person.headers, json=proof)
        assert again.status_code == 401


async def test_app_when_removed_then_the_password_is_enough_and_seven_days_can_undo_it(
    app: Running, person: Person
) -> None:
    await set_up(app, person)
    await ok(app, "DELETE", "/second-factor/totp", person)

    assert (await ask_for_token(app, person)).status_code == 200
    assert (await ok(app, "GET", "/second-factor", person)) == {
        "app_since": None,
        "recovery_codes_left": 0,
        "reset": None,
    }
    mail = await mail_to(app, person.email, subject="changed", says="removed")
    assert (await app.client.post("/undo", json={"url": link_in(mail)})).status_code == 200
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(totp_secrets)) == 1
        assert await session.scalar(sa.select(sa.func.count()).select_from(recovery_codes)) == 10


@pytest.mark.long
async def test_app_when_a_thief_set_it_up_then_the_owners_link_removes_it(
    app: Running, person: Person
) -> None:
    await set_up(app, person)
    mail = await mail_to(app, person.email, subject="changed")

    assert (await app.client.post("/undo", json={"url": link_in(mail)})).status_code == 200

    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(totp_secrets)) == 0


async def test_codes_when_used_before_a_change_is_undone_then_undoing_brings_none_back(
    app: Running, person: Person
) -> None:
    """Neither a recovery code, in whichever of several changes it was kept, nor a code of these seconds."""
    phone, codes = await set_up(app, person)
    await ok(app, "POST", "/second-factor/recovery-codes", person, json={})
    first = await mail_to(app, person.email, subject="changed", says="New recovery codes")
    async with app.resources.database.session() as session:
        await kept_codes.set_codes(session, person.id, [digest(each) for each in codes], utc_now())
    assert (await ask_for_token(app, person, otp=codes[0])).status_code == 200
    code = phone.code()
    assert (await ask_for_token(app, person, otp=code)).status_code == 200
    await ok(app, "DELETE", "/second-factor/totp", person)

    assert (await app.client.post("/undo", json={"url": link_in(first)})).status_code == 200

    async with app.resources.database.session() as session:
        left = await kept_codes.get_digests(session, person.id)
        assert set(left) == {digest(each) for each in codes[1:]}
        assert not await take_code(session, app.resources.sealer, person.id, code)


@pytest.mark.long
async def test_recovery_codes_when_made_anew_then_the_old_ones_are_dead(app: Running, person: Person) -> None:
    _, old = await set_up(app, person)
    new = (await ok(app, "POST", "/second-factor/recovery-codes", person, json={}))["recovery_codes"]

    assert len(new) == 10
    assert not set(old) & set(new)
    assert (await ask_for_token(app, person, otp=old[0])).status_code == 400
    assert (await ask_for_token(app, person, otp=new[0])).status_code == 200


@pytest.mark.long
async def test_recovery_codes_when_there_is_nothing_to_recover_from_then_400(
    app: Running, person: Person
) -> None:
    answer = await app.client.post("/second-factor/recovery-codes", headers=person.headers, json={})

    assert answer.status_code == 400


@pytest.mark.long
async def test_password_when_reset_by_mail_then_the_second_factor_stays(app: Running, person: Person) -> None:
    await set_up(app, person)
    await app.client.post("/forgotpassword", json={"email": person.email})
    link = link_in(await mail_to(app, person.email, subject="Reset"))
    await app.client.post("/resetpassword", json={"url": link, "password": "another seven rivers"})

    answer = await ask_for_token(app, person, password="another seven rivers")

    assert answer.json()["error"] == "mfa_required"


@pytest.mark.long
async def test_account_when_deleted_then_nothing_of_its_second_factor_is_left(
    app: Running, person: Person
) -> None:
    await set_up(app, person)
    await ok(app, "POST", "/delete", person, json={"password": person.password})

    async with app.resources.database.session() as session:
        for table in (totp_secrets, recovery_codes, factor_resets):
            assert await session.scalar(sa.select(sa.func.count()).select_from(table)) == 0


@pytest.mark.long
async def test_key_when_a_second_factor_is_on_then_it_goes_on_without(app: Running, person: Person) -> None:
    await set_up(app, person)

    answer = await app.client.get("/uploads", headers={"X-API-Key": person.api_key})

    assert answer.status_code == 200


@pytest.mark.long
async def test_log_when_codes_and_secrets_go_through_then_none_is_in_it(
    app: Running, person: Person, capfd: pytest.CaptureFixture[str]
) -> None:
    phone, codes = await set_up(app, person)
    used = [phone.code(), codes[0], phone.wrong_code()]
    for code in used:
        await ask_for_token(app, person, otp=code)
        await log_in(app, person, f"{person.password} {code}")
    written = "".join(capfd.readouterr())

    for secret in (*used, *codes, phone.secret.hex(), as_text(phone.secret)):
        assert secret not in written


async def _from_elsewhere(app: Running, ticket: str, **proof: str) -> httpx.Response:
    """The second step, from an address where its owner never was."""
    async with client_at(app, "203.0.113.7") as elsewhere:
        return await elsewhere.post("/sign-in/code", json={"ticket": ticket, **proof})


def _phone_of(app: Running, offer: dict[str, Any]) -> Phone:
    return Phone(app, secret_of(offer["secret"]))


async def _fresh(app: Running, person: Person) -> Person:
    answer = await ask_for_token(app, person)
    return replace(person, token=answer.json()["access_token"])
