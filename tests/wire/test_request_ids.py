"""Names that clients give their requests: in the answer and in the log, and never in the place of ours."""

import json
import re
from typing import Any

import pytest

from tests.service import Site
from tests.wire.stream import Answer, exchange, request

OURS = re.compile("[0-9a-f]{16}")


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
