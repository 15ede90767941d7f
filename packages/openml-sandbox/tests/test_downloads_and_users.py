"""What a file is served as, and who a key belongs to."""

import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from openml_sandbox.reference import EVALUATION_MEASURES, MATH_FUNCTIONS
from sandbox_server import ARFF, WRITER, Serve, Server, describe


@pytest.mark.parametrize(
    ("sent", "served"),
    [
        ("text/plain", "text/plain;charset=UTF-8"),
        ("text/x-arff", "text/x-arff;charset=UTF-8"),
        ("text/plain; charset=latin-1", "text/plain; charset=latin-1"),
        ("application/x-arff", "application/x-arff"),
        ("application/" + "x" * 30, "application/" + "x" * 20),
        ("", "application/octet-stream"),
        ("text/\u00e9", "application/octet-stream"),
    ],
)
def test_download_when_a_part_said_what_it_is_then_repeated(server: Server, sent: str, served: str) -> None:
    kind = f"Content-Type: {sent}\r\n" if sent else ""
    body = (
        f'--XyZ\r\nContent-Disposition: form-data; name="description"\r\n\r\n{describe().decode()}\r\n'
        f'--XyZ\r\nContent-Disposition: form-data; name="dataset"; filename="t"\r\n'
        f"{kind}\r\n{ARFF.decode()}\r\n--XyZ--\r\n"
    )
    with server.client() as client:
        made = client.post(
            f"/api/v1/json/data?api_key={WRITER}",
            content=body.encode("latin-1"),
            headers={"Content-Type": "multipart/form-data; boundary=XyZ"},
        )
        dataset_id = made.json()["upload_data_set"]["id"]
        found = client.get(server.get(f"data/{dataset_id}").json()["data_set_description"]["url"])

    assert (found.headers["content-type"], found.content) == (served, ARFF)
    assert found.headers["set-cookie"].startswith("ci_session=")


def test_creators_when_one_ends_in_a_backslash_then_it_swallows_its_neighbour(server: Server) -> None:
    dataset_id = server.publish(describe(creator=["c\\", "d"]))

    assert server.get(f"data/{dataset_id}").json()["data_set_description"]["creator"] == 'c\\",d"'


def test_measures_when_listed_then_as_many_as_the_real_server_has(server: Server) -> None:
    listed = server.get("evaluationmeasure/list").json()["evaluation_measures"]["measures"]["measure"]

    assert (len(listed), len({*listed})) == (71, 71)
    assert {*listed} == {*EVALUATION_MEASURES} < {*MATH_FUNCTIONS}


def test_key_when_renewed_then_its_user_keeps_what_is_theirs(serve: Serve, tmp_path: Path) -> None:
    accounts: dict[str, int] = {}

    async def account_of(key: str) -> int | None:
        return accounts.get(key)

    first, second = "5" * 32, "6" * 32
    with serve(tmp_path, keys=None, account_of=account_of) as server:
        before = server.publish(key=first)  # By a version that did not know of accounts.
        accounts[first] = 7
        known = server.publish(key=first)
        accounts[second] = accounts.pop(first)
        after = server.publish(key=second)
        with server.client() as client:
            deleted = client.delete(f"/api/v1/data/{before}", params={"api_key": second})
        listed = {
            int(httpx.get(f"{server.url}/api/v1/json/data/list/data_id/{number}/status/all").status_code)
            for number in (known, after)
        }
        with closing(sqlite3.connect(tmp_path / "sandbox.sqlite3")) as database:
            owners = database.execute("SELECT uploader FROM datasets").fetchall()

    assert (deleted.status_code, listed, len({*owners})) == (200, {200}, 1)


def test_store_when_it_is_of_an_older_version_then_brought_up_to_date(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        dataset_id = server.publish(describe(default_target_attribute="class"))
        server.wait_until_processed(dataset_id)
    with closing(sqlite3.connect(tmp_path / "sandbox.sqlite3")) as connection, connection:
        connection.executescript(
            "ALTER TABLE files DROP COLUMN media_type;"
            "CREATE TABLE other (dataset INTEGER NOT NULL, name TEXT NOT NULL, value REAL NOT NULL,"
            " PRIMARY KEY (dataset, name));"
            "INSERT INTO other SELECT * FROM qualities WHERE value IS NOT NULL;"
            "DROP TABLE qualities; ALTER TABLE other RENAME TO qualities;"
        )
    with serve(tmp_path) as server:
        url = server.get(f"data/{dataset_id}").json()["data_set_description"]["url"]
        served = httpx.get(f"{server.url}/{url.split('/', 3)[3]}")
        qualities = server.get(f"data/qualities/{dataset_id}").json()["data_qualities"]["quality"]
        newer = server.publish(describe(default_target_attribute="y"))

        assert (served.status_code, len(qualities)) == (200, 19)
        assert server.wait_until_processed(newer)["status"] == "active"
