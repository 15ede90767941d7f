"""Bodies of the routes under /admin, of reports and of announcements."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints, model_validator

from app.accounts.schemas_api_tokens import ApiTokenResponse
from app.accounts.schemas_passkeys import PasskeyResponse
from app.accounts.schemas_second_factor import SecondFactorStatusResponse
from app.accounts.schemas_signed_in import AuditEventResponse
from app.core.validated_strings import PLAIN
from app.db.upload_states import UploadState

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=300), PLAIN]
NoticeText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500), PLAIN]
SUBJECTS = {"dataset": "[1-9][0-9]{0,8}", "user": "[1-9][0-9]{0,8}", "upload": "[0-9a-f]{32}"}
"""What names one of each kind that can be reported."""


class DoneResponse(BaseModel):
    """It is done."""

    msg: str


class ReasonRequest(BaseModel):
    """Why: whose account or upload it is reads it."""

    reason: Reason = Field(examples=["The owner asked for it by mail."])


class MailAgainRequest(ReasonRequest):
    """Which mail to send once more, with a new link."""

    mail: Literal["confirmation", "password-reset"]


class PersonLineResponse(BaseModel):
    """A user in a list."""

    id: int
    username: str
    email: str
    first_name: str
    last_name: str
    active: bool
    closed_at: datetime | None = Field(description="When the account was closed on purpose.")


class PeopleResponse(BaseModel):
    """Users that were looked for, the newest first."""

    users: list[PersonLineResponse]


class AdminEventResponse(AuditEventResponse):
    """Something that happened to an account, as administrators see it."""

    administrator_id: int | None = Field(description="Which administrator did it.")


class AdminSessionResponse(BaseModel):
    """A login that still works."""

    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ip_address: str
    user_agent: str


class MailResponse(BaseModel):
    """What became of a mail; never what is in it."""

    id: int
    created_at: datetime
    kind: str
    recipient: str
    state: Literal["pending", "sent", "failed"]
    attempts: int
    finished_at: datetime | None
    last_error: str | None


class MailsResponse(BaseModel):
    """Mails, the newest first."""

    mails: list[MailResponse]


class AdminUploadResponse(BaseModel):
    """An upload in a list of administrators."""

    id: str
    user_id: int
    state: UploadState
    file_name: str
    dataset_name: str | None
    total_bytes: int | None
    dataset_id: int | None
    attempts: int
    available_at: datetime = Field(
        description="When a worker may take it, or until when the one that has it may."
    )
    lease_owner: str | None = Field(description="The worker that has it.")
    quarantined_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


class AdminUploadsResponse(BaseModel):
    """Uploads, the newest first."""

    uploads: list[AdminUploadResponse]


class AdminStepResponse(BaseModel):
    """A step that an upload has taken, and why."""

    id: int
    state: UploadState
    at: datetime
    detail: str | None


class AdminUploadDetailResponse(AdminUploadResponse):
    """An upload's story. What is in its file is not shown."""

    cancel_requested: bool
    sha256: str | None
    duplicate_of: str | None
    error: dict[str, Any] | None
    events: list[AdminStepResponse]


class ReportResponse(BaseModel):
    """What somebody reported."""

    id: int
    reporter_id: int
    kind: str
    subject: str
    text: str
    created_at: datetime
    closed_at: datetime | None


class ReportsResponse(BaseModel):
    """Reports, the newest first."""

    reports: list[ReportResponse]


class AdminLinkedAccountResponse(BaseModel):
    """An account at a provider that opens the user's."""

    provider: str
    label: str
    created_at: datetime
    last_used_at: datetime | None


class PersonResponse(BaseModel):
    """A user's story. Neither password, nor API key, nor what is in mails is part of it."""

    account: dict[str, Any]
    state: Literal["open", "closed", "not confirmed", "deleted"]
    administrator: bool
    second_factor: SecondFactorStatusResponse
    linked_accounts: list[AdminLinkedAccountResponse]
    passkeys: list[PasskeyResponse]
    api_tokens: list[ApiTokenResponse]
    sessions: list[AdminSessionResponse]
    events: list[AdminEventResponse]
    mails: list[MailResponse]
    uploads: list[AdminUploadResponse]
    reports: list[ReportResponse] = Field(description="What the user has reported.")


class WorkerResponse(BaseModel):
    """A process that works, or worked lately."""

    host: str
    pid: int
    started_at: datetime
    seen_at: datetime
    working: bool
    fault: str = Field(description="The kind of error that ended it.")


class QueueResponse(BaseModel):
    """Work that waits."""

    name: str
    seconds: float = Field(description="For how long what is due first has been waiting.")


class WorkersResponse(BaseModel):
    """Who works, and on what; a web process with a worker of its own gives no sign of life."""

    workers: list[WorkerResponse]
    queues: list[QueueResponse]


class ReportRequest(BaseModel):
    """What is wrong with what."""

    kind: Literal["dataset", "user", "upload"]
    subject: Annotated[str, StringConstraints(max_length=32)] = Field(
        description="Its number, or the id of the upload.", examples=["61"]
    )
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=4000), PLAIN] = (
        Field(examples=["This dataset has names of patients."])
    )

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if not re.fullmatch(SUBJECTS[self.kind], self.subject):
            raise ValueError("subject: give the number of a dataset or user, or the id of an upload")
        return self


class ReportedResponse(BaseModel):
    """Administrators will read it."""

    msg: Literal["Report received"] = "Report received"
    id: int


class NoticeRequest(BaseModel):
    """What everybody is told, and until when."""

    text: NoticeText = Field(examples=["We move to a new database. Uploads go on at 14:00 UTC."])
    ends_at: AwareDatetime | None = Field(
        None, description="It ends by itself then; without it, when it is ended."
    )


class NoticeResponse(BaseModel):
    """Something that everybody is told."""

    id: int
    text: str
    begins_at: datetime
    ends_at: datetime | None


class AnnouncementsResponse(BaseModel):
    """What everybody is told now, the newest first."""

    announcements: list[NoticeResponse]
    read_only: NoticeResponse | None = Field(description="Why nothing may be changed at the moment.")
