"""Pictures as cameras, programs and attackers write them."""

import io
import struct
import zlib
from typing import Any

from PIL import Image, ImageCms

RED, GREEN, BLUE = (255, 0, 0), (0, 128, 0), (0, 0, 255)
CAMERA = "Camera of Ada"
COMMENT = b"written by hand"
ORIENTATION, MODEL, GPS, LATITUDE = 0x0112, 0x0110, 0x8825, 2


def halves(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """The left half red, the right half blue."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return picture.convert(mode)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def see_through() -> Image.Image:
    """Red on the left, nothing on the right."""
    picture = Image.new("RGBA", (64, 48), (*RED, 255))
    picture.paste((0, 0, 255, 0), (32, 0, 64, 48))
    return picture


def of_a_camera(*, orientation: int = 6) -> bytes:
    """A JPEG with whatever a telephone tells about its owner."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[MODEL] = orientation, CAMERA
    exif.get_ifd(GPS)[LATITUDE] = (51.0, 26.0, 27.0)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return encoded(
        halves(), "JPEG", exif=exif, comment=COMMENT, icc_profile=profile, xmp=b"<x:xmpmeta>Ada</x:xmpmeta>"
    )


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (40, 30), colour) for colour in (RED, GREEN, BLUE)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, loop=0)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header says that it is huge."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def gif_claiming(width: int, height: int) -> bytes:
    small = encoded(Image.new("P", (2, 2)), "GIF")
    return small[:6] + struct.pack("<HH", width, height) + small[10:]


def webp_claiming(width: int, height: int) -> bytes:
    """An extended WebP file whose canvas is said to be huge."""
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def jpeg_claiming(width: int, height: int) -> bytes:
    small = encoded(halves(), "JPEG")
    frame = small.index(b"\xff\xc0")
    return small[: frame + 5] + struct.pack(">HH", height, width) + small[frame + 9 :]
