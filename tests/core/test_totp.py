"""Codes of authenticator apps, by the vectors of the RFCs; the QR code that apps read, by another's reader."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import zxingcpp
from PIL import Image, ImageDraw

from app.core.qr_code import QrCode, draw
from app.core.totp import STEP_SECONDS, as_text, code_at, matching_step, new_secret, provisioning_uri, step_at

SECRET = b"12345678901234567890"
VECTORS = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}
"""RFC 6238, appendix B, SHA-1, by seconds since 1970. They have eight digits; six are the last of them."""
COUNTED = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
"""RFC 4226, appendix D."""


@pytest.mark.parametrize(("seconds", "code"), list(VECTORS.items()))
def test_code_when_computed_at_the_rfcs_moments_then_as_it_says(seconds: int, code: str) -> None:
    assert code_at(SECRET, step_at(datetime.fromtimestamp(seconds, UTC))) == code[-6:]


@pytest.mark.parametrize(("step", "code"), list(enumerate(COUNTED)))
def test_code_when_computed_for_the_rfcs_counters_then_as_it_says(step: int, code: str) -> None:
    assert code_at(SECRET, step) == code


@pytest.mark.parametrize(("steps", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_code_when_of_another_step_then_taken_one_before_and_one_after(steps: int, *, taken: bool) -> None:
    now = datetime.fromtimestamp(1111111111, UTC)
    code = code_at(SECRET, step_at(now) + steps)

    assert matching_step(SECRET, code, now) == (step_at(now) + steps if taken else None)


def test_code_when_its_step_begins_or_ends_then_the_same_within() -> None:
    begin = datetime.fromtimestamp(STEP_SECONDS * 40_000_000, UTC)
    last = begin + timedelta(seconds=STEP_SECONDS, microseconds=-1)

    assert step_at(begin) == step_at(last) == step_at(last + timedelta(microseconds=1)) - 1


@pytest.mark.parametrize("code", ["", "0", "75522", "7552240", "755 224", "٧٥٥٢٢٤", "-55224"])
def test_code_when_it_is_none_then_of_no_step(code: str) -> None:
    assert matching_step(SECRET, code, datetime.fromtimestamp(59, UTC)) is None


def test_secret_when_new_then_of_160_bits_and_never_the_same() -> None:
    made = {new_secret() for _ in range(100)}

    assert len(made) == 100
    assert {len(secret) * 8 for secret in made} == {160}


def _as_picture(code: QrCode, *, scale: int = 6) -> Image.Image:
    picture = Image.new("L", (code.size * scale, code.size * scale), 255)
    pen = ImageDraw.Draw(picture)
    for square in code.path.removeprefix("M").split("M"):
        place = square.removesuffix("h1v1h-1z")
        x, y = (int(number) * scale for number in place.split())
        pen.rectangle((x, y, x + scale - 1, y + scale - 1), fill=0)
    return picture


@pytest.mark.parametrize(
    "account", ["ada@example.org", "zoë+x&y=:/?#%@exämple.org", f"{'a' * 242}@example.org"]
)
def test_qr_code_when_read_by_another_program_then_the_address_that_apps_take(account: str) -> None:
    uri = provisioning_uri(SECRET, issuer="OpenML", account=account)

    (found,) = zxingcpp.read_barcodes(_as_picture(draw(uri)))

    assert found.text == uri
    address = urlsplit(found.text)
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert unquote(address.path) == f"/OpenML:{account}"
    assert parse_qs(address.query) == {"secret": [as_text(SECRET)], "issuer": ["OpenML"]}
