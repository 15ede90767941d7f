"""How an exchange with a provider fails. The texts are for logs and operators: no token, code or secret is in them."""


class OidcError(Exception):
    """The provider did not give what was asked for; what all of `app/oidc` raises."""


class ProviderAwayError(OidcError):
    """It cannot be reached, takes too long, or says that it is in trouble: another try may succeed."""


class ProviderBrokenError(OidcError):
    """Its answer is not what the standards say: too large, no JSON, a redirect, an address that is not to be asked."""


class GrantRefusedError(OidcError):
    """It refuses the authorization code: used, too old, of another client, or with another verifier.

    Attributes:
        error: the error code of RFC 6749, section 5.2.
    """

    def __init__(self, error: str) -> None:
        super().__init__(f"the provider refuses the code: {error}")
        self.error = error


class TokenRefusedError(OidcError):
    """The ID token is not one that this service may believe."""
