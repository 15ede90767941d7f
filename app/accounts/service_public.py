"""Services of the routes without a login: validation, hashing and rate limits around `lifecycle`."""

from pydantic import ValidationError

from app.accounts import lifecycle, links, mails
from app.accounts.lifecycle import AccountExistsError, NewAccount
from app.accounts.links import LinkPurpose
from app.accounts.mails import MailRequest
from app.accounts.schemas_public import RegisterRequest, SignupRequest
from app.core.clients import Client
from app.core.errors import BadRequestError, ValidationFailedError
from app.core.limits import RateLimiter, hits_from
from app.core.password_policy import PasswordPolicy
from app.core.passwords import PasswordHasher
from app.core.settings import Settings
from app.db import users
from app.db.engine import Database


async def prepare_account(
    policy: PasswordPolicy,
    passwords: PasswordHasher,
    limits: RateLimiter,
    body: SignupRequest,
    client: Client,
) -> NewAccount:
    """Check and hash the password; the account's name is its address, as the SPA's accounts are named.

    To be called before the session is first used, so that no connection is held while the hash is computed.

    Raises:
        ValidationFailedError: the password is too short or too common.
        TooManyRequestsError: too many sign-ups.
        TooBusyError: too many hashes wait.
    """
    about = [body.email, body.email.partition("@")[0], body.first_name, body.last_name]
    password = await policy.require_good(body.password, about=about)
    await limits.hit(*hits_from("signup-address", client))
    await limits.hit_site("signup-everybody", client.networks[-1].name)
    return NewAccount(
        username=body.email,
        email=body.email,
        first_name=body.first_name,
        last_name=body.last_name,
        password_hash=await passwords.hash(password),
    )


def checked_registration(body: RegisterRequest) -> SignupRequest:
    """Return the registration as a sign-up.

    Raises:
        BadRequestError: the first field that is missing.
        ValidationFailedError: fields have wrong values.
    """
    given = body.model_dump()
    missing = next((name for name, value in given.items() if not value), None)
    if missing is not None:
        raise BadRequestError(f"{missing} is required")
    try:
        return SignupRequest.model_validate(given)
    except ValidationError as error:
        raise ValidationFailedError.from_pydantic(error.errors(include_input=False)) from None


async def create_account(database: Database, settings: Settings, account: NewAccount, client: Client) -> bool:
    """Create the account; False if the address is taken and the answer may say so.

    Where it may not (`SIGNUP_HIDES_ACCOUNTS`), the address's owner gets a mail instead.
    """
    try:
        await database.unit(lambda session: lifecycle.create_account(session, account, settings, client))
    except AccountExistsError:
        if not settings.signup_hides_accounts:
            return False
        await request_mail(database, MailRequest.ALREADY_SIGNED_UP, account.email, client)
    return True


async def request_mail(database: Database, kind: MailRequest, address: str, client: Client) -> None:
    """Queue the question whether a mail is due."""
    await database.unit(lambda session: mails.request(session, kind, address, client))


async def reset_password(
    database: Database,
    policy: PasswordPolicy,
    passwords: PasswordHasher,
    *,
    token: str,
    password: str,
    client: Client,
) -> None:
    """Give the account of a reset link a new password; no connection is held while it is hashed.

    Raises:
        LinkNotValidError: the token resets nothing.
        ValidationFailedError: the password is too short or too common.
    """
    async with database.session() as session:
        found = await links.require(session, token, LinkPurpose.RESET_PASSWORD)
        about = await users.get_names(session, found.user_id)
    password = await policy.require_good(password, about=about)
    password_hash = await passwords.hash(password)
    await database.unit(lambda session: lifecycle.reset_password(session, token, password_hash, client))
