"""A sandbox on a real port, and the pieces of requests to it."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from openml_sandbox.app import create_sandbox
from openml_sandbox.server import configure
from openml_sandbox.settings import Role, SandboxSettings

PATIENCE_SECONDS = 60.0
"""How long to wait for what has to come: a machine may have much else to do."""
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak plain HTTP: else each reads the system's certificates, and takes longer than its test."""

ARFF = b"""% comment
@RELATION tiny
@ATTRIBUTE x NUMERIC
@ATTRIBUTE y REAL
@ATTRIBUTE class {a,b}
@DATA
1,2.5,a
2,3.5,b
3,?,a
"""

WRITER, OTHER, ADMIN, READER = ("1" * 32, "2" * 32, "a" * 32, "c" * 32)
KEYS: dict[str, Role] = {ADMIN: "admin", WRITER: "writer", OTHER: "writer", READER: "read-only"}


Part = tuple[str, bytes] | tuple[str, bytes, str]


def describe(**fields: str | list[str] | None) -> bytes:
    """Write a description; a field of None is left out, a list is repeated."""
    known: dict[str, Any] = {"name": "tiny", "description": "A tiny data set", "format": "ARFF"} | fields
    order = (
        *("id", "name", "version", "description", "description_version", "format", "creator", "contributor"),
        *(
            "collection_date",
            "upload_date",
            "language",
            "licence",
            "url",
            "file_id",
            "default_target_attribute",
        ),
        *("row_id_attribute", "ignore_attribute", "version_label", "citation", "tag", "visibility"),
        *("original_data_url", "paper_url", "update_comment", "status", "md5_checksum"),
    )
    elements = [
        f"<oml:{name}>{value}</oml:{name}>"
        for name in order
        for value in (known[name] if isinstance(known.get(name), list) else [known.get(name)])
        if value is not None
    ]
    root = "oml:data_set_description"
    return f'<{root} xmlns:oml="http://openml.org/openml">{"".join(elements)}</{root}>'.encode()


def multipart(parts: Sequence[Part], boundary: str = "XyZ", end: bytes | None = None) -> bytes:
    """Write a body; a part with a third member is a file."""
    body = b""
    for name, content, *filename in parts:
        shown = f'; filename="{filename[0]}"' if filename else ""
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{shown}\r\n\r\n'.encode()
        body += content + b"\r\n"
    return body.removesuffix(b"\r\n") + (f"\r\n--{boundary}--\r\n".encode() if end is None else end)


def code_of(answer: httpx.Response) -> int | None:
    """Read the error code from either format, whatever stands around it."""
    is_json = "json" in answer.headers.get("content-type", "")
    found = re.search(r'"error":\{"code":"(\d+)"' if is_json else r"<oml:code>(\d+)<", answer.text)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class Server:
    """A running sandbox and its address."""

    url: str
    port: int
    data_dir: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES)

    def publish(self, description: bytes | None = None, arff: bytes = ARFF, key: str = WRITER) -> int:
        """Upload a dataset and return its id."""
        files = {
            "description": ("d.xml", describe() if description is None else description),
            "dataset": ("tiny.arff", arff),
        }
        with self.client() as client:
            answer = client.post("/api/v1/json/data", data={"api_key": key}, files=files)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["upload_data_set"]["id"])

    def switch_on(self, fault: str, on: str = "*", **choices: Any) -> None:
        """Switch a fault on."""
        with self.client() as client:
            answer = client.post("/sandbox/faults", json={"fault": fault, "on": on} | choices)
        assert answer.status_code == 200, answer.text

    def get(self, path: str) -> httpx.Response:
        with self.client() as client:
            return client.get(f"/api/v1/json/{path}")

    def wait_until_processed(self, dataset_id: int) -> dict[str, Any]:
        """Wait for the outcome of the processing step and return the description."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            description: dict[str, Any] = self.get(f"data/{dataset_id}").json()["data_set_description"]
            if "processing_date" in description:
                return description
            time.sleep(0.02)
        raise AssertionError("the dataset was not processed in time")


Serve = Callable[..., AbstractContextManager[Server]]


@contextmanager
def serve(data_dir: Path, **settings: Any) -> Iterator[Server]:
    """Run a sandbox with uvicorn in a thread of its own."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    choices: dict[str, Any] = {"keys": KEYS, "processing_delay_seconds": 0.0, "base_url": url} | settings
    app = create_sandbox(SandboxSettings(data_dir=data_dir, **choices))
    server = uvicorn.Server(configure(app))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the sandbox did not start"
        time.sleep(0.01)
    try:
        yield Server(url, port, data_dir)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
