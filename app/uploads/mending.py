"""A dataset that OpenML could not process, mended in place: what describes it is edited there, and it is reset.

So no second dataset is made where only the description was at fault. The file cannot be replaced: OpenML has no call
for that.
"""

from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import uploads
from app.db.engine import notify_after_commit
from app.db.upload_states import Actor, UploadState
from app.db.upload_values import Upload
from app.db.users import Account
from app.events.notifications import PUBLISHED, upload_topic
from app.openml.client import OpenMLClient
from app.openml.translation import require_key, translated_errors
from app.uploads.metadata import check_draft, given, merge
from app.uploads.problems import UploadStateError
from app.uploads.service import Judging
from app.uploads.stopping import find_upload

log = structlog.get_logger(__name__)

# Fields of the metadata, as OpenML calls them in an edit.
_EDITABLE = {
    "description": "description",
    "collection_date": "collection_date",
    "language": "language",
    "def_tar_att": "default_target_attribute",
    "row_id_attribute": "row_id_attribute",
    "ignore_attribute": "ignore_attribute",
    "citation": "citation",
    "original_data_url": "original_data_url",
    "paper_url": "paper_url",
}


async def mend(
    judging: Judging, openml: OpenMLClient, account: Account, *, upload_id: str, changes: Mapping[str, Any]
) -> bool:
    """Edit the dataset of an upload that OpenML could not process, and have it processed once more.

    Both calls do no harm a second time: where an answer is lost, the same request may be sent again.

    Returns:
        Whether this is such an upload; if not, nothing was done.

    Raises:
        NotFoundError: the user has no such upload.
        UploadStateError: something was to change that OpenML cannot change of a dataset.
        ValidationFailedError: the description is wrong.
        ProblemError: OpenML refuses the edit, or does not answer.
    """
    database = judging.database
    upload = await database.unit(
        lambda session: find_upload(session, user_id=account.id, upload_id=upload_id)
    )
    if upload.state != UploadState.FAILED or upload.dataset_id is None:
        return False
    wanted = await judging.checks.run_for(account.id, check_draft, merge(upload.description, changes))
    edits = _edits(upload, wanted.values, upload.dataset_id)
    api_key = require_key(account.api_key)
    with translated_errors():
        if edits:
            await openml.edit_dataset(upload.dataset_id, edits, api_key=api_key)
        await openml.reset_dataset(upload.dataset_id, api_key=api_key)
    log.info("dataset processed anew", upload=upload.id, dataset=upload.dataset_id, fields=sorted(edits))

    async def go_on(session: AsyncSession) -> bool:
        now = database.now()
        moved = await uploads.set_state(
            session,
            upload.id,
            UploadState.PROCESSING,
            by=Actor.OWNER,
            now=now,
            available_at=now,
            detail="its description was mended at OpenML" if edits else "its owner asked for it once more",
            values={
                "error": None,
                "finished_at": None,
                "attempts": 0,
                "description": {**(upload.description or {}), **wanted.values},
            },
        )
        notify_after_commit(session, PUBLISHED)
        notify_after_commit(session, upload_topic(upload.id))
        return moved

    moved = await database.unit(go_on)
    if not moved:
        raise UploadStateError("The upload has changed in this moment; look at it again.")
    return True


def _edits(upload: Upload, wanted: Mapping[str, Any], dataset_id: int) -> dict[str, str]:
    """Return the changed fields, in OpenML's spelling.

    Raises:
        UploadStateError: it cannot be changed there.
    """
    known = given(upload.description)
    changed = [name for name in wanted if wanted[name] != known.get(name, wanted[name])]
    fixed = [name for name in changed if name not in {*_EDITABLE, "notify", "allow_duplicate"}]
    if fixed:
        raise UploadStateError(
            f"OpenML has this upload as dataset {dataset_id}, whose {', '.join(fixed)} nobody can change there; "
            "send the corrected table as a new upload.",
            dataset_id=dataset_id,
        )
    edits = {_EDITABLE[name]: _as_text(wanted[name]) for name in changed if name in _EDITABLE}
    cleared = [name for name, text in edits.items() if not text]
    if cleared:
        raise UploadStateError(
            f"OpenML takes no empty text for {', '.join(cleared)} of dataset {dataset_id}; give another one.",
            dataset_id=dataset_id,
        )
    return edits


def _as_text(value: Any) -> str:  # noqa: ANN401 - of any type that a field has
    return ",".join(value) if isinstance(value, list) else str(value or "")
