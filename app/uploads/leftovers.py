"""What an upload leaves on the disk when it ends: at most the file, and only where another attempt may need it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from app.core.errors import BytesLostError, DigestMismatchError, ProblemError
from app.db import upload_parts
from app.db.engine import Database
from app.storage.parts import Part, UploadStorage

KEEP_HOURS = 24
"""How long the file of a failed upload is kept for another attempt, and counts for its owner."""


async def get_parts(database: Database, upload_id: str) -> Sequence[Part]:
    """Return the parts of the upload's file."""
    async with database.session() as session:
        return await upload_parts.get_parts(session, upload_id)


async def forget_bytes(database: Database, storage: UploadStorage, upload_id: str) -> None:
    """Remove every byte of an upload, and count none of them any more."""
    async with database.session() as session:
        places = await upload_parts.delete_parts(session, [upload_id])
    for place in places:
        await storage.delete(place)


async def bytes_to_keep(database: Database, storage: UploadStorage, upload_id: str) -> int:
    """Return how many bytes a failed upload counts for, until another attempt or the janitor comes."""
    profile = storage.path(upload_id, "profile")
    parts = await get_parts(database, upload_id)
    return sum(part.length for part in parts) + await asyncio.to_thread(size_of, profile)


async def tidy_up_after(
    database: Database, storage: UploadStorage, upload_id: str, problem: ProblemError
) -> None:
    """Remove what no other attempt needs after this failure."""
    if is_final(problem):
        await forget_bytes(database, storage, upload_id)
    else:
        arff = storage.path(upload_id, "arff")
        await asyncio.to_thread(arff.unlink, missing_ok=True)


def is_final(problem: ProblemError) -> bool:
    """Say whether the same bytes can never be published."""
    return (
        isinstance(problem, BytesLostError | DigestMismatchError) or problem.members.get("correct") == "file"
    )


def size_of(path: Path) -> int:
    """Return the length of a file; 0 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
