"""`openml-web user`: accounts, by an operator's hand."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import click
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import (
    api_tokens,
    audit,
    deletion,
    lifecycle,
    linking,
    links,
    second_factor,
    service_passkeys,
    trusted_publishers,
)
from app.accounts.audit import AT_COMMAND_LINE, Deed
from app.accounts.lifecycle import AccountDeletedError, AccountExistsError, NewAccount
from app.accounts.links import LinkPurpose
from app.core.errors import BadRequestError, NotFoundError
from app.core.hidden import printable
from app.core.passwords import NO_PASSWORD
from app.core.setting_loading import load_settings
from app.core.validated_strings import Email, PersonName
from app.db import audit_events, linked_accounts, logins, passkeys, refresh_families, sessions, users
from app.db.engine import now_of
from app.db.factor_resets import FactorReset
from app.db.logins import Credentials
from app.db.outbox import queue_mail
from app.db.refresh_families import RefreshFamily
from app.db.sessions import Session
from app.mail.messages import MailKind
from app.resources import Resources, open_resources

EVENTS_SHOWN = 20
ID_SHOWN = 12
"""Digits of a linked account's id, which tell it from the others of its user."""
NUMBER = re.compile("[0-9]{1,18}")
"""Of an account; what is longer fits no column."""

Action = Callable[[AsyncSession, Credentials], Awaitable[None]]


@click.group()
def user() -> None:
    """Create, show, close and open accounts. LOGIN is a user name, an e-mail address, or a number."""


@user.command()
@click.argument("email")
@click.option("--first-name", prompt=True)
@click.option("--last-name", prompt=True)
def create(email: str, first_name: str, last_name: str) -> None:
    """Make an account, active at once; its owner chooses the password with a link that is mailed."""
    user_id = asyncio.run(_create(email, first_name, last_name))
    click.echo(f"User {user_id} is made; a mail with a link to choose a password is on its way to {email}.")


@user.command()
@click.argument("login")
def show(login: str) -> None:
    """Show an account and the latest events of its audit trail."""
    asyncio.run(_show(login))


@user.command()
@click.argument("login")
def activate(login: str) -> None:
    """Open an account, confirmed or not."""

    async def do(session: AsyncSession, found: Credentials) -> None:
        await lifecycle.activate(session, found.id, AT_COMMAND_LINE)

    _change(login, do, "is active.")


@user.command()
@click.argument("login")
def deactivate(login: str) -> None:
    """Close an account: its sessions end, and only `activate` opens it again."""

    async def do(session: AsyncSession, found: Credentials) -> None:
        await lifecycle.deactivate(session, found.id, AT_COMMAND_LINE)

    _change(login, do, "is closed, and its sessions have ended. Its API key still works on OpenML itself.")


@user.command("end-sessions")
@click.argument("login")
def end_sessions(login: str) -> None:
    """End every session of an account."""

    async def do(session: AsyncSession, found: Credentials) -> None:
        await lifecycle.end_sessions(session, found.id, AT_COMMAND_LINE)

    _change(login, do, "has no sessions any more.")


@user.command("reset-second-factor")
@click.argument("login")
@click.option("--reason", required=True, help="How you know that it is they who ask; they read it.")
def reset_second_factor(login: str, reason: str) -> None:
    """Have the second factors of somebody who has lost them removed in a day, unless they object."""
    found, reset = asyncio.run(_reset_second_factor(login, reason))
    click.echo(
        f"The second factors of user {found.id} ({printable(found.username)}) are removed at "
        f"{reset.due_at:%Y-%m-%d %H:%M} UTC. A mail says so, with a link that stops it."
    )


@user.command()
@click.argument("login")
@click.argument("identity")
def unlink(login: str, identity: str) -> None:
    """Take a linked account away by its id, which `show` tells, or the beginning of it; its owner gets a mail."""

    async def do(session: AsyncSession, found: Credentials) -> None:
        links = await linked_accounts.get_of_user(session, found.id)
        wanted = [each for each in links if each.identity_digest.startswith(identity)]
        if len(wanted) != 1:
            raise click.BadParameter(f"{len(wanted)} linked accounts have an id that begins so")
        await linking.unlink_by_hand(session, wanted[0], AT_COMMAND_LINE)

    _change(login, do, "has that linked account no more.")


@user.command("remove-passkeys")
@click.argument("login")
@click.option("--only", type=int, help="The number of one of them, which `show` tells.")
def remove_passkeys(login: str, only: int | None) -> None:
    """Remove somebody's passkeys, all or one, that are lost or not theirs; their owner gets a mail."""

    async def do(session: AsyncSession, found: Credentials) -> None:
        if not await service_passkeys.remove_by_hand(session, found.id, AT_COMMAND_LINE, only=only):
            raise click.BadParameter(f"user {found.id} has no such passkey")

    _change(login, do, "has no passkeys any more." if only is None else "has that passkey no more.")


@user.command("revoke-tokens")
@click.argument("login")
@click.option("--token", "token_id", type=int, help="Only the one with this number, as `show` has it.")
def revoke_tokens(login: str, *, token_id: int | None) -> None:
    """Revoke the API tokens of an account, and forget its trusted publishers, whose jobs would get others."""

    async def do(session: AsyncSession, found: Credentials) -> None:
        if not await api_tokens.revoke_by_hand(session, found.id, AT_COMMAND_LINE, token_id=token_id):
            raise click.BadParameter("there is nothing to revoke")

    _change(login, do, "has none of them any more.")


@user.command()
@click.argument("login")
@click.option("--revoke", is_flag=True, help="Take them out of it again.")
def administrator(login: str, *, revoke: bool) -> None:
    """Put somebody into OpenML's group of administrators, who may use /admin."""

    async def do(session: AsyncSession, found: Credentials) -> None:
        if not await users.lock_if_there(session, found.id):
            raise AccountDeletedError
        await users.set_administrator(session, found.id, is_one=not revoke)
        deed = Deed.NO_ADMINISTRATOR if revoke else Deed.MADE_ADMINISTRATOR
        await audit.write_deed(session, found.id, deed, AT_COMMAND_LINE)

    _change(login, do, "is no administrator any more." if revoke else "is an administrator.")


@user.command()
@click.argument("login")
@click.option("--yes", is_flag=True, help="Do not ask.")
def anonymise(login: str, *, yes: bool) -> None:
    """Delete an account for good, as its owner could: personal fields are cleared, datasets stay on OpenML."""
    if not yes:
        click.confirm(f"Clear everything personal of {login}? This cannot be undone.", abort=True)
    found = asyncio.run(_anonymise(login))
    click.echo(f"User {found.id} ({printable(found.username)}) is deleted.")


def _change(login: str, action: Action, outcome: str) -> None:
    found = asyncio.run(_apply(login, action))
    click.echo(f"User {found.id} ({printable(found.username)}) {outcome}")


async def _apply(login: str, action: Action) -> Credentials:
    async with open_resources(load_settings()) as resources:
        found = await _find(resources, login)
        try:
            async with resources.database.session() as session:
                await action(session, found)
        except AccountDeletedError:
            raise click.BadParameter(f"user {found.id} was deleted, which is for good") from None
    return found


async def _reset_second_factor(login: str, reason: str) -> tuple[Credentials, FactorReset]:
    async with open_resources(load_settings()) as resources:
        found = await _find(resources, login)
        try:
            async with resources.database.session() as session:
                reset = await second_factor.ask_for_reset(
                    session, resources.settings, found.id, AT_COMMAND_LINE, reason=reason
                )
        except (BadRequestError, NotFoundError) as problem:
            raise click.BadParameter(problem.detail) from None
    return found, reset


async def _anonymise(login: str) -> Credentials:
    async with open_resources(load_settings()) as resources:
        found = await _find(resources, login)
        await deletion.delete_account(resources.database, resources.pictures, found.id, found.email)
    return found


def _checked(check: TypeAdapter[str], text: str, name: str) -> str:
    try:
        return check.validate_python(text)
    except ValidationError as error:
        raise click.BadParameter(_field_error(error), param_hint=name) from None


def _field_error(error: ValidationError) -> str:
    return str(error.errors()[0]["msg"]).removeprefix("Value error, ")


async def _create(email: str, first_name: str, last_name: str) -> int:
    email = _checked(TypeAdapter(Email), email, "EMAIL")
    first_name = _checked(TypeAdapter(PersonName), first_name, "--first-name")
    last_name = _checked(TypeAdapter(PersonName), last_name, "--last-name")
    async with open_resources(load_settings()) as resources, resources.database.session() as session:
        account = NewAccount(email, email, first_name, last_name, NO_PASSWORD)
        try:
            user_id = await lifecycle.create_account(
                session, account, resources.settings, AT_COMMAND_LINE.client, by=AT_COMMAND_LINE
            )
        except AccountExistsError:
            raise click.BadParameter(f"{email} has an account already") from None
        link = await links.create_link(
            session, resources.settings, user_id=user_id, purpose=LinkPurpose.RESET_PASSWORD
        )
        await queue_mail(session, MailKind.RESET_PASSWORD, email, link=link, minutes=links.RESET_MINUTES)
    return user_id


async def _show(login: str) -> None:
    async with open_resources(load_settings()) as resources:
        found = await _find(resources, login)
        async with resources.database.session() as session:
            for name, value in (await users.get_personal_data(session, found.id)).items():
                click.echo(f"{name:24} {printable(str(value))}")
            for link in await linked_accounts.get_of_user(session, found.id):
                told = f"{link.identity_digest[:ID_SHOWN]}  {link.provider}  {link.label}  {link.subject}"
                click.echo(f"{'linked account':24} {printable(told)}")
            for passkey in await passkeys.get_of_user(session, found.id):
                used = f"{passkey.last_used_at:%Y-%m-%d}" if passkey.last_used_at else "never"
                told = f"{passkey.id}  {passkey.name}  last used {used}"
                click.echo(f"{'passkey':24} {printable(told)}")
            status = await second_factor.get_status(session, found.id)
            for name, value in status.model_dump(mode="json", exclude_none=True).items():
                click.echo(f"{name:24} {value}")
            await _show_sessions(session, found.id)
            await _show_programs(session, found.id)
            click.echo("")
            for event in await audit_events.get_events(session, found.id, limit=EVENTS_SHOWN):
                moment = f"{event.at:%Y-%m-%d %H:%M:%S}Z"
                words = [moment, event.kind, event.detail or "", event.ip_address, event.user_agent]
                click.echo("  ".join(printable(word) for word in words if word))


def _show_session(what: str, shown: Session | RefreshFamily) -> None:
    words = [shown.methods, f"until {shown.expires_at:%Y-%m-%d %H:%M}Z", shown.ip_address, shown.user_agent]
    click.echo(f"{what:24} {'  '.join(map(printable, words))}")


async def _show_sessions(session: AsyncSession, user_id: int) -> None:
    now = now_of(session)
    for login in await sessions.get_live_sessions(session, user_id, now):
        _show_session("session", login)
    for family in await refresh_families.get_of_user(session, user_id, now):
        _show_session("session that stays", family)


async def _show_programs(session: AsyncSession, user_id: int) -> None:
    for token in await api_tokens.list_tokens(session, user_id):
        until = f"until {token.expires_at:%Y-%m-%d %H:%M}Z" if token.expires_at else "until it is revoked"
        used = (
            f"used {token.last_used_at:%Y-%m-%d %H:%M}Z from {token.last_network}"
            if token.last_used_at
            else ""
        )
        words = [f"API token {token.id}", printable(token.name), ", ".join(token.scopes), until, used]
        click.echo("  ".join(word for word in words if word))
    for publisher in await trusted_publishers.list_publishers(session, user_id):
        click.echo(f"Trusted publisher {publisher.id}  {publisher.issuer}  {publisher.subject}")


async def _find(resources: Resources, login: str) -> Credentials:
    found = await logins.find_logins(resources.database, login)
    if not found and NUMBER.fullmatch(login):
        by_number = await logins.get_credentials(resources.database.reader, int(login))
        found = [by_number] if by_number else []
    if not found:
        raise click.BadParameter(f"nobody has the name or address {login}")
    if len(found) > 1:
        numbers = ", ".join(f"{each.id} ({printable(each.username)})" for each in found)
        raise click.BadParameter(
            f"several accounts have the name or address {login}; give a number: {numbers}"
        )
    return found[0]
