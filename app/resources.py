"""What a process holds while it runs: made in one place, closed in the reverse order."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from app.core.passwords import PasswordHasher
from app.core.settings import Settings
from app.core.tokens import TokenSigner
from app.core.wakeups import Wakeups
from app.db.engine import Database
from app.db.migrations import require_current
from app.mail.messages import MessageBuilder, Sender
from app.mail.transport import MailTransport, create_transport
from app.openml.client import OpenMLClient, open_client
from app.storage.local import LocalStorage


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything with a life of its own that rooms and the worker share."""

    settings: Settings
    database: Database
    passwords: PasswordHasher
    tokens: TokenSigner
    wakeups: Wakeups
    openml: OpenMLClient
    storage: LocalStorage
    messages: MessageBuilder
    mail: MailTransport


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open everything for one process.

    Raises:
        MigrationError: the database is not where this version needs it; the text says which command to run.
    """
    async with AsyncExitStack() as stack:
        wakeups = Wakeups()
        database = Database(settings, wakeups)
        stack.push_async_callback(database.close)
        await require_current(database.engine)
        passwords = PasswordHasher(threads=settings.password_hash_threads, queue=settings.password_hash_queue)
        stack.callback(passwords.close)
        openml = await stack.enter_async_context(
            open_client(settings.openml_url, timeout_seconds=settings.openml_timeout_seconds)
        )
        yield Resources(
            settings=settings,
            database=database,
            passwords=passwords,
            tokens=TokenSigner(
                settings.token_secret, lifetime=timedelta(minutes=settings.access_token_minutes)
            ),
            wakeups=wakeups,
            openml=openml,
            storage=LocalStorage(settings.data_dir / "uploads"),
            messages=MessageBuilder(Sender(address=settings.email_sender, site_url=settings.site_url)),
            mail=create_transport(settings),
        )
