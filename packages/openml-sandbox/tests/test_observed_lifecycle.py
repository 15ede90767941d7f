"""What the real server answered over the life of datasets; the calls follow each other, as they did there."""

import hashlib

import pytest

from sandbox_replay import load_rows, replay
from sandbox_server import ADMIN, ARFF, OTHER, WRITER, Server, code_of, describe

ROWS = load_rows("observed_calls.json")


def test_calls_when_made_in_the_order_of_the_record_then_all_answers_agree(slow_server: Server) -> None:
    ids = {
        "A": slow_server.publish(describe(default_target_attribute="nosuch")),
        "B": slow_server.publish(describe(default_target_attribute="class")),
    }
    with slow_server.client() as client:
        differences = [difference for row in ROWS for difference in replay(client, row, ids)]

    assert differences == []


@pytest.mark.parametrize(("key", "status"), [(None, 412), (OTHER, 412), (WRITER, 200), (ADMIN, 200)])
def test_private_dataset_when_read_then_only_owner_and_admin_see_it(
    slow_server: Server, key: str | None, status: int
) -> None:
    dataset_id = slow_server.publish(describe(visibility="private"))
    query = f"?api_key={key}" if key else ""

    answers = [slow_server.get(f"data/{path}{dataset_id}{query}") for path in ("", "features/", "qualities/")]

    # Rows 107-110; nobody gets further than "not processed yet" with the other two.
    assert (answers[0].status_code, code_of(answers[0])) == (status, None if status == 200 else 112)
    assert [code_of(answer) for answer in answers[1:]] == ([273, 363] if status == 200 else [275, 361])


def test_listing_when_a_dataset_is_private_then_only_its_owner_finds_it(slow_server: Server) -> None:
    slow_server.publish(describe(name="hidden", visibility="private"))

    path = "data/list/data_name/hidden/status/all"
    assert code_of(slow_server.get(path)) == 372
    assert slow_server.get(f"{path}?api_key={WRITER}").status_code == 200


def test_parts_when_repeated_then_the_last_ones_are_stored(slow_server: Server) -> None:
    with slow_server.client() as client:
        answer = client.post(
            "/api/v1/json/data",
            data={"api_key": WRITER},
            files=[
                ("description", ("d.xml", describe())),
                ("dataset", ("x.arff", b"no arff at all")),
                ("dataset", ("tiny.arff", ARFF)),
                ("description", ("d.xml", describe(name="second", id="9", version="7", status="active"))),
            ],
        )
    dataset = slow_server.get(f"data/{answer.json()['upload_data_set']['id']}").json()["data_set_description"]

    # Rows 103, 104 and 106.
    assert dataset["name"] == "second"
    assert dataset["version"] == "1"
    assert dataset["status"] == "in_preparation"
    assert dataset["md5_checksum"] == hashlib.md5(ARFF, usedforsecurity=False).hexdigest()


def test_description_when_read_in_both_formats_then_elements_come_in_the_servers_order(
    slow_server: Server,
) -> None:
    xml = describe(
        tag=["b", "a"], creator=["A B", "C, D"], contributor="E", ignore_attribute=["x", "y"], licence="CC0"
    )
    dataset_id = slow_server.publish(xml)

    # Rows 062 and 063.
    dataset = slow_server.get(f"data/{dataset_id}").json()["data_set_description"]
    assert list(dataset) == [
        *("id", "name", "version", "description", "description_version", "format", "creator", "contributor"),
        *("upload_date", "licence", "url", "parquet_url", "file_id", "ignore_attribute", "tag", "visibility"),
        *("status", "md5_checksum"),
    ]
    assert dataset["creator"] == ["A B", "C, D"]
    assert dataset["contributor"] == "E"
    assert dataset["tag"] == ["a", "b"]
    assert dataset["file_id"] != dataset["id"]
    with slow_server.client() as client:
        text = client.get(f"/api/v1/data/{dataset_id}").text
    assert text.startswith(
        f'<oml:data_set_description xmlns:oml="http://openml.org/openml">\n  <oml:id>{dataset_id}</oml:id>'
    )
    assert "<oml:creator>A B</oml:creator>\n  <oml:creator>C, D</oml:creator>" in text


def test_parquet_address_when_the_format_is_sparse_then_it_is_left_out_for_one_spelling_only(
    slow_server: Server,
) -> None:
    exact = slow_server.publish(describe(format="Sparse_ARFF"))
    lower = slow_server.publish(describe(format="sparse_arff"))

    assert "parquet_url" not in slow_server.get(f"data/{exact}").json()["data_set_description"]
    assert "parquet_url" in slow_server.get(f"data/{lower}").json()["data_set_description"]


def test_ignored_attributes_when_they_are_longer_than_the_column_then_they_are_cut(
    slow_server: Server,
) -> None:
    dataset_id = slow_server.publish(describe(ignore_attribute=["a" * 100, "b" * 100]))

    ignored = slow_server.get(f"data/{dataset_id}").json()["data_set_description"]["ignore_attribute"]
    assert ignored == ["a" * 100, "b" * 24]


def test_edit_when_the_description_holds_a_lone_ampersand_then_its_history_breaks(
    slow_server: Server,
) -> None:
    dataset_id = slow_server.publish(describe(description="this &amp; that"))

    assert slow_server.get(f"data/description/list/{dataset_id}").status_code == 500
    with slow_server.client() as client:
        assert "this & that" in client.get(f"/api/v1/xml/data/description/list/{dataset_id}").text


def test_fork_when_another_user_asks_then_a_new_version_with_the_same_file_is_theirs(
    slow_server: Server,
) -> None:
    dataset_id = slow_server.publish(describe(name="forked", tag="t"))
    with slow_server.client() as client:
        answer = client.post("/api/v1/json/data/fork", data={"api_key": OTHER, "data_id": str(dataset_id)})
    fork = slow_server.get(f"data/{answer.json()['data_fork']['id']}").json()["data_set_description"]
    source = slow_server.get(f"data/{dataset_id}").json()["data_set_description"]

    assert fork["version"] == "2"
    assert fork["file_id"] == source["file_id"]
    assert "tag" not in fork


@pytest.mark.parametrize(
    ("method", "path", "form", "code"),
    [
        ("GET", "data/0", {}, 110),
        ("GET", "data/qualities/0", {}, 360),
        ("GET", "data/description/list/99999", {}, 1090),
        ("POST", "data/fork", {}, 1070),
        ("POST", "data/fork", {"data_id": "99999"}, 1071),
        ("POST", "data/reset/99999", {}, 1021),
        ("POST", "data/features", {"api_key": ADMIN}, 101),
    ],
)
def test_call_when_it_names_nothing_then_the_code_says_so(
    slow_server: Server, method: str, path: str, form: dict[str, str], code: int
) -> None:
    with slow_server.client() as client:
        data = {"api_key": WRITER} | form if method == "POST" else None
        assert code_of(client.request(method, f"/api/v1/{path}", data=data)) == code


def test_reset_when_another_user_asks_then_it_is_refused(slow_server: Server) -> None:
    dataset_id = slow_server.publish()
    with slow_server.client() as client:
        answer = client.post(f"/api/v1/data/reset/{dataset_id}", data={"api_key": OTHER})

    assert code_of(answer) == 1022


def test_download_when_the_dataset_was_deleted_then_the_file_stays(slow_server: Server) -> None:
    dataset_id = slow_server.publish()
    file_id = slow_server.get(f"data/{dataset_id}").json()["data_set_description"]["file_id"]
    with slow_server.client() as client:
        client.delete(f"/api/v1/data/{dataset_id}?api_key={WRITER}")
        # Row 121.
        assert client.get(f"/data/v1/download/{file_id}/tiny.arff").content == ARFF
        assert client.get("/data/v1/download/1/tiny.arff").status_code == 404


@pytest.mark.parametrize(
    "path", ["xml/data/list/data_name/a b", "xml/data/'", "xml/data/list/data_name/caf%C3%A9", "data/;"]
)
def test_path_when_it_has_other_characters_then_html_says_so(slow_server: Server, path: str) -> None:
    with slow_server.client() as client:
        answer = client.get(f"/api/v1/{path}")

    assert answer.status_code == 400
    assert "disallowed characters" in answer.text


def test_listing_when_filtered_then_only_what_fits_is_found(server: Server) -> None:
    dataset_id = server.publish(describe(name="filtered", default_target_attribute="class", tag="findme"))
    server.wait_until_processed(dataset_id)

    found = [
        "tag/findme",
        "number_instances/3",
        "number_features/2..3",
        "number_classes/2",
        f"data_id/{dataset_id},99",
    ]
    for path in (*found, "data_name/filtered/data_version/1", "number_missing_values/1/limit/5/offset/0"):
        assert server.get(f"data/list/{path}").json()["data"]["dataset"][0]["did"] == dataset_id
    for path in (
        "number_instances/4..9",
        "number_features/1",
        "status/deactivated",
        "tag/other",
        "limit/1/offset/9",
    ):
        assert code_of(server.get(f"data/list/{path}")) == 372
    assert code_of(server.get("data/list/offset/1")) == 373
    assert code_of(server.get("data/list/data_id/x")) == 371
    large = "9" * 5000
    for path in (f"data_id/{large}", f"limit/5/offset/{large}", f"uploader/{large}", f"data_version/{large}"):
        assert code_of(server.get(f"data/list/{path}")) == 372
