"""`openml-web mail`: what happened to my mail?"""

import asyncio

import click

from app.core.hidden import printable
from app.core.setting_loading import load_settings
from app.core.settings import Settings
from app.db import outbox
from app.db.engine import Database
from app.db.outbox import MailRecord, MailState
from app.mail.transport import DeliveryError
from app.mail.trial import HINT, send_test

MOST_LISTED = 100_000
LARGEST_NUMBER = 2**63 - 1
"""Of the column's."""


@click.group()
def mail() -> None:
    """List mails, try them again, send a test."""


@mail.command("list")
@click.option("--to", default="", help="Only mails to this address.")
@click.option("--state", type=click.Choice([state.value for state in MailState]), help="Only such ones.")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_LISTED),
    default=50,
    show_default=True,
    help="How many, newest first.",
)
def list_command(to: str, state: str | None, limit: int) -> None:
    """Say what became of each mail; those that went out are kept for thirty days."""
    found = asyncio.run(_list(load_settings(), to, state or "", limit))
    for record in found:
        click.echo(_line(record))
    if not found:
        click.echo("No such mail." if to or state else "No mail.")


@mail.command("retry")
@click.argument("mail_id", type=click.IntRange(1, LARGEST_NUMBER), required=False)
@click.option("--failed", is_flag=True, help="Every mail that was given up.")
def retry_command(mail_id: int | None, *, failed: bool) -> None:
    """Try a mail again now, by its number."""
    if (mail_id is None) == (not failed):
        raise click.BadParameter("name one mail, or give --failed")
    count = asyncio.run(_retry(load_settings(), mail_id))
    click.echo(f"{count} to be tried again.")
    if mail_id is not None and not count:
        click.echo("There is no such mail, or it is out already, or it is being sent right now.", err=True)
        raise click.exceptions.Exit(1)


@mail.command("test")
@click.argument("address")
def test_command(address: str) -> None:
    """Send a test mail to ADDRESS now, and say what the mail server answers."""
    try:
        where = asyncio.run(send_test(load_settings(), address))
    except (DeliveryError, ValueError) as error:
        click.echo(f"Not sent: {printable(str(error))}", err=True)
        if isinstance(error, DeliveryError):
            click.echo(HINT, err=True)
        raise click.exceptions.Exit(1) from None
    click.echo(f"Sent: {where}")


def _line(record: MailRecord) -> str:
    moment = f"{record.created_at:%Y-%m-%d %H:%M:%S}Z"
    words = [str(record.id), moment, record.kind, record.recipient, record.state]
    if record.state == outbox.PENDING and record.attempts:
        words.append(f"attempt {record.attempts}, next at {record.available_at:%H:%M:%S}Z")
    if record.finished_at:
        words.append(f"at {record.finished_at:%Y-%m-%d %H:%M:%S}Z")
    if record.last_error:
        words.append(f"({record.last_error})")
    return printable("  ".join(words))


async def _list(settings: Settings, recipient: str, state: str, limit: int) -> list[MailRecord]:
    database = Database(settings)
    try:
        async with database.session() as session:
            return await outbox.list_mails(session, recipient=recipient, state=state, limit=limit)
    finally:
        await database.close()


async def _retry(settings: Settings, mail_id: int | None) -> int:
    database = Database(settings)
    try:
        await database.look_at_clock()
        async with database.session() as session:
            return await outbox.retry_mails(session, mail_id=mail_id, now=database.now())
    finally:
        await database.close()
