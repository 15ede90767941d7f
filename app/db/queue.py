"""Claiming rows that are work: by a lease, so that one worker has a row at a time, and loses it if its process ends.

A table that is a queue has the columns `id`, `state`, `attempts`, `available_at` and `lease_owner`. A claimed row's
`available_at` is the end of its lease: nobody else takes it before, and everybody may afterwards. The UPDATE
repeats the condition, so no lock is needed, and every database that OpenML runs on can do it.

Whatever ends a claim names its owner and says whether it was still theirs: a worker whose lease has ended may not write
anything. Times are those of the database (`Database.now`).
"""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import row_count
from app.db.reader import Reader, ReadStatement, utc_as_text

T = TypeVar("T")
CANDIDATES = 16
"""Rows looked at in one turn; a claim that another worker wins moves on to the next."""


class Waiting(NamedTuple):
    """A user with rows that are due: since when the first is, and how many others are under way."""

    user_id: int
    since: datetime
    under_way: int


class Queue:
    """The rows of one table that are in one of some states and due."""

    def __init__(self, table: sa.Table, states: Sequence[str]) -> None:
        self.name = table.name
        self._table = table
        self.states = states
        self._in_state = table.c.state.in_(states)
        due = sa.and_(self.state_of(table), table.c.available_at <= sa.bindparam("now", type_=sa.String))
        self._peek = ReadStatement(sa.select(table.c.id).where(due).limit(1), by_key=True)
        # Built once: to build a statement takes longer than to execute it.
        self._candidates = (
            sa.select(table.c.id).where(self._due()).order_by(table.c.available_at).limit(CANDIDATES)
        )
        self._take = (
            sa.update(table)
            .where(table.c.id == sa.bindparam("candidate"), self._due())
            .values(
                lease_owner=sa.bindparam("owner"),
                available_at=sa.bindparam("until"),
                attempts=table.c.attempts + 1,
            )
        )

    def state_of(self, table: sa.FromClause) -> sa.ColumnElement[bool]:
        """Return the condition that a row of the table, or of an alias of it, is in one of the states.

        The reader binds nothing but names, so the states stand in the text; they are constants of ours.
        """
        return sa.or_(*(table.c.state == sa.literal_column(f"'{state}'") for state in self.states))

    async def exists(self, reader: Reader, now: datetime) -> bool:
        """Say whether anything is due: a read without a lock, for a queue is empty most of the time."""
        return await reader.first(self._peek, {"now": utc_as_text(now)}) is not None

    def earliest(self) -> list[sa.ScalarSelect[Any]]:
        """Return what is due first in each state, as parts of a statement: the first entry of an index, each."""
        due_at, state = self._table.c.available_at, self._table.c.state
        return [
            sa.select(sa.func.min(due_at)).where(state == sa.literal_column(f"'{name}'")).scalar_subquery()
            for name in self.states
        ]

    def _due(self) -> sa.ColumnElement[bool]:
        """Return the condition that a row is in one of the states, its time has come, and no lease on it lasts."""
        return sa.and_(self._in_state, self._table.c.available_at <= sa.bindparam("now"))

    def under_way(self) -> sa.ColumnElement[bool]:
        """Return the condition that a row is claimed, by a lease that has not ended `now`."""
        table = self._table
        return sa.and_(
            self._in_state, table.c.available_at > sa.bindparam("now"), table.c.lease_owner.is_not(None)
        )

    async def claim(
        self,
        session: AsyncSession,
        *,
        lease_owner: str,
        now: datetime,
        lease: timedelta,
        only: sa.ColumnElement[bool] | None = None,
    ) -> int | str | None:
        """Give `lease_owner` the row that is due for longest, or in a backlog one of those, and return its id, or None.

        The attempt is counted. Nothing may have been written in the session: it is rolled back between two tries.
        """
        wanted = self._candidates if only is None else self._candidates.where(only)
        candidates = await session.scalars(wanted, {"now": now})
        values = {"now": now, "owner": lease_owner, "until": now + lease}
        for candidate in _in_order(candidates.all()):
            if row_count(await session.execute(self._take, {**values, "candidate": candidate})) == 1:
                found: int | str = candidate
                return found
            # Another worker has it, and may want to write to it: what we looked at in vain stays locked until we end.
            await session.rollback()
        return None

    async def hasten(self, session: AsyncSession, row_id: int | str, now: datetime) -> bool:
        """Let a row that waits for its time be taken at once; False if it is in no such state, or somebody has it."""
        due = sa.update(self._table).where(self.held(row_id, None)).values(available_at=now)
        return row_count(await session.execute(due)) == 1

    def held(self, row_id: int | str, lease_owner: str | None) -> sa.ColumnElement[bool]:
        """Return the condition that it is this row, and that `lease_owner` still has it; None: that nobody does."""
        table = self._table
        return sa.and_(table.c.id == row_id, table.c.lease_owner == lease_owner, self._in_state)

    async def renew(
        self,
        session: AsyncSession,
        row_id: int | str,
        *,
        lease_owner: str,
        until: datetime,
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """Renew a lease, and write other columns with it; False if another owner has the row."""
        return await self._update(session, row_id, lease_owner, {**(values or {}), "available_at": until})

    async def finish(
        self, session: AsyncSession, row_id: int | str, *, lease_owner: str | None, values: Mapping[str, Any]
    ) -> bool:
        """Record the outcome and end the lease; False if another owner has the row."""
        return await self._update(session, row_id, lease_owner, {**values, "lease_owner": None})

    async def give_back(
        self,
        session: AsyncSession,
        row_id: int | str,
        *,
        lease_owner: str,
        at: datetime,
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """End the lease, and make the row due at the given time; False if another owner has the row."""
        changes = {**(values or {}), "available_at": at}
        return await self.finish(session, row_id, lease_owner=lease_owner, values=changes)

    async def remove(self, session: AsyncSession, row_id: int | str, *, lease_owner: str) -> bool:
        """Delete a row whose work is done; False if another owner has the row."""
        statement = sa.delete(self._table).where(self.held(row_id, lease_owner))
        return row_count(await session.execute(statement)) == 1

    async def _update(
        self, session: AsyncSession, row_id: int | str, lease_owner: str | None, values: Mapping[str, Any]
    ) -> bool:
        statement = sa.update(self._table).where(self.held(row_id, lease_owner)).values(values)
        return row_count(await session.execute(statement)) == 1


def _in_order(candidates: Sequence[T]) -> Sequence[T]:
    """Return the order in which candidates are tried: that of the queue, in a backlog a random one.

    Where every worker tries the same row first, all wait for the one that has it (benchmarks/wake.py: for a thousand
    rows eight workers waited 36 seconds for locks, and one second in random order).
    """
    return candidates if len(candidates) < CANDIDATES else random.sample(candidates, len(candidates))
