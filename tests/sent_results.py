"""Flows and runs in the sandbox, as clients send them: what pages of results show."""

import asyncio
import math
from dataclasses import dataclass
from typing import Any

from tests.upstream import OML, Upstream

ROWS = 20


@dataclass(frozen=True)
class Results:
    """What was sent."""

    dataset: int
    task: int
    flows: list[int]
    runs: list[int]
    study: int
    suite: int


def rows(count: int = ROWS) -> str:
    """Return a dataset whose target is `no` and `yes` in turn."""
    lines = "".join(f"{row},{'yes' if row % 2 else 'no'}\n" for row in range(count))
    return f"@RELATION levels\n@ATTRIBUTE level REAL\n@ATTRIBUTE flood {{no,yes}}\n@DATA\n{lines}"


def predictions(wrong: int, count: int = ROWS, folds: int = 5) -> str:
    """Return predictions of which the first so many are wrong, and the confidence of the others is not equal."""
    columns = ["repeat NUMERIC", "fold NUMERIC", "row_id NUMERIC", "prediction {no,yes}"]
    columns += ["confidence.no NUMERIC", "confidence.yes NUMERIC"]
    head = "".join(f"@ATTRIBUTE {column}\n" for column in columns)
    lines = []
    for row in range(count):
        label = "yes" if (row % 2 == 1) != (row < wrong) else "no"
        sure = 0.55 + 0.4 * abs(math.sin(row))
        yes = sure if label == "yes" else 1 - sure
        lines.append(f"0,{row % folds},{row},{label},{1 - yes:.4f},{yes:.4f}\n")
    return f"@RELATION predictions\n{head}@DATA\n{''.join(lines)}"


async def _post(upstream: Upstream, kind: str, key: str, document: str, **files: tuple[str, str]) -> Any:
    parts = {"description": ("description.xml", document), **files}
    answer = await upstream.client.post(f"api/v1/json/{kind}", data={"api_key": key}, files=parts)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def send_flow(upstream: Upstream, key: str, name: str) -> int:
    """Publish a flow with a parameter."""
    parameter = (
        "<oml:parameter><oml:name>depth</oml:name><oml:default_value>1</oml:default_value></oml:parameter>"
    )
    version = "<oml:external_version>1</oml:external_version><oml:description>d</oml:description>"
    texts = f"<oml:name>{name}</oml:name>{version}"
    answer = await _post(upstream, "flow", key, f"<oml:flow {OML}>{texts}{parameter}</oml:flow>")
    return int(answer["upload_flow"]["id"])


async def send_run(upstream: Upstream, key: str, task: int, flow: int, *, wrong: int) -> int:
    """Publish a run of which so many predictions are wrong."""
    setting = f"<oml:parameter_setting><oml:name>depth</oml:name><oml:value>{wrong}</oml:value></oml:parameter_setting>"
    numbers = f"<oml:task_id>{task}</oml:task_id><oml:flow_id>{flow}</oml:flow_id>"
    document = f"<oml:run {OML}>{numbers}{setting}</oml:run>"
    answer = await _post(upstream, "run", key, document, predictions=("p.arff", predictions(wrong)))
    return int(answer["upload_run"]["run_id"])


async def send_study(upstream: Upstream, key: str, kind: str, members: list[int]) -> int:
    """Make a collection of tasks or runs."""
    ids = "".join(f"<oml:{kind}_id>{number}</oml:{kind}_id>" for number in members)
    texts = f"<oml:main_entity_type>{kind}</oml:main_entity_type><oml:name>Compared</oml:name>"
    texts += "<oml:description>d</oml:description>"
    document = f"<oml:study {OML}>{texts}<oml:{kind}s>{ids}</oml:{kind}s></oml:study>"
    return int((await _post(upstream, "study", key, document))["study_upload"]["id"])


async def send_results(upstream: Upstream, keys: tuple[str, str], flows: dict[str, list[int]]) -> Results:
    """Publish a dataset, a task, runs of some flows by turns of two people, and collections of them.

    `flows` are, by name, how many predictions of each run are wrong.
    """
    dataset = await upstream.publish(keys[0], arff=rows(), name="levels")
    task = await upstream.make_task(keys[0], dataset)
    numbers: list[int] = []
    runs: list[int] = []
    for name, wrongs in flows.items():
        flow = await send_flow(upstream, keys[0], name)
        numbers.append(flow)
        for wrong in wrongs:
            runs.append(await send_run(upstream, keys[len(runs) % 2], task, flow, wrong=wrong))
    await _until_evaluated(upstream, runs[-1])
    study = await send_study(upstream, keys[0], "run", runs)
    suite = await send_study(upstream, keys[0], "task", [task])
    return Results(dataset, task, numbers, runs, study, suite)


async def _until_evaluated(upstream: Upstream, run: int) -> None:
    for _ in range(1_200):
        found = (await upstream.client.get(f"api/v1/json/run/{run}")).json()["run"]
        if "evaluation" in found["output_data"]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"run {run} is not evaluated")
