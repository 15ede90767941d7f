import io
import json
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.settings import Settings
from app.web.build import FOR_EVER, MEDIA_TYPES, REVALIDATE, BuildError, escape_for_script, load_build
from tests.web.pages.conftest import BUILD

VALUES = Settings(_env_file=None).build_values
MAIN = "/static/js/main.4f8a21c7.js"
HOSTILE = "https://x/\"'`\\${alert(1)}</script>&*\u2028\n\r\t\N{SNOWMAN}\N{GRINNING FACE}/"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(BUILD, tmp_path / "build")
    return tmp_path / "build"


def zipped(folder: Path, target: Path, *, below: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, below + path.relative_to(folder).as_posix())
    return target


def tarred(folder: Path, target: Path, *, below: str = "") -> Path:
    with tarfile.open(target, "w:gz") as archive:
        archive.add(folder, below or ".")
    return target


@pytest.mark.parametrize(
    "pack",
    [
        lambda folder: folder,
        lambda folder: zipped(folder, folder.parent / "build.zip"),
        lambda folder: zipped(folder, folder.parent / "below.zip", below="build/"),
        lambda folder: tarred(folder, folder.parent / "build.tar.gz"),
        lambda folder: tarred(folder, folder.parent / "below.tgz", below="build"),
    ],
    ids=["folder", "zip", "zip of the folder", "tar.gz", "tgz of the folder"],
)
def test_build_when_packed_in_any_way_then_the_same(folder: Path, pack: Callable[[Path], Path]) -> None:
    build = load_build(pack(folder), VALUES)

    expected = {
        f"/{path.relative_to(folder).as_posix()}"
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".map"
    }
    assert set(build.files) == expected
    assert build.files["/favicon.ico"].plain.body == (folder / "favicon.ico").read_bytes()


def test_build_when_loaded_then_no_placeholder_is_left_and_nothing_else_changed() -> None:
    build = load_build(BUILD, VALUES)

    main = (BUILD / MAIN[1:]).read_text()
    filled = build.files[MAIN].plain.body.decode()
    assert '"/verifytoken"' in filled
    assert '"/es/_all/_search"' in filled
    assert not any(b"<REACT_APP_" in file.plain.body for file in build.files.values())
    assert filled == re.sub("<(REACT_APP_[A-Z_]+)>", lambda match: VALUES[match.group(1)], main)
    assert b'"6" >= 8' in build.files["/static/js/305.d17f60aa.chunk.js"].plain.body


def test_build_when_value_is_hostile_then_it_stays_inside_the_literal(folder: Path) -> None:
    script = folder / "static/js/probe.js"
    script.write_text(
        "console.log(JSON.stringify([\"<REACT_APP_URL_API>x\", '<REACT_APP_URL_API>x', `<REACT_APP_URL_API>x`]))"
    )
    build = load_build(folder, {**VALUES, "REACT_APP_URL_API": HOSTILE})

    filled = build.files["/static/js/probe.js"].plain.body
    ran = subprocess.run(["node", "-e", filled], capture_output=True, text=True, timeout=20, check=True)
    assert json.loads(ran.stdout) == [f"{HOSTILE}x"] * 3
    assert b"<" not in filled
    assert filled.isascii()


def test_escape_when_any_text_then_json_reads_it_back() -> None:
    assert json.loads(f'"{escape_for_script(HOSTILE)}"') == HOSTILE
    assert escape_for_script("https://openml.org:8080/es/?a=b") == "https://openml.org:8080/es/?a=b"


def test_page_when_it_holds_a_placeholder_then_escaped_for_html(folder: Path) -> None:
    page = folder / "index.html"
    page.write_text(page.read_text().replace("<title>OpenML", '<title data-x="<REACT_APP_URL_API>">OpenML'))
    build = load_build(folder, {**VALUES, "REACT_APP_URL_API": '"><script>alert(1)</script>/'})

    assert b'data-x="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;/"' in build.page.plain.body


def test_caching_when_name_holds_a_hash_then_for_ever_unless_filled() -> None:
    files = load_build(BUILD, VALUES).files

    assert files["/static/css/main.6e02d4f1.css"].cache_control == FOR_EVER
    assert files["/static/media/logo.77aa10ff3c2d4e5f6071.png"].cache_control == FOR_EVER
    # The hash is that of the unfilled text: another host's file has the same name and other contents.
    assert files[MAIN].cache_control == REVALIDATE
    for path in ("/index.html", "/favicon.ico", "/manifest.json", "/robots.txt", "/asset-manifest.json"):
        assert files[path].cache_control == REVALIDATE, path


def test_etags_when_values_or_encodings_differ_then_they_differ() -> None:
    here = load_build(BUILD, VALUES).files[MAIN]
    there = load_build(BUILD, {**VALUES, "REACT_APP_URL_SITE_BACKEND": "https://other.example/"}).files[MAIN]

    tags = {variant.etag for file in (here, there) for variant in (file.plain, *file.packed)}
    assert len(tags) == 6
    assert [variant.encoding for variant in here.packed] == ["br", "gzip"]


def test_media_types_when_files_are_those_of_the_build_then_each_is_known() -> None:
    files = load_build(BUILD, VALUES).files

    unknown = {path for path, file in files.items() if file.media_type == "application/octet-stream"}
    assert unknown == {"/_redirects"}
    assert MEDIA_TYPES[".js"] == "text/javascript; charset=utf-8"
    assert MEDIA_TYPES[".woff2"] == "font/woff2"


def test_source_maps_when_the_build_has_some_then_left_out() -> None:
    assert (BUILD / f"{MAIN[1:]}.map").exists()
    assert f"{MAIN}.map" not in load_build(BUILD, VALUES).files


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text(text)

    return change


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (remove("index.html"), "no index.html"),
        (remove(MAIN[1:]), f"{MAIN} is missing"),
        (remove("static/js/214.9c3e5b70.chunk.js"), "incomplete"),
        (write("asset-manifest.json", "{"), "asset-manifest.json"),
        (write("asset-manifest.json", '{"files": [1]}'), "asset-manifest.json"),
        (write("index.html", "<div id=root></div>"), "not a build"),
        (write("index.html", '<script src="./static/js/main.4f8a21c7.js"></script>'), "relative"),
        (write("static/js/new.js", '"<REACT_APP_NEW_THING>"'), "<REACT_APP_NEW_THING>"),
        (shutil.rmtree, "does not exist"),
    ],
)
def test_build_when_broken_then_the_error_says_how(
    folder: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(folder)

    with pytest.raises(BuildError, match=re.escape(words)):
        load_build(folder, VALUES)


@pytest.mark.parametrize("name", ["build.zip", "build.tar.gz", "build.rar"])
def test_archive_when_damaged_then_error(folder: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    whole = (zipped if name.endswith("zip") else tarred)(folder, path).read_bytes()
    for cut in (0, 10, len(whole) // 2):
        path.write_bytes(whole[:cut])
        with pytest.raises(BuildError):
            load_build(path, VALUES)


def test_archive_when_members_lead_elsewhere_then_left_out(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    packed = zipped(folder, tmp_path / "build.zip")
    with zipfile.ZipFile(packed, "a") as archive:
        for name in (
            "../up.txt",
            "/root.txt",
            "static/../../up.txt",
            ".env",
            "static/.git/config",
            "a\\..\\b.txt",
        ):
            archive.writestr(name, "secret")
    tar = tarred(folder, tmp_path / "build.tar.gz")
    with tarfile.open(tmp_path / "links.tar", "w") as archive:
        archive.add(folder, ".")
        for name, kind in (
            ("link.txt", tarfile.SYMTYPE),
            ("hard.txt", tarfile.LNKTYPE),
            ("pipe", tarfile.FIFOTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, str(secret)
            archive.addfile(member)
        member = tarfile.TarInfo("../../outside.txt")
        member.size = 6
        archive.addfile(member, io.BytesIO(b"secret"))
    (folder / "linked.txt").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    (folder / ".env").write_text("secret")

    expected = set(load_build(tar, VALUES).files)
    for source in (packed, tmp_path / "links.tar", folder):
        build = load_build(source, VALUES)
        assert set(build.files) == expected, source
        assert not any(b"secret" in file.plain.body for file in build.files.values())


def test_build_when_larger_than_memory_may_hold_then_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "big.txt").write_bytes(bytes(1 << 20))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "index.html", "index.html")
        archive.writestr("bomb.txt", bytes(50 << 20))

    for source in (folder, tmp_path / "bomb.zip"):
        with pytest.raises(BuildError, match="too much to keep in memory"):
            load_build(source, VALUES, limit_bytes=1 << 20)
