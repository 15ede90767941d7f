"""One code, many who use it in the same moment: on both databases, within a process and across processes."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from app.core.clock import utc_now
from app.core.totp import code_at, step_at
from tests.conftest import Person, Running
from tests.second_factors import ask_for_token, ok, secret_of, set_up
from tests.service import ADA, Service

AT_ONCE = 8


async def test_code_when_many_use_it_at_once_then_one_gets_in(app: Running, person: Person) -> None:
    phone, codes = await set_up(app, person)

    for code in (phone.code(), codes[0]):
        answers = await asyncio.gather(*(ask_for_token(app, person, otp=code) for _ in range(AT_ONCE)))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 400: AT_ONCE - 1}


@pytest.mark.long
async def test_ticket_when_many_use_it_at_once_then_one_gets_in(app: Running, person: Person) -> None:
    _, codes = await set_up(app, person)
    ticket = (await ask_for_token(app, person)).json()["ticket"]

    answers = await asyncio.gather(
        *(
            app.client.post("/sign-in/code", json={"ticket": ticket, "recovery_code": each})
            for each in codes[:4]
        )
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 3}
    assert (await ok(app, "GET", "/second-factor", person))["recovery_codes_left"] == 9


@pytest.mark.long
async def test_recovery_codes_when_made_twice_at_once_then_ten_of_one_answer_work(
    app: Running, person: Person
) -> None:
    await set_up(app, person)

    made = await asyncio.gather(
        *(ok(app, "POST", "/second-factor/recovery-codes", person, json={}) for _ in range(3))
    )

    assert (await ok(app, "GET", "/second-factor", person))["recovery_codes_left"] == 10
    good = [
        each for each in made if (await ask_for_token(app, person, otp=each["recovery_codes"][0])).is_success
    ]
    assert len(good) == 1


@pytest.mark.long
def test_code_when_two_processes_are_given_it_at_once_then_one_lets_in(service: Service) -> None:
    service.start(workers=2, RATE_LIMITS="login-account-address=1000/1 hour")
    headers = service.sign_up_and_log_in()
    offer = service.ask("POST", "/second-factor/totp/offer", headers=headers, json={}).json()
    secret = secret_of(offer["secret"])
    body = {"enrolment": offer["enrolment"], "code": code_at(secret, step_at(utc_now()) - 1)}
    assert service.ask("POST", "/second-factor/totp", headers=headers, json=body).status_code == 200
    form = {"username": ADA["email"], "password": ADA["password"], "otp": code_at(secret, step_at(utc_now()))}

    def log_in(_number: int) -> httpx.Response:
        return service.ask("POST", "/token", data=form)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(log_in, range(AT_ONCE)))

    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: AT_ONCE - 1}
