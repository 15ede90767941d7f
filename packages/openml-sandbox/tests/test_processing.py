"""The processing step: what becomes active, what does not, and what the owner can read about it."""

import threading
import time
from typing import Any

import httpx
import pytest

from sandbox_server import ADMIN, ARFF, WRITER, Server, describe

HEADER = "@relation t\n@attribute x numeric\n@attribute class {a,b}\n@data\n"


def features_of(server: Server, dataset_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get(f"data/features/{dataset_id}").json()["data_features"]["feature"]
    return found


def test_dataset_when_weka_accepts_it_then_it_becomes_active_with_features_and_qualities(
    server: Server,
) -> None:
    arff = (
        b"@relation t\n@attribute 'my id' integer\n@attribute d date\n@attribute s string\n"
        + ARFF.partition(b"tiny\n")[2]
    )
    arff = arff.replace(b"1,2.5,a", b"7,?,'x, y',1,2.5,a").replace(
        b"2,3.5,b", b"8,2020-01-01T00:00:00,?,2,3.5,b"
    )
    arff = arff.replace(b"3,?,a", b"9,?,?,3,?,?")
    dataset_id = server.publish(
        describe(default_target_attribute="class", row_id_attribute="x", ignore_attribute=["s", "d"]), arff
    )
    dataset = server.wait_until_processed(dataset_id)

    # Rows 125, 126, 136, 137 and 139-141.
    assert dataset["status"] == "active"
    assert "error" not in dataset
    features = features_of(server, dataset_id)
    assert features[0] == {
        "index": "0",
        "name": "my id",
        "data_type": "numeric",
        "is_target": "false",
        "is_ignore": "false",
        "is_row_identifier": "false",
        "number_of_missing_values": "0",
    }
    assert [(f["name"], f["data_type"], f["number_of_missing_values"]) for f in features] == [
        ("my id", "numeric", "0"),
        ("d", "date", "2"),
        ("s", "string", "2"),
        ("x", "numeric", "0"),
        ("y", "numeric", "1"),
        ("class", "nominal", "1"),
    ]
    assert [f["name"] for f in features if f["is_ignore"] == "true"] == ["d", "s"]
    assert [f["name"] for f in features if f["is_row_identifier"] == "true"] == ["x"]
    assert [f["name"] for f in features if f["is_target"] == "true"] == ["class"]
    assert features[-1]["nominal_value"] == ["a", "b"]
    qualities = server.get(f"data/qualities/{dataset_id}").json()["data_qualities"]["quality"]
    # Of `my id`, `y` and `class`: columns that are ignored or name rows do not count.
    assert {quality["name"]: pytest.approx(float(quality["value"])) for quality in qualities} == {
        "AutoCorrelation": 0,
        "Dimensionality": 1,
        "MajorityClassPercentage": 100 / 3,
        "MajorityClassSize": 1,
        "MinorityClassPercentage": 100 / 3,
        "MinorityClassSize": 1,
        "NumberOfBinaryFeatures": 1,
        "NumberOfClasses": 2,
        "NumberOfFeatures": 3,
        "NumberOfInstances": 3,
        "NumberOfInstancesWithMissingValues": 1,
        "NumberOfMissingValues": 2,
        "NumberOfNumericFeatures": 2,
        "NumberOfSymbolicFeatures": 1,
        "PercentageOfBinaryFeatures": 100 / 3,
        "PercentageOfInstancesWithMissingValues": 100 / 3,
        "PercentageOfMissingValues": 200 / 9,
        "PercentageOfNumericFeatures": 200 / 3,
        "PercentageOfSymbolicFeatures": 100 / 3,
    }


@pytest.mark.parametrize(
    ("arff", "target", "error"),
    [
        (HEADER + "1,a\n", None, "Class is not set!"),
        (HEADER + "1,a\n", "x,class", "Class is not set!"),
        (HEADER + "1,a\n" * 1000 + "abc,a\n", None, "Class is not set!"),
        (HEADER + "1,a\n" * 1000 + "1\n", "x,class", "Class is not set!"),
        ("@relation t\n@attribute x numeric\n@data\n" + "{0 1}\n" * 1000 + "{0 y}\n", None, "Class is not set!"),
        (HEADER.replace("{a,b}", "{1,2}") + "1,1.0\n", None, "nominal value not declared in header"),
        (HEADER + "1,a\n", "nosuch", "Default target attribute(s) could not be found: [nosuch]"),
        ("@relation t\n@attribute ' x' numeric\n@data\n1\n", "x", "could not be found: [x]"),
        ("@attribute x numeric\n@data\n1\n", "x", "keyword @relation expected"),
        ("@relation t\n@attribute x numeric\n", "x", "premature end of file"),
        (HEADER + "1,a\n" * 1000 + "abc,a\n", "class", "number expected, read Token[abc], line 1005"),
        (HEADER.replace("{a,b}", "{a,b,a}") + "1,a\n", "class", "cannot have duplicate labels (a)"),
        (HEADER.replace(" x ", " class "), "class", "Attribute names are not unique!"),
        (HEADER.replace(" x ", " t\u00e9mp ") + "1,a\n", "class", "Problem validating uploaded description file"),
        (HEADER.replace(" x ", f" {'x' * 65} ") + "1,a\n", "class", "1 to 64 characters"),
        (HEADER.replace("{a,b}", "{a,caf\u00e9}") + "1,a\n", "class", "nominal_value"),
        (HEADER.replace("{a,b}", f"{{a,{'b' * 257}}}") + "1,a\n", "class", "1 to 256 characters"),
        (HEADER.replace("{a,b}", "{a,''}") + "1,a\n", "class", "nominal_value"),
        (HEADER + "1.3408e154,a\n", "class", "Infinite or NaN"),
        (HEADER + "0,a\n-1e200,b\n", "class", "Infinite or NaN"),
        (HEADER + "1e154,a\n1e154,b\n", "class", "Infinite or NaN"),
        (HEADER + "0,a\n" * 1000 + "Infinity,a\n", "class", "Infinite or NaN"),
        (HEADER + "0,a\n" * 1000 + "0x1p1000,a\n", "class", "Infinite or NaN"),
        ("@relation t\n@attribute x numeric\n@attribute c {a,b}\n@data\n{0 1e200,1 b}\n", "c", "Infinite or NaN"),
        (HEADER.replace("{a,b}", "{" + ",".join(map(str, range(30_000))) + "}") + "1,1\n", "class", "Java heap space"),
    ],
)  # fmt: skip
def test_dataset_when_the_engine_gives_up_then_it_stays_in_preparation_with_the_reason(
    server: Server, arff: str, target: str | None, error: str
) -> None:
    dataset_id = server.publish(describe(default_target_attribute=target), arff.encode())
    dataset = server.wait_until_processed(dataset_id)

    assert dataset["status"] == "in_preparation"
    assert error in dataset["error"].replace("&#039;", "'").replace("&eacute;", "\u00e9")
    assert server.get(f"data/features/{dataset_id}").json()["error"]["code"] == "274"
    qualities = server.get(f"data/qualities/{dataset_id}").json()["error"]
    assert qualities["code"] == "364"
    assert qualities["additional_information"]


@pytest.mark.parametrize(
    ("arff", "target"),
    [
        (HEADER + "1.34e154,a\n", "class"),
        (HEADER.replace("x numeric", "x {" + ",".join(map(str, range(60_000))) + "}") + "1,a\n", "class"),
        (HEADER.replace("x numeric", "x string") + "1e200,a\n", "class"),
        ("@relation t\n" + "".join(f"@attribute a{n} numeric\n" for n in range(20_000)) + "@data\n", "a0"),
    ],
)
def test_dataset_when_it_is_next_to_what_the_engine_gives_up_then_it_becomes_active(
    server: Server, arff: str, target: str
) -> None:
    dataset_id = server.publish(describe(default_target_attribute=target), arff.encode())

    assert server.wait_until_processed(dataset_id)["status"] == "active"


def test_features_when_nominal_then_their_labels_are_sorted_and_the_file_is_as_it_was(server: Server) -> None:
    arff = HEADER.replace("{a,b}", "{b,'c d',a,B,10,9}") + "1,a\n"
    dataset_id = server.publish(describe(default_target_attribute="class"), arff.encode())
    url = server.wait_until_processed(dataset_id)["url"]

    assert features_of(server, dataset_id)[1]["nominal_value"] == ["10", "9", "B", "a", "b", "c d"]
    assert httpx.get(url).text == arff


def test_qualities_when_the_target_is_a_number_then_nothing_of_classes_has_a_value(server: Server) -> None:
    arff = "@relation t\n@attribute x numeric\n@attribute y numeric\n@data\n1,5\n2,3\n3,4\n"
    dataset_id = server.publish(describe(default_target_attribute="y"), arff.encode())
    server.wait_until_processed(dataset_id)
    found = server.get(f"data/qualities/{dataset_id}").json()["data_qualities"]["quality"]
    values = {quality["name"]: quality["value"] for quality in found}

    assert len(values) == 19
    assert {name for name, value in values.items() if value == []} == {
        "MajorityClassPercentage",
        "MajorityClassSize",
        "MinorityClassPercentage",
        "MinorityClassSize",
    }
    assert (values["NumberOfClasses"], values["AutoCorrelation"]) == ("0.0", "0.5")


def test_qualities_when_sparse_then_a_target_that_is_left_out_is_zero(server: Server) -> None:
    arff = b"@relation t\n@attribute x numeric\n@attribute y numeric\n@data\n{0 1}\n{1 5}\n{0 2,1 4}\n"
    dataset_id = server.publish(describe(format="Sparse_ARFF", default_target_attribute="y"), arff)
    server.wait_until_processed(dataset_id)
    found = server.get(f"data/qualities/{dataset_id}").json()["data_qualities"]["quality"]

    assert {quality["name"]: quality["value"] for quality in found}["AutoCorrelation"] == "3.0"


def test_dataset_when_it_has_no_rows_then_no_target_is_needed(server: Server) -> None:
    dataset_id = server.publish(describe(), HEADER.encode())

    assert server.wait_until_processed(dataset_id)["status"] == "active"


def test_dataset_when_names_and_labels_are_at_their_limits_then_it_becomes_active(server: Server) -> None:
    arff = f"@relation t\n@attribute {'x' * 64} {{a,{'b' * 256}}}\n@data\na\n"
    dataset_id = server.publish(describe(default_target_attribute="x" * 64), arff.encode())

    assert server.wait_until_processed(dataset_id)["status"] == "active"


def test_dataset_when_sparse_then_left_out_cells_are_zero(server: Server) -> None:
    arff = b"@relation t\n@attribute x numeric\n@attribute y numeric\n@data\n{0 1}\n{1 ?}\n{0 2,1 3}\n"
    dataset_id = server.publish(describe(format="Sparse_ARFF", default_target_attribute="y"), arff)

    assert server.wait_until_processed(dataset_id)["status"] == "active"
    assert [f["number_of_missing_values"] for f in features_of(server, dataset_id)] == ["0", "1"]


def test_dataset_when_reset_after_an_edit_then_it_is_processed_again(server: Server) -> None:
    dataset_id = server.publish(describe(default_target_attribute="nosuch"))
    assert "error" in server.wait_until_processed(dataset_id)
    edit = '<oml:data_edit_parameters xmlns:oml="http://openml.org/openml"><oml:default_target_attribute>class</oml:default_target_attribute></oml:data_edit_parameters>'
    with server.client() as client:
        client.post(
            "/api/v1/data/edit", data={"api_key": WRITER, "data_id": str(dataset_id), "edit_parameters": edit}
        )
        # The edit alone changes nothing of what the engine said.
        assert "error" in server.wait_until_processed(dataset_id)
        answer = client.post(f"/api/v1/json/data/reset/{dataset_id}", data={"api_key": WRITER})

    assert answer.json() == {"data_reset": {"id": str(dataset_id)}}
    assert server.wait_until_processed(dataset_id)["status"] == "active"


def test_dataset_when_deactivated_before_processing_then_it_is_not_activated(server: Server) -> None:
    dataset_id = server.publish(describe(default_target_attribute="class"))
    server.wait_until_processed(dataset_id)
    with server.client() as client:
        form = {"api_key": ADMIN, "data_id": str(dataset_id)}
        client.post("/api/v1/data/status/update", data=form | {"status": "deactivated"})
        client.post(f"/api/v1/data/reset/{dataset_id}", data=form)
        assert server.wait_until_processed(dataset_id)["status"] == "deactivated"
        answer = client.post("/api/v1/data/status/update", data=form | {"status": "active"})

    assert answer.status_code == 200


@pytest.mark.long
def test_server_when_a_large_file_is_processed_then_other_calls_are_answered_meanwhile(
    server: Server,
) -> None:
    arff = HEADER.encode() + b"1.25,a\n" * 400_000
    dataset_id = server.publish(describe(default_target_attribute="class"), arff)
    waits = []
    with server.client() as client:
        for _ in range(20):
            start = time.perf_counter()
            client.get("/api/v1/json/data/99999")
            waits.append(time.perf_counter() - start)
            time.sleep(0.01)

    assert sorted(waits)[10] < 0.2
    assert server.wait_until_processed(dataset_id)["status"] == "active"


def test_uploads_when_they_come_at_once_then_each_gets_its_own_version(server: Server) -> None:
    ids: list[int] = []
    threads = [
        threading.Thread(target=lambda: ids.append(server.publish(describe(name="crowd")))) for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    versions = [
        server.get(f"data/{dataset_id}").json()["data_set_description"]["version"] for dataset_id in ids
    ]
    assert sorted(map(int, versions)) == list(range(1, 13))


def test_tags_when_they_come_at_once_then_one_is_taken_and_the_others_are_told(server: Server) -> None:
    dataset_id = server.publish()
    statuses: list[int] = []

    def tag() -> None:
        with server.client() as client:
            form = {"api_key": WRITER, "data_id": str(dataset_id), "tag": "partag"}
            statuses.append(client.post("/api/v1/data/tag", data=form).status_code)

    threads = [threading.Thread(target=tag) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Rows 772-774.
    assert sorted(statuses) == [200] + [500] * 9
