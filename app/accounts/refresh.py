"""Sessions that stay: refresh tokens, each of which is used once and replaced by the next (RFC 9700, section 4.14)."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit, devices, refresh_tokens, undo
from app.accounts.audit import AuditKind
from app.accounts.links import digest
from app.accounts.problems import RefreshTokenNotValidError
from app.accounts.sessions import end_family
from app.accounts.sign_in import NewSession, SignIn
from app.accounts.undo import UndoKind
from app.core.clients import Client
from app.core.denylist import Denylist
from app.core.errors import UnauthorizedError
from app.db import account_states, refresh_families, sessions, users
from app.db.engine import now_of
from app.db.outbox import queue_mail
from app.db.refresh_families import RefreshFamily
from app.mail.messages import MailKind

LEEWAY = timedelta(seconds=10)
"""How long the token before the last is still taken, for an answer may be lost, and two tabs may ask at once.

It is answered with the same next one: in whatever order answers come, the browser ends with the token that counts."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What it takes to go on with a session, and to end all that was made of a token that was stolen."""

    sign_in: SignIn
    denylist: Denylist

    async def renew(self, refresh_token: str, client: Client) -> NewSession:
        """Return a new access token and the next refresh token.

        Raises:
            RefreshTokenNotValidError: it is unknown, too old, or was used before. Then its whole family has ended.
        """
        family_id = refresh_tokens.family_of(refresh_token)
        user_id = await refresh_families.find_owner(self.sign_in.database.reader, family_id)
        if user_id is None:
            raise RefreshTokenNotValidError
        renewed = await self.sign_in.database.unit(
            lambda session: self._renew(session, user_id, family_id, refresh_token, client)
        )
        if renewed is None:  # Not raised in the unit: what ended with the family would be rolled back.
            raise RefreshTokenNotValidError
        return renewed

    async def _renew(
        self, session: AsyncSession, user_id: int, family_id: str, refresh_token: str, client: Client
    ) -> NewSession | None:
        try:
            await users.require_open(session, user_id)
        except UnauthorizedError:
            return None
        family, now = await refresh_families.get(session, family_id), now_of(session)
        if family is None or now >= family.expires_at or now - family.rotated_at >= refresh_families.IDLE:
            return None
        token_digest, following = (
            digest(refresh_token),
            refresh_tokens.next_of(refresh_token, self.sign_in.sealer),
        )
        if token_digest == family.token_digest:
            at = {**client._asdict(), "now": now}
            await refresh_families.rotate(session, family, token_digest=digest(following[0]), **at)
            return await self._go_on(session, family, following[0], client)
        if token_digest == family.previous_digest and now - family.rotated_at < LEEWAY:
            # None of them is it where another version of this service has made it, in these seconds.
            made = next((each for each in following if digest(each) == family.token_digest), None)
            return await self._go_on(session, family, made, client) if made else None
        await self._end_stolen(session, family, client)
        return None

    async def _go_on(
        self, session: AsyncSession, family: RefreshFamily, refresh_token: str, client: Client
    ) -> NewSession:
        state = await account_states.get_login_state(session, family.user_id, client)
        text, token = self.sign_in.tokens.issue(family.user_id, after=state.tokens_valid_from)
        # To go on shows nobody: what was shown last, and when, is that of the session before.
        shown = await sessions.get_latest_of(session, family.id)
        await sessions.add_session(
            session,
            token,
            shown.methods if shown else family.methods,
            **client._asdict(),
            family_id=family.id,
        )
        at = shown.authenticated_at if shown else family.created_at
        await sessions.set_authenticated_at(session, token.jti, at)
        if state.is_new_device:
            await devices.tell(session, self.sign_in.settings, family.user_id, client)
            await audit.write(session, family.user_id, AuditKind.WENT_ON_ELSEWHERE, client)
        return NewSession(text, refresh_token)

    async def _end_stolen(self, session: AsyncSession, family: RefreshFamily, client: Client) -> None:
        """End what was made of a refresh token that two have used, of whom one is a thief, and tell its owner."""
        await end_family(self.denylist, session, family.user_id, family.id)
        await audit.write(session, family.user_id, AuditKind.REFRESH_TOKEN_REUSED, client)
        if email := await users.get_email(session, family.user_id):
            link = await undo.offer(
                session, self.sign_in.settings, user_id=family.user_id, kind=UndoKind.LOGIN, before={}
            )
            await queue_mail(
                session,
                MailKind.SESSION_COPIED,
                email,
                device=Client(family.ip_address, family.user_agent).device,
                link=link,
                days=undo.LIFETIME.days,
            )
