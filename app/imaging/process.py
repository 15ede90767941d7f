"""Redrawing in a child process of its own, so that no picture can harm the server; a few at a time."""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

from app.core import child
from app.core.child import ChildEndedError, ChildRefusedError
from app.core.child_limits import MIB, ProcessLimits
from app.core.child_start import Program
from app.core.errors import TooBusyError
from app.imaging.problems import PictureRefusedError

MAX_PIXELS = 52_000_000
"""Width times height of a picture that is decoded: what telephones take. Each may need 17 bytes of memory."""
_REDRAW = Program("app.imaging.__main__")
# 512 by 512 pixels of noise with alpha are one mebibyte; as base64, a third more.
_MAX_LINE_BYTES = 2 * MIB
_MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "jpg": b"\xff\xd8\xff"}


@dataclass(frozen=True, slots=True)
class Redrawn:
    """A clean picture: the encoded bytes, and the suffix that says how."""

    suffix: Literal["png", "jpg"]
    content: bytes


class PictureRedrawer:
    """Redraws pictures in children, `at_once` at the same time; `queue` more may wait."""

    def __init__(
        self, *, max_pixels: int, at_once: int = 2, queue: int = 32, limits: ProcessLimits | None = None
    ) -> None:
        self._max_pixels = max_pixels
        self._limits = limits or ProcessLimits(
            # WebP needs most: the two canvases of its decoder, its answer and the picture. Others need 9 bytes each.
            memory_bytes=160 * MIB + 17 * max_pixels,
            cpu_seconds=20,
            wall_seconds=60.0,
        )
        self._slots = asyncio.Semaphore(at_once)
        self._most = at_once + queue
        self._present = 0

    async def redraw(self, source: BinaryIO, what: Program | Sequence[str] = _REDRAW) -> Redrawn:
        """Return the picture in the open file as a small clean PNG or JPEG.

        Raises:
            PictureRefusedError: it cannot be used; the text says why.
            TooBusyError: more pictures wait than the queue holds.
        """
        if self._present >= self._most:
            raise TooBusyError(retry_after_seconds=5)
        self._present += 1
        try:
            async with self._slots:
                return await self._ask(source, what)
        finally:
            self._present -= 1

    async def _ask(self, source: BinaryIO, what: Program | Sequence[str]) -> Redrawn:
        request = {"max_pixels": self._max_pixels}
        try:
            result = await child.ask(
                what,
                request,
                self._limits,
                max_line_bytes=_MAX_LINE_BYTES,
                files=[source.fileno()],
            )
            return _checked(result)
        except ChildRefusedError as refusal:
            raise self._refused(refusal.error) from None
        except (ChildEndedError, ValueError, TypeError, KeyError):
            raise PictureRefusedError(
                "The picture could not be read. Save it anew, smaller, as PNG or JPEG."
            ) from None

    def _refused(self, why: Any) -> PictureRefusedError:  # noqa: ANN401 - any JSON
        if why == "unknown":
            return PictureRefusedError("The file is not a PNG, JPEG, GIF or WebP picture.")
        if why == "too large":
            return PictureRefusedError(
                f"The picture has more than {self._max_pixels} pixels; make it smaller.",
                limit_pixels=self._max_pixels,
            )
        return PictureRefusedError("The picture is damaged, or not complete. Save it anew, as PNG or JPEG.")


def _checked(result: Any) -> Redrawn:  # noqa: ANN401 - any JSON
    """Check every field that the child process returned: it has read untrusted bytes."""
    suffix, content = result["suffix"], base64.b64decode(result["content"], validate=True)
    if not content.startswith(_MAGIC[suffix]):
        raise ValueError("the content is not what its suffix says")
    return Redrawn(suffix, content)
