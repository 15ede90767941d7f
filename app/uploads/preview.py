"""The profile of an upload's table, a page of columns at a time, and validation of declared types against it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.core.concurrency import BoundedExecutor
from app.core.errors import ERRORS_SHOWN, ValidationFailedError
from app.db.upload_states import CAN_CHANGE, WITHOUT_PREVIEW, UploadState
from app.db.upload_values import MOST_DOUBTS, Upload
from app.storage.parts import UploadStorage
from app.tabular import UPLOAD_LIMITS, read_profile
from app.tabular.profile.overrides import OverrideViolation, override_violations
from app.uploads.choices import digest_choices, preview_version
from app.uploads.metadata import given
from app.uploads.problems import UploadGoneError, UploadStateError
from app.uploads.schemas import PreviewColumnResponse, PreviewResponse

ROLES = ("def_tar_att", "row_id_attribute", "ignore_attribute")
NAMING = (*ROLES, "attributes", "rename", "leave_out")
"""Fields of the metadata that name columns."""
LONGEST_NAME = 200


async def show_preview(
    storage: UploadStorage, checks: BoundedExecutor, upload: Upload, *, first: int, columns: int, search: str
) -> PreviewResponse:
    """Return a page of the preview: facts of the table, and some of its columns.

    Raises:
        UploadStateError: the table is not profiled yet, or never will be.
        UploadGoneError: the preview was removed with the bytes.
    """
    path = await find_profile(storage, upload)
    try:
        return await checks.run_for(
            upload.user_id, _read, path, upload, first=first, columns=columns, search=search
        )
    except (OSError, ValueError):
        raise _no_preview(upload) from None


async def find_profile(storage: UploadStorage, upload: Upload) -> Path:
    """Return the file of the preview.

    Raises:
        UploadStateError: the table is not profiled yet, or never will be.
        UploadGoneError: the preview was removed with the bytes.
    """
    if upload.state == UploadState.RECEIVING or (
        upload.state == UploadState.VERIFYING and not preview_version(upload)
    ):
        raise UploadStateError("There is no preview yet: the bytes are still coming in, or being looked at.")
    if _is_gone(upload):
        raise UploadGoneError("The bytes of this upload are gone, and the preview with them.")
    path = await storage.fetch(upload.id, "profile", preview_version(upload))
    if path is None:
        raise _no_preview(upload)
    return path


def _is_gone(upload: Upload) -> bool:
    return upload.dataset_id is not None or upload.state in WITHOUT_PREVIEW


def _no_preview(upload: Upload) -> UploadStateError:
    if upload.state == UploadState.READY and upload.error:
        return UploadStateError(
            "There is no preview: the table cannot be read so (`error`). Choose another `reading`."
        )
    if upload.state == UploadState.FAILED:
        return UploadStateError("There is no preview: the upload failed before the columns were looked at.")
    return UploadStateError("There is no preview: the upload was to be published without a stop.")


def _read(path: Path, upload: Upload, *, first: int, columns: int, search: str) -> PreviewResponse:
    """Return a page of a preview; blocking."""
    page = read_profile(path, first=first, most=columns, search=search)
    table, description = page.table, given(upload.description)
    doubts = table.get("doubts", [])
    return PreviewResponse(
        state=UploadState(upload.state),
        # That of an older version of the service does not say of which choices it is.
        is_current=preview_version(upload) in {"", digest_choices(description).choices},
        metadata=description,
        row_count=table["rows"],
        column_count=table["columns"],
        error_count=table["errors"],
        arff_format=table["arff_format"],
        reading=table.get("reading", {}),
        doubts=doubts[:MOST_DOUBTS],
        doubt_count=len(doubts),
        repairs=table["repairs"],
        # Profiles of an older version do not count; they are gone in a few days.
        repair_count=table.get("repair_count", len(table["repairs"])),
        warnings=table["warnings"],
        hints=table.get("hints", []),  # as above
        unknown=[_error(one) for one in _unknown_columns(path, description)[:ERRORS_SHOWN]],
        first=first,
        found=page.found,
        columns=[_column(column, table["first_rows"]) for column in page.columns],
    )


def _unknown_columns(path: Path, description: Mapping[str, Any]) -> list[OverrideViolation]:
    """Return the columns that were named and that the table does not have, as it is read now."""
    named = {**_roles_of(description), "types": list(description.get("attributes") or {})}
    left_out = {*(description.get("leave_out") or [])}
    names = {field: [name for name in named[field] if name not in left_out] for field in named}
    if not any(names.values()):
        return []
    return override_violations(path, {}, names, repair=True, max_labels=UPLOAD_LIMITS.max_labels)


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
    storage: UploadStorage,
    checks: BoundedExecutor,
    upload: Upload,
    changes: Mapping[str, Any],
    *,
    described: Mapping[str, Any],
) -> None:
    """Refuse columns that there are not, and types that they cannot have, where the table is known already.

    It is not where the file is to be read otherwise than for the preview.

    Args:
        storage: where the preview is.
        checks: where it is read.
        upload: as it stands.
        changes: some of its metadata, as `check_draft` returns it.
        described: all of it, with the changes.

    Raises:
        ValidationFailedError: names each such column.
    """
    if upload.state not in CAN_CHANGE or not any(changes.get(field) for field in NAMING):
        return
    path = await storage.fetch(upload.id, "profile", preview_version(upload))
    if path is None:
        return
    try:
        wrong = await checks.run_for(upload.user_id, _wrong_choices, path, upload, changes, described)
    except (OSError, ValueError):
        return  # The bytes are going, or it never was a whole profile.
    if wrong:
        raise ValidationFailedError.for_fields([_error(one) for one in wrong[:ERRORS_SHOWN]])


def _wrong_choices(
    path: Path, upload: Upload, changes: Mapping[str, Any], described: Mapping[str, Any]
) -> list[OverrideViolation]:
    """Return the choices that cannot be, as far as the preview shows; blocking."""
    before = given(upload.description)
    now = digest_choices(before).table
    seen = (upload.reading or {}).get("table", now)
    if seen != now or before.get("reading") != described.get("reading"):
        return []
    # A preview does not have what is left out, and not yet the names of this change.
    gone = {*(before.get("leave_out") or ()), *described["leave_out"], *described["rename"].values()}
    roles = {
        field: [name for name in names if name not in gone] for field, names in _roles_of(changes).items()
    }
    known = {*(before.get("leave_out") or ())}
    renamed = [name for name in changes.get("rename") or () if name not in known]
    left_out = [name for name in changes.get("leave_out") or () if name not in known]
    types = {name: kind for name, kind in (changes.get("attributes") or {}).items() if name not in gone}
    return override_violations(
        path,
        types,
        {**roles, "rename": renamed, "leave_out": left_out},
        repair=described["repair"],
        max_labels=UPLOAD_LIMITS.max_labels,
    )


def _roles_of(description: Mapping[str, Any]) -> dict[str, list[str]]:
    return {field: _as_list(description.get(field)) for field in ROLES}


def _as_list(names: list[str] | str | None) -> list[str]:
    return [names] if isinstance(names, str) else names or []


def _error(violation: OverrideViolation) -> dict[str, Any]:
    column = violation.column[:LONGEST_NAME]
    field = f"attributes.{column}" if violation.role == "types" else violation.role
    place = {} if violation.row is None else {"row": violation.row, "value": violation.value}
    return {"field": field, "message": violation.message, "column": column, **place}
