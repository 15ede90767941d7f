import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.core.bodies import PartEnd, PartStart, read_parts
from app.openml.connection import FilePart, MultipartBody


@pytest.mark.parametrize(("size", "pieces"), [(3_000_000, 5), (3_000, 1), (0, 1)])
async def test_body_when_read_back_then_the_same_parts_and_the_length_was_right(
    tmp_path: Path, size: int, pieces: int
) -> None:
    content = secrets.token_bytes(size) + b"\r\n--boundary?"
    done: list[int] = []
    path = tmp_path / "file"
    path.write_bytes(content)
    body = MultipartBody(
        {"api_key": "k"},
        [
            FilePart("small", "s.xml", "text/xml", b"<a/>", 4),
            FilePart("large", "l.arff", "text/plain", path, len(content)),
        ],
        on_progress=done.append,
    )

    sent = [chunk async for chunk in body]
    assert sum(map(len, sent)) == body.length
    assert max(map(len, sent)) <= 1 << 20
    assert (len(sent), done[-1]) == (pieces, len(content))

    async def stream() -> AsyncIterator[bytes]:
        for chunk in sent:
            yield chunk

    parts: dict[tuple[str, str | None], bytearray] = {}
    current = bytearray()
    async for event in read_parts(stream(), body.headers["Content-Type"]):
        if isinstance(event, PartStart):
            current = parts.setdefault((event.name, event.file_name), bytearray())
        elif not isinstance(event, PartEnd):
            current += event
    assert parts == {("api_key", None): b"k", ("small", "s.xml"): b"<a/>", ("large", "l.arff"): content}
