"""A phone with an authenticator app, as tests hold one."""

import time
from base64 import b32decode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from app.core.totp import STEP_SECONDS, code_at, step_at
from tests.conftest import Person, Running


@dataclass(frozen=True)
class Phone:
    """An app that knows one account's secret. Its clock is the database's, as it should be."""

    app: Running
    secret: bytes

    def code(self, *, steps: int = 0) -> str:
        """The code of this step, or of one that many steps later."""
        return code_at(self.secret, step_at(self.app.resources.database.now()) + steps)

    def wrong_code(self) -> str:
        """One that is right in none of the steps around."""
        right = {self.code(steps=steps) for steps in range(-3, 4)}
        return next(code for code in map("{:06d}".format, range(100)) if code not in right)


def secret_of(text: str) -> bytes:
    """The secret that a page shows as text."""
    plain = text.replace(" ", "")
    return b32decode(plain + "=" * (-len(plain) % 8))


def wait(app: Running, *, steps: int = 1, **span: float) -> None:
    """Move the clock of the database on, by some steps of codes or another span."""
    database = app.resources.database
    later = database.now() + (timedelta(**span) if span else timedelta(seconds=STEP_SECONDS * steps))
    database._clock.set(later, at=time.monotonic())


async def set_up(app: Running, person: Person) -> tuple[Phone, Sequence[str]]:
    """Switch codes of an app on, and return the phone and the recovery codes; the first code is used up."""
    offer = await ok(app, "POST", "/second-factor/totp/offer", person, json={})
    phone = Phone(app, secret_of(offer["secret"]))
    body = {"enrolment": offer["enrolment"], "code": phone.code()}
    made = await ok(app, "POST", "/second-factor/totp", person, json=body)
    wait(app)
    return phone, made["recovery_codes"]


async def ok(app: Running, method: str, path: str, person: Person, **arguments: Any) -> dict[str, Any]:
    """What the service answers to somebody who may ask."""
    answer = await app.client.request(method, path, headers=person.headers, **arguments)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ask_for_token(app: Running, person: Person, **fields: str) -> httpx.Response:
    """Log in by `POST /token`."""
    form = {"username": person.email, "password": person.password, **fields}
    return await app.client.post("/token", data=form)


async def log_in(app: Running, person: Person, password: str) -> httpx.Response:
    """Log in as the React frontend does."""
    return await app.client.post("/login", json={"email": person.email, "password": password})


def client_at(app: Running, address: str) -> httpx.AsyncClient:
    """A client somewhere else."""
    here = app.client._transport
    assert isinstance(here, httpx.ASGITransport)
    transport = httpx.ASGITransport(app=here.app, client=(address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")
