"""What every place for pictures promises."""

import asyncio

import pytest

from app.storage.pictures import PictureStorage, new_name


async def test_picture_when_saved_then_read_until_deleted(pictures: PictureStorage) -> None:
    name, other = new_name("png"), new_name("jpg")
    assert await pictures.read(name) is None
    await pictures.save(name, b"a picture")
    await pictures.save(other, b"another")
    assert await pictures.read(name) == b"a picture"
    await pictures.delete(name)
    await pictures.delete(name)
    assert await pictures.read(name) is None
    assert await pictures.read(other) == b"another"


async def test_pictures_when_looked_for_by_age_then_only_old_ones_are_named(pictures: PictureStorage) -> None:
    name = new_name("png")
    await pictures.save(name, b"a picture")
    assert await pictures.older_than(3600) == []
    # The clocks of a store and of file systems are not exactly ours.
    assert await pictures.older_than(-3600) == [name]


async def test_picture_when_the_name_is_not_ours_then_refused(pictures: PictureStorage) -> None:
    with pytest.raises(ValueError, match="not a picture's name"):
        await pictures.read("../development-secret")


async def test_spool_when_written_then_a_file_of_this_machine(pictures: PictureStorage) -> None:
    async with pictures.spool() as file:
        await asyncio.to_thread(file.write, b"on its way in")
        file.seek(0)
        assert file.read() == b"on its way in"
    assert file.closed
