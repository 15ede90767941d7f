"""One picture redrawn: from whatever a camera or a program wrote to at most 512 by 512 clean pixels."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import BinaryIO, Literal, NamedTuple

from PIL import (
    Image,
    ImageCms,
    ImageOps,
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401 - registers itself; else Pillow would load all of its plug-ins to find it
)

FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
EDGE = 512
"""Longest side of what comes out, in pixels."""
JPEG_QUALITY = 88
OPAQUE = 255
# Modes that can be scaled as they are; of the others, neighbouring values are not neighbouring colours.
_SCALABLE = {"L", "LA", "RGB", "RGBA", "CMYK"}
_SIXTEEN_BITS = {"I", "I;16", "I;16B", "I;16L", "I;16N"}


class Refusal(StrEnum):
    """Why a picture is not redrawn."""

    UNKNOWN = "unknown"
    TOO_LARGE = "too large"
    DAMAGED = "damaged"


class RefusedPictureError(Exception):
    """The picture is not redrawn."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


class Drawing(NamedTuple):
    """An encoded picture and the suffix that says how."""

    suffix: Literal["png", "jpg"]
    content: bytes


def redraw(source: BinaryIO, *, max_pixels: int) -> Drawing:
    """Return the picture upright, in sRGB, at most `EDGE` wide and high, with nothing but its pixels.

    What it is, its own first bytes say. Of an animation the first frame is drawn. It stays a PNG if anything shines
    through, and becomes a JPEG otherwise.

    Args:
        source: the picture, from its first byte.
        max_pixels: width times height that may be decoded.

    Raises:
        RefusedPictureError: it is none of `FORMATS`, has more pixels, or cannot be decoded.
    """
    with _pixels_bounded(max_pixels), _as_refusals(), Image.open(source, formats=FORMATS) as picture:
        return _encode(_small(picture))


@contextmanager
def _pixels_bounded(max_pixels: int) -> Iterator[None]:
    """Let Pillow stop at the limit, which it looks at before it allocates; by itself it only warns."""
    Image.MAX_IMAGE_PIXELS = max_pixels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@contextmanager
def _as_refusals() -> Iterator[None]:
    try:
        yield
    except UnidentifiedImageError:
        raise RefusedPictureError(Refusal.UNKNOWN) from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise RefusedPictureError(Refusal.TOO_LARGE) from None
    except MemoryError:
        raise
    except Exception as error:
        # Decoders fail in whatever way the damage makes them.
        raise RefusedPictureError(Refusal.DAMAGED) from error


def _small(picture: Image.Image) -> Image.Image:
    """Return the picture scaled, upright and in sRGB, as RGB or RGBA."""
    # JPEGs are scaled while they are decoded, at a fraction of memory and time.
    picture.draft(None, (2 * EDGE, 2 * EDGE))
    # Both are lost on the way.
    profile, is_opaque = picture.info.get("icc_profile"), not picture.has_transparency_data
    exif = picture.getexif()
    small = _scalable(picture)
    small.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS)
    small = _in_srgb(small, profile).convert("RGB" if is_opaque else "RGBA")
    small.info = {"exif": exif.tobytes()} if exif else {}
    return ImageOps.exif_transpose(small)


def _scalable(picture: Image.Image) -> Image.Image:
    if picture.mode in _SIXTEEN_BITS:
        return picture.convert("I").point(lambda value: value / 256).convert("L")
    if picture.mode in _SCALABLE and "transparency" not in picture.info:
        return picture
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the picture in sRGB, which browsers assume for a picture without a colour profile."""
    if not profile or picture.mode not in {"RGB", "RGBA", "CMYK"}:
        return picture
    mode = "RGB" if picture.mode == "CMYK" else picture.mode
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        drawn = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError):
        # A profile that cannot be read, or that is for another kind of picture: the colours as they are.
        return picture
    return drawn or picture


def _encode(picture: Image.Image) -> Drawing:
    # What is left in `info`, Pillow would write into the file.
    picture.info = {}
    content = io.BytesIO()
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() != (OPAQUE, OPAQUE):
        picture.save(content, "PNG", optimize=True)
        return Drawing("png", content.getvalue())
    picture.convert("RGB").save(content, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return Drawing("jpg", content.getvalue())
