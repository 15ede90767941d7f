"""Every place for bytes, empty: the same tests are asked of each."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from app.core.settings import Settings
from app.storage.local import LocalStorage
from app.storage.parts import UploadStorage
from app.storage.pictures import LocalPictures, PictureStorage
from app.storage.s3 import open_s3

OpenStorage = Callable[[], Awaitable[UploadStorage]]


@pytest.fixture(params=["local", "s3"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a service that keeps its bytes in a folder, or in a real S3 store."""
    place: dict[str, str] = request.getfixturevalue("s3") if request.param == "s3" else {}
    return Settings(_env_file=None, data_dir=tmp_path / "var", **place)  # type: ignore[arg-type]  # read as from the environment


@pytest.fixture
def open_storage(settings: Settings) -> OpenStorage:
    """Returns the storage as another process opens it."""

    async def open_it() -> UploadStorage:
        return (
            (await open_s3(settings))[0]
            if settings.storage_url
            else LocalStorage(settings.data_dir / "uploads")
        )

    return open_it


@pytest.fixture
async def storage(open_storage: OpenStorage) -> UploadStorage:
    return await open_storage()


@pytest.fixture
async def pictures(settings: Settings) -> PictureStorage:
    return (
        (await open_s3(settings))[1]
        if settings.storage_url
        else LocalPictures(settings.data_dir / "pictures")
    )
