"""Pictures as bytes on a socket, to the service as a process of its own."""

import json
import socket
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path

import pytest

from app.accounts.routes_picture import PICTURE_BYTES
from tests.conftest import PATIENCE_SECONDS
from tests.imaging.samples import encoded, halves
from tests.service import Service, wait_for

PICTURE = encoded(halves(), "PNG")


def pictures(service: Service) -> list[Path]:
    return [path for path in (service.folder / "pictures").rglob("*") if path.is_file()]


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_imgs_when_the_path_climbs_on_the_wire_then_404(service: Service) -> None:
    """As bytes on a socket: clients tidy such paths up before they send them."""
    service.start()
    (service.folder / "pictures").mkdir(parents=True)
    (service.folder / "precious.png").write_bytes(PICTURE)
    (service.folder / "pictures" / "precious.png").write_bytes(PICTURE)
    for path in (
        "/imgs/../precious.png",
        "/imgs/..%2fprecious.png",
        "/imgs/%2e%2e%2f%2e%2e%2fprecious.png",
        "/imgs/precious.png",
        "/imgs/./precious.png",
        "/imgs//etc/passwd",
        "/imgs/..\\precious.png",
        "/imgs/" + "0" * 32 + ".png%00",
    ):
        with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = HTTPResponse(connection)
            answer.begin()
            assert (path, answer.status) == (path, 404)
            assert json.loads(answer.read())["type"] == "https://openml.org/problems/not-found"


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_image_when_it_never_ends_then_413_and_the_server_hangs_up(service: Service) -> None:
    service.start()
    token = service.sign_up_and_log_in()["Authorization"]
    head = (
        f"POST /image HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    chunk, sent = b"10000\r\n" + bytes(0x10000) + b"\r\n", 0
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(head.encode() + b"%x\r\n%s\r\n" % (len(part), part))
        with suppress(ConnectionError):
            while sent < 100_000_000:
                connection.sendall(chunk)
                sent += len(chunk)
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < PICTURE_BYTES + 20_000_000, "what the sockets hold, not what the client has"
    assert not pictures(service)


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_image_when_killed_while_it_comes_then_no_byte_is_left(service: Service) -> None:
    service.start()
    headers = service.sign_up_and_log_in()
    large = {"file": ("a.png", PICTURE + bytes(5_000_000))}
    with service.send(headers, large, all_but=50, path="/image"):
        wait_for(lambda: bool(_open_files(service.started[0].pid, "pictures")))
        service.kill()

    assert not pictures(service)


def _open_files(pid: int, folder: str) -> list[str]:
    links = [link for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return [target for link in links if f"/{folder}/" in (target := str(link.readlink()))]
