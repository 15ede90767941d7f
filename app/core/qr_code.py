"""QR codes, as what an SVG path draws: nothing is fetched from elsewhere, and a page needs no markup of ours."""

from typing import NamedTuple

QUIET_ZONE = 4
"""Modules of white around the code, which readers need (ISO/IEC 18004)."""


class QrCode(NamedTuple):
    """A square of `size` units, and the path in it whose inside is dark on a light ground."""

    size: int
    path: str


def draw(text: str) -> QrCode:
    """Return the code of the text, of which 15 % may be unreadable. It takes some milliseconds."""
    import segno  # noqa: PLC0415 - few processes ever draw one

    rows = list(segno.make_qr(text, error="m").matrix_iter(border=QUIET_ZONE))
    dark = [f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, is_dark in enumerate(row) if is_dark]
    return QrCode(len(rows), "".join(dark))
