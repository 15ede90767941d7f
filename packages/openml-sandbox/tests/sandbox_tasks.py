"""Tasks and studies as clients send them."""

from typing import Any

from sandbox_server import WRITER, Server

SURVIVAL = b"""@relation t
@attribute a numeric
@attribute b numeric
@attribute c {x,y}
@attribute d string
@data
1,2,x,s
"""


def task_xml(task_type: int, tags: tuple[str, ...] = (), /, **inputs: object) -> bytes:
    """Write the description of a task."""
    listed = "".join(f'<oml:input name="{name}">{value}</oml:input>' for name, value in inputs.items())
    listed += "".join(f"<oml:tag>{tag}</oml:tag>" for tag in tags)
    root = 'oml:task_inputs xmlns:oml="http://openml.org/openml"'
    return f"<{root}><oml:task_type_id>{task_type}</oml:task_type_id>{listed}</oml:task_inputs>".encode()


def post_task(server: Server, xml: bytes, key: str = WRITER) -> dict[str, Any]:
    with server.client() as client:
        answer = client.post(
            "/api/v1/json/task", data={"api_key": key}, files={"description": ("description", xml)}
        )
    document: dict[str, Any] = answer.json()
    return document


def make_task(server: Server, task_type: int = 1, /, **inputs: object) -> int:
    document = post_task(server, task_xml(task_type, **inputs))
    assert "upload_task" in document, document
    return int(document["upload_task"]["id"])


def post_study(server: Server, inner: str) -> dict[str, Any]:
    xml = f'<oml:study xmlns:oml="http://openml.org/openml">{inner}</oml:study>'
    with server.client() as client:
        answer = client.post(
            "/api/v1/json/study", data={"api_key": WRITER}, files={"description": ("description", xml)}
        )
    document: dict[str, Any] = answer.json()
    return document
