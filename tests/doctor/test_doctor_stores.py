"""A store that takes what it is given, and does not do with it what it should."""

from typing import Any

import pytest

from app.doctor.diagnosis import Level
from app.storage.local import LocalStorage
from app.storage.pictures import LocalPictures
from tests.doctor.conftest import Diagnose, told


@pytest.mark.parametrize(
    ("store", "operation", "answer", "said"),
    [
        (LocalStorage, "fetch", None, "uploads does not return what was written"),
        (LocalStorage, "upload_ids", [], "uploads does not list what was written"),
        (LocalStorage, "delete", None, "uploads does not delete what is to be deleted"),
        (LocalPictures, "read", None, "pictures does not return what was written"),
        (LocalPictures, "older_than", [], "pictures does not list what was written"),
        (LocalPictures, "delete", None, "pictures does not delete what is to be deleted"),
    ],
)
async def test_store_when_one_operation_does_nothing_then_a_fault_names_it(
    diagnose: Diagnose,
    monkeypatch: pytest.MonkeyPatch,
    *,
    store: type,
    operation: str,
    answer: Any,
    said: str,
) -> None:
    async def does_nothing(*_: Any, **__: Any) -> Any:
        return answer

    monkeypatch.setattr(store, operation, does_nothing)

    assert said in told(await diagnose("storage"), Level.FAULT)
