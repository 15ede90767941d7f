"""What programs make of the OpenAPI document: its linters find nothing, and clients made of it publish a dataset."""

import hashlib
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.core.openapi import ApiDocument
from app.core.settings import Settings
from app.main import create_app
from tests.node_clients import ARTIFACTS, IN_CI, TESTS
from tests.service import Service

SOURCES = TESTS / "openapi_clients"
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}


def run(*command: object, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **QUIET, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def succeed(*command: object, cwd: Path, **environment: str) -> str:
    done = run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """The document of a site, as a file."""
    settings = Settings(_env_file=None, data_dir=tmp_path, public_url="https://new.example.org")
    served = ApiDocument(create_app(settings), site_url=settings.site_url)
    target = tmp_path / "openapi.json"
    target.write_bytes(served.text(is_site=True))
    return target


@pytest.fixture(scope="session")
def generator() -> Path:
    """The command of openapi-python-client, in an environment of its own: it wants other versions than we do."""
    wanted = SOURCES / "requirements.txt"
    lock = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = ARTIFACTS / f"openapi-python-client-{lock}"
    python = folder / "bin" / "python"
    if not (folder / "whole").exists():
        # Environments cannot be moved: one that another process makes meanwhile is waited for by nobody.
        folder = folder if not folder.exists() else folder.with_name(f"{folder.name}-{secrets.token_hex(2)}")
        python = folder / "bin" / "python"
        pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"]
        made = [
            run(sys.executable, "-m", "venv", folder, cwd=SOURCES),
            run(python, *pip, wanted, cwd=SOURCES),
        ]
        if any(done.returncode for done in made):
            (pytest.fail if IN_CI else pytest.skip)(
                f"openapi-python-client cannot be installed: {made[-1].stderr}"
            )
        (folder / "whole").touch()
    return python.with_name("openapi-python-client")


@pytest.mark.long
def test_document_when_redocly_reads_it_then_it_finds_nothing(openapi_js: Path, document: Path) -> None:
    done = run("npx", "--no-install", "redocly", "lint", document, "--format=json", cwd=openapi_js)

    assert json.loads(done.stdout)["problems"] == []
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_document_when_spectral_reads_it_then_it_finds_nothing(openapi_js: Path, document: Path) -> None:
    done = run(
        "npx", "--no-install", "spectral", "lint", document, "--ruleset=spectral.yaml", "--fail-severity=hint",
        cwd=openapi_js,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout


def fetch(service: Service, target: Path) -> Path:
    service.start()
    target.write_bytes(httpx.get(f"{service.url}/openapi.json").content)
    return target


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_python_client_when_generated_then_it_type_checks_and_publishes(
    service: Service, generator: Path, tmp_path: Path
) -> None:
    described = fetch(service, tmp_path / "openapi.json")
    config = SOURCES / "openapi_python_client.yaml"
    client, walk = tmp_path / "openml_client", SOURCES / "walk.py"

    told = run(
        generator, "generate", f"--path={described}", f"--output-path={client}", "--meta=none",
        f"--config={config}", cwd=tmp_path,
    )  # fmt: skip

    assert told.returncode == 0, told.stderr
    assert "will not be generated" not in told.stdout + told.stderr
    modules = list(client.rglob("*.py"))
    assert len(modules) < 200, len(modules)
    problems = {module.stem for module in modules if "problem" in module.stem}
    assert problems == {"problem", "problem_check", "problem_correct", "problem_field"}
    mypy = ["-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path / 'mypy'}", walk]
    succeed(sys.executable, *mypy, cwd=tmp_path, MYPYPATH=str(tmp_path))
    assert "cast(" not in walk.read_text()
    dataset_id = succeed(
        sys.executable, walk, service.url, service.folder / "mail", cwd=tmp_path, PYTHONPATH=str(tmp_path)
    )
    assert int(dataset_id) == service.uploads()[0]["dataset_id"]


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_typescript_client_when_typed_by_the_document_then_it_compiles_and_publishes(
    service: Service, openapi_js: Path, tmp_path: Path
) -> None:
    described = fetch(service, tmp_path / "openapi.json")

    succeed("node", "types.mjs", described, "openml.d.ts", cwd=openapi_js)
    succeed("npx", "--no-install", "tsc", cwd=openapi_js)
    dataset_id = succeed("node", "made/walk.js", service.url, service.folder / "mail", cwd=openapi_js)

    assert int(dataset_id) == service.uploads()[0]["dataset_id"]
    walk = (openapi_js / "walk.ts").read_text()
    assert " as " not in walk
    assert "any" not in walk.split()
