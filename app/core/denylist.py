"""Access tokens that were logged out, as this process knows them: refused without asking the database.

Only what the database says is binding: a token that is not known here is looked up there, with its user, in any case.
Known tokens are refused without a query, also while the database is away. With Redis, processes announce them to each
other (app/events/denylist.py).
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

from app.core.clock import utc_now

CACHED_AT_MOST = 20_000
"""Tokens known at most, some 4 MB; beyond, those known for longest are left to the database."""


class Denylist:
    """The ids of tokens that were logged out before their end, and when that is."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self.now = now
        self._ends: OrderedDict[str, datetime] = OrderedDict()
        self.announce: Callable[[str, datetime], None] = lambda _jti, _ends_at: None
        """Tells the other processes of a token that was logged out in this one."""

    def add(self, jti: str, ends_at: datetime) -> None:
        """Refuse the token, whose row is committed, in this process and soon in the others."""
        self.learn(jti, ends_at)
        self.announce(jti, ends_at)

    def learn(self, jti: str, ends_at: datetime) -> None:
        """Refuse a token that another process has logged out."""
        self._ends[jti] = ends_at
        self._ends.move_to_end(jti)
        if len(self._ends) > CACHED_AT_MOST:
            self._ends.popitem(last=False)

    def knows(self, jti: str) -> bool:
        """Return whether the token is known to be logged out; if not, the database may still say so."""
        return jti in self._ends

    def living(self) -> list[tuple[str, datetime]]:
        """Return what is known of tokens that would still be good, and forget the others."""
        now = self.now()
        self._ends = OrderedDict((jti, ends_at) for jti, ends_at in self._ends.items() if ends_at > now)
        return list(self._ends.items())
