"""Every call of the client meets everything that OpenML was seen to do wrong: the failure says what may be done."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from app.openml.client import OpenMLClient, open_client
from app.openml.errors import (
    HalfAnswerError,
    LostAnswerError,
    NotSentError,
    OpenMLError,
    RefusedError,
    TaskExistsError,
    UnsettledError,
)
from openml_sandbox.faults import CALLS, FaultName
from tests.conftest import NO_CERTIFICATES, PATIENCE_SECONDS
from tests.openml.test_client import Upstream as Stub
from tests.openml.test_client import client_of, error
from tests.upstream import ARFF, OML, Upstream

KEY = secrets.token_hex(16)


@dataclass
class There:
    """What the calls ask for; a name for each that makes something."""

    client: OpenMLClient
    upstream: Upstream
    file: Path
    dataset_id: int
    name: str
    task_id: int
    alias: str
    new: str = field(default_factory=lambda: f"n{secrets.token_hex(6)}")

    async def count(self, kind: str) -> int:
        """Return how often what the call makes is there."""
        if kind == "dataset":
            answer = await self.upstream.client.get(f"api/v1/json/data/list/data_name/{self.new}/status/all")
            return len(answer.json().get("data", {}).get("dataset", []))
        if kind == "task":
            return len(await self.upstream.tasks(self.dataset_id)) - 1
        if kind == "study":
            answer = await self.upstream.client.get(f"api/v1/json/study/{self.new}")
            return int(answer.is_success)
        dataset = await self.upstream.dataset(self.dataset_id)
        if kind == "edit":
            return int(dataset.get("citation") == self.new)
        found = dataset.get("tag", [])
        tags = [found] if isinstance(found, str) else found
        return int("known" not in tags) if kind == "untag" else int(self.new in tags)

    async def upload(self) -> Any:
        document = (
            f"<oml:data_set_description {OML}><oml:name>{self.new}</oml:name><oml:description>d</oml:description>"
            "<oml:format>ARFF</oml:format></oml:data_set_description>"
        )
        return await self.client.upload_dataset(
            api_key=KEY,
            description=document.encode(),
            arff=self.file,
            arff_bytes=len(ARFF),
            file_name=f"{self.new}.arff",
            on_progress=lambda _: None,
        )

    async def make_task(self) -> Any:
        inputs = {
            "source_data": str(self.dataset_id),
            "target_feature": "flood",
            "estimation_procedure": "2",
        }
        return await self.client.create_task(1, inputs, api_key=KEY)

    async def make_study(self) -> Any:
        return await self.client.create_study(
            "task", alias=self.new, name="n", description="d", ids=[self.task_id], api_key=KEY
        )

    async def edit(self) -> Any:
        await self.client.edit_dataset(self.dataset_id, {"citation": self.new}, api_key=KEY)

    async def tag(self) -> Any:
        await self.client.tag_dataset(self.dataset_id, self.new, api_key=KEY)

    async def untag(self) -> Any:
        await self.client.untag_dataset(self.dataset_id, "known", api_key=KEY)


def _inputs(there: There) -> dict[str, str]:
    return {"source_data": str(there.dataset_id), "target_feature": "flood", "estimation_procedure": "1"}


Call = Callable[[There], Awaitable[Any]]
READS: dict[str, tuple[str, Call]] = {
    "get_dataset": ("GET /data/#", lambda there: there.client.get_dataset(there.dataset_id)),
    "describe_dataset": (
        "GET /data/#",
        lambda there: there.client.describe_dataset(there.dataset_id, api_key=KEY),
    ),
    "list_datasets": ("GET /data/list/*", lambda there: there.client.list_datasets(there.name)),
    "find_uploader": ("GET /data/list/*", lambda there: there.client.find_uploader(there.dataset_id)),
    "list_features": (
        "GET /data/features/#",
        lambda there: there.client.list_features(there.dataset_id, api_key=KEY),
    ),
    "list_procedures": ("GET /estimationprocedure/list", lambda there: there.client.list_procedures()),
    "list_measures": ("GET /evaluationmeasure/list", lambda there: there.client.list_measures()),
    "find_task": ("GET /task/list/*", lambda there: there.client.find_task(1, _inputs(there))),
    "find_missing_tasks": (
        "GET /task/list/*",
        lambda there: there.client.find_missing_tasks([there.task_id, 2_000_000_000]),
    ),
    "find_study": ("GET /study/+", lambda there: there.client.find_study(there.alias)),
}
WRITES: dict[str, tuple[str, Call]] = {
    "dataset": ("POST /data", There.upload),
    "task": ("POST /task", There.make_task),
    "study": ("POST /study", There.make_study),
    "edit": ("POST /data/edit", There.edit),
    "tag": ("POST /data/tag", There.tag),
    "untag": ("POST /data/untag", There.untag),
}
NO_FAULT = frozenset({"never-active", "engine-error"})
"""Not of the call, but of what comes after it."""
HALF = frozenset({"cut-answer", "broken-off"})
SAYS_NOTHING = frozenset(
    {
        "lost-answer",
        "reset-after-last-byte",
        "empty-500",
        "empty-500-after-write",
        "429",
        "502-html",
        "504-html",
    }
)
NOT_DONE = frozenset({"empty-500", "429", "502-html", "database-down", "race-134"})


@pytest.fixture
async def there(sandbox_url: str, tmp_path: Path) -> AsyncIterator[There]:
    file = tmp_path / "file.arff"
    file.write_text(ARFF)
    http = httpx.AsyncClient(base_url=sandbox_url, timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES)
    async with http, open_client(sandbox_url, timeout_seconds=PATIENCE_SECONDS) as client:
        upstream = Upstream(http)
        name, alias = f"r{secrets.token_hex(6)}", f"a{secrets.token_hex(6)}"
        dataset_id = await upstream.publish(KEY, name=name)
        task_id = await upstream.make_task(KEY, dataset_id)
        await client.create_study("task", alias=alias, name="n", description="d", ids=[task_id], api_key=KEY)
        await client.tag_dataset(dataset_id, "known", api_key=KEY)
        yield There(client, upstream, file, dataset_id, name, task_id, alias)
        await upstream.heal()


def _applies(fault: str, on: str) -> bool:
    return fault not in NO_FAULT and on in CALLS.get(fault, (on,))  # type: ignore[call-overload]  # its keys are a Literal


@pytest.mark.every(3)
@pytest.mark.parametrize("call", READS)
async def test_read_when_it_meets_any_fault_then_the_whole_answer_or_the_failure_of_its_kind(
    there: There, call: str
) -> None:
    on, ask = READS[call]
    async with open_client(str(there.upstream.client.base_url), timeout_seconds=60) as fresh:
        whole = await ask(There(fresh, there.upstream, there.file, *_facts(there)))
    assert whole
    for fault in filter(lambda fault: _applies(fault, on), get_args(FaultName)):
        body = {"on": on, "fault": fault, "delay_seconds": 0.01}
        (await there.upstream.client.post("sandbox/faults", json=body)).raise_for_status()
        # Procedures and measures are remembered.
        async with open_client(str(there.upstream.client.base_url), timeout_seconds=60) as fresh:
            question = ask(There(fresh, there.upstream, there.file, *_facts(there)))
            if fault == "slow":
                assert await question == whole
            else:
                with pytest.raises(OpenMLError) as raised:
                    await question
                assert type(raised.value) is _expected(fault), fault
        left = (await there.upstream.client.get("sandbox/faults")).json()["faults"]
        assert left == [], "the call met the fault"


def _facts(there: There) -> tuple[int, str, int, str]:
    return there.dataset_id, there.name, there.task_id, there.alias


def _expected(fault: str) -> type[OpenMLError]:
    if fault in HALF:
        return HalfAnswerError
    return RefusedError if fault == "database-down" else LostAnswerError


CASES = [
    (kind, fault) for kind, (on, _) in WRITES.items() for fault in get_args(FaultName) if _applies(fault, on)
]


@pytest.mark.every(5)
@pytest.mark.parametrize(("kind", "fault"), CASES)
async def test_write_when_it_meets_a_fault_then_refused_means_not_done_and_done_means_done_once(
    there: There, kind: str, fault: str
) -> None:
    on, write = WRITES[kind]
    body = {"on": on, "fault": fault, "delay_seconds": 0.01}
    (await there.upstream.client.post("sandbox/faults", json=body)).raise_for_status()
    failure: OpenMLError | None = None
    try:
        await write(there)
    except OpenMLError as error:
        failure = error
    await there.upstream.heal()
    made = await there.count(kind)

    assert made == (fault not in NOT_DONE)
    if failure is None:
        assert made >= 1
    elif isinstance(failure, TaskExistsError):
        assert made
    elif isinstance(failure, LostAnswerError):
        # Nobody may conclude anything from it; half an answer shows that somebody is there.
        assert fault in SAYS_NOTHING | HALF | {"two-documents-cut", "error-105-after-write", "race-134"}
        assert (fault in HALF) <= isinstance(failure, HalfAnswerError)
    else:
        assert isinstance(failure, (RefusedError, NotSentError))
        assert (fault, made) == ("database-down", 0)


@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize("code", [105, 99999])
async def test_write_when_the_code_does_not_settle_it_then_neither_refused_nor_done(
    tmp_path: Path, kind: str, code: int
) -> None:
    file = tmp_path / "file.arff"
    file.write_text(ARFF)
    async with client_of(Stub(412, error(code, "Something."))) as client:
        there = There(client, None, file, 1, "n", 1, "a")  # type: ignore[arg-type]  # not asked
        if (kind, code) in {("tag", 105), ("untag", 105)}:
            await WRITES[kind][1](there)
            return
        with pytest.raises(UnsettledError):
            await WRITES[kind][1](there)
