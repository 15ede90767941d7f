"""Problems of signing up, signing in and what keeps an account."""

from typing import Any, Self

from app.core.errors import ProblemError


class LinkNotValidError(ProblemError):
    """The token of a mail link is unknown, used, or too old."""

    slug, status, title = "link-not-valid", 400, "This link does not work (any more); ask for a new one"

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls("This link was used already, or is too old; ask for a new one")


class TicketNotValidError(ProblemError):
    """The log-in that a second factor belongs to is unknown, done, or began too long ago."""

    slug, status, title = "ticket-not-valid", 400, "This took too long, or was done already; sign in again"


class OAuthRefusedError(ProblemError):
    """A request to an OAuth endpoint is not granted; the member `error` is OAuth's word for the reason."""

    slug, status, title = "oauth-refused", 400, "This is not granted"

    def __init__(self, detail: str = "", *, error: str = "invalid_request", **members: Any) -> None:  # noqa: ANN401 - as above
        super().__init__(detail, error=error, **members)


class SignInRefusedError(ProblemError):
    """What a provider answered opens nothing: it is of another log-in, or not to be believed."""

    slug, status, title = "sign-in-refused", 400, "This does not sign you in; begin again"


class WrongCredentialsError(ProblemError):
    """User name and password do not belong together."""

    slug, status, title = "wrong-credentials", 401, "Wrong username or password"


class RefreshTokenNotValidError(ProblemError):
    """The refresh token is unknown, too old, or was used before; in the last case the session has ended."""

    slug, status, title = "refresh-token-not-valid", 401, "This session does not go on; sign in again"


class NotConfirmedError(ProblemError):
    """The e-mail address of this account was not confirmed yet."""

    slug, status, title = "not-confirmed", 403, "The e-mail address is not confirmed yet"


class SecondFactorNeededError(ProblemError):
    """The account asks for a second factor; `ticket` is what to send with it, and `methods` which there are."""

    slug, status, title = (
        "second-factor-needed",
        403,
        "This account asks for a second factor: send it with the ticket",
    )

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls(ticket="0123abcd" * 8, methods=["code", "recovery_code"], expires_in=300)


class AccountLimitError(ProblemError):
    """The account has as many of these as it may."""

    slug, status, title = "account-limit", 409, "Your account has as many of these as it may"


class LastWayInError(ProblemError):
    """Nothing else would open the account."""

    slug, status, title = (
        "last-way-in",
        409,
        "Nothing else opens your account: add another way in, or choose a password, before you remove this",
    )


class LinkedElsewhereError(ProblemError):
    """The account at the provider opens another account here."""

    slug, status, title = "linked-elsewhere", 409, "It opens another OpenML account; take it away there first"


class OAuthDisabledError(ProblemError):
    """There is no log-in with this provider."""

    slug, status, title = "oauth-disabled", 501, "OAuth functions disabled."


class PasskeysDisabledError(ProblemError):
    """This installation has no passkeys."""

    slug, status, title = "passkeys-disabled", 501, "Passkey functions disabled."


class ProviderUnavailableError(ProblemError):
    """The provider that somebody signs in with does not answer, or not as it should."""

    slug, status, title = "provider-unavailable", 503, "The provider does not answer; try again in a while"
    passes_after_seconds = 10
