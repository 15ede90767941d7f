"""Challenges: for one purpose and subject, short-lived, and made by who has the secret."""

from datetime import UTC, datetime, timedelta

from app.core.challenges import LIFETIME, ChallengeSigner

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET, OTHER = "a secret of thirty-two bytes or more", "another secret of thirty-two bytes"


def signer(secret: str = SECRET, *, accepted: tuple[str, ...] = (), now: datetime = NOW) -> ChallengeSigner:
    return ChallengeSigner(secret, accepted=accepted, now=lambda: now)


def test_challenge_when_for_another_purpose_or_subject_then_none_of_ours() -> None:
    challenge = signer().issue("sign in", "5 a")

    assert signer().end_of(challenge, "sign in", "5 a") == NOW + LIFETIME
    for purpose, subject in (("register", "5 a"), ("sign in", "6 a"), ("sign in", ""), ("sign in5", " a")):
        assert signer().end_of(challenge, purpose, subject) is None


def test_challenge_when_too_old_then_none_of_ours() -> None:
    challenge = signer().issue("sign in")

    assert signer(now=NOW + LIFETIME - timedelta(seconds=1)).end_of(challenge, "sign in")
    assert signer(now=NOW + LIFETIME).end_of(challenge, "sign in") is None


def test_challenge_when_altered_anywhere_then_none_of_ours() -> None:
    challenge = signer().issue("sign in")

    for place in range(len(challenge)):
        altered = challenge[:place] + bytes([challenge[place] ^ 1]) + challenge[place + 1 :]
        assert signer().end_of(altered, "sign in") is None
    assert signer().end_of(challenge[:-1], "sign in") is None
    assert signer().end_of(b"", "sign in") is None


def test_challenge_when_the_secret_was_changed_then_good_while_the_old_one_is_accepted() -> None:
    challenge = signer(OTHER).issue("sign in")

    assert signer().end_of(challenge, "sign in") is None
    assert signer(accepted=(OTHER,)).end_of(challenge, "sign in")


def test_challenges_when_asked_twice_then_different() -> None:
    assert signer().issue("sign in") != signer().issue("sign in")
