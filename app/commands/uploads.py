"""`openml-web uploads`: anybody's uploads, by an operator's hand."""

from collections.abc import Awaitable, Callable

import click

from app.accounts.audit import AT_COMMAND_LINE
from app.admin import uploads as service
from app.admin.schemas import AdminUploadDetailResponse, AdminUploadResponse
from app.admin.uploads import UploadCare
from app.commands.running import run, with_database
from app.core.hidden import printable
from app.core.setting_loading import load_settings
from app.db.engine import Database
from app.db.upload_states import UploadState
from app.resources import open_resources
from app.uploads.service import Judging

MOST_LISTED = 10_000
REASON = click.option("--reason", required=True, help="Why; whose upload it is reads it.")
Care = Callable[[UploadCare], Awaitable[str]]


@click.group()
def uploads() -> None:
    """List uploads, show one's story, stop one, let one go on."""


@uploads.command("list")
@click.option("--user", "user_id", type=click.IntRange(1), help="Only those of the user with this number.")
@click.option("--state", type=click.Choice([state.value for state in UploadState]), help="Only such ones.")
@click.option("--quarantined", is_flag=True, help="Only those whose file is in quarantine.")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_LISTED),
    default=50,
    show_default=True,
    help="How many, newest first.",
)
def list_command(user_id: int | None, state: str | None, limit: int, *, quarantined: bool) -> None:
    """Say how the latest uploads fare."""

    async def find(database: Database) -> list[AdminUploadResponse]:
        wanted = UploadState(state) if state else None
        async with database.session() as session:
            found = await service.find(
                session, user_id=user_id, state=wanted, quarantined=quarantined, limit=limit
            )
        return found.uploads

    found = with_database(find)
    for upload in found:
        click.echo(_line(upload))
    if not found:
        click.echo("No such upload." if user_id or state or quarantined else "No upload.")


@uploads.command()
@click.argument("upload_id")
def show(upload_id: str) -> None:
    """Show an upload's story: every step so far, and why it failed."""

    async def find(database: Database) -> AdminUploadDetailResponse:
        async with database.session() as session:
            return await service.show(session, upload_id)

    upload = with_database(find)
    click.echo(_line(upload))
    if upload.error:
        click.echo(f"error: {printable(upload.error['detail'])}")
    for event in upload.events:
        words = [f"{event.at:%Y-%m-%d %H:%M:%S}Z", event.state, event.detail or ""]
        click.echo("  ".join(printable(word) for word in words if word))


@uploads.command()
@click.argument("upload_id")
@REASON
def cancel(upload_id: str, reason: str) -> None:
    """Stop an upload and remove its bytes."""

    async def do(care: UploadCare) -> str:
        if await care.cancel(upload_id):
            return "is cancelled."
        return "is being sent right now, and stops only if that fails."

    _change(upload_id, reason, do)


@uploads.command()
@click.argument("upload_id")
@REASON
def requeue(upload_id: str, reason: str) -> None:
    """Let an upload go on: at once if it waits, once more if it failed, after all if it is in quarantine."""

    async def do(care: UploadCare) -> str:
        await care.requeue(upload_id)
        return "goes on."

    _change(upload_id, reason, do)


@uploads.command()
@click.argument("upload_id")
@REASON
def quarantine(upload_id: str, reason: str) -> None:
    """Stop an upload and keep its file, which its owner can neither publish nor remove."""

    async def do(care: UploadCare) -> str:
        await care.quarantine(upload_id)
        return "is in quarantine."

    _change(upload_id, reason, do)


@uploads.command()
@click.argument("upload_id")
@REASON
def remove(upload_id: str, reason: str) -> None:
    """Remove a file that is in quarantine."""

    async def do(care: UploadCare) -> str:
        await care.remove(upload_id)
        return "has no file any more."

    _change(upload_id, reason, do)


def _change(upload_id: str, reason: str, do: Care) -> None:
    click.echo(f"Upload {upload_id} {run(_care(reason, do))}")


async def _care(reason: str, do: Care) -> str:
    async with open_resources(load_settings()) as resources:
        judging = Judging(resources.database, resources.storage, resources.checks, resources.changes)
        return await do(UploadCare(judging, AT_COMMAND_LINE, reason))


def _line(upload: AdminUploadResponse) -> str:
    words = [
        upload.id,
        f"{upload.created_at:%Y-%m-%d %H:%M:%S}Z",
        "quarantined" if upload.quarantined_at else upload.state,
        f"user {upload.user_id}",
        upload.dataset_name or upload.file_name,
    ]
    if upload.dataset_id is not None:
        words.append(f"dataset {upload.dataset_id}")
    if upload.lease_owner:
        words.append(f"with {upload.lease_owner} until {upload.available_at:%H:%M:%S}Z")
    return printable("  ".join(words))
