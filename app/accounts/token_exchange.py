"""Trusted publishing: the token that a CI service signed for a job, exchanged for an API token (RFC 8693)."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

import jwt
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit
from app.accounts.audit import AuditKind
from app.accounts.problems import OAuthRefusedError, ProviderUnavailableError
from app.accounts.schemas_api_tokens import NAME_LENGTH
from app.accounts.trusted_publishers import means
from app.core import metrics
from app.core.api_tokens import digest_of, new_token
from app.core.clients import Client
from app.core.errors import ProblemError
from app.core.scopes import Scope
from app.core.settings import Settings
from app.core.subjects import is_plain, key_of
from app.db import api_tokens, trusted_publishers, users
from app.db.engine import Database, now_of
from app.db.trusted_publishers import TrustedPublisher
from app.oidc.errors import OidcError, TokenRefusedError
from app.oidc.id_token import LONGEST_TOKEN, Claims, Expected
from app.oidc.issuers import Issuers

LIFETIME = timedelta(minutes=15)
"""Of a token that a job gets: long enough to begin an upload, and what it began it may finish within it."""
LONGEST_LIFE = timedelta(days=1)
"""Of a job's own token; it is remembered for so long that it was used."""


async def exchange(
    database: Database,
    issuers: Issuers,
    settings: Settings,
    *,
    subject_token: str,
    user_id: int | None,
    client: Client,
) -> str:
    """Return an API token with the scope `upload` for the user who trusts the job.

    Args:
        database: the database.
        issuers: those of this process.
        settings: say whose tokens are believed, and for which audience.
        subject_token: what the CI service signed for the job.
        user_id: whose name the job means to publish in; None: of the only one who trusts it.
        client: who asks.

    Raises:
        OAuthRefusedError: it is not granted; the text says what to change.
        ProviderUnavailableError: the CI service's keys cannot be had at the moment.
    """
    try:
        claims = await _verified(issuers, settings, subject_token)
        text = new_token()
        await database.unit(lambda session: _issue(session, claims, text, user_id, client))
    except ProblemError as problem:
        is_away = isinstance(problem, ProviderUnavailableError)
        metrics.TOKEN_EXCHANGES.add("unavailable" if is_away else "refused")
        raise
    metrics.TOKEN_EXCHANGES.add("ok")
    return text


async def _verified(issuers: Issuers, settings: Settings, token: str) -> Claims:
    issuer, audience = _named_issuer(token), settings.site_url
    if issuer not in settings.trusted_issuers:
        believed = ", ".join(settings.trusted_issuers) or "none"
        raise OAuthRefusedError(f"The token's issuer is not believed here. Those are: {believed}.")
    try:
        return await issuers.of(issuer).verify(token, Expected(audience=audience))
    except TokenRefusedError as error:
        raise OAuthRefusedError(
            f"The CI job's token is refused: {error}. Ask the CI service for a new one, for the audience {audience}."
        ) from None
    except OidcError:
        raise ProviderUnavailableError("The keys of the CI service cannot be had at the moment") from None


def _named_issuer(token: str) -> str:
    """Return whom a token names, of which nothing is believed yet: nobody else is asked for keys."""
    try:
        claims = jwt.decode(token[:LONGEST_TOKEN], options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise OAuthRefusedError(
            "subject_token is no JWT. Send the ID token that the CI service gave the job."
        ) from None
    return str(claims.get("iss", ""))


async def _issue(
    session: AsyncSession, claims: Claims, text: str, user_id: int | None, client: Client
) -> None:
    now = now_of(session)
    if claims.expires_at > now + LONGEST_LIFE or not claims.text("jti"):
        raise OAuthRefusedError("The CI job's token needs a jti, and may live for a day at most.")
    publisher = await _trusting(session, claims, user_id)
    if not await users.lock_if_there(session, publisher.user_id) or not await users.is_active(
        session, publisher.user_id
    ):
        raise OAuthRefusedError("The account that trusts this job is closed.")
    if not await trusted_publishers.use_subject_token(session, _digest(claims), claims.expires_at):
        raise OAuthRefusedError(
            "This token was exchanged before. Ask the CI service for a new one: each is taken once."
        )
    if not await trusted_publishers.note_job(session, publisher.id, now):
        raise _untrusted(claims)
    await api_tokens.add_token(
        session,
        user_id=publisher.user_id,
        name=claims.subject[:NAME_LENGTH],
        digest=digest_of(text),
        scopes=Scope.UPLOAD,
        now=now,
        expires_at=now + LIFETIME,
        publisher_id=publisher.id,
    )
    await audit.write(
        session,
        publisher.user_id,
        AuditKind.API_TOKEN_EXCHANGED,
        client,
        detail=f"{claims.issuer} {claims.subject}",
    )


async def _trusting(session: AsyncSession, claims: Claims, user_id: int | None) -> TrustedPublisher:
    """Return the publisher that the job is, of the one user whom it means.

    Raises:
        OAuthRefusedError: nobody trusts it; or several do, and it says not whom it means.
    """
    if not is_plain(claims.subject):
        raise _untrusted(claims)
    candidates = await trusted_publishers.find_candidates(
        session, issuer=claims.issuer, subject_key=key_of(claims.subject)
    )
    fitting = [
        each
        for each in candidates
        if user_id in (None, each.user_id)
        and means(each, issuer=claims.issuer, subject=claims.subject, claims=claims.others)
    ]
    _require_one_user(fitting)
    if not fitting:
        raise _untrusted(claims)
    return fitting[0]


def _require_one_user(fitting: Sequence[TrustedPublisher]) -> None:
    if len({each.user_id for each in fitting}) > 1:
        raise OAuthRefusedError(
            "Several users trust this job. Send user=NUMBER with the request: yours is the id in GET /profile."
        )


def _untrusted(claims: Claims) -> OAuthRefusedError:
    """Return the refusal; who reads it has the job's token, and knows what it says."""
    subject = claims.subject if is_plain(claims.subject) else "which has characters that no pattern has"
    return OAuthRefusedError(
        f"No trusted publisher of that user fits this job. Add one at /auth/security: issuer {claims.issuer}, subject "
        f"{subject}. If there is one, look at its claims, and at user."
    )


def _digest(claims: Claims) -> str:
    return hashlib.sha256(f"{claims.issuer}\0{claims.text('jti')}".encode(errors="surrogatepass")).hexdigest()
