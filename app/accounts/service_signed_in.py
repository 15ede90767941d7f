"""What one can do to one's own account."""

from collections.abc import Mapping
from functools import partial

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit, deletion, lifecycle
from app.accounts.api_tokens import list_tokens
from app.accounts.audit import AuditKind
from app.accounts.reauthentication import Verifier, verify_password
from app.accounts.schemas_signed_in import (
    AuditEventResponse,
    AuditPage,
    AuditResponse,
    ExportHead,
    ProfileRequest,
    SessionResponse,
)
from app.accounts.second_factor import list_exported
from app.accounts.service_passkeys import list_passkeys
from app.accounts.sessions import end_all_sessions, end_family, end_session
from app.accounts.sign_in import NewSession, SignIn, replace
from app.accounts.trusted_publishers import list_publishers
from app.accounts.ways_in import has_password
from app.core import methods
from app.core.addresses import are_same, as_shown
from app.core.clients import Client
from app.core.denylist import Denylist
from app.core.errors import NotFoundError, ValidationFailedError
from app.core.password_policy import PasswordPolicy
from app.core.passwords import PasswordHasher
from app.core.settings import Settings
from app.core.validated_strings import Bio, Email, ProfileName
from app.db import audit_events, linked_accounts, refresh_families, reports, sessions, users
from app.db.engine import Database, now_of
from app.db.outbox import queue_mail
from app.db.users import Account
from app.deps import Principal, require_fresh
from app.mail.messages import MailKind
from app.storage.pictures import PictureStorage

EXPORTED_EVENTS = 1000
"""What an export has of the audit trail; `GET /audit` has all of it."""
CHECKS: Mapping[str, TypeAdapter[str]] = {
    "first_name": TypeAdapter(ProfileName),
    "last_name": TypeAdapter(ProfileName),
    "bio": TypeAdapter(Bio),
    "email": TypeAdapter(Email),
}
"""What new values have to be, by the field of the profile."""


def checked_changes(account: Account, body: ProfileRequest) -> dict[str, str]:
    """Return what of the profile is to change, by field; what stays as it is was judged by whoever wrote it.

    Raises:
        ValidationFailedError: a new value is none that we take.
    """
    changes, errors = {}, []
    for field, check in CHECKS.items():
        given = getattr(body, field)
        if given == getattr(account, field) or (
            field == "email" and are_same(str(given).strip(), account.email)
        ):
            continue
        try:
            changes[field] = check.validate_python(given)
        except ValidationError as error:
            errors += [{**detail, "loc": (field,)} for detail in error.errors(include_input=False)]
    if errors:
        raise ValidationFailedError.from_pydantic(errors)
    return changes


async def change_profile(
    session: AsyncSession,
    settings: Settings,
    account: Account,
    changes: Mapping[str, str],
    client: Client,
    *,
    is_fresh: bool,
) -> None:
    """Change names and bio now, the address once it is confirmed: by the old one as well, if nobody is surely there.

    Raises:
        UnauthorizedError: the account was closed meanwhile.
    """
    await users.require_open(session, account.id)
    texts = {field: text for field, text in changes.items() if field != "email"}
    if texts:
        await users.set_profile(session, account.id, texts)
    await audit.write(session, account.id, AuditKind.PROFILE_CHANGED, client)
    if new := changes.get("email"):
        ask = (
            lifecycle.request_email_change
            if is_fresh
            else partial(lifecycle.ask_before_email_change, settings=settings)
        )
        await ask(session, user_id=account.id, old=account.email, new=new, client=client)


async def change_password(
    sign_in: SignIn,
    policy: PasswordPolicy,
    passwords: PasswordHasher,
    *,
    principal: Principal,
    password: str,
    client: Client,
) -> NewSession:
    """Change the password, and open a session in place of all that end with it; none is held while it is hashed.

    Raises:
        ValidationFailedError: the password is too short, common or breached.
        UnauthorizedError: the account was closed meanwhile.
    """
    user_id = principal.account.id
    async with sign_in.database.session() as session:
        about = await users.get_names(session, user_id)
    password = await policy.require_good(password, about=about, field="new_password")
    password_hash = await passwords.hash(password)

    async def change(session: AsyncSession) -> NewSession:
        shown = methods.from_text(await sessions.get_methods(session, principal.token.jti) or "")
        await lifecycle.change_password(session, sign_in.settings, user_id, password_hash, client)
        return await replace(sign_in.tokens, session, user_id, shown, client)

    return await sign_in.database.unit(change)


async def renew_api_key(session: AsyncSession, account: Account, client: Client) -> str:
    """Replace the key and tell the owner by mail.

    Raises:
        UnauthorizedError: the account was closed meanwhile.
    """
    api_key = lifecycle.new_api_key()
    await users.set_api_key(session, account.id, api_key=api_key)
    await audit.write(session, account.id, AuditKind.API_KEY_CHANGED, client)
    await queue_mail(session, MailKind.API_KEY_CHANGED, account.email)
    return api_key


async def list_sessions(session: AsyncSession, account: Account, *, current: str) -> list[SessionResponse]:
    """Return the user's logins that still work, newest first; those that stay also while no access token is out."""
    now = now_of(session)
    families = await refresh_families.get_of_user(session, account.id, now)
    ends = {family.id: family.expires_at for family in families}
    live = await sessions.get_live_sessions(session, account.id, now)
    known = {found.family_id for found in live}
    listed = [
        SessionResponse(
            id=found.jti,
            current=found.jti == current,
            methods=sorted(methods.from_text(found.methods)),
            stays_until=ends.get(found.family_id or ""),
            created_at=found.created_at,
            last_seen_at=found.last_seen_at,
            expires_at=found.expires_at,
            ip_address=found.ip_address,
            user_agent=found.user_agent,
        )
        for found in live
    ] + [
        SessionResponse(
            id=family.id,
            current=False,
            created_at=family.created_at,
            last_seen_at=family.rotated_at,
            expires_at=family.expires_at,
            ip_address=family.ip_address,
            user_agent=family.user_agent,
            methods=sorted(methods.from_text(family.methods)),
            stays_until=family.expires_at,
        )
        for family in families
        if family.id not in known
    ]
    return sorted(listed, key=lambda each: each.created_at, reverse=True)


async def end_one(
    session: AsyncSession, denylist: Denylist, account: Account, session_id: str, client: Client
) -> None:
    """End one of the user's logins.

    Raises:
        NotFoundError: there is no such one.
    """
    now = now_of(session)
    for found in await sessions.get_live_sessions(session, account.id, now):
        if found.jti == session_id:
            await end_session(denylist, session, account.id, found.jti, ends_at=found.expires_at)
            if found.family_id:
                await end_family(denylist, session, account.id, found.family_id)
            break
    else:
        families = await refresh_families.get_of_user(session, account.id, now)
        if session_id not in {family.id for family in families}:
            raise NotFoundError("You have no such session; it may have ended already.")
        await end_family(denylist, session, account.id, session_id)
    await audit.write(session, account.id, AuditKind.SESSION_ENDED, client)


async def end_all(session: AsyncSession, account: Account, client: Client) -> None:
    """End all of the user's logins."""
    await end_all_sessions(session, account.id)
    await audit.write(session, account.id, AuditKind.ALL_SESSIONS_ENDED, client)


async def list_events(session: AsyncSession, account: Account, page: AuditPage) -> AuditResponse:
    """Return a page of the account's events."""
    events = await audit_events.get_events(
        session, account.id, limit=page.limit + 1, before=page.before, kind=page.kind
    )
    shown = [AuditEventResponse(**event._asdict()) for event in events[: page.limit]]
    return AuditResponse(events=shown, next=shown[-1].id if len(events) > page.limit else None)


async def begin_export(
    session: AsyncSession, account: Account, *, current: str, client: Client
) -> ExportHead:
    """Return what we hold about the account itself, but for secrets; `stream_export` adds the rest."""
    await audit.write(session, account.id, AuditKind.EXPORTED, client)
    data = await users.get_personal_data(session, account.id)
    return ExportHead(
        account={**data, **{field: as_shown(data[field]) for field in ("username", "email")}},
        sessions=await list_sessions(session, account, current=current),
        passkeys=await list_passkeys(session, account.id),
        second_factors=await list_exported(session, account.id),
        events=(await list_events(session, account, AuditPage(limit=EXPORTED_EVENTS))).events,
        api_tokens=await list_tokens(session, account.id),
        trusted_publishers=await list_publishers(session, account.id),
        reports=[
            report._asdict()
            for report in await reports.get_of_user(session, account.id, limit=EXPORTED_EVENTS)
        ],
        linked_accounts=[link._asdict() for link in await linked_accounts.get_of_user(session, account.id)],
    )


async def delete(
    verifier: Verifier,
    pictures: PictureStorage,
    *,
    principal: Principal,
    password: str | None,
    client: Client,
) -> None:
    """Delete the account for good, once its password was given again; where there is none, in a fresh session.

    Raises:
        WrongCredentialsError: the password is wrong.
        TooManyRequestsError: it was wrong too often.
        ValidationFailedError: it is missing.
        PasswordNeededError: the account has none, and nothing else was shown lately.
    """
    account = principal.account
    if password is None:
        await _require_no_password(verifier.database, account.id)
        await require_fresh(verifier.database, principal)
    else:
        await verify_password(verifier, user_id=account.id, password=password, client=client)
    await deletion.delete_account(verifier.database, pictures, account.id, account.email)


async def _require_no_password(database: Database, user_id: int) -> None:
    async with database.session() as session:
        if await has_password(session, user_id):
            raise ValidationFailedError.for_fields([{"field": "password", "message": "Field required"}])
