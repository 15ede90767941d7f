"""Rows of the record as data, and how one is sent again."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import httpx

from sandbox_server import ADMIN, OTHER, WRITER, code_of

KEYS = {"writer": WRITER, "other": OTHER, "admin": ADMIN}


@dataclass(frozen=True)
class Row:
    """A probe; `{B}` in it stands for a dataset the test has made, `{190}` for what row 190 made."""

    row: str
    method: str
    path: str
    key: str | None
    status: int
    code: int | None
    text: str = ""
    form: dict[str, str] = field(default_factory=dict)
    file: tuple[str, str, str] | None = None
    fault: str = ""


def load_rows(name: str) -> list[Row]:
    """Read a table; a row whose number ends in a letter is what the record has elsewhere, or leaves out."""
    return [Row(**row) for row in json.loads(Path(__file__).with_name(name).read_text())]


def numbers_of(rows: list[Row]) -> set[str]:
    return {row.row for row in rows if row.row.isdecimal()}


def replay(client: httpx.Client, row: Row, ids: dict[str, int]) -> list[str]:
    """Send one row, remember what it made, and say where the answer differs."""

    def filled(text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: str(ids[match[1]]), text)

    keyed = {"api_key": KEYS.get(row.key, row.key)} if row.key else {}
    is_post = row.method == "POST"
    form = {name: filled(value) for name, value in row.form.items()} | keyed
    path = filled(row.path) + ("" if is_post or not keyed else f"?{urlencode(keyed)}")
    files = {row.file[0]: (row.file[1], filled(row.file[2]))} if row.file else None
    answer = client.request(row.method, f"/api/v1/{path}", data=form if is_post else None, files=files)
    differences = []
    if (answer.status_code, code_of(answer)) != (row.status, row.code):
        differences.append(
            f"{row.row}: {answer.status_code}, not {row.status} {row.code}: {answer.text[:300]}"
        )
    if filled(row.text) not in answer.text:
        differences.append(f"{row.row}: {filled(row.text)!r} is not in {answer.text[:600]!r}")
    if answer.status_code == 200 and (made := re.search(r'(?:<oml:id>|"id":")(\d+)', answer.text)):
        ids[row.row] = int(made[1])
    return differences
