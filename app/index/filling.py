"""Filling the index: one process of each machine does, a request at a time, and goes on where it was ended.

What was made or changed through the service comes first; then what people look at and is not known whole; then the
lists, of which each is read to its end again and again and looked at behind its end in between; then details.
"""

import asyncio
import sqlite3
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog

from app.core.clock import utc_now
from app.core.concurrency import BoundedExecutor
from app.core.errors import DatabaseUnavailableError
from app.db.engine import Database
from app.db.index_changes import IndexChange, get_changes, get_newest
from app.events.notifications import INDEX, Notifications
from app.index import documents
from app.index.failures import Failures
from app.index.lock import only_one
from app.index.owners import Owners
from app.index.sources import SOURCES, GoneError, ListSource, Sources, Whole
from app.index.store import Put, Store, remove, remove_others
from app.index.writer import Writer
from app.openml.errors import OpenMLError, RefusedError
from app.openml.reading import PAGE

log = structlog.get_logger(__name__)

PAUSE_SECONDS: Final = 0.5
"""Between two requests that nobody waits for: a public server is asked as a careful person would."""
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
REST_SECONDS: Final = 5.0
"""Between two looks, where nothing is to be done and nobody tells."""
TAIL_SECONDS: Final = 60.0
"""How often it is looked what has come to the end of a list."""
FULL_SECONDS: Final = 6 * 3600.0
"""How often a list is read from its beginning: what was changed or removed elsewhere is found then."""
FIRST_BACK_OFF, LONGEST_BACK_OFF = 5.0, 600.0
CHANGES_AT_ONCE: Final = 100
UNSEEN_AT_ONCE: Final = 20
WRITTEN_AT_ONCE: Final = 200
HANDLED: Final = 2000
"""Changes that are known to be done, so that one of the last minute is not done twice."""
DETAILED: Final = ("data", "study", "flow", "run")
"""Kinds of which lists tell too little."""
SWEPT: Final = frozenset({"data", "task", "flow", "run", "study", "user"})
"""Kinds that can be removed."""
KNOWN_ELSEWHERE: Final = ("uploader_id", "date")
"""Fields that descriptions may lack, and the list or whoever made it has told."""
USERS: Final = "users"


async def keep_filled(
    path: Path, *, server: str, sources: Sources, database: Database, notifications: Notifications
) -> None:
    """Fill the index of this machine until cancelled; wait while another process does."""
    while True:
        try:
            async with only_one(path), _open(path) as writer:
                await writer.run(partial(_belong_to, writer.store, server))
                filler = Filler(writer, sources, database, pause=pause_of(server))
                with notifications.listen(INDEX) as listener:
                    while await writer.run(writer.store.is_current):
                        await listener.wait(seconds=await filler.step())
        except (OSError, sqlite3.Error) as error:
            log.warning("the index cannot be opened", path=str(path), reason=str(error))
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                await asyncio.to_thread(remove, path)  # It is broken, and is made anew.
        await asyncio.sleep(FIRST_BACK_OFF)


async def fill_once(path: Path, *, server: str, sources: Sources, database: Database) -> None:
    """Read every list to its end, and the details of what is listed, as fast as it comes; for the command.

    Raises:
        OpenMLError: OpenML cannot be read.
    """
    async with only_one(path), _open(path) as writer:
        await writer.run(partial(_belong_to, writer.store, server))
        filler = Filler(writer, sources, database, pause=pause_of(server))
        while True:
            pause = await filler.advance()
            if pause is None:
                return
            await asyncio.sleep(pause)


def pause_of(server: str) -> float:
    """Return how long to wait between two requests to a server; one on this machine is one's own."""
    return 0.01 if urlsplit(server).hostname in LOOPBACK else PAUSE_SECONDS


def _belong_to(store: Store, server: str) -> None:
    """Begin anew if the index is another server's."""
    with store.writing():
        if store.get_meta("server") != server:
            store.clear()
            store.set_meta("server", server)


class Filler:
    """What is done next, one step at a time."""

    def __init__(self, writer: Writer, sources: Sources, database: Database, *, pause: float) -> None:
        self._writer = writer
        self._pause = pause
        self._store = writer.store
        self._sources = sources
        self._owners = Owners(writer, sources)
        self._database = database
        self._handled: OrderedDict[int, None] = OrderedDict()
        self._back_off = 0.0
        self._failures = Failures()

    async def step(self) -> float:
        """Do what is to be done next, and return for how long to rest then."""
        try:
            done = await self.advance()
        except sqlite3.DatabaseError:
            raise  # Whoever opened it opens it anew.
        except Exception as error:
            self._back_off = min(LONGEST_BACK_OFF, self._back_off * 2 or FIRST_BACK_OFF)
            unexpected = not isinstance(error, OpenMLError | DatabaseUnavailableError)
            log.warning(
                "the index cannot be filled", reason=str(error), again_in=self._back_off, exc_info=unexpected
            )
            return self._back_off
        self._back_off = 0.0
        return REST_SECONDS if done is None else done

    async def advance(self) -> float | None:
        """Do what is to be done next, and return for how long to wait before the next; None if there is nothing.

        Raises:
            OpenMLError: OpenML cannot be read.
        """
        return self._pause if await self.follow_changes() or await self._one_chore() else None

    async def _one_chore(self) -> bool:
        if not await self._writer.run(self._may_have_chores):
            return False
        if await self._owners.follow():
            return True
        for source in SOURCES:
            if not self._failures.is_waiting(source.name) and await self._is_due(source.name):
                with self._noting(source.name):
                    await self._list_if_offered(source)
                return True
        if await self._is_due(USERS):
            await self.list_users()
            return True
        for kind in DETAILED:
            if await self._detail(kind):
                return True
        return False

    def _may_have_chores(self) -> bool:
        """Say whether anything may be due: one question to the thread, where mostly nothing is."""
        lists = (*(source.name for source in SOURCES), USERS)
        return self._store.has_wishes() or any(
            float(self._store.get_meta(f"{name}.due", "0")) <= _now() for name in lists
        )

    @contextmanager
    def _noting(self, key: Hashable) -> Iterator[None]:
        """Note whether the body fails: what a broken server never tells must not hold up the rest."""
        try:
            yield
        except (RefusedError, DatabaseUnavailableError, sqlite3.Error):
            raise
        except Exception:
            self._failures.note(key)
            raise
        self._failures.forget(key)

    async def follow_changes(self) -> bool:
        """Look again at what was changed through the service; say whether there was anything."""
        cursor = int(await self._writer.number("changes"))
        reader = self._database.reader
        # What was changed before this index was begun, the lists tell.
        after = cursor or await get_newest(reader)
        found = await get_changes(reader, now=self._database.now(), after=after, limit=CHANGES_AT_ONCE)
        new = [change for change in found if change.id not in self._handled]
        for change in new:
            await self._follow(change)
            self._handled[change.id] = None
        while len(self._handled) > HANDLED:
            self._handled.popitem(last=False)
        if (newest := max([after, *(change.id for change in new)])) != cursor:
            await self._writer.note("changes", newest)
        return bool(new)

    async def _follow(self, change: IndexChange) -> None:
        if self._failures.is_given_up(change.id):
            log.warning("the index leaves out a change", kind=change.kind, id=change.entity_id)
            return
        try:
            with self._noting(change.id):
                await self._refresh(change.kind, str(change.entity_id), change)
        except RefusedError as error:
            log.info(
                "the index cannot follow a change", kind=change.kind, id=change.entity_id, reason=str(error)
            )

    async def _refresh(self, kind: str, document_id: str, change: IndexChange | None = None) -> None:
        """Read one thing whole, and keep it or remove it."""
        known = await self._writer.run(partial(self._store.get, kind, document_id)) or {}
        made = {name: known[name] for name in KNOWN_ELSEWHERE if known.get(name) is not None}
        if change and change.user_id and kind == "task":
            # OpenML tells of no task who made it and when.
            made = {"uploader_id": change.user_id, "date": documents.spelled(change.at)}
        try:
            whole = await self._sources.whole(kind, int(document_id), made)
        except GoneError:
            await self._writer.run(partial(self._note, self._store.delete, kind, document_id))
            await self._owners.note_gone(kind, document_id, known)
            return
        await self._writer.run(partial(self._keep, whole))

    def _keep(self, whole: Whole) -> None:
        with self._store.writing():
            self._store.put([whole.put], number_of_pass=self._pass_of(whole.put.kind))
            if whole.members is not None:
                self._store.set_members(int(whole.put.id), whole.members)

    def _pass_of(self, kind: str) -> int:
        name = USERS if kind == "user" else kind
        return int(float(self._store.get_meta(f"{name}.pass", "0")))

    async def _is_due(self, name: str) -> bool:
        return await self._writer.number(f"{name}.due") <= _now()

    async def _list_if_offered(self, source: ListSource) -> None:
        try:
            await self.list_page(source)
        except RefusedError as error:
            # A server without flows says that there is no such call.
            log.info("OpenML does not give a list", path=source.listing.path, reason=str(error))
            await self._writer.note(f"{source.name}.due", _now() + FULL_SECONDS)

    async def list_page(self, source: ListSource) -> bool:
        """Read the next page of a list; return whether it is at its end, or is not read at all."""
        if await self._begin_again_if_due(source) and await self._sources.is_too_long(source):
            await self._leave_out(source)
            return True
        offset = int(await self._writer.number(f"{source.name}.offset"))
        puts, count = await self._sources.page(source, offset)
        await self._put(puts, int(await self._writer.number(f"{source.name}.pass")))
        await self._writer.note(f"{source.name}.offset", offset + count)
        if source.listing.paged and count >= PAGE:
            return False
        await self._end_of_list(source, offset, count)
        return True

    async def _leave_out(self, source: ListSource) -> None:
        """Keep nothing of a list that is too long, and look at it again after a while."""
        log.info("a list is too long for the index", path=source.listing.path, most=source.most)
        await self._writer.run(partial(self._store.delete_all, source.kind))
        notes = {"under_way": 0, "tail": 0, "due": _now() + FULL_SECONDS}
        await self._writer.put([], 0, *((f"{source.name}.{note}", value) for note, value in notes.items()))

    async def _begin_again_if_due(self, source: ListSource) -> bool:
        """Begin a pass from the beginning of the list where there was none, or the last was long ago; say whether."""
        name = source.name
        if (
            await self._writer.number(f"{name}.tail")
            and await self._writer.number(f"{name}.full_due") > _now()
        ):
            return False
        if await self._writer.number(f"{name}.under_way"):
            return False
        number = int(await self._writer.number(f"{name}.pass")) + 1
        notes = {"offset": 0, "pass": number, "under_way": 1, "tail": 0}
        await self._writer.put([], 0, *((f"{name}.{note}", value) for note, value in notes.items()))
        return True

    async def _end_of_list(self, source: ListSource, offset: int, count: int) -> None:
        """Note where the end is. After a pass from the beginning, look at what was not in the list."""
        name, now = source.name, _now()
        if await self._writer.number(f"{name}.under_way"):
            await self._sweep(source.kind, source.name)
            await self._writer.put([], 0, (f"{name}.under_way", 0), (f"{name}.full_due", now + FULL_SECONDS))
        await self._writer.note("fresh_at", now)
        is_shorter = count == 0 and offset > 0
        # The last entry is read again: where it is gone, the list has moved, and is read from its beginning.
        notes = {
            "offset": max(0, offset + count - 1),
            "tail": int(source.listing.paged and not is_shorter),
            "due": now + (TAIL_SECONDS if source.listing.paged else FULL_SECONDS),
        }
        await self._writer.put([], 0, *((f"{name}.{note}", value) for note, value in notes.items()))

    async def _put(self, puts: list[Put], number_of_pass: int) -> None:
        for start in range(0, len(puts), WRITTEN_AT_ONCE):
            await self._writer.put(puts[start : start + WRITTEN_AT_ONCE], number_of_pass)

    async def _sweep(self, kind: str, name: str) -> None:
        """Look at documents that a whole pass has not met: they are gone, or the list has moved meanwhile."""
        if kind not in SWEPT:
            return
        number = int(await self._writer.number(f"{name}.pass"))
        after = 0
        while unseen := await self._writer.run(
            partial(self._store.unseen, kind, number, after=after, limit=UNSEEN_AT_ONCE)
        ):
            for after, document_id in unseen:  # noqa: B007 - where the next ones begin
                if not self._failures.is_given_up((kind, document_id)):
                    await self._refresh_if_described(kind, document_id)
                await self._writer.run(partial(self._note, self._store.note_seen, kind, document_id, number))
                await asyncio.sleep(self._pause)

    async def list_users(self) -> bool:
        """Read the next users of the database; return whether there are no more."""
        after = int(await self._writer.number(f"{USERS}.offset"))
        number = int(await self._writer.number(f"{USERS}.pass")) + (not after)
        puts, next_after = await self._sources.users(after)
        await self._put(puts, number)
        await self._writer.put([], 0, (f"{USERS}.offset", next_after), (f"{USERS}.pass", number))
        if next_after:
            return False
        await self._sweep("user", USERS)
        await self._writer.note(f"{USERS}.due", _now() + FULL_SECONDS)
        return True

    async def _detail(self, kind: str) -> bool:
        """Read one document whole of which a list's line is known; say whether there was one."""

        def take() -> list[str]:
            with self._store.writing():
                return self._store.without_details(kind, limit=1 + len(self._failures))

        for document_id in await self._writer.run(take):
            if not self._failures.is_waiting((kind, document_id)):
                await self._refresh_if_described(kind, document_id)
                await self._writer.run(partial(self._note, self._store.note_detailed, kind, document_id))
                return True
        return False

    async def _refresh_if_described(self, kind: str, document_id: str) -> None:
        try:
            with self._noting((kind, document_id)):
                await self._refresh(kind, document_id)
        except RefusedError as error:
            log.info("OpenML does not describe what it lists", kind=kind, id=document_id, reason=str(error))

    def _note(self, note: Callable[..., object], *arguments: object) -> None:
        with self._store.writing():
            note(*arguments)


def _now() -> float:
    return utc_now().timestamp()


@asynccontextmanager
async def _open(path: Path) -> AsyncIterator[Writer]:
    executor = BoundedExecutor("index-writer", threads=1, queue=100)
    try:
        store = await executor.run(partial(Store, path))
        await executor.run(partial(remove_others, path))
        try:
            yield Writer(store, executor)
        finally:
            await executor.run(store.close)
    finally:
        executor.close()
