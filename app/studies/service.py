"""Creation of collections. The alias identifies one, so that it is not created twice."""

import asyncio
import hashlib
import json
from dataclasses import dataclass

import structlog

from app.core.errors import ValidationFailedError
from app.db.users import Account
from app.openml.client import OpenMLClient
from app.openml.errors import LostAnswerError, RefusedError
from app.openml.fields import RepairResponse, Repairs, validated
from app.openml.problems import OpenMLRefusedError
from app.openml.records import EntityKind, Study
from app.openml.translation import require_key, translated_errors
from app.studies.problems import AliasTakenError
from app.studies.schemas import (
    Collection,
    CollectionResponse,
    RunCollectionRequest,
    TaskCollectionRequest,
    Texts,
)

log = structlog.get_logger(__name__)

LOOK_AGAIN_SECONDS = 1.0
"""OpenML may still be making the collection whose answer was lost."""
SENT_AT_MOST = 2
"""How often a collection is sent whose answer is lost."""
ALIAS_TAKEN, NOT_INSERTED = 1038, 1039
NO_SUITE = (
    "The benchmark suite was left out: OpenML's server fails when a collection of runs names one. "
    "Mention it in the description instead."
)


@dataclass(frozen=True, slots=True)
class StudyDraft:
    """A collection as OpenML is to be told."""

    kind: EntityKind
    alias: str
    name: str
    description: str
    ids: list[int]

    def is_that(self, study: Study) -> bool:
        """Return whether the server's collection equals this one."""
        texts = (study.kind, study.name.strip(), study.description.replace("\r\n", "\n").strip())
        mine = (self.kind, self.name.strip(), self.description.replace("\r\n", "\n").strip())
        return texts == mine and study.ids == set(self.ids)


async def upload_tasks(
    openml: OpenMLClient, account: Account, request: TaskCollectionRequest
) -> CollectionResponse:
    """Make a collection of tasks."""
    return await _upload(openml, account, "task", request, request.taskids, warnings=[])


async def upload_runs(
    openml: OpenMLClient, account: Account, request: RunCollectionRequest
) -> CollectionResponse:
    """Make a collection of runs."""
    warnings = [NO_SUITE] if request.benchmark else []
    return await _upload(openml, account, "run", request, request.run_ids, warnings=warnings)


async def _upload(
    openml: OpenMLClient,
    account: Account,
    kind: EntityKind,
    request: Collection,
    ids: list[int],
    *,
    warnings: list[str],
) -> CollectionResponse:
    repairs = Repairs()
    texts = validated(Texts, request.model_dump(), repairs if request.repair else None)
    draft = _draft(account, kind, texts, request.alias, ids)
    study_id = await _make(openml, account, draft)
    return CollectionResponse(
        id=study_id,
        url=openml.study_url(study_id),
        alias=draft.alias,
        warnings=warnings,
        repairs=[RepairResponse.model_validate(made) for made in repairs.records()],
    )


def _draft(account: Account, kind: EntityKind, texts: Texts, alias: str | None, ids: list[int]) -> StudyDraft:
    name, description = texts.collectionname, texts.description
    if alias is None:
        # Of the content, so that the same form sent twice is one collection.
        content = json.dumps([account.id, kind, name, description, sorted(ids)])
        alias = f"c{hashlib.sha256(content.encode()).hexdigest()[:31]}"
    return StudyDraft(kind, alias, name, description, ids)


async def _make(openml: OpenMLClient, account: Account, draft: StudyDraft) -> int:
    """Send the collection and return its number; where it is there already, or the answer is lost, look by its alias.

    Raises:
        AliasTakenError: another collection has the alias.
        ValidationFailedError: some ids are unknown.
    """
    api_key = require_key(account.api_key)
    with translated_errors():
        try:
            study_id = await _send(openml, api_key, draft)
        except RefusedError as error:
            if error.code == ALIAS_TAKEN:
                study_id = await _find_same(openml, draft)
            elif error.code == NOT_INSERTED:
                raise await _explain_ids(openml, draft, error) from error
            else:
                raise
    log.info("collection made", study=study_id, kind=draft.kind, user=account.id)
    return study_id


async def _send(openml: OpenMLClient, api_key: str, draft: StudyDraft) -> int:
    """Send the collection; where the answer is lost, look for it before it is sent again, and at the end."""
    lost: LostAnswerError | None = None
    for _ in range(SENT_AT_MOST):
        try:
            return await _create(openml, api_key, draft)
        except LostAnswerError as error:
            log.warning("collection: answer lost", alias=draft.alias, reason=str(error))
            lost = error
        found = await _look(openml, draft)
        if found is not None:
            return found
    raise lost or LostAnswerError("OpenML does not answer")


async def _create(openml: OpenMLClient, api_key: str, draft: StudyDraft) -> int:
    return await openml.create_study(
        draft.kind,
        alias=draft.alias,
        name=draft.name,
        description=draft.description,
        ids=draft.ids,
        api_key=api_key,
    )


async def _look(openml: OpenMLClient, draft: StudyDraft) -> int | None:
    for pause in (0.0, LOOK_AGAIN_SECONDS):
        await asyncio.sleep(pause)
        if await openml.find_study(draft.alias) is not None:
            return await _find_same(openml, draft)
    return None


async def _find_same(openml: OpenMLClient, draft: StudyDraft) -> int:
    study = await openml.find_study(draft.alias)
    if study is not None and draft.is_that(study):
        return study.study_id
    there = f" (number {study.study_id})" if study else ""
    raise AliasTakenError(
        f"Another collection on OpenML{there} has the alias {draft.alias!r}. Choose another alias.",
        code=ALIAS_TAKEN,
    )


async def _explain_ids(
    openml: OpenMLClient, draft: StudyDraft, error: RefusedError
) -> ValidationFailedError | OpenMLRefusedError:
    """Say which ids OpenML does not know; nothing was made."""
    if draft.kind == "run":
        message = "OpenML could not take these runs; as a rule one of the numbers is no run."
        return ValidationFailedError.for_fields([{"field": "run_ids", "message": message}])
    missing = await openml.find_missing_tasks(draft.ids)
    if not missing:
        return OpenMLRefusedError(f"OpenML could not store the collection: {error.message}", code=error.code)
    named = ", ".join(map(str, missing[:20]))
    return ValidationFailedError.for_fields(
        [{"field": "taskids", "message": f"OpenML has no task {named}. Nothing was made."}]
    )
