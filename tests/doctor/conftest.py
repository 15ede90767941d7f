"""An installation that is well, and what the doctor says of it once something is not."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.core.settings import Settings
from app.doctor.diagnosis import Diagnosis, Level, Wishes
from app.doctor.examination import examine_installation

Diagnose = Callable[..., Awaitable[list[Diagnosis]]]


@pytest.fixture
def database_uri(tmp_path: Path, migrated_sqlite: Path) -> str:
    """A migrated, empty SQLite; those who need MariaDB have their own."""
    path = tmp_path / "openml.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    path.chmod(0o600)
    return f"sqlite:///{path}"


@pytest.fixture
def settings(tmp_path: Path, database_uri: str, sandbox_url: str, free_port: int) -> Settings:
    folder = tmp_path / "var"
    folder.mkdir()
    return Settings(
        _env_file=None,
        data_dir=folder,
        database_uri=database_uri,
        openml_server=sandbox_url,
        port=free_port,
        email_sender="openml@example.org",
    )


@pytest.fixture
def diagnose(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Diagnose:
    """Look at the installation by some checks, with other settings (in lower case), or wishes."""
    monkeypatch.chdir(tmp_path)

    async def look(*names: str, wishes: Mapping[str, Any] | None = None, **changes: Any) -> list[Diagnosis]:
        # Read anew, as each setting is: a text becomes a secret, or a list.
        given = {name: getattr(settings, name) for name in settings.model_fields_set} | changes
        return await examine_installation(
            Settings(_env_file=None, **given), Wishes(**(wishes or {})), frozenset(names)
        )

    return look


def told(found: Sequence[Diagnosis], level: Level) -> str:
    """Return all that was found of one level."""
    return "\n".join(f"{each.check}: {each.text}" for each in found if each.level is level)
