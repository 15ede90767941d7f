"""The sandbox beside the service: a key means whose it is now, in the service's own table."""

from pathlib import Path

import httpx
import pytest

from app.commands.sandbox import ACCOUNTS
from app.commands.sandbox_accounts import account_finder
from app.core.settings import Settings
from tests.conftest import (
    NO_CERTIFICATES,
    PATIENCE_SECONDS,
    MakePerson,
    Person,
    Running,
    empty_database,
    run_sandbox,
)
from tests.upstream import OML, Upstream


@pytest.fixture(params=["sqlite", "mariadb"])
def database_uri(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> str:
    """A migrated, empty database of each kind, whatever the other tests of this folder need."""
    return empty_database(request, tmp_path, migrated_sqlite)


async def test_key_when_renewed_then_datasets_stay_their_owners(
    app: Running, make_person: MakePerson, person: Person, tmp_path: Path
) -> None:
    another = await make_person()
    uri = app.resources.settings.database_uri.get_secret_value()
    settings = {"DATA_DIR": str(tmp_path / "sandbox"), "DATABASE_URI": uri}
    with run_sandbox(tmp_path, f"--accounts={ACCOUNTS}", **settings) as url:
        async with httpx.AsyncClient(
            base_url=url, timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES
        ) as client:
            dataset_id = await Upstream(client).publish(person.api_key)
            renewed = (await app.client.post("/api-key", headers=person.headers)).json()["apikey"]
            # What only the owner may change.
            answers = [await _edit(client, dataset_id, key) for key in (another.api_key, renewed)]

    assert renewed != person.api_key
    assert [answer.get("error", {}).get("code") for answer in answers] == ["1065", None]


async def _edit(client: httpx.AsyncClient, dataset_id: int, api_key: str) -> dict[str, dict[str, str]]:
    target = "<oml:default_target_attribute>station</oml:default_target_attribute>"
    form = {
        "api_key": api_key,
        "data_id": str(dataset_id),
        "edit_parameters": f"<oml:data_edit_parameters {OML}>{target}</oml:data_edit_parameters>",
    }
    answer: dict[str, dict[str, str]] = (await client.post("api/v1/json/data/edit", data=form)).json()
    return answer


async def test_key_when_looked_up_then_as_the_database_compares_it(app: Running, person: Person) -> None:
    find = account_finder(app.resources.settings)
    keys = (person.api_key, person.api_key.upper(), "f" * 32)

    assert [await find(key) for key in keys] == [person.id, person.id, None]


async def test_key_when_there_is_no_database_then_nobodys_and_none_is_made(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path / "var")

    assert await account_finder(settings)("0" * 32) is None
    assert not (tmp_path / "var" / "openml.db").exists()
