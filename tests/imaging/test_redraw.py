"""What becomes of a picture: its pixels, and nothing else."""

import io

import pytest
from PIL import Image, ImageCms

from app.imaging.redraw import EDGE, Drawing, Refusal, RefusedPictureError, redraw
from tests.imaging import samples
from tests.imaging.samples import BLUE, GREEN, RED, encoded, halves, see_through

LIMIT = 1_000_000


def drawn(content: bytes) -> tuple[Drawing, Image.Image]:
    drawing = redraw(io.BytesIO(content), max_pixels=LIMIT)
    picture = Image.open(io.BytesIO(drawing.content))
    picture.load()
    assert picture.format == {"png": "PNG", "jpg": "JPEG"}[drawing.suffix]
    return drawing, picture


def refusal(content: bytes) -> Refusal:
    with pytest.raises(RefusedPictureError) as caught:
        redraw(io.BytesIO(content), max_pixels=LIMIT)
    return caught.value.refusal


def colour(picture: Image.Image, x: int, y: int) -> tuple[int, ...]:
    """The pixel, as the nearest of the colours that were drawn."""
    found = picture.convert("RGB").getpixel((x, y))
    assert isinstance(found, tuple)
    return min(
        (RED, GREEN, BLUE),
        key=lambda known: sum((a - b) ** 2 for a, b in zip(known, found, strict=True)),
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "MPO"])
def test_picture_when_of_a_known_kind_then_a_jpeg_of_its_size(kind: str) -> None:
    drawing, picture = drawn(encoded(halves(), kind))

    assert (drawing.suffix, picture.mode, picture.size) == ("jpg", "RGB", (64, 48))
    assert (colour(picture, 5, 20), colour(picture, 60, 20)) == (RED, BLUE)


def sixteen_bits() -> bytes:
    row = (76 * 256).to_bytes(2, "little") * 32 + (29 * 256).to_bytes(2, "little") * 32
    return encoded(Image.frombytes("I;16", (64, 48), row * 48), "PNG")


@pytest.mark.parametrize(
    "content",
    [
        encoded(halves(mode="L"), "JPEG"),
        encoded(halves(mode="CMYK"), "JPEG"),
        encoded(halves(), "JPEG", progressive=True),
        encoded(halves(mode="L"), "PNG"),
        encoded(halves(mode="P"), "PNG"),
        sixteen_bits(),
        encoded(halves(), "WEBP", lossless=True),
    ],
    ids=["grey jpeg", "cmyk", "progressive", "grey png", "palette", "16 bits", "lossless"],
)
def test_picture_when_in_any_mode_without_alpha_then_a_jpeg_of_the_same_brightness(content: bytes) -> None:
    drawing, picture = drawn(content)

    assert drawing.suffix == "jpg"
    left, right = (picture.convert("L").getpixel((x, 20)) for x in (5, 60))
    assert left == pytest.approx(76, abs=4), "red"
    assert right == pytest.approx(29, abs=4), "blue"


@pytest.mark.parametrize(
    "content",
    [
        encoded(see_through(), "PNG"),
        encoded(see_through(), "WEBP", lossless=True),
        encoded(see_through(), "GIF"),
        encoded(see_through().quantize(), "PNG"),
        encoded(see_through().convert("LA"), "PNG"),
        encoded(halves(), "PNG", transparency=BLUE),
    ],
    ids=["png", "webp", "gif", "palette", "grey", "one colour"],
)
def test_picture_when_something_shines_through_then_it_still_does(content: bytes) -> None:
    drawing, picture = drawn(content)

    assert (drawing.suffix, picture.mode) == ("png", "RGBA")
    left, right = picture.getpixel((5, 20)), picture.getpixel((60, 20))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert (left[3], right[3]) == (255, 0)


def test_picture_when_its_alpha_hides_nothing_then_a_jpeg() -> None:
    assert drawn(encoded(halves(mode="RGBA"), "PNG"))[0].suffix == "jpg"


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_picture_when_animated_then_its_first_frame_stands_still(kind: str) -> None:
    _, picture = drawn(samples.animated(kind))

    assert getattr(picture, "n_frames", 1) == 1
    assert (picture.size, colour(picture, 20, 15)) == ((40, 30), RED)


@pytest.mark.parametrize(
    ("kind", "size", "expected"),
    [
        ("JPEG", (1000, 500), (EDGE, EDGE // 2)),
        ("JPEG", (500, 1000), (EDGE // 2, EDGE)),
        ("PNG", (1000, 500), (EDGE, EDGE // 2)),
        ("PNG", (100_000, 2), (EDGE, 1)),
        ("WEBP", (500, 1000), (EDGE // 2, EDGE)),
        ("GIF", (600, 600), (EDGE, EDGE)),
        ("PNG", (10, 10), (10, 10)),
    ],
)
def test_picture_when_large_then_scaled_and_when_small_then_left(
    kind: str, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert drawn(encoded(halves(*size), kind))[1].size == expected


@pytest.mark.parametrize(
    ("orientation", "size", "red_at", "blue_at"),
    [
        (1, (64, 48), (5, 24), (60, 24)),
        (3, (64, 48), (60, 24), (5, 24)),
        (6, (48, 64), (24, 5), (24, 60)),
        (8, (48, 64), (24, 60), (24, 5)),
    ],
)
def test_picture_when_the_camera_was_held_sideways_then_upright(
    orientation: int, size: tuple[int, int], red_at: tuple[int, int], blue_at: tuple[int, int]
) -> None:
    _, picture = drawn(samples.of_a_camera(orientation=orientation))

    assert picture.size == size
    assert (colour(picture, *red_at), colour(picture, *blue_at)) == (RED, BLUE)


def test_picture_when_it_tells_of_its_owner_then_nothing_of_it_is_left() -> None:
    content = samples.of_a_camera()
    told = Image.open(io.BytesIO(content))
    assert told.getexif().get_ifd(samples.GPS), "the sample has what is to be removed"
    assert samples.CAMERA.encode() in content

    drawing, picture = drawn(content)

    assert not picture.getexif()
    assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    for secret in (samples.CAMERA.encode(), samples.COMMENT, b"Exif", b"ICC_PROFILE", b"xmpmeta"):
        assert secret not in drawing.content


def test_picture_when_a_png_carries_text_and_a_profile_then_nothing_of_it_is_left() -> None:
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("Author", samples.CAMERA)
    exif = Image.Exif()
    exif[samples.MODEL] = samples.CAMERA
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = encoded(see_through(), "PNG", pnginfo=text, exif=exif, icc_profile=profile, dpi=(72, 72))
    drawing, picture = drawn(content)

    assert picture.info == {}
    assert not picture.getexif()
    assert samples.CAMERA.encode() not in drawing.content


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_picture_when_in_another_colour_space_then_brought_to_srgb(kind: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # In this space the red lamp is blue.
    swapped = profile.replace(b"rXYZ", b"tmp.").replace(b"bXYZ", b"rXYZ").replace(b"tmp.", b"bXYZ")

    _, picture = drawn(encoded(halves(), kind, icc_profile=swapped))

    assert (colour(picture, 5, 20), colour(picture, 60, 20)) == (BLUE, RED)


@pytest.mark.parametrize(
    "profile", [b"nonsense", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()]
)
def test_picture_when_its_profile_does_not_fit_then_its_colours_as_they_are(profile: bytes) -> None:
    _, picture = drawn(encoded(halves(), "JPEG", icc_profile=profile))

    assert (colour(picture, 5, 20), colour(picture, 60, 20)) == (RED, BLUE)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"not a picture at all" * 100,
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        *(encoded(halves(), kind) for kind in ("BMP", "TIFF", "ICO", "PPM", "TGA", "PCX", "AVIF")),
    ],
    ids=[
        "empty",
        "line",
        "text",
        "svg",
        "html",
        "pdf",
        "eps",
        "bmp",
        "tiff",
        "ico",
        "ppm",
        "tga",
        "pcx",
        "avif",
    ],
)
def test_file_when_of_another_kind_then_unknown(content: bytes) -> None:
    assert refusal(content) is Refusal.UNKNOWN


@pytest.mark.parametrize(
    "content",
    [
        samples.png_claiming(50_000, 50_000),
        samples.gif_claiming(65_535, 65_535),
        samples.webp_claiming(16_000, 16_000),
        samples.jpeg_claiming(65_000, 65_000),
        encoded(halves(1001, 1000), "PNG"),
        encoded(halves(1001, 1000), "JPEG"),
    ],
    ids=["png", "gif", "webp", "jpeg", "one row too many", "one row too many, jpeg"],
)
def test_picture_when_it_has_too_many_pixels_then_refused_before_they_are_decoded(content: bytes) -> None:
    assert refusal(content) is Refusal.TOO_LARGE


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_picture_when_cut_off_then_damaged(kind: str, part: float) -> None:
    noise = Image.effect_noise((200, 200), 80).convert("RGB")
    content = encoded(noise, kind)

    assert refusal(content[: int(len(content) * part)]) in {Refusal.DAMAGED, Refusal.UNKNOWN}


def test_picture_when_its_middle_is_overwritten_then_drawn_or_refused_but_never_a_fault() -> None:
    noise = Image.effect_noise((64, 64), 80).convert("RGB")
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        content = encoded(noise, kind)
        for place in range(8, len(content), max(1, len(content) // 150)):
            broken = (
                content[:place]
                + bytes(value ^ 0xFF for value in content[place : place + 4])
                + content[place + 4 :]
            )
            try:
                drawn(broken)
            except RefusedPictureError:
                continue
