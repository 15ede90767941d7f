"""Suites, studies and reference data, each call by itself."""

from pathlib import Path

import pytest

from sandbox_server import WRITER, Serve, Server, code_of, describe
from sandbox_tasks import make_task, post_study, post_task, task_xml


def test_suite_when_made_then_it_is_read_back_by_alias_with_its_datasets(
    server: Server, dataset_id: int
) -> None:
    task_id = make_task(server, 1, source_data=dataset_id, target_feature="c", estimation_procedure=23)
    inner = (
        "<oml:alias>A.suite-1</oml:alias><oml:main_entity_type>task</oml:main_entity_type><oml:name>n</oml:name>"
        f"<oml:description>d</oml:description><oml:tasks><oml:task_id>{task_id}</oml:task_id></oml:tasks>"
    )
    study_id = post_study(server, inner)["study_upload"]["id"]
    study = server.get("study/a.SUITE-1").json()["study"]

    assert (study["id"], study["alias"]) == (study_id, "A.suite-1")
    assert study["data"] == {"data_id": str(dataset_id)}
    assert study["tasks"] == {"task_id": str(task_id)}
    assert "runs" not in study
    # The alias is what makes a second attempt harmless.
    assert post_study(server, inner)["error"]["code"] == "1038"


def test_run_study_when_made_then_its_flows_setups_and_runs_are_listed(server: Server) -> None:
    inner = (
        "<oml:main_entity_type>run</oml:main_entity_type><oml:name>n</oml:name><oml:description>d</oml:description>"
        "<oml:runs><oml:run_id>10</oml:run_id><oml:run_id>2</oml:run_id></oml:runs>"
    )
    study_id = post_study(server, inner)["study_upload"]["id"]
    study = server.get(f"study/{study_id}").json()["study"]

    assert study["runs"] == {"run_id": ["2", "10"]}
    assert study["setups"] == {"setup_id": ["2", "10"]}
    assert study["flows"] == {"flow_id": "1"}
    assert study["tasks"] == study["data"] == []
    # Row 455 tells of an unknown run that was attached; here it is refused, as in row 423.
    with server.client() as client:
        for unknown in ("999999", "9" * 5000, "0", "1,999999"):
            form = {"api_key": WRITER, "ids": unknown}
            assert code_of(client.post(f"/api/v1/study/{study_id}/attach", data=form)) == 1045
    assert server.get(f"study/{study_id}").json()["study"]["runs"] == {"run_id": ["2", "10"]}


def test_study_when_its_name_holds_an_ampersand_then_the_list_breaks_for_everybody(
    serve: Serve, tmp_path: Path
) -> None:
    with serve(tmp_path) as server:
        study_id = post_study(
            server,
            "<oml:main_entity_type>task</oml:main_entity_type><oml:name>A &amp; B</oml:name>"
            "<oml:description>d</oml:description>",
        )["study_upload"]["id"]

        assert server.get(f"study/{study_id}").status_code == 500
        assert server.get("study/list/status/all").status_code == 500
        with server.client() as client:
            assert "<oml:name>A & B</oml:name>" in client.get("/api/v1/xml/study/list/status/all").text


def test_study_when_its_prefix_is_another_then_nothing_is_found_in_it(server: Server) -> None:
    xml = (
        '<o:study xmlns:o="http://openml.org/openml"><o:main_entity_type>task</o:main_entity_type>'
        "<o:name>n</o:name></o:study>"
    )
    with server.client() as client:
        answer = client.post("/api/v1/study", data={"api_key": WRITER}, files={"description": ("d", xml)})

    assert code_of(answer) == 1033


@pytest.mark.parametrize("ids", ["", "x", "99999"])
def test_user_list_when_nobody_is_found_then_the_server_dies(server: Server, ids: str) -> None:
    assert server.get(f"user/list/user_id/{ids}").status_code == 500


def test_study_when_its_file_is_empty_then_two_documents_come(server: Server) -> None:
    with server.client() as client:
        answer = client.post("/api/v1/study", data={"api_key": WRITER}, files={"description": ("d", b"")})

    assert answer.text.count("<oml:error ") == 2
    assert answer.text.index("<oml:code>1031<") < answer.text.index("<oml:code>1032<")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("uploader/999", 599),
        ("uploader/2,3", 599),
        ("benchmark_suite/1", 599),
        ("foo/1", 596),
        ("limit/x", 597),
        ("offset/3", 598),
    ],
)
def test_study_list_when_nothing_fits_or_a_filter_is_wrong_then_the_code_says_so(
    server: Server, path: str, code: int
) -> None:
    assert code_of(server.get(f"study/list/status/all/{path}")) == code


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("tasktype/0", 240),
        ("tasktype/99", 241),
        ("estimationprocedure/0", 730),
        ("estimationprocedure/99", 731),
        ("task/inputs/99999", 156),
        ("user/list/name/x", 370),
        ("licence/list", 100),
    ],
)
def test_reference_when_unknown_then_the_code_says_so(server: Server, path: str, code: int) -> None:
    assert code_of(server.get(path)) == code


def test_reference_when_read_then_types_and_procedures_belong_together(server: Server) -> None:
    types = server.get("tasktype/list").json()["task_types"]["task_type"]
    procedures = server.get("estimationprocedure/list").json()["estimationprocedures"]["estimationprocedure"]

    assert [known["id"] for known in types] == [str(number) for number in range(1, 12)]
    assert {procedure["ttid"] for procedure in procedures} <= {known["id"] for known in types}
    one = server.get("estimationprocedure/17").json()["estimationprocedure"]
    assert one == next(known for known in procedures if known["id"] == "17")
    clustering = server.get("tasktype/5").json()["task_type"]
    assert [known["name"] for known in clustering["input"]] == [
        "source_data",
        "estimation_procedure",
        "evaluation_measures",
    ]
    assert server.get("user/list/user_id/2,1,99").json()["users"]["user"] == [
        {"id": "1", "username": "Sandbox User 1"},
        {"id": "2", "username": "Sandbox User 2"},
    ]


def test_state_when_the_sandbox_starts_again_then_tasks_and_suites_are_there(
    serve: Serve, tmp_path: Path
) -> None:
    with serve(tmp_path) as server:
        number = server.publish(describe(default_target_attribute="class"))
        server.wait_until_processed(number)
        task_id = make_task(server, 1, source_data=number, target_feature="class", estimation_procedure=1)
        inner = (
            "<oml:main_entity_type>task</oml:main_entity_type><oml:name>n</oml:name>"
            f"<oml:description>d</oml:description><oml:tasks><oml:task_id>{task_id}</oml:task_id></oml:tasks>"
        )
        study_id = post_study(server, inner)["study_upload"]["id"]
    with serve(tmp_path) as server:
        assert server.get(f"study/{study_id}").json()["study"]["tasks"] == {"task_id": str(task_id)}
        xml = task_xml(1, source_data=number, target_feature="class", estimation_procedure=1)
        assert post_task(server, xml)["error"]["code"] == "614"
        second = task_xml(1, source_data=number, target_feature="class", estimation_procedure=2)
        assert int(post_task(server, second)["upload_task"]["id"]) == task_id + 1
