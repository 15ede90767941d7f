"""How commands of operators reach the database, and say what went wrong in a sentence."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import click

from app.core.errors import ProblemError
from app.core.setting_loading import load_settings
from app.db.engine import Database

T = TypeVar("T")


def with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """Do the work on the database that the settings name."""

    async def do() -> T:
        database = Database(load_settings())
        try:
            await database.look_at_clock()
            return await work(database)
        finally:
            await database.close()

    return run(do())


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do the work; a problem is a sentence, and the exit code 1."""
    try:
        return asyncio.run(work)
    except ProblemError as problem:
        click.echo(problem.detail, err=True)
        raise click.exceptions.Exit(1) from None
