"""`openml-web worker --check`: does the worker of this machine, or container, work?"""

import asyncio

from app.core.errors import DatabaseUnavailableError
from app.core.settings import Settings
from app.db.engine import Database
from app.db.migrations import MigrationError, require_current
from app.worker.heartbeat import examine_host

CHECK_SECONDS = 5.0


async def check_worker(settings: Settings) -> tuple[bool, str]:
    """Return whether it works, and a sentence about it; after `CHECK_SECONDS` at the latest."""
    database = Database(settings)
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await require_current(database.engine, may_be_ahead=True)
            return await examine_host(database)
    except TimeoutError:
        return False, f"The database does not answer within {CHECK_SECONDS:g} seconds."
    except DatabaseUnavailableError as error:
        return False, f"The database cannot be used: {error.reason}."
    except MigrationError as error:
        return False, str(error)
    finally:
        await database.close()
