"""What people typed, where OpenML's `users` can only keep it in other letters.

The table is latin1 on the real server. A text that it has no place for is written there in Latin letters, and as it was
typed in `account_states.typed_texts`: a JSON object of field to the pair `[typed, written]`. The typed one is shown as
long as the table has what we wrote; other servers write the same table, and what they wrote later counts.
"""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.plain import plain_form
from app.db.charsets import first_unstorable
from app.db.engine import upsert
from app.db.tables import account_states, users

BIO_CHARACTERS = 65_535
"""Bytes of a TEXT, and every character of a plain form is one byte on the table that needs it."""


def written(session: AsyncSession, texts: Mapping[str, str]) -> dict[str, str]:
    """Return the texts as the table can keep them, by the names of its columns."""
    charset = session.info["charset"]

    def is_storable(character: str) -> bool:
        return first_unstorable(character, charset) is None

    return {
        field: text if is_storable(text) else plain_form(text, is_storable, longest=_length_of(field))
        for field, text in texts.items()
    }


async def keep_typed(session: AsyncSession, user_id: int, texts: Mapping[str, str]) -> None:
    """Keep what was typed of those texts that the table has otherwise, and what was kept of others."""
    plain = written(session, texts)
    before = await get_typed(session, user_id)
    pairs: dict[str, list[str]] = json.loads(before) if before else {}
    for field, text in texts.items():
        pairs.pop(field, None)
        if text != plain[field]:
            pairs[field] = [text, plain[field]]
    kept = json.dumps(pairs) if pairs else None
    if kept != before:
        await _set_typed(session, user_id, kept)


async def forget_typed(session: AsyncSession, user_id: int) -> None:
    """Forget what was typed."""
    if await get_typed(session, user_id) is not None:
        await _set_typed(session, user_id, None)


async def get_typed(session: AsyncSession, user_id: int) -> str | None:
    """Return what is kept, for `as_typed`."""
    return await session.scalar(
        sa.select(account_states.c.typed_texts).where(account_states.c.user_id == user_id)
    )


def as_typed(values: Mapping[str, Any], typed_texts: str | None) -> dict[str, Any]:
    """Return the row's values, with what was typed in place of what was written for it."""
    pairs = json.loads(typed_texts) if typed_texts else {}
    typed = {field: text for field, (text, plain) in pairs.items() if values.get(field) == plain}
    return {**values, **typed}


async def _set_typed(session: AsyncSession, user_id: int, kept: str | None) -> None:
    values = {"user_id": user_id, "typed_texts": kept}
    await upsert(session, account_states, values, update={"typed_texts": kept})


def _length_of(field: str) -> int:
    return getattr(users.c[field].type, "length", None) or BIO_CHARACTERS
