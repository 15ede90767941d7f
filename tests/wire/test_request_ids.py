"""Names that clients give their requests: in the answer and in the log, and never in the place of ours."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.service import Site
from tests.wire.stream import Answer, exchange, request

OURS = re.compile("[0-9a-f]{16}")
RENAME = "ALTER TABLE users RENAME COLUMN {} TO {}"


def _ask(site: Site, *names: str) -> tuple[Answer, dict[str, Any]]:
    """Ask with these names for the request; return the answer, and what its line of the log says."""
    log = site.database.parent / "log"
    before = len(log.read_text().splitlines())
    headers = [f"X-Request-ID: {name}" for name in names]
    (answer,) = exchange(site.port, [request(*headers, "Connection: close", method="GET", target="/profile")])
    lines = [json.loads(line) for line in log.read_text().splitlines()[before:]]
    (line,) = [line for line in lines if line["event"] == "request" and line["path"] == "/profile"]
    return answer, line


@pytest.mark.parametrize(
    "name", ["0f8fad5b-d9cb-469f-a165-70867728950e", "Root-1.67891233_abc", "x", "x" * 128]
)
def test_request_id_when_a_client_gives_one_then_answered_and_logged_beside_ours(
    site: Site, name: str
) -> None:
    asked = [_ask(site, name) for _ in range(2)]

    for answer, line in asked:
        assert answer.headers["x-request-id"] == line["client_request_id"] == name
        assert OURS.fullmatch(line["request_id"])
    assert asked[0][1]["request_id"] != asked[1][1]["request_id"], "ours tell them apart"


@pytest.mark.parametrize(
    "names",
    [
        [],
        [""],
        ["x" * 129],
        ["a b"],
        ['a", "level": "error'],
        ["a\tb"],
        ["\u00e9"],
        ["<script>"],
        ["a%0d%0ab"],
        ["a;b"],
        ["a", "b"],
    ],
    ids=repr,
)
def test_request_id_when_it_is_not_one_plain_word_then_ours_alone(site: Site, names: list[str]) -> None:
    answer, line = _ask(site, *names)

    assert answer.headers["x-request-id"] == line["request_id"]
    assert OURS.fullmatch(line["request_id"])
    assert "client_request_id" not in line


@pytest.fixture
def faulty_site(site: Site) -> Iterator[Site]:
    """A service whose statements on `users` are mistakes."""
    with closing(sqlite3.connect(site.database)) as database:
        database.execute(RENAME.format("password", "renamed"))
        yield site
        database.execute(RENAME.format("renamed", "password"))


@pytest.mark.parametrize("name", ["a-1", ""])
def test_request_id_when_the_fault_is_ours_then_500_with_the_id_and_the_headers_of_every_answer(
    faulty_site: Site, name: str
) -> None:
    """Who reports a fault has to name what the log calls it."""
    log = faulty_site.database.parent / "log"
    before = len(log.read_text().splitlines())
    body = b'{"email": "ada@example.org", "password": "x"}'
    head = request(f"X-Request-ID: {name}", f"Content-Length: {len(body)}", "Connection: close")

    (answer,) = exchange(faulty_site.port, [head + body])

    assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.headers["x-content-type-options"] == "nosniff"
    lines = [json.loads(line) for line in log.read_text().splitlines()[before:]]
    (line,) = [line for line in lines if line["event"] == "request"]
    (fault,) = [line for line in lines if line["event"] == "fault"]
    assert fault["request_id"] == line["request_id"]
    assert answer.headers["x-request-id"] == (name or line["request_id"])
