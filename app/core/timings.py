"""How long things are waited for, and how long they are kept: numbers that tests shorten, and few sites change."""

import json
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from app.core.setting_checks import require_number_in_bounds

EXAMPLE = 'write a JSON object of names and numbers, e.g. {"lease_seconds": 30}'


class Timings(BaseModel):
    """Spans of time, each in the unit that ends its name."""

    # Strict: `true` would pass for a second.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    lease_seconds: float = Field(
        60,
        gt=0,
        description="A worker that has not been heard of for so long loses its work to another; a lease is renewed "
        "several times within it, so that no slow statement ends one.",
    )
    reconcile_seconds: float = Field(
        120,
        ge=0,
        description="How long to look for an upload whose answer was lost before it is sent again: OpenML may need "
        "that long to list what it took.",
    )
    openml_timeout_seconds: float = Field(
        900,
        gt=0,
        description="Longest wait for an answer of the OpenML server after the last byte was sent: it reads a whole "
        "dataset before it answers.",
    )
    database_timeout_seconds: float = Field(
        10,
        ge=0.1,
        description="Longest wait for an answer of the database, and the longest that a statement may take; a new "
        "connection, or one of the pool, is waited for half as long. Then the answer is 503 with Retry-After, before "
        "most clients give up.",
    )
    storage_timeout_seconds: float = Field(
        20,
        gt=0,
        description="Longest wait for the store to take or give 5 MiB, their turn included, which is a slow line's "
        "time for them; beyond it the answer is 503 with Retry-After.",
    )
    upload_stall_seconds: float = Field(
        60,
        gt=0,
        description="How long an upload may take to send 4096 bytes before it is given up: a mobile line comes back "
        "within it.",
    )
    upload_wait_seconds: float = Field(
        1800,
        gt=0,
        description="How long `POST /data-upload` waits for OpenML before it answers 504, so that a proxy in front can "
        "be told one number; the upload goes on.",
    )
    ready_queue_seconds: float = Field(
        600,
        gt=0,
        description="`/health/ready` says no when a mail, an upload or a task that is due has been waiting for a "
        "worker for longer, which is more than a busy hour makes of it.",
    )
    drain_seconds: float = Field(
        0,
        ge=0,
        le=300,
        description="How long a web process that is told to stop goes on taking requests while `/health/ready` says "
        "no: as long as the load balancer in front needs to notice. 0 where that does not ask it.",
    )
    audit_days: int = Field(
        365,
        ge=1,
        description="How long an account's security events are kept, with addresses: a year, unless the law of the "
        "place says less.",
    )
    unconfirmed_days: int = Field(
        30,
        ge=1,
        description="How long an account whose address was never confirmed is kept: its link works for two days. Only "
        "accounts that were made here, and never open, are removed.",
    )

    api_token_days: int = Field(
        365,
        ge=0,
        description="The longest life of an API token: what nobody renews within a year is a forgotten one. 0: as long "
        "as its owner says, and without an end where they say so.",
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_names(cls, given: object) -> object:
        unknown = sorted(given.keys() - cls.model_fields.keys()) if isinstance(given, dict) else []
        if unknown:
            raise ValueError(f"there is no {unknown[0]}; there are {', '.join(cls.model_fields)}")
        return given

    @field_validator("*")
    @classmethod
    def _require_numbers_in_bounds(cls, value: float, info: ValidationInfo) -> float:
        require_number_in_bounds(str(info.field_name), value)
        return value

    def but(self, **changes: float) -> Self:
        """Return the same timings with other values for some, checked.

        Raises:
            ValidationError: a name or a value is wrong.
        """
        return self.model_validate(self.model_dump() | changes)


def read_timings(value: object) -> object:
    """Return what a text of JSON says; what is none is left as it is.

    Raises:
        ValueError: it is no JSON object, or names something twice; the text says what to write.
    """
    if not isinstance(value, str):
        return value
    try:
        pairs = json.loads(value, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        raise ValueError(EXAMPLE) from None
    if not isinstance(pairs, tuple):
        raise ValueError(EXAMPLE)  # noqa: TRY004 - pydantic's way to say what is wrong
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} is there twice; write it once")
    return dict(pairs)
