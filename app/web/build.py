"""A build of the React frontend, read once at start: checked, filled with this host's addresses, packed, in memory."""

import gzip
import hashlib
import html
import json
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

import brotli

from app.core.settings import SettingsError

BUILD_BYTES = 256 << 20
"""Largest build that is kept in memory; the official one has 20 MB."""
BUILD_FILES = 10_000
PACKED_MINIMUM_BYTES = 1024
PACKED_MAXIMUM_BYTES = 32 << 20
"""Larger files are sent as they are: packing them would hold up the start."""
BROTLI_QUALITY = 6
GZIP_LEVEL = 6
INDEX = "/index.html"
PLACEHOLDER = re.compile(r"<(REACT_APP_[A-Z0-9_]+)>")
HASHED = re.compile(r"/static/.+\.[0-9a-f]{8,}\.(?:chunk\.)?[a-z0-9]+$")
"""Names that hold a hash of the contents; `main.1a2b3c4d.js`, `logo.1a2b3c4d5e6f.png`."""
PLAIN_IN_SCRIPT = re.compile(r"[A-Za-z0-9 !#%()*+,./:;=?@\[\]^_|~-]")

REVALIDATE = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"

MEDIA_TYPES = {
    ".avif": "image/avif",
    ".css": "text/css; charset=utf-8",
    ".eot": "application/vnd.ms-fontobject",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".mp4": "video/mp4",
    ".otf": "font/otf",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "text/xml; charset=utf-8",
}
"""Written down here: what Python's `mimetypes` knows depends on the machine."""
ALREADY_PACKED = (
    ".avif",
    ".gif",
    ".jpeg",
    ".jpg",
    ".mp4",
    ".pdf",
    ".png",
    ".webm",
    ".webp",
    ".woff",
    ".woff2",
)


class BuildError(SettingsError):
    """`SPA_DIR` names nothing that can be served; the text says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"SPA_DIR: {reason}")


class Variant(NamedTuple):
    """The bytes of a file in one encoding (`""`: as they are), and their entity tag with its quotes."""

    encoding: str
    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class BuildFile:
    """One file as it is sent; `packed` holds its smaller encodings, the smallest first."""

    media_type: str
    cache_control: str
    plain: Variant
    packed: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Build:
    """Every file by its path in an address, e.g. `/static/js/main.1a2b3c4d.js`."""

    files: Mapping[str, BuildFile]

    @property
    def page(self) -> BuildFile:
        """The page that every address of the frontend shows."""
        return self.files[INDEX]


def load_build(source: Path, values: Mapping[str, str], *, limit_bytes: int = BUILD_BYTES) -> Build:
    """Return the build in the folder or archive `source`, its placeholders replaced by `values`.

    Raises:
        BuildError: there is no build there, it is damaged or incomplete, or it holds a placeholder without a value.
    """
    contents = _without_top_folder(_read(source, limit_bytes=limit_bytes))
    if INDEX not in contents:
        raise BuildError(f"{source} holds no index.html. Name the folder that `npm run build` made.")
    _require_complete(contents, source)
    return Build({path: _prepare(path, body, values) for path, body in contents.items()})


def _prepare(path: str, body: bytes, values: Mapping[str, str]) -> BuildFile:
    filled = fill_placeholders(path, body, values)
    suffix = PurePosixPath(path).suffix.lower()
    # A hash in the name was taken before the placeholders were filled: it says nothing of the filled bytes.
    for_ever = filled is body and HASHED.fullmatch(path) is not None
    plain = Variant("", filled, _etag(filled))
    return BuildFile(
        media_type=MEDIA_TYPES.get(suffix, "application/octet-stream"),
        cache_control=FOR_EVER if for_ever else REVALIDATE,
        plain=plain,
        packed=() if suffix in ALREADY_PACKED else tuple(_pack(filled)),
    )


def fill_placeholders(path: str, body: bytes, values: Mapping[str, str]) -> bytes:
    """Return `body` with each `<REACT_APP_…>` replaced by its value, escaped for where it stands.

    The placeholders stand inside string literals of scripts, or in attributes of pages. Returns `body` itself where
    there is none.

    Raises:
        BuildError: the file holds a placeholder that `values` does not name.
    """
    escape = _ESCAPES.get(PurePosixPath(path).suffix.lower())
    if escape is None or b"<REACT_APP_" not in body:
        return body

    def replacement(match: re.Match[str]) -> str:
        try:
            return escape(values[match.group(1)])
        except KeyError:
            raise BuildError(f"{path} holds the placeholder {match.group()}, which has no setting.") from None

    # Latin-1 keeps every byte as it is; what goes in is ASCII.
    return PLACEHOLDER.sub(replacement, body.decode("latin-1")).encode("latin-1")


def escape_for_script(value: str) -> str:
    r"""Return the value as text inside a JavaScript or JSON string literal, whatever its quotes.

    Everything but plain characters is written as `\uXXXX`, `<` and `$` too: no value can end the literal, the script
    element around it, or begin a template's expression.
    """
    units = value.encode("utf-16-be", errors="surrogatepass")
    characters = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(
        chr(unit) if PLAIN_IN_SCRIPT.fullmatch(chr(unit)) else f"\\u{unit:04x}" for unit in characters
    )


def _escape_for_page(value: str) -> str:
    return html.escape(value).encode("ascii", errors="xmlcharrefreplace").decode("ascii")


_ESCAPES = {
    ".js": escape_for_script,
    ".mjs": escape_for_script,
    ".json": escape_for_script,
    ".webmanifest": escape_for_script,
    ".html": _escape_for_page,
}


def _pack(body: bytes) -> Iterator[Variant]:
    if not PACKED_MINIMUM_BYTES <= len(body) <= PACKED_MAXIMUM_BYTES:
        return
    packers = {
        "br": partial(brotli.compress, mode=brotli.MODE_TEXT, quality=BROTLI_QUALITY),
        "gzip": partial(gzip.compress, compresslevel=GZIP_LEVEL, mtime=0),
    }
    for encoding, pack in packers.items():
        packed = pack(body)
        if len(packed) < len(body):
            yield Variant(encoding, packed, _etag(packed))


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


# --- reading


def _read(source: Path, *, limit_bytes: int) -> dict[str, bytes]:
    """Return each file's bytes by its path in an address; nothing outside `source`, nothing hidden."""
    contents: dict[str, bytes] = {}
    left = limit_bytes
    try:
        with closing(_members_of(source)) as members:
            for name, open_member in members:
                path = PurePosixPath(name)
                # Source maps are as large as the rest, and for those who work on the frontend, who have its source.
                if _is_hidden(path) or path.suffix == ".map":
                    continue
                with open_member() as file:
                    body = file.read(left + 1)
                left -= len(body)
                contents[f"/{path}"] = body
                if left < 0 or len(contents) > BUILD_FILES:
                    raise BuildError(
                        f"{source} is larger than {limit_bytes >> 20} MiB or {BUILD_FILES} files, too much to "
                        "keep in memory. Let the web server in front serve it."
                    )
    except UNREADABLE as error:
        raise BuildError(f"{source} cannot be read: {error}") from None
    return contents


UNREADABLE = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
    NotImplementedError,
)
"""What damaged archives raise; the last two: locked with a password, or packed in an unknown way."""
Member = tuple[str, Callable[[], IO[bytes]]]


def _members_of(source: Path) -> Generator[Member, None, None]:
    if source.is_dir():
        return _folder_members(source.resolve())
    if not source.is_file():
        raise BuildError(f"{source} does not exist. Name the folder, or a .zip or .tar.gz, of a build.")
    if source.name.lower().endswith(".zip"):
        return _zip_members(source)
    if source.name.lower().endswith((".tar.gz", ".tgz", ".tar")):
        return _tar_members(source)
    raise BuildError(f"{source} is neither a folder nor a .zip or .tar.gz.")


def _folder_members(root: Path) -> Generator[Member, None, None]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.resolve().is_relative_to(root):
            yield path.relative_to(root).as_posix(), partial(_open, path)


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


def _zip_members(source: Path) -> Generator[Member, None, None]:
    with zipfile.ZipFile(source) as archive:
        for member in archive.infolist():
            if not member.is_dir() and not stat.S_ISLNK(member.external_attr >> 16):
                yield member.filename, partial(archive.open, member)


def _tar_members(source: Path) -> Generator[Member, None, None]:
    with tarfile.open(source) as archive:
        for member in archive:
            if member.isreg():
                yield member.name.removeprefix("./"), partial(_extract, archive, member)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    if file is None:
        raise tarfile.ReadError(f"{member.name} has no contents")
    return file


def _is_hidden(path: PurePosixPath) -> bool:
    """Return whether a file of this name is not served: it leaves the folder, or a part of it begins with a point."""
    dots = any(part.startswith(".") and part != ".well-known" for part in path.parts)
    return dots or path.is_absolute() or "\\" in str(path) or not path.parts


def _without_top_folder(contents: dict[str, bytes]) -> dict[str, bytes]:
    """Return the contents below the one folder that an archive of `build/` begins with."""
    tops = {path.split("/", 2)[1] for path in contents}
    if INDEX in contents or len(tops) != 1:
        return contents
    top = f"/{tops.pop()}"
    return {path.removeprefix(top): body for path, body in contents.items() if path != top}


# --- checking


class _References(HTMLParser):
    """The scripts and style sheets that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the address of a script or style sheet."""
        attributes = dict(attrs)
        is_style = tag == "link" and attributes.get("rel") == "stylesheet"
        address = attributes.get("src") if tag == "script" else attributes.get("href") if is_style else None
        if address and not re.match(r"(?:[a-z]+:)?//|data:", address):
            self.found.append(address.partition("?")[0])


def _require_complete(contents: Mapping[str, bytes], source: Path) -> None:
    references = _References()
    references.feed(contents[INDEX].decode("utf-8", errors="replace"))
    if not any(address.endswith((".js", ".mjs")) for address in references.found):
        raise BuildError(f"index.html of {source} loads no script: this is the source, not a build.")
    for address in references.found:
        if not address.startswith("/"):
            raise BuildError(
                f"index.html of {source} loads {address} by a relative address, which is another file on every "
                "page below /auth/. Build it for the root of a host."
            )
    named = {*references.found, *_manifest_files(contents, source)}
    missing = sorted(path for path in named if path not in contents and not path.endswith(".map"))
    if missing:
        raise BuildError(f"{source} is incomplete: {missing[0]} is missing (and {len(missing) - 1} more).")


def _manifest_files(contents: Mapping[str, bytes], source: Path) -> set[str]:
    """Return the files listed in Create React App's manifest."""
    try:
        manifest = json.loads(contents.get("/asset-manifest.json", b'{"files": {}}'))
        return {path for path in manifest["files"].values() if path.startswith("/")}
    except (ValueError, KeyError, AttributeError, TypeError):
        raise BuildError(f"asset-manifest.json of {source} cannot be read.") from None
