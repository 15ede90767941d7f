"""What is answered is what is read: the memory of a real process while uploads as large as they may be are shown."""

import json
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from app.core.clock import utc_now
from app.db.upload_tables import uploads
from app.db.upload_values import as_kept
from app.uploads.metadata import METADATA_BYTES
from tests.conftest import NO_CERTIFICATES, PATIENCE_SECONDS
from tests.service import Service, wait_for

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)

MEBIBYTE = 1 << 20
ROWS = 100
MANY_LABELS = 100_000


class Memory:
    """The resident memory of the process that answers."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")

    def more_for(self, ask: Callable[[], object]) -> int:
        """Return how many bytes more it had at its highest while it answered than before."""
        ask()  # What the first of a kind makes stays: code, connections, caches.
        (self._proc / "clear_refs").write_text("5")
        before = self._kibibytes("VmRSS")
        ask()
        return (self._kibibytes("VmHWM") - before) * 1024

    def _kibibytes(self, name: str) -> int:
        return int((self._proc / "status").read_text().partition(f"{name}:")[2].split()[0])


@pytest.fixture
def served(service: Service) -> tuple[Service, dict[str, str]]:
    service.start()
    return service, service.sign_up_and_log_in()


def large_row(user_id: int, number: int) -> dict[str, Any]:
    """An upload of which as much is said as may be."""
    moment = utc_now() - timedelta(minutes=number)
    types = {f"{index}-{'x' * 980}": "real" for index in range(METADATA_BYTES // 1010)}
    repair = {"column": "x" * 64, "change": "y" * 400, "reason": "z" * 100}
    return {
        "id": secrets.token_hex(16),
        "user_id": user_id,
        "state": "ready",
        "file_name": f"{number}.csv",
        "format": "csv",
        "received_sha256": f"{number:064x}",
        "available_at": moment,
        "created_at": moment,
        "expires_at": utc_now() + timedelta(days=1),
        **as_kept(
            {
                "description": {"dataset_name": f"large-{number}", "attributes": types},
                "warnings": ["w" * 200] * 50_000,
                "repairs": [repair] * 50_000,
                "error": {"slug": "openml-refused", "detail": "d" * MEBIBYTE, "members": {}},
            }
        ),
    }


def insert(service: Service, rows: list[dict[str, Any]]) -> None:
    engine = sa.create_engine(make_url(service.environment["DATABASE_URI"]), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.insert(uploads), rows)


@pytest.mark.long
def test_uploads_when_as_much_is_said_of_them_as_may_be_then_shown_in_little_memory(
    served: tuple[Service, dict[str, str]],
) -> None:
    service, headers = served
    memory = Memory(service.started[0].pid)
    user_id = service.ask("GET", "/export", headers=headers).json()["account"]["id"]
    rows = [large_row(user_id, number) for number in range(ROWS)]
    insert(service, rows)

    def listed() -> None:
        answer = service.ask("GET", "/uploads?limit=100", headers=headers)
        found = answer.json()["uploads"]
        assert [upload["dataset_name"] for upload in found] == [f"large-{number}" for number in range(ROWS)]
        assert "more warnings" in found[0]["warnings"][-1]
        assert "more changes" in found[0]["repairs"][-1]["change"]
        assert len(answer.content) < 10 * MEBIBYTE

    def followed() -> None:
        with httpx.Client(timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES) as client:
            path = f"{service.url}/uploads/{rows[0]['id']}/events"
            with client.stream("GET", path, headers=headers) as answer:
                events = answer.iter_lines()
                assert any(line.startswith("data:") and "large-0" in line for line in events)

    def exported() -> None:
        with (
            httpx.Client(timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES) as client,
            client.stream("GET", f"{service.url}/export", headers=headers) as answer,
        ):
            text = b"".join(answer.iter_bytes())
        assert len(json.loads(text)["uploads"]) == ROWS
        assert len(text) > ROWS * MEBIBYTE

    assert memory.more_for(listed) < 48 * MEBIBYTE
    assert memory.more_for(followed) < 8 * MEBIBYTE
    assert memory.more_for(exported) < 24 * MEBIBYTE


@pytest.mark.long
def test_preview_when_columns_have_as_many_labels_as_they_may_then_shown_in_little_memory(
    served: tuple[Service, dict[str, str]],
) -> None:
    service, headers = served
    memory = Memory(service.started[0].pid)
    columns = 6
    labels = ",".join(f"'{number:06d} {'x' * 60}'" for number in range(MANY_LABELS))
    lines = [f"@ATTRIBUTE c{column} {{{labels}}}\n" for column in range(columns)]
    row = ",".join([f"'{7:06d} {'x' * 60}'"] * columns)
    table = f"@RELATION r\n{''.join(lines)}@DATA\n{row}\n".encode()
    form = {"dataset": ("labels.arff", table), "metadata": (None, json.dumps(METADATA))}
    upload_id = service.ask("POST", "/data-edit-upload", files=form, headers=headers).json()["msg"]
    path = f"/uploads/{upload_id}"
    wait_for(
        lambda: service.ask("GET", path, headers=headers).json()["state"] not in {"receiving", "verifying"}
    )
    assert service.ask("GET", path, headers=headers).json()["state"] == "ready"

    def looked() -> None:
        found = service.ask("GET", f"{path}/preview", headers=headers).json()
        assert [column["label_count"] for column in found["columns"]] == [MANY_LABELS] * columns
        assert len(found["columns"][0]["labels"]) == 100

    assert memory.more_for(looked) < 16 * MEBIBYTE


METADATA = {"dataset_name": "many-labels", "description": "Labels.", "def_tar_att": "c0"}
