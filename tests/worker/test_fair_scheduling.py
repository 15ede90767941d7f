"""Who comes next when many wait."""

from datetime import timedelta

import pytest

from app.core.clock import utc_now
from app.core.settings import Settings
from app.db import upload_queues, uploads
from app.db.upload_queues import TO_PUBLISH
from app.db.upload_states import Actor, UploadState
from app.db.upload_values import NewUpload
from app.worker.scheduling import FairScheduler
from tests.conftest import Running
from tests.upload_rows import put_in


async def add(app: Running, user_id: int, count: int, *, minutes_ago: int) -> None:
    now = utc_now() - timedelta(minutes=minutes_ago)
    async with app.resources.database.session() as session:
        for number in range(count):
            upload_id = f"{user_id:016x}{number:016x}"
            await uploads.add_upload(
                session,
                NewUpload(
                    id=upload_id,
                    user_id=user_id,
                    file_name="a.csv",
                    format="csv",
                    created_at=now,
                    available_at=now,
                ),
            )
            await put_in(session, upload_id, UploadState.RECEIVED, at=now)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"embedded_worker": False})


async def test_uploads_when_one_user_has_many_then_others_come_in_turn(app: Running) -> None:
    await add(app, 1, 6, minutes_ago=30)
    await add(app, 2, 2, minutes_ago=20)
    await add(app, 3, 1, minutes_ago=10)
    scheduler, database = FairScheduler(per_user=2), app.resources.database
    served = []

    async def claim(lease_owner: str) -> str | None:
        upload = await upload_queues.claim_upload_fairly(
            database,
            TO_PUBLISH,
            scheduler.choose,
            lease_owner=lease_owner,
            now=utc_now(),
            lease=timedelta(minutes=5),
        )
        if upload is None:
            return None
        scheduler.served(upload.user_id)
        served.append(upload.user_id)
        return upload.id

    async def finish(upload_id: str | None, lease_owner: str) -> None:
        assert upload_id is not None
        async with database.session() as session:
            assert await uploads.set_state(
                session,
                upload_id,
                UploadState.FAILED,
                by=Actor.PUBLISHER,
                now=utc_now(),
                lease_owner=lease_owner,
            )

    for _ in range(5):
        await finish(await claim("w"), "w")
    assert served == [1, 2, 3, 1, 2]

    assert [await claim(f"w{number}") for number in range(3)][2] is None, "two at once, whoever asks"
    assert served[5:] == [1, 1]
