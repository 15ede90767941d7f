"""Whose an API key is, for the sandbox: the real server reads the same table of users as this service does."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy.engine import make_url

from app.core.errors import DatabaseUnavailableError
from app.core.setting_loading import load_settings
from app.core.settings import Settings
from app.db.engine import Database
from app.db.users import get_account_by_api_key


def create_account_finder() -> Callable[[str], Awaitable[int | None]]:
    """Return it for the settings of this process; named to the sandbox, which calls it in a process of its own."""
    return account_finder(load_settings())


def account_finder(settings: Settings) -> Callable[[str], Awaitable[int | None]]:
    """Return what tells the number of the account whose key it is now; None where nobody's, or nobody can tell.

    It connects for each question: a sandbox is asked now and then, and may be there before the service and its
    database, or without them.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="accounts")

    async def find(api_key: str) -> int | None:
        database = await asyncio.get_running_loop().run_in_executor(executor, _open, settings)
        if database is None:
            return None
        try:
            found = await get_account_by_api_key(database.reader, api_key.lower())
        except DatabaseUnavailableError:
            return None
        finally:
            await database.close()
        return found.id if found else None

    return find


def _open(settings: Settings) -> Database | None:
    url = make_url(settings.database_url)
    # Only to look: a sandbox that runs alone does not make a database of the service.
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return None
    return Database(settings)
