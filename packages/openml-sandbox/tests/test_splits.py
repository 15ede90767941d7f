"""Splits of tasks: what openml-python asks for before it runs a model."""

from collections import Counter

import pytest

from sandbox_server import Server, describe
from sandbox_tasks import make_task

ROWS = 23
LABELS = ["yes" if row % 4 == 0 else "no" for row in range(ROWS)]
TABLE = "@relation t\n@attribute x numeric\n@attribute flood {no,yes}\n@data\n" + "".join(
    f"{row},{label}\n" for row, label in enumerate(LABELS)
)


def publish(server: Server) -> int:
    dataset = server.publish(describe(default_target_attribute="flood"), TABLE.encode())
    server.wait_until_processed(dataset)
    return dataset


def lines_of(server: Server, dataset: int, procedure: int) -> list[list[str]]:
    task = make_task(server, 1, source_data=dataset, target_feature="flood", estimation_procedure=procedure)
    described = server.get(f"task/{task}").json()["task"]["input"]
    (address,) = (
        each["estimation_procedure"]["data_splits_url"]
        for each in described
        if "estimation_procedure" in each
    )
    with server.client() as client:
        first, again = client.get(address), client.get(address)
    assert first.text == again.text
    assert first.headers["content-type"].startswith("text/plain")
    return [line.split(",") for line in first.text.partition("@data\n")[2].splitlines()]


def test_splits_when_a_task_has_them_then_each_row_is_tested_once_a_repeat_and_classes_are_shared(
    server: Server,
) -> None:
    dataset = publish(server)

    lines = lines_of(server, dataset, 2)  # 5 times 2-fold

    assert len(lines) == 5 * 2 * ROWS
    tests = [(row, repeat, fold) for kind, row, repeat, fold in lines if kind == "TEST"]
    assert Counter((row, repeat) for row, repeat, _ in tests) == Counter(
        {(str(row), str(repeat)): 1 for row in range(ROWS) for repeat in range(5)}
    )
    floods = Counter((repeat, fold) for row, repeat, fold in tests if LABELS[int(row)] == "yes")
    assert set(floods.values()) == {3}
    assert (
        len({tuple(row for row, r, fold in tests if (r, fold) == (str(repeat), "0")) for repeat in range(5)})
        > 1
    )


@pytest.mark.parametrize(("procedure", "count", "tested"), [(6, ROWS, 8), (4, ROWS * ROWS, ROWS)])
def test_splits_when_held_out_or_one_at_a_time_then_so_many(
    server: Server, procedure: int, count: int, tested: int
) -> None:
    dataset = publish(server)

    lines = lines_of(server, dataset, procedure)

    assert (len(lines), [line[0] for line in lines].count("TEST")) == (count, tested)


@pytest.mark.parametrize("number", [4242, 2**70])
def test_splits_when_there_is_no_such_task_then_404(server: Server, number: int) -> None:
    with server.client() as client:
        answer = client.get(f"/api_splits/get/{number}/x.arff")

    assert (answer.status_code, answer.text) == (404, "no splits: there is no such task")
