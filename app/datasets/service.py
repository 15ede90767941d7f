"""Reading and changing what describes a dataset. OpenML keeps it, and decides who may; the file is never fetched."""

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

import structlog

from app.core.concurrency import BoundedExecutor
from app.core.errors import ERRORS_SHOWN, ValidationFailedError
from app.core.suggestions import NAMES_HELPED, suggest
from app.datasets.changes import columns_named, find_changes, roles_of
from app.datasets.problems import TagTakenError
from app.datasets.schemas import EditFormResponse, EditRequest
from app.db import uploads
from app.db.reader import Reader
from app.db.users import Account
from app.openml.client import OpenMLClient
from app.openml.errors import LostAnswerError, RefusedError
from app.openml.fields import Repairs
from app.openml.problems import OpenMLUnreachableError
from app.openml.records import DatasetDescription
from app.openml.translation import require_key, translated_errors

log = structlog.get_logger(__name__)

LARGEST_ID = 2**31 - 1
SENT_AT_MOST = 2
"""How often a change is sent whose answer is lost."""
NO_COLUMNS = frozenset({272, 273, 274})
"""Refusals of the list of columns: the dataset is not processed (yet), and nobody knows them."""
TAG_NOT_STORED = 474


def parse_page_address(url: str) -> int:
    """Return the dataset's number in the address of the SPA's page, e.g. `https://…/auth/data-edit?id=42`.

    Raises:
        ValidationFailedError: there is none.
    """
    try:
        ids = parse_qs(urlsplit(url).query).get("id", [])
    except ValueError:
        ids = []
    if len(ids) == 1 and ids[0].isascii() and ids[0].isdecimal() and 0 < int(ids[0][:11]) <= LARGEST_ID:
        return int(ids[0])
    raise ValidationFailedError.for_fields(
        [{"field": "url", "message": "End it in ?id= and the number of a dataset, e.g. ?url=?id=42"}]
    )


async def show_form(
    reader: Reader, openml: OpenMLClient, account: Account, dataset_id: int
) -> EditFormResponse:
    """Return the dataset as the edit form shows it."""
    current = await _describe(openml, account, dataset_id)
    owner = current.private or await _is_owner(reader, openml, account, dataset_id)
    texts, lists = current.texts, current.lists
    creators = lists["creator"]
    return EditFormResponse(
        user_id=account.id,
        name=current.name,
        description=texts["description"] or None,
        creator=(creators[0] if len(creators) == 1 else list(creators)) if creators else None,
        date=texts["collection_date"] or None,
        citation=texts["citation"] or None,
        language=texts["language"] or None,
        default_target_attribute=texts["default_target_attribute"] or None,
        ignore_attribute=list(lists["ignore_attribute"]) or None,
        row_id_attribute=texts["row_id_attribute"] or None,
        owner="true" if owner else "false",
        original_data_url=texts["original_data_url"] or None,
        paper_url=texts["paper_url"] or None,
    )


async def edit(
    openml: OpenMLClient, checks: BoundedExecutor, account: Account, dataset_id: int, request: EditRequest
) -> list[str]:
    """Change what the request wants otherwise than it is; nothing at all if OpenML refuses a part of it.

    Returns what was changed in its texts. An answer that got lost is no reason to send again: the dataset is looked at
    first.

    Raises:
        NotYoursError: roles of columns were to change, and OpenML says that somebody else owns the dataset.
    """
    made = Repairs()
    repairs = made if request.repair else None
    lost: LostAnswerError | None = None
    for _ in range(SENT_AT_MOST):
        current = await _describe(openml, account, dataset_id)
        changes = find_changes(request, current, repairs)
        if not changes:
            return made.sentences()
        if lost is None:
            await _require_columns(openml, checks, account, current, columns_named(changes))
        lost = await _send(openml, account, dataset_id, changes)
        if lost is None:
            return made.sentences()
    if find_changes(request, await _describe(openml, account, dataset_id), repairs):
        with translated_errors():
            raise lost or LostAnswerError("OpenML does not answer")
    return made.sentences()


async def _send(
    openml: OpenMLClient, account: Account, dataset_id: int, changes: Mapping[str, str]
) -> LostAnswerError | None:
    """Send an edit; return the error if its answer was lost, else None."""
    with translated_errors():
        try:
            await openml.edit_dataset(dataset_id, changes, api_key=require_key(account.api_key))
        except LostAnswerError as error:
            log.warning("edit: answer lost", dataset=dataset_id, reason=str(error))
            return error
    log.info("dataset edited", dataset=dataset_id, user=account.id, fields=sorted(changes))
    return None


async def tag(openml: OpenMLClient, account: Account, dataset_id: int, name: str) -> list[str]:
    """Tag the dataset and return all its tags."""
    return await _set_tag(openml, account, dataset_id, name, wanted=True)


async def untag(openml: OpenMLClient, account: Account, dataset_id: int, name: str) -> list[str]:
    """Remove the tag and return those that are left."""
    return await _set_tag(openml, account, dataset_id, name, wanted=False)


async def _set_tag(
    openml: OpenMLClient, account: Account, dataset_id: int, name: str, *, wanted: bool
) -> list[str]:
    api_key = require_key(account.api_key)
    change = openml.tag_dataset if wanted else openml.untag_dataset
    lost: LostAnswerError | None = None
    for _ in range(SENT_AT_MOST):
        with translated_errors():
            try:
                await change(dataset_id, name, api_key=api_key)
            except LostAnswerError as error:
                lost = error
            except RefusedError as error:
                if error.code != TAG_NOT_STORED:
                    raise
                raise _explain_tag(error, name, await _tags(openml, account, dataset_id)) from error
            else:
                lost = None
        tags = await _tags(openml, account, dataset_id)
        if lost is None or (name in tags) == wanted:
            return tags
    with translated_errors():
        raise lost or LostAnswerError("OpenML does not answer")


def _explain_tag(
    error: RefusedError, name: str, tags: Sequence[str]
) -> TagTakenError | OpenMLUnreachableError:
    """Translate OpenML's failure to store a tag: it compares tags case-insensitively."""
    alike = next((tag for tag in tags if tag.casefold() == name.casefold()), None)
    if alike is None:
        return OpenMLUnreachableError(
            "OpenML could not store the tag at the moment; send the same request again later.",
            code=error.code,
        )
    return TagTakenError(
        f"The dataset has the tag {alike!r}, and OpenML keeps no second one that differs from it in case only. "
        "Use that one, or remove it first.",
        code=error.code,
    )


async def _tags(openml: OpenMLClient, account: Account, dataset_id: int) -> list[str]:
    return list((await _describe(openml, account, dataset_id)).tags)


async def _describe(openml: OpenMLClient, account: Account, dataset_id: int) -> DatasetDescription:
    with translated_errors():
        return await openml.describe_dataset(dataset_id, api_key=require_key(account.api_key))


async def _is_owner(reader: Reader, openml: OpenMLClient, account: Account, dataset_id: int) -> bool:
    """Say who OpenML would say owns the dataset: whoever published it here, else whom its list names.

    This is for showing. What an owner alone may do is judged by OpenML, with the user's key.
    """
    publisher = await uploads.get_publisher(reader, dataset_id)
    if publisher is not None:
        return publisher == account.id
    with translated_errors():
        return await openml.find_uploader(dataset_id) == account.id


async def _require_columns(
    openml: OpenMLClient,
    checks: BoundedExecutor,
    account: Account,
    dataset: DatasetDescription,
    named: dict[str, list[str]],
) -> None:
    """Check names of columns against the dataset's, which OpenML does not.

    Raises:
        NotYoursError, DatasetInUseError: some are unknown, and OpenML would not let this user change roles anyway.
        ValidationFailedError: some are unknown.
    """
    if not named:
        return
    api_key = require_key(account.api_key)
    with translated_errors():
        try:
            features = await openml.list_features(dataset.dataset_id, api_key=api_key)
        except RefusedError as error:
            if error.code in NO_COLUMNS:
                return
            raise
    columns = {feature.name: None for feature in features}
    unknown = [(field, name) for field, names in named.items() for name in names if name not in columns]
    if not unknown:
        return
    await _require_rights(openml, api_key, dataset)
    errors = await checks.run_for(account.id, _unknown_columns, unknown[:ERRORS_SHOWN], list(columns))
    raise ValidationFailedError.for_fields(errors)


async def _require_rights(openml: OpenMLClient, api_key: str, dataset: DatasetDescription) -> None:
    """Have OpenML judge whether this user may change roles of columns, by a change of one to what it is.

    Before anything is computed for a request that would be refused. Where no role is set, there is nothing to ask by.

    Raises:
        NotYoursError, DatasetInUseError: the user may not.
    """
    if same := next(iter(roles_of(dataset).items()), None):
        with translated_errors():
            await openml.edit_dataset(dataset.dataset_id, dict([same]), api_key=api_key)


def _unknown_columns(unknown: Sequence[tuple[str, str]], columns: Collection[str]) -> list[dict[str, str]]:
    errors = []
    for place, (field, name) in enumerate(unknown):
        close = suggest(name, columns, most=1) if place < NAMES_HELPED else []
        hint = f" Did you mean {close[0]!r}?" if close else ""
        errors.append({"field": field, "message": f"The dataset has no column {name!r}.{hint}"})
    return errors
