"""Flows and runs as clients send them."""

from typing import Any

import httpx

from sandbox_server import WRITER, Server, describe
from sandbox_tasks import make_task

NAMESPACE = 'xmlns:oml="http://openml.org/openml"'
ROWS = b"""@relation t
@attribute x numeric
@attribute y numeric
@attribute c {a,b}
@data
1,1,a
2,3,a
3,5,b
4,7,b
"""
PREDICTIONS = """@relation p
@attribute repeat numeric
@attribute fold numeric
@attribute row_id numeric
@attribute prediction {a,b}
@attribute correct {a,b}
@attribute confidence.a numeric
@attribute confidence.b numeric
@data
0,0,0,a,a,0.9,0.1
0,0,2,b,b,0.2,0.8
0,1,1,b,a,0.4,0.6
0,1,3,b,b,0.1,0.9
"""


def publish_rows(server: Server) -> int:
    """Publish four rows with a target of each kind, and return the number of the dataset."""
    dataset_id = server.publish(describe(name="rows", default_target_attribute="c"), ROWS)
    assert server.wait_until_processed(dataset_id)["status"] == "active"
    return dataset_id


def make_tasks(server: Server, dataset_id: int) -> tuple[int, int]:
    """Make a task of classification and one of regression, and return their numbers."""
    inputs = {"source_data": dataset_id, "target_feature": "c", "estimation_procedure": 1}
    classify = make_task(server, 1, **inputs, evaluation_measures="predictive_accuracy")
    return classify, make_task(server, 2, source_data=dataset_id, target_feature="y", estimation_procedure=7)


def flow_xml(name: str = "forest", inner: str = "", version: str = "1") -> str:
    """Write the description of a flow with a parameter."""
    return (
        f"<oml:flow {NAMESPACE}><oml:name>{name}</oml:name><oml:external_version>{version}</oml:external_version>"
        "<oml:description>Trees.</oml:description><oml:parameter><oml:name>trees</oml:name>"
        "<oml:data_type>integer</oml:data_type><oml:default_value>10</oml:default_value></oml:parameter>"
        f"{inner}</oml:flow>"
    )


def run_xml(flow: int, task: int, inner: str = "") -> str:
    """Write the description of a run; its parts come in the order of the schema."""
    numbers = f"<oml:task_id>{task}</oml:task_id><oml:flow_id>{flow}</oml:flow_id>"
    return f"<oml:run {NAMESPACE}>{numbers}{inner}</oml:run>"


def setting(name: str, value: object, component: int | None = None) -> str:
    part = "" if component is None else f"<oml:component>{component}</oml:component>"
    return (
        f"<oml:parameter_setting><oml:name>{name}</oml:name><oml:value>{value}</oml:value>{part}"
        "</oml:parameter_setting>"
    )


def post(
    client: httpx.Client, kind: str, xml: str, key: str = WRITER, **files: tuple[str, str]
) -> dict[str, Any]:
    """Send a description with other files, and return the answer."""
    parts = {"description": ("description.xml", xml), **files}
    document: dict[str, Any] = client.post(f"/api/v1/json/{kind}", data={"api_key": key}, files=parts).json()
    return document


def make_flow(client: httpx.Client, xml: str) -> int:
    return int(post(client, "flow", xml)["upload_flow"]["id"])


def make_run(client: httpx.Client, xml: str, predictions: str = PREDICTIONS, key: str = WRITER) -> int:
    document = post(client, "run", xml, key, predictions=("predictions.arff", predictions))
    assert "upload_run" in document, document
    return int(document["upload_run"]["run_id"])
