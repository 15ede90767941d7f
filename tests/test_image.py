"""The image, built twice by buildah, as docs/deploy.md says, on a base of Debian's packages: no registry is asked."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import __version__
from tests import release
from tests.conftest import NO_CERTIFICATES, find_free_port, wait_until_up
from tests.web.pages.conftest import BUILD

DEBIAN, PYTHON = "bookworm", "3.11.2"
"""What the base is made of, and its Python."""
WHEELS_ALONE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
"""The base's environment: what its pip installs lies in a folder."""
EPOCH = subprocess.run(
    ["git", "log", "-1", "--format=%ct"], cwd=release.ROOT, capture_output=True, text=True, check=False
).stdout.strip()


class Buildah:
    """The program with a store of its own; processes in containers share this machine's network."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.wheels = folder / "wheels"

    def command(self, *arguments: str) -> list[str]:
        places = [f"--root={self._folder}/store", f"--runroot={self._folder}/run", "--storage-driver=overlay"]
        return ["buildah", *places, *arguments]

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.fail(f"{arguments}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return done.stdout.strip()

    def make_base(self) -> None:
        """Make an image that has Python, and finds packages in a folder alone."""
        root = self._folder / "base"
        subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=python3,python3-venv", DEBIAN, str(root)],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        (root / "usr/bin/python").symlink_to("python3")
        container = self("from", "scratch")
        self("add", "--quiet", container, str(root), "/")
        self("config", *(f"--env={name}={value}" for name, value in WHEELS_ALONE.items()), container)
        self("commit", "--quiet", container, "localhost/base")
        self("rm", container)
        shutil.rmtree(root)

    def fetch_wheels(self) -> None:
        """Fetch what the image has, by the locked hashes."""
        listed = self._folder / "requirements.txt"
        listed.write_text(release.requirements(PYTHON))
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes",
             "--only-binary=:all:", "--python-version=3.11", f"--dest={self.wheels}",
             f"--requirement={listed}"],
            check=True,
        )  # fmt: skip

    def build(self, tree: Path) -> tuple[list[str], Any]:
        """Build the image of a tree; return the digests of its layers, and how it is started."""
        self(
            "build", "--format=docker", "--isolation=chroot", "--pull-never", "--no-cache", "--layers=false",
            f"--timestamp={EPOCH}", f"--build-arg=SOURCE_DATE_EPOCH={EPOCH}", "--build-arg=BASE=localhost/base",
            f"--volume={self.wheels}:/wheels:ro", "--tag=localhost/openml-web", str(tree),
        )  # fmt: skip
        found = json.loads(self("inspect", "--type=image", "localhost/openml-web"))["OCIv1"]
        return found["rootfs"]["diff_ids"], found["config"]


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("buildah", "debootstrap"))) or not EPOCH:
        pytest.skip("root, buildah, debootstrap and the history are needed: no image was built")
    folder = tmp_path_factory.mktemp("image")
    program = Buildah(folder)
    program.make_base()
    program.fetch_wheels()
    yield program
    program("rmi", "--all", "--force")


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_image_when_built_twice_then_the_same_layers_and_it_serves_a_mounted_build(
    buildah: Buildah, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    packed = subprocess.run(["git", "archive", "HEAD"], cwd=release.ROOT, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(tree, filter="data")

    assert buildah.build(tree) == buildah.build(tree)

    container = buildah("from", "--pull-never", "localhost/openml-web")
    port = find_free_port()
    settings = {"ENVIRONMENT": "development", "HOST": "127.0.0.1", "PORT": str(port), "SPA_DIR": "/srv/build"}
    options = ["--isolation=chroot", f"--volume={BUILD}:/srv/build:ro"]
    options += [f"--env={name}={value}" for name, value in settings.items()]
    assert buildah("run", *options, container, "openml-web", "--version").endswith(__version__)
    assert "up to date" in buildah("run", *options, container, "openml-web", "migrate")
    serve = buildah.command("run", *options, container, "openml-web", "serve", "--workers", "2")
    with subprocess.Popen(serve, start_new_session=True) as process:
        try:
            url = f"http://127.0.0.1:{port}/"
            wait_until_up(url, process)
            assert httpx.get(url, verify=NO_CERTIFICATES).content == (BUILD / "index.html").read_bytes()
            assert "answers." in buildah("run", *options, container, "openml-web", "health", "--live")
        finally:
            os.killpg(process.pid, signal.SIGTERM)
