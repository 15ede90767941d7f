"""How a form names its file: plainly, or as RFC 8187 writes what is not ASCII."""

from collections.abc import AsyncIterator

import pytest

from app.core.bodies import PartStart, read_parts
from app.core.errors import MalformedBodyError


async def file_name_in(parameters: str) -> str | None:
    async def body() -> AsyncIterator[bytes]:
        head = f'--x\r\nContent-Disposition: form-data; name="dataset"{parameters}\r\n\r\n'
        yield head.encode("latin-1") + b"a,b\r\n--x--\r\n"

    events = [event async for event in read_parts(body(), "multipart/form-data; boundary=x")]
    (start,) = (event for event in events if isinstance(event, PartStart))
    assert start.name == "dataset"
    return start.file_name


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("", None),
        ('; filename="river.csv"', "river.csv"),
        ("; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.csv", "naïve €.csv"),
        ("; FILENAME*=utf-8'de'%C3%BC.csv", "ü.csv"),
        ("; filename*=iso-8859-1'en'%A3.csv", "£.csv"),
        ("; filename=\"plain.csv\"; filename*=UTF-8''other.csv", "plain.csv"),
        ('; filename*0="ri"; filename*1="ver.csv"', "river.csv"),
    ],
)
async def test_file_name_when_given_in_any_form_then_read(parameters: str, expected: str | None) -> None:
    assert await file_name_in(parameters) == expected


@pytest.mark.parametrize("value", ["UTF-8''%FF.csv", "utf-7''+AGE-.csv", "punycode''x.csv", "''x.csv"])
async def test_file_name_when_not_as_its_encoding_says_then_refused(value: str) -> None:
    with pytest.raises(MalformedBodyError, match="filename"):
        await file_name_in(f"; filename*={value}")


async def test_disposition_when_filename_star_is_part_of_a_name_then_no_file() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"--x\r\nContent-Disposition: form-data; name=\"a; filename*=UTF-8''b.csv\"\r\n\r\n1\r\n--x--\r\n"

    events = [event async for event in read_parts(body(), "multipart/form-data; boundary=x")]
    (start,) = (event for event in events if isinstance(event, PartStart))
    assert start.file_name is None
