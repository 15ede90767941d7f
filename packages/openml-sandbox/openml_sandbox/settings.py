"""What an operator can choose about the sandbox."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

Role = Literal["admin", "writer", "read-only"]

KEY = re.compile(r"[0-9a-fA-F]{32}")

UPLOAD_MAX_BYTES = 4 * 1024**3
REST_BYTES = 1024**3
"""What a body may have beside its file."""


AccountOf = Callable[[str], Awaitable[int | None]]
"""Tells the number of the account that has an API key, or None."""


async def nobodys(_key: str) -> int | None:
    """Know no account."""
    return None


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """Settings of one sandbox.

    Attributes:
        data_dir: Where everything it knows is kept; made if missing.
        base_url: Its own address as clients see it, without a slash at the end; used in `oml:url`.
        keys: API key -> role. `None`: every key of 32 hexadecimal digits is a writer of its own.
        account_of: Tells the number of the account that a key belongs to now, where somebody keeps accounts.
            So a renewed key keeps its user. Asked only where any key is one.
        processing_delay_seconds: How long a dataset waits before the processing step looks at it.
        upload_max_bytes: Largest file part (PHP's `upload_max_filesize`).
        post_max_bytes: Largest declared body (PHP's `post_max_size`).
        request_max_bytes: Largest declared body that the web server in front lets in; `None`: any.
    """

    data_dir: Path
    base_url: str = "http://127.0.0.1:5001"
    keys: Mapping[str, Role] | None = field(default=None, repr=False)
    account_of: AccountOf = nobodys
    processing_delay_seconds: float = 1.0
    upload_max_bytes: int = UPLOAD_MAX_BYTES
    post_max_bytes: int = UPLOAD_MAX_BYTES + REST_BYTES
    request_max_bytes: int | None = None


def parse_keys(text: str) -> dict[str, Role]:
    """Read `key=role,key=role`.

    Raises:
        ValueError: Says which entry is wrong and why; never shows a key.
    """
    keys: dict[str, Role] = {}
    for number, entry in enumerate(text.split(","), start=1):
        key, separator, role = entry.strip().partition("=")
        if not separator:
            raise ValueError(f"entry {number}: expected key=role")
        if not KEY.fullmatch(key):
            raise ValueError(f"entry {number}: an API key has 32 hexadecimal digits")
        if role not in get_args(Role):
            raise ValueError(f"entry {number}: the role must be one of {', '.join(get_args(Role))}")
        if key.lower() in keys:
            raise ValueError(f"entry {number}: this key was given before")
        keys[key.lower()] = next(known for known in get_args(Role) if known == role)
    return keys
