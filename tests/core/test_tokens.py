import base64
import json
from datetime import timedelta
from itertools import pairwise

import jwt
import pytest

from app.core.clock import utc_now
from app.core.errors import UnauthorizedError
from app.core.tokens import AUDIENCE, ISSUER, TokenSigner, key_id

SECRET = "a secret of thirty-two bytes or more"


@pytest.fixture
def signer() -> TokenSigner:
    return TokenSigner(SECRET, lifetime=timedelta(hours=2))


def forge(secret: str = SECRET, header: dict[str, str] | None = None, **changes: object) -> str:
    """A token as a thief would make it: everything right but for the changes (None leaves a claim out)."""
    claims = {
        "sub": "1",
        "jti": "0" * 32,
        "iat": utc_now(),
        "exp": utc_now() + timedelta(hours=2),
        "aud": AUDIENCE,
        "iss": ISSUER,
        **changes,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, secret, "HS256", headers={"typ": "at+jwt", **(header or {})})


def test_token_when_issued_then_it_says_whose_and_how_long(signer: TokenSigner) -> None:
    token = signer.verify(signer.issue(42)[0])

    assert token.user_id == 42
    assert abs(token.expires_at - token.issued_at - timedelta(hours=2)) < timedelta(seconds=1), (
        "exp has no fraction"
    )


def test_forge_when_nothing_is_changed_then_it_would_pass(signer: TokenSigner) -> None:
    """Else the refusals below would prove nothing."""
    assert signer.verify(forge()).user_id == 1


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (forge(secret="abcd" * 8), "Signature verification failed"),
        (forge(exp=utc_now() - timedelta(seconds=1)), "Token has expired"),
        (forge(aud="somebody-else"), "Not an access token of this service"),
        (forge(iss="somebody-else"), "Not an access token of this service"),
        (forge(header={"typ": "JWT"}), "Not an access token of this service"),
        (forge(header={"typ": "reset+jwt"}), "Not an access token of this service"),
        (forge(jti=None), "Not an access token of this service"),
        (forge(exp=None), "Not an access token of this service"),
        (forge(sub=None), "Not an access token of this service"),
        (forge(sub="ada@example.org"), "Not an access token of this service"),
        ("null", "Not enough segments"),
        ("undefined", "Not enough segments"),
        ("a.b.c", "Not a token"),
    ],
)
def test_token_when_forged_then_refused(signer: TokenSigner, token: str, reason: str) -> None:
    with pytest.raises(UnauthorizedError) as refused:
        signer.verify(token)

    assert refused.value.detail == reason


def test_key_when_changed_in_three_steps_then_no_token_is_refused_until_the_old_key_goes() -> None:
    def signer_of(secret: str, *accepted: str) -> TokenSigner:
        return TokenSigner(secret, accepted=accepted, lifetime=timedelta(hours=2))

    old, new = SECRET, "another secret of thirty-two bytes"
    # Two at a time: those that have taken a step, and those that have not.
    steps = [signer_of(old), signer_of(old, new), signer_of(new, old)]
    for before, after in pairwise(steps):
        tokens = [signer.issue(7)[0] for signer in (before, after)]
        assert {signer.verify(token).user_id for signer in (before, after) for token in tokens} == {7}
    assert steps[2].verify(forge(secret=old)).user_id == 1, "as earlier versions made it, without `kid`"

    last = signer_of(new)
    assert last.verify(steps[2].issue(7)[0]).user_id == 7
    for token in (steps[0].issue(7)[0], forge(secret=old)):
        with pytest.raises(UnauthorizedError, match="Signature verification failed"):
            last.verify(token)


@pytest.mark.parametrize("kid", [key_id(SECRET), key_id("another secret of thirty-two bytes"), "unknown", ""])
def test_token_when_it_names_a_key_then_that_one_has_signed_it(kid: str) -> None:
    both = TokenSigner(SECRET, accepted=["another secret of thirty-two bytes"], lifetime=timedelta(hours=2))

    with pytest.raises(UnauthorizedError, match="Signature verification failed"):
        both.verify(forge(secret="a third secret of thirty-two bytes", header={"kid": kid}))
    if kid == key_id("another secret of thirty-two bytes"):
        with pytest.raises(UnauthorizedError, match="Signature verification failed"):
            both.verify(forge(secret=SECRET, header={"kid": kid}))


def test_token_when_it_claims_no_algorithm_then_refused(signer: TokenSigner) -> None:
    _, claims, _ = forge().split(".")
    header = (
        base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "at+jwt"}).encode()).rstrip(b"=").decode()
    )

    with pytest.raises(UnauthorizedError):
        signer.verify(f"{header}.{claims}.")


def test_token_when_expired_and_logging_out_then_accepted(signer: TokenSigner) -> None:
    assert signer.verify(forge(exp=utc_now() - timedelta(days=1)), accept_expired=True).user_id == 1


def test_token_when_issued_then_its_times_are_whole_numbers_and_no_moment_is_lost(
    signer: TokenSigner,
) -> None:
    text, issued = signer.issue(42)
    claims = jwt.decode(text, SECRET, ["HS256"], audience=AUDIENCE)

    assert {type(claims[name]) for name in ("iat", "exp", "iat_us")} == {int}
    assert signer.verify(text).issued_at == issued.issued_at
    assert signer.verify(forge(iat=issued.issued_at.timestamp())).issued_at == issued.issued_at, "as before"


def test_token_when_forged_and_logging_out_then_refused(signer: TokenSigner) -> None:
    with pytest.raises(UnauthorizedError):
        signer.verify(forge(secret="abcd" * 8), accept_expired=True)


# The time is a whole second, and a slow machine takes some to look: 61 would be within the leeway by then.
@pytest.mark.parametrize(("seconds", "taken"), [(-3600, True), (2, True), (59, True), (90, False)])
def test_token_when_issued_by_a_clock_that_is_ahead_then_taken_within_the_leeway(
    signer: TokenSigner, seconds: int, *, taken: bool
) -> None:
    token = forge(iat=utc_now() + timedelta(seconds=seconds))

    if taken:
        assert signer.verify(token).user_id == 1
    else:
        with pytest.raises(UnauthorizedError, match="not yet valid"):
            signer.verify(token)


def test_token_when_issued_after_a_cut_off_that_seems_to_come_then_it_is_later_all_the_same(
    signer: TokenSigner,
) -> None:
    cut_off = utc_now() + timedelta(seconds=5)

    text, token = signer.issue(42, after=cut_off)

    assert cut_off < signer.verify(text).issued_at == token.issued_at
    assert signer.issue(42, after=utc_now() - timedelta(days=1))[1].issued_at < cut_off


def test_token_when_two_machines_disagree_then_it_ends_by_the_clock_that_they_share() -> None:
    shared = utc_now() + timedelta(hours=3)
    one, other = (TokenSigner(SECRET, lifetime=timedelta(hours=2), now=lambda: shared) for _ in range(2))

    assert other.verify(one.issue(42)[0]).issued_at == shared
