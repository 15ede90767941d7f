"""The nastiest JSON of a mebibyte, to each route that takes JSON: the event loop goes on meanwhile."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from app.core.middleware import BODY_BYTES, SMALL_FORM_BYTES
from tests.conftest import Person, Running
from tests.uploads.test_resources import begin

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
BEAT_SECONDS = 0.002
LIKE_PARSING = 6
"""The loop's thread may compute as long at a stretch as it takes to parse so many of the largest documents."""
LIST_OF = ["1", '"a"', "{}", '"\u00e9"']
LONG = {"accents": "\u00e9", "commas": ",", "quotes": '\\"'}


@dataclass
class Loop:
    """How long the loop's thread has computed at most without looking at anybody else, in seconds of the processor."""

    longest: float = 0.0


@asynccontextmanager
async def watched() -> AsyncIterator[Loop]:
    loop = Loop()

    async def beat() -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(BEAT_SECONDS)
            loop.longest = max(loop.longest, time.thread_time() - began)

    task = asyncio.ensure_future(beat())
    await asyncio.sleep(BEAT_SECONDS)
    try:
        yield loop
    finally:
        await asyncio.sleep(BEAT_SECONDS * 2)
        task.cancel()


def filled(unit: str, length: int = BODY_BYTES - 1000) -> str:
    return ",".join([unit] * (length // (len(unit.encode()) + 1)))


def many_names(value: str) -> str:
    return ",".join(f'"k{number}":{value}' for number in range((BODY_BYTES - 1000) // (len(value) + 10)))


def values() -> Iterator[tuple[str, str]]:
    """Yield values for a field that are nasty to read, to judge or to complain of."""
    for unit in LIST_OF:
        yield f"list of {unit}", f"[{filled(unit)}]"
        yield f"list of lists of {unit}", "[" + filled(f"[{filled(unit, 4000)}]") + "]"
    for name, character in LONG.items():
        size = (BODY_BYTES - 1000) // len(character.encode())
        yield name, f'"{character * size}"'
    for value in ("1", '"real"', '{"nominal":["a"]}'):
        yield f"object of {value}", "{" + many_names(value) + "}"
    yield "integer", "9" * (BODY_BYTES - 1000)
    yield "deep", "[" * (BODY_BYTES // 2 - 1000) + "]" * (BODY_BYTES // 2 - 1000)


def routes(openapi: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield method, path and the fields of each route that takes JSON."""
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body is None:
                continue
            schema = body["schema"]
            if "$ref" in schema:
                schema = openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            yield method.upper(), path, list(schema.get("properties", {}))


@pytest.mark.long
async def test_loop_when_the_nastiest_json_comes_to_any_route_then_it_goes_on(
    app: Running, person: Person
) -> None:
    upload = (await begin(app, person)).rpartition("/")[2]
    openapi = (await app.client.get("/openapi.json")).json()
    found = list(routes(openapi))
    assert {"/uploads", "/data-edit", "/upload-task", "/login"} <= {path for _, path, _ in found}
    bound = LIKE_PARSING * cost_of_parsing()
    nasty = dict(values())
    stalls = []
    for method, path, fields in found:
        address = path.replace("{upload_id}", upload)
        bodies = {"unknown names": "{" + many_names("0") + "}", "no object": f"[{filled('0')}]"}
        for field in fields:
            bodies |= {f"{field}: {kind}": f'{{"{field}":{value}}}' for kind, value in chosen(nasty, field)}
        for kind, body in bodies.items():
            assert len(body.encode()) <= BODY_BYTES, kind
            async with watched() as loop:
                answer = await app.client.request(
                    method,
                    address,
                    content=body.encode(),
                    headers={**person.headers, "Content-Type": "application/json"},
                    params={"url": "?id=1"},
                )
            assert answer.status_code < 500 or answer.status_code == 503, (path, kind, answer.text[:200])
            if loop.longest > bound:
                stalls.append((round(loop.longest, 3), method, path, kind, answer.status_code))

    assert not stalls, f"bound {bound:.3f} s: {sorted(stalls, reverse=True)[:10]}"


def cost_of_parsing() -> float:
    document = "{" + many_names("0") + "}"
    began = time.thread_time()
    json.loads(document)
    return time.thread_time() - began


def chosen(nasty: Mapping[str, str], field: str) -> list[tuple[str, str]]:
    """Return all kinds for fields that hold much, and one for the rest."""
    much = {
        "metadata",
        "attributes",
        "creator",
        "ignore_attribute",
        "cost_matrix",
        "annotation_costs",
        "description",
    }
    much |= {"taskids", "run_ids"}
    if field in much:
        return list(nasty.items())
    return [("list of {}", nasty["list of {}"])]


@pytest.mark.parametrize("path", ["/token", "/auth/confirm-page/"])
@pytest.mark.parametrize("is_declared", [True, False])
async def test_form_when_it_is_longer_than_any_honest_one_then_413_before_it_is_gone_through(
    app: Running, path: str, *, is_declared: bool
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(2):
            yield b"&" * SMALL_FORM_BYTES

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    nasty = b"&" * (SMALL_FORM_BYTES + 1) if is_declared else chunks()
    longest = b"username=a&token=b&password=" + b"%F0%9F%98%80" * 1024

    assert (await app.client.post(path, content=nasty, headers=headers)).status_code == 413
    assert (await app.client.post(path, content=longest, headers=headers)).status_code in {200, 400}
