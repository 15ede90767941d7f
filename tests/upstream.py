"""The sandbox, spoken to directly: what other clients put there, and what ours left there."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any

import httpx

OML = 'xmlns:oml="http://openml.org/openml"'
ARFF = """@RELATION rivers
@ATTRIBUTE station STRING
@ATTRIBUTE level REAL
@ATTRIBUTE flow REAL
@ATTRIBUTE flood {no,yes}
@DATA
Ouse,4.2,1.5,yes
Aire,1.0,2.5,no
"""
# Faults after which the work may or may not be done, and nobody was told.
SILENT = [
    "lost-answer",
    "reset-after-last-byte",
    "empty-500",
    "empty-500-after-write",
    "504-html",
    "502-html",
    "429",
    "cut-answer",
    "broken-off",
]


@dataclass(frozen=True)
class Upstream:
    """Calls of the sandbox."""

    client: httpx.AsyncClient

    async def publish(
        self, api_key: str, *, arff: str = ARFF, processed: bool = True, **fields: str | list[str]
    ) -> int:
        """Publish a dataset, wait until it is active, and return its id."""
        given = {
            "name": f"rivers-{secrets.token_hex(4)}",
            "description": "Rivers.",
            "format": "ARFF",
            "default_target_attribute": "flood",
            **fields,
        }
        order = [
            "name",
            "description",
            "format",
            "creator",
            "contributor",
            "collection_date",
            "language",
            "licence",
            "default_target_attribute",
            "row_id_attribute",
            "ignore_attribute",
            "citation",
            "visibility",
            "original_data_url",
            "paper_url",
        ]
        assert set(given) <= set(order)
        elements = [
            f"<oml:{name}>{text}</oml:{name}>"
            for name in order
            if name in given
            for text in ([given[name]] if isinstance(given[name], str) else given[name])
        ]
        document = f"<oml:data_set_description {OML}>{''.join(elements)}</oml:data_set_description>"
        answer = await self.client.post(
            "api/v1/json/data",
            data={"api_key": api_key},
            files={"description": ("d.xml", document), "dataset": ("rivers.arff", arff)},
        )
        dataset_id = int(answer.json()["upload_data_set"]["id"])
        if processed:
            await self._wait_until_active(dataset_id, api_key)
        return dataset_id

    async def _wait_until_active(self, dataset_id: int, api_key: str) -> None:
        for _ in range(1_200):
            if (await self.dataset(dataset_id, api_key))["status"] == "active":
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"dataset {dataset_id} does not become active")

    async def dataset(self, dataset_id: int, api_key: str = "") -> dict[str, Any]:
        """Return the dataset's description."""
        query = {"api_key": api_key} if api_key else {}
        found = await self.client.get(f"api/v1/json/data/{dataset_id}", params=query)
        described: dict[str, Any] = found.json()["data_set_description"]
        return described

    async def tasks(self, dataset_id: int) -> list[dict[str, Any]]:
        """Return the tasks of the dataset."""
        answer = await self.client.get(f"api/v1/json/task/list/data_id/{dataset_id}/status/all")
        found: list[dict[str, Any]] = answer.json().get("tasks", {}).get("task", [])
        return found

    async def inputs(self, task_id: int) -> dict[str, str]:
        """Return the inputs of the task, and its type."""
        found = (await self.client.get(f"api/v1/json/task/inputs/{task_id}")).json()["task_inputs"]
        inputs = {item["name"]: item["value"] for item in found["input"]}
        return {"type": found["task_type_id"], **inputs}

    async def make_task(self, api_key: str, dataset_id: int, procedure: int = 1) -> int:
        """Make a classification task."""
        values = {"source_data": dataset_id, "target_feature": "flood", "estimation_procedure": procedure}
        inputs = "".join(f'<oml:input name="{name}">{value}</oml:input>' for name, value in values.items())
        document = f"<oml:task_inputs {OML}><oml:task_type_id>1</oml:task_type_id>{inputs}</oml:task_inputs>"
        answer = await self.client.post(
            "api/v1/json/task", data={"api_key": api_key}, files={"description": ("t.xml", document)}
        )
        return int(answer.json()["upload_task"]["id"])

    async def study(self, name: str | int) -> dict[str, Any]:
        """Return the collection of that id or alias."""
        found: dict[str, Any] = (await self.client.get(f"api/v1/json/study/{name}")).json()["study"]
        return found

    async def studies(self, name: str) -> list[dict[str, Any]]:
        """Return the collections of that name."""
        answer = (await self.client.get("api/v1/json/study/list/status/all")).json()
        found = answer.get("study_list", {}).get("study", [])
        return [study for study in ([found] if isinstance(found, dict) else found) if study["name"] == name]

    async def fail(self, on: str, fault: str, *, times: int | None = 1) -> None:
        """Let a call fail."""
        body = {"on": on, "fault": fault, "times": times}
        (await self.client.post("sandbox/faults", json=body)).raise_for_status()

    async def heal(self) -> None:
        """Let no call fail any more."""
        (await self.client.delete("sandbox/faults")).raise_for_status()
