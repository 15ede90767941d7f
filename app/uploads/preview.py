"""The profile of an upload's table, a page of columns at a time, and validation of declared types against it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from app.core.concurrency import BoundedExecutor
from app.core.errors import ERRORS_SHOWN, UploadGoneError, UploadStateError, ValidationFailedError
from app.db.upload_states import BEFORE_PREVIEW, CHECKED_AT_ONCE, WITHOUT_PREVIEW, UploadState
from app.db.upload_values import Upload
from app.storage.parts import UploadStorage
from app.tabular import UPLOAD_LIMITS, ProfilePage, read_profile
from app.tabular.profile.overrides import OverrideViolation, override_violations
from app.uploads.metadata import given
from app.uploads.schemas import PreviewColumnResponse, PreviewResponse

ROLES = ("def_tar_att", "row_id_attribute", "ignore_attribute")
LONGEST_NAME = 200


async def show_preview(
    storage: UploadStorage, checks: BoundedExecutor, upload: Upload, *, first: int, columns: int, search: str
) -> PreviewResponse:
    """Return what the table is like, and some of its columns.

    Raises:
        UploadStateError: the table is not profiled yet, or never will be.
        UploadGoneError: the preview went with the bytes.
    """
    if upload.state in BEFORE_PREVIEW:
        raise UploadStateError("There is no preview yet: the bytes are still coming in, or being looked at.")
    if _is_gone(upload):
        raise UploadGoneError("The bytes of this upload are gone, and the preview with them.")
    path = await storage.fetch(upload.id, "profile")
    if path is None:
        raise _no_preview(upload)
    try:
        page = await checks.run_for(
            upload.user_id, read_profile, path, first=first, most=columns, search=search
        )
    except (OSError, ValueError):
        raise _no_preview(upload) from None
    return _answer(upload, page, first)


def _is_gone(upload: Upload) -> bool:
    return upload.dataset_id is not None or upload.state in WITHOUT_PREVIEW


def _no_preview(upload: Upload) -> UploadStateError:
    if upload.state == UploadState.FAILED:
        return UploadStateError("There is no preview: the upload failed before the columns were looked at.")
    return UploadStateError("There is no preview: the upload was to be published without a stop.")


def _answer(upload: Upload, page: ProfilePage, first: int) -> PreviewResponse:
    table = page.table
    return PreviewResponse(
        state=UploadState(upload.state),
        metadata=given(upload.description),
        row_count=table["rows"],
        column_count=table["columns"],
        error_count=table["errors"],
        arff_format=table["arff_format"],
        repairs=table["repairs"],
        # Profiles of an older version do not count; they are gone in a few days.
        repair_count=table.get("repair_count", len(table["repairs"])),
        warnings=table["warnings"],
        first=first,
        found=page.found,
        columns=[_column(column, table["first_rows"]) for column in page.columns],
    )


def _column(column: dict[str, Any], first_rows: list[list[str | None]]) -> PreviewColumnResponse:
    position = column["position"]
    shown = bool(first_rows) and position < len(first_rows[0])
    return PreviewColumnResponse.model_validate(
        {
            "label_count": column["labels"] and len(column["labels"]),  # as above
            **column,
            "first_values": [row[position] for row in first_rows] if shown else None,
        }
    )


async def require_possible_choices(
    storage: UploadStorage, checks: BoundedExecutor, upload: Upload, changes: Mapping[str, Any]
) -> None:
    """Refuse columns that there are not, and types that they cannot have, where the table is known already.

    Args:
        storage: where the preview is.
        checks: where it is read.
        upload: as it stands.
        changes: some of its metadata, as `check_draft` returns it.

    Raises:
        ValidationFailedError: names each such column.
    """
    roles = {field: _as_list(changes.get(field)) for field in ROLES}
    types = changes.get("attributes") or {}
    if upload.state not in CHECKED_AT_ONCE or not (types or any(roles.values())):
        return
    path = await storage.fetch(upload.id, "profile")
    if path is None:
        return
    find = partial(
        override_violations,
        path,
        types,
        roles,
        repair=changes.get("repair", (upload.description or {}).get("repair", True)),
        max_labels=UPLOAD_LIMITS.max_labels,
    )
    try:
        wrong = await checks.run_for(upload.user_id, find)
    except (OSError, ValueError):
        return  # The bytes are going, or it never was a whole profile.
    if wrong:
        raise ValidationFailedError.for_fields([_error(one) for one in wrong[:ERRORS_SHOWN]])


def _as_list(names: list[str] | str | None) -> list[str]:
    return [names] if isinstance(names, str) else names or []


def _error(violation: OverrideViolation) -> dict[str, Any]:
    column = violation.column[:LONGEST_NAME]
    field = f"attributes.{column}" if violation.role == "types" else violation.role
    place = {} if violation.row is None else {"row": violation.row, "value": violation.value}
    return {"field": field, "message": violation.message, "column": column, **place}
