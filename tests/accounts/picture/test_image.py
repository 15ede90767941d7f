"""`POST /image`, `DELETE /image` and `GET /imgs/…`, as the SPA and as others use them."""

import asyncio
import io
import json
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from PIL import Image

from app.accounts import routes_picture
from app.accounts.routes_picture import PICTURE_BYTES
from app.core.settings import Settings
from app.db.tables import audit_events, users
from app.imaging import MAX_PIXELS, PictureRedrawer
from app.imaging.redraw import EDGE
from app.worker.janitor import remove_orphaned_pictures
from tests.conftest import MakePerson, Person, Running, running
from tests.imaging import samples
from tests.imaging.samples import encoded, halves, see_through

PHOTO = samples.of_a_camera()
OURS = re.compile(r"/imgs/[0-9a-f]{32}\.(png|jpg)")


async def post(
    app: Running, person: Person, content: bytes = PHOTO, name: str = "My Pic.jpg", kind: str = "image/jpeg"
) -> httpx.Response:
    return await app.client.post("/image", files={"file": (name, content, kind)}, headers=person.headers)


def kept(app: Running) -> list[Path]:
    """Every file that is there, drafts included."""
    return [path for path in (app.resources.settings.data_dir / "pictures").rglob("*") if path.is_file()]


async def shown(app: Running, person: Person) -> Any:
    return (await app.client.get("/profile", headers=person.headers)).json()["image"]


async def test_image_when_it_is_the_spas_then_shown_by_the_profile_and_served(
    app: Running, person: Person
) -> None:
    answer = await post(app, person)

    assert answer.status_code == 200
    image = answer.json()["image"]
    assert answer.json() == {"msg": "User image changed", "image": image}
    assert OURS.fullmatch(image)
    assert await shown(app, person) == image
    served = await app.client.get(image)
    assert served.status_code == 200
    picture = Image.open(io.BytesIO(served.content))
    assert (picture.format, picture.size) == ("JPEG", (48, 64)), "upright"
    assert samples.CAMERA.encode() not in served.content
    assert [path.name for path in kept(app)] == [image.removeprefix("/imgs/")]
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(users.c.image)) == image
        assert (await session.scalars(sa.select(audit_events.c.kind))).all() == ["picture changed"]


async def test_image_when_named_as_something_else_then_its_bytes_count(app: Running, person: Person) -> None:
    for content, name, kind, expected in (
        (PHOTO, "page.html", "text/html", ("image/jpeg", "RGB")),
        (encoded(see_through(), "PNG"), "../../main.js", "text/javascript", ("image/png", "RGBA")),
        (encoded(see_through(), "GIF"), "a.jpg", "image/jpeg", ("image/png", "RGBA")),
        (samples.animated("GIF"), "", "application/octet-stream", ("image/jpeg", "RGB")),
    ):
        answer = await post(app, person, content, name, kind)

        assert answer.status_code == 200
        served = await app.client.get(answer.json()["image"])
        assert (served.headers["content-type"], Image.open(io.BytesIO(served.content)).mode) == expected
        assert len(kept(app)) == 1


async def test_image_when_served_then_cached_for_ever_and_harmless(app: Running, person: Person) -> None:
    image = (await post(app, person)).json()["image"]

    served = await app.client.get(image)

    assert served.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert served.headers["x-content-type-options"] == "nosniff"
    assert served.headers["content-security-policy"] == "default-src 'none'; sandbox"
    known = await app.client.get(image, headers={"If-None-Match": served.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    other = await app.client.get(image, headers={"If-None-Match": '"other"'})
    assert other.status_code == 200
    head = await app.client.head(image)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(served.content)))


async def test_image_when_sent_as_the_page_shows_then_answered_as_it_shows(
    app: Running, person: Person
) -> None:
    page = (Path(__file__).parents[3] / "docs/api.md").read_text()
    command = re.search(r"curl -F (\w+)=@(\S+) -H .*(/\w+)$", page, re.MULTILINE)
    answer = re.search(r'^ *(\{"msg": "User image changed".*\})$', page, re.MULTILINE)
    assert command is not None
    assert answer is not None
    part, name, path = command.groups()

    answered = await app.client.post(path, files={part: (name, PHOTO)}, headers=person.headers)

    expected = json.loads(answer.group(1))
    assert OURS.fullmatch(expected["image"])
    assert answered.json() == {**expected, "image": await shown(app, person)}
    assert f"{PICTURE_BYTES // 1_000_000} MB" in page
    assert f"{MAX_PIXELS // 1_000_000} million pixels" in page
    assert f"at most {EDGE} pixels" in page


async def test_image_when_refused_then_the_one_before_stays_and_nothing_else(
    app: Running, person: Person
) -> None:
    image = (await post(app, person)).json()["image"]
    for content, slug in (
        (b"", "validation-failed"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "picture-refused"),
        (b"<!DOCTYPE html><script>alert(1)</script>", "picture-refused"),
        (encoded(halves(), "BMP"), "picture-refused"),
        (encoded(halves(), "TIFF"), "picture-refused"),
        (samples.png_claiming(50_000, 50_000), "picture-refused"),
        (PHOTO[: len(PHOTO) // 2], "picture-refused"),
    ):
        answer = await post(app, person, content)

        assert answer.status_code == 422
        assert answer.json()["type"] == f"https://openml.org/problems/{slug}"
    assert await shown(app, person) == image
    assert len(kept(app)) == 1


async def test_image_when_changed_or_removed_then_the_one_before_is_gone(
    app: Running, person: Person
) -> None:
    first = (await post(app, person)).json()["image"]
    second = (await post(app, person, encoded(see_through(), "PNG"))).json()["image"]

    assert (await app.client.get(first)).status_code == 404
    assert (await app.client.get(second)).status_code == 200

    for _ in range(2):
        answer = await app.client.delete("/image", headers=person.headers)
        assert (answer.status_code, answer.json()) == (200, {"msg": "User image changed", "image": ""})
    assert await shown(app, person) == ""
    assert (await app.client.get(second)).status_code == 404
    assert kept(app) == []


async def test_image_when_the_row_named_another_place_then_only_the_row_changes(
    app: Running, person: Person, tmp_path: Path
) -> None:
    precious = tmp_path / "var" / "precious.png"
    precious.write_bytes(b"x")
    for stored in ("https://example.org/a.png", "/imgs/../precious.png", "imgs/dev_data/a.png", "0000"):
        async with app.resources.database.session() as session:
            await session.execute(sa.update(users).values(image=stored))
        assert (await post(app, person)).status_code == 200
    assert precious.exists()


async def test_imgs_when_not_a_picture_of_ours_then_not_found(app: Running, tmp_path: Path) -> None:
    (tmp_path / "var" / "precious.png").write_bytes(PHOTO)
    for name in (
        "../precious.png",
        "..%2fprecious.png",
        "%2e%2e/precious.png",
        "/etc/passwd",
        "0" * 32,
        "0" * 32 + ".png",
        "0" * 32 + ".svg",
        "0" * 32 + ".png.part",
        "0" * 32 + ".png%0a",
        "dev_data/ada/a.png",
        "",
    ):
        answer = await app.client.get(f"/imgs/{name}")

        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


async def test_image_and_profile_when_sent_side_by_side_then_neither_is_lost(
    app: Running, person: Person
) -> None:
    """As the SPA does when both are changed; again and again, for they race."""
    for number in range(4):
        body = {"bio": f"bio {number}", "first_name": "Ada", "last_name": f"L{number}", "email": person.email}
        picture, profile = await asyncio.gather(
            post(app, person), app.client.post("/profile", json=body, headers=person.headers)
        )

        assert (picture.status_code, profile.status_code) == (200, 200)
        found = (await app.client.get("/profile", headers=person.headers)).json()
        assert found == {**found, **body, "image": picture.json()["image"]}


async def test_images_when_many_at_the_same_time_then_one_is_left(app: Running, person: Person) -> None:
    answers = await asyncio.gather(*(post(app, person) for _ in range(4)))

    assert [answer.status_code for answer in answers] == [200] * 4
    image = await shown(app, person)
    assert image in {answer.json()["image"] for answer in answers}
    assert [path.name for path in kept(app)] == [image.removeprefix("/imgs/")]


async def test_image_when_the_form_has_other_parts_then_the_file_counts(app: Running, person: Person) -> None:
    forms: list[tuple[Any, int]] = [
        ({"picture": ("a.jpg", PHOTO)}, 422),
        ([("file", ("a.jpg", PHOTO)), ("file", ("b.jpg", PHOTO))], 400),
        ([("other", ("a.bin", b"x" * 1000)), ("file", ("a.jpg", PHOTO)), ("last", ("b", b"y"))], 200),
    ]
    for files, status in forms:
        answer = await app.client.post("/image", files=files, headers=person.headers)

        assert answer.status_code == status
        assert len(kept(app)) == (1 if status == 200 else 0)


async def test_image_when_no_form_then_400(app: Running, person: Person) -> None:
    answer = await app.client.post("/image", json={"file": "x"}, headers=person.headers)

    assert answer.status_code == 400
    assert answer.json()["type"] == "https://openml.org/problems/malformed-body"


async def test_image_when_not_signed_in_then_401_before_a_byte_is_read(app: Running) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 1000

    posted = await app.client.post("/image", content=body())
    removed = await app.client.delete("/image")

    assert (posted.status_code, removed.status_code) == (401, 401)
    assert read <= 1


async def test_image_when_the_account_is_closed_meanwhile_then_nothing_is_kept(
    app: Running, person: Person
) -> None:
    form = httpx.Request("POST", "http://x/image", files={"file": ("a.jpg", PHOTO)})
    content = form.read()

    async def body() -> AsyncIterator[bytes]:
        yield content[:100]
        async with app.resources.database.session() as session:
            await session.execute(sa.update(users).values(active=0))
        yield content[100:]

    headers = {**person.headers, "Content-Type": form.headers["content-type"]}
    answer = await app.client.post("/image", content=body(), headers=headers)

    assert answer.status_code == 401
    assert kept(app) == []


async def rename(app: Running, table: str, name: str) -> None:
    async with app.resources.database.session() as session:
        await session.execute(sa.text(f"ALTER TABLE {table} RENAME TO {name}"))


async def test_image_when_the_row_cannot_be_written_then_nothing_is_kept(
    app: Running, person: Person
) -> None:
    await rename(app, "audit_events", "elsewhere")
    try:
        # SQLite calls a missing table an operational error, MariaDB a programming error.
        with suppress(sa.exc.ProgrammingError):
            assert (await post(app, person)).status_code == 503
    finally:
        # Other tests share MariaDB's tables.
        await rename(app, "elsewhere", "audit_events")

    assert kept(app) == []
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(users.c.image)) == ""


async def test_account_when_deleted_then_its_picture_is_gone_and_others_stay(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    other = await make_person()
    image, others = [(await post(app, each)).json()["image"] for each in (person, other)]

    answer = await app.client.post("/delete", json={"password": person.password}, headers=person.headers)

    assert answer.status_code == 200
    assert (await app.client.get(image)).status_code == 404
    assert (await app.client.get(others)).status_code == 200


async def test_pictures_when_no_row_names_them_for_an_hour_then_removed(app: Running, person: Person) -> None:
    image = (await post(app, person)).json()["image"]
    (mine,) = kept(app)
    folder = mine.parents[1]
    orphan, draft, young = (
        folder / name[:2] / name for name in ("a" * 32 + ".png", "b" * 32 + ".jpg.part", "c" * 32 + ".png")
    )
    for path in (orphan, draft, young):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    for path in (mine, orphan, draft):
        os.utime(path, (time.time() - 4000,) * 2)

    await remove_orphaned_pictures(app.resources.database, app.resources.pictures)

    assert {path.name for path in kept(app)} == {mine.name, young.name}
    assert (await app.client.get(image)).status_code == 200


async def test_image_when_larger_than_it_may_be_then_413(
    settings: Settings, password_hash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes_picture, "PICTURE_BYTES", 1000)
    async with running(settings) as app:
        person = await _somebody(app, password_hash)
        over = await post(app, person, PHOTO + bytes(1001))
        unknown = await app.client.post("/image", files={"x": ("x", bytes(100_000))}, headers=person.headers)

        assert [answer.status_code for answer in (over, unknown)] == [413, 413]
        assert over.json()["limit_bytes"] == 1000
        assert kept(app) == []


async def _somebody(app: Running, password_hash: str) -> Person:
    from app.core.clock import utc_now
    from app.db.users import add_user

    async with app.resources.database.session() as session:
        user_id = await add_user(
            session,
            username="ada",
            email="ada@example.org",
            password_hash=password_hash,
            first_name="Ada",
            last_name="L",
            api_key="0" * 32,
            ip_address="127.0.0.1",
            active=True,
            now=utc_now(),
        )
    return Person(user_id, "ada@example.org", "", "0" * 32, app.resources.tokens.issue(user_id)[0])


async def test_image_when_bytes_move_then_no_connection_is_held(app: Running, person: Person) -> None:
    """More uploads stand still in their middle than there are connections, and everybody else is served."""
    form = httpx.Request("POST", "http://x/image", files={"file": ("a.jpg", PHOTO)})
    content = form.read()
    headers = {**person.headers, "Content-Type": form.headers["content-type"]}
    go_on, all_begun = asyncio.Event(), asyncio.Barrier(13)

    async def body() -> AsyncIterator[bytes]:
        yield content[:100]
        await all_begun.wait()
        await go_on.wait()
        yield content[100:]

    waiting = [
        asyncio.create_task(app.client.post("/image", content=body(), headers=headers)) for _ in range(12)
    ]
    await asyncio.wait_for(all_begun.wait(), 10)
    assert await asyncio.wait_for(shown(app, person), 5) == ""
    assert (await asyncio.wait_for(app.client.delete("/image", headers=person.headers), 5)).status_code == 200
    go_on.set()
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}
    assert len(kept(app)) == 1


async def test_images_when_too_many_wait_then_503_with_a_time(app: Running, person: Person) -> None:
    redrawer = app.resources.redrawer
    assert isinstance(redrawer, PictureRedrawer)
    redrawer._present = redrawer._most

    answer = await post(app, person)

    assert answer.status_code == 503
    assert 5 <= int(answer.headers["retry-after"]) <= 7
    assert kept(app) == []
