"""A file on its way to a server of ours over a bad line: the client's half of docs/uploads.md.

It keeps nothing on the disk. What is sent has a key made of the file's bytes and its description, and with that key
the server answers with the upload that was begun before: by this command, or by one that was killed.
"""

import base64
import hashlib
import json
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol, Self

import httpx

from app.commands.answers import (
    Document,
    NotSignedInError,
    RequestRefusedError,
    ServerUnreachableError,
    broken_line,
    document_of,
    is_loopback,
    is_problem,
    is_upload,
    limits_of,
    problem_of,
    refused,
    require_taken,
    retry_after,
    saying,
    slug_of,
)
from app.commands.credentials import ClientCredentials
from app.commands.source import Source
from app.core.outgoing import open_http_for_command
from app.db.upload_states import BEFORE_PUBLISH, CAN_CHANGE, ENDED, GIVEN_UP, HAS_OUTCOME, UploadState
from app.openml.fields import NAME_RULE, is_name

REQUEST_BYTES = 1 << 26
"""Sent in one request; a proxy that takes less says so, and gets less."""
LEAST_REQUEST_BYTES = 1 << 18
TIMEOUT = httpx.Timeout(60, connect=15)
EVENT_TIMEOUT = httpx.Timeout(60, connect=15)
"""The server says something every fifteen seconds."""
POLL_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
MOST_ENDED = 20
"""Earlier uploads of the same file that came to nothing, and are passed over to begin a new one."""
TRY_AGAIN = frozenset({408, 423, 425, 429, 500, 502, 503, 504, 507})
"""Answers after which the same request may succeed."""
ASK_AGAIN = frozenset({"mismatching-upload-offset", "upload-state", "completed-upload", "malformed-body"})
"""Problems of bytes that came late, twice, or not all: asking how the upload stands says where to go on."""
DIGEST_MISMATCH = "digest-mismatch"
CHOICES = ("reading", "rename", "leave_out")
"""Fields of the metadata that may be another choice for the same upload."""


class Display(Protocol):
    """What a person, or nobody, sees of it."""

    def hashed(self, done: int, total: int) -> None:
        """So many of the file's bytes were read."""

    def sent(self, done: int, total: int) -> None:
        """So many of the file's bytes are on their way."""

    def waits(self, reason: str, seconds: float) -> None:
        """The line broke; it goes on after that long."""

    def moved(self, upload: Document) -> None:
        """The upload has taken a step, or the work on it has."""


class _Patience:
    """How long it is tried again while nothing gets better."""

    def __init__(self, seconds: float, display: Display) -> None:
        self._seconds = seconds
        self._display = display
        self.was_needed = False
        self.renew()

    def renew(self) -> None:
        """Begin anew: there was progress."""
        self._until = time.monotonic() + self._seconds
        self._pauses = 0

    def pause(self, problem: Mapping[str, Any], *, at_least: float = 0) -> None:
        """Wait a little, longer each time, and no two clients equally long.

        Raises:
            ServerUnreachableError: it has taken too long already, or would.
        """
        left = self._until - time.monotonic()
        if left <= 0 or at_least > left:
            raise ServerUnreachableError(problem)
        # Doubling stops where it would not matter any more.
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self._pauses, 10))
        seconds = min(at_least + longest * random.uniform(0.5, 1), left)  # noqa: S311 - no secret
        self._pauses += 1
        self.was_needed = True
        if self._pauses > 1:
            self._display.waits(str(problem["detail"]), seconds)
        time.sleep(seconds)


class Uploader:
    """Sends files to one server with one API token or key.

    Args:
        server: the root of the service, as `require_server` returns it.
        credentials: the token or key; it goes into one header of requests to that very server.
        display: what shows the progress.
        patience_seconds: how long to try again while no byte gets through.
    """

    def __init__(
        self, server: str, credentials: ClientCredentials, *, display: Display, patience_seconds: float
    ) -> None:
        self._display = display
        self._patience = _Patience(patience_seconds, display)
        self._request_bytes = REQUEST_BYTES
        self._server = server
        self.began_before = False
        """Whether the upload was begun by an earlier call, as far as one can tell: a lost answer hides it."""
        # Another host would get them by a redirect; and a proxy has no business between us and this machine.
        self._client = open_http_for_command(
            headers={credentials.header: credentials.value.get_secret_value(), "Accept": "application/json"},
            timeout=TIMEOUT,
            through_proxy=not is_loopback(server),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def page(self, upload: Mapping[str, Any]) -> str:
        """Return the address of the page where its owner looks at an upload."""
        return f"{self._server}/dashboard/data-upload?uuid={upload['id']}"

    def check(self, file_name: str, size: int | None, metadata: Mapping[str, Any]) -> None:
        """Return if the server knows who sends it and takes such a file, before a large one is read for its hash.

        Args:
            file_name: the file's name.
            size: its bytes; None where nobody knows before it is read.
            metadata: its description; of it only the dataset's name is looked at.

        Raises:
            NotSignedInError: the server does not know them.
            RequestRefusedError: it takes no files of that kind or size, or OpenML no such name.
        """
        name = metadata.get("dataset_name")
        if isinstance(name, str) and name and not is_name(name):
            raise refused(f"dataset_name: {NAME_RULE}")
        self._ask("GET", "/uploads?limit=1")
        limits = limits_of(self._ask("GET", "/limits"))
        if limits is None:
            return
        endings, most = limits
        if not file_name.lower().endswith(endings):
            # The server says what to make of such a file.
            self._ask("POST", "/uploads", json={"file_name": file_name, "size": 1})
            raise refused(
                f"{file_name} is of no kind that the server reads; names end with {', '.join(endings)}."
            )
        if size is not None and size > most:
            raise refused(f"{file_name} has {size} bytes; the server takes {most}.")

    def begin(self, source: Source, metadata: Mapping[str, Any], *, publish: bool) -> Document:
        """Return the upload to send the file to: a new one, or the one that was begun before.

        Raises:
            RequestRefusedError: the server does not take it.
        """
        digest = base64.b64encode(source.sha256).decode()
        # How it is read may be corrected with the bytes that are there.
        chosen = {field: metadata[field] for field in CHOICES if field in metadata}
        described = {field: value for field, value in metadata.items() if field not in CHOICES}
        body = {"file_name": source.name, "size": source.size, "metadata": described}
        for attempt in range(MOST_ENDED):
            facts = json.dumps([body, digest, attempt], sort_keys=True)
            headers = {
                "Repr-Digest": f"sha-256=:{digest}:",
                "Idempotency-Key": f"openml-web-{hashlib.sha256(facts.encode()).hexdigest()}",
            }
            answer = self._ask("POST", "/uploads", json=body, headers=headers)
            upload = document_of(answer)
            self.began_before = answer.status_code == httpx.codes.OK and not self._patience.was_needed
            changes = _changes(upload.get("metadata", {}), chosen)
            if changes and upload["state"] in CAN_CHANGE and upload.get("dataset_id") is None:
                upload = document_of(self._ask("PATCH", _path(upload), json=changes))
            if answer.status_code == httpx.codes.OK:
                found = self._go_on_with(upload, metadata, publish=publish)
                if found is None:
                    continue
                upload = found
            if publish and upload["state"] in BEFORE_PUBLISH and not upload["publish"]:
                upload = document_of(self._ask("POST", f"{_path(upload)}/publish", json={}))
            return upload
        raise refused("This file has failed very often. Look at GET /uploads, or change its description.")

    def _go_on_with(self, upload: Document, metadata: Mapping[str, Any], *, publish: bool) -> Document | None:
        """Return the upload that was begun before, as it stands now; None if a new one is needed."""
        state = upload["state"]
        if state == UploadState.FAILED:
            return self._retry(upload) if publish else None
        if state in HAS_OUTCOME and state != UploadState.CANCELLED:
            return None if metadata.get("allow_duplicate") else upload
        return None if state == UploadState.CANCELLED else upload

    def _retry(self, upload: Document) -> Document | None:
        """Let the server try again with the bytes that it has; None if it cannot."""
        problem = upload.get("error") or {}
        if str(problem.get("type", "")).endswith(DIGEST_MISMATCH) or upload.get("dataset_id") is not None:
            return None
        try:
            return document_of(self._ask("POST", f"{_path(upload)}/retry", json={}))
        except NotSignedInError:
            raise
        except RequestRefusedError:
            # Its bytes are gone; or it was heard, and only the answer was lost.
            upload = self.ask_after(upload)
            return None if upload["state"] in GIVEN_UP else upload

    def send(self, upload: Document, source: Source) -> Document:
        """Send what is missing, from wherever the server says it stands, until nothing is.

        Raises:
            RequestRefusedError: the server does not take it, or the file has changed.
            ServerUnreachableError: no byte got through for too long.
        """
        while upload["state"] == UploadState.RECEIVING:
            offset = int(upload["received_bytes"])
            self._display.sent(offset, source.size)
            source.require_unchanged()
            problem, at_least = self._send_some(upload, source, offset)
            if problem is not None:
                self._patience.pause(problem, at_least=at_least)
                # Unlike GET, this tells the server that whatever it still waits for will not come.
                self._ask("HEAD", _path(upload), headers={"Tus-Resumable": "1.0.0"})
            upload = self.ask_after(upload)
            if int(upload["received_bytes"]) > offset:
                self._patience.renew()
            elif problem is None and upload["state"] == UploadState.RECEIVING:
                self._patience.pause(saying("The server takes the bytes, but does not keep them."))
        self._display.sent(int(upload["received_bytes"]), source.size)
        return upload

    def _send_some(self, upload: Document, source: Source, offset: int) -> tuple[Document | None, float]:
        """Send one request's bytes; return what went wrong, if it is worth another try, and how long to wait for it."""
        length = min(self._request_bytes, source.size - offset)
        headers = {
            "Tus-Resumable": "1.0.0",
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(length),
        }
        content = source.blocks(offset, length, self._display.sent)
        try:
            answer = self._client.patch(self._server + _path(upload), headers=headers, content=content)
        except httpx.TransportError as error:
            return broken_line(error), 0
        if answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE and not is_problem(answer):
            return self._send_less(answer), 0
        if answer.status_code in TRY_AGAIN:
            return problem_of(answer), retry_after(answer)
        if slug_of(answer) in ASK_AGAIN:
            return problem_of(answer), 0
        require_taken(answer)
        return None, 0

    def _send_less(self, answer: httpx.Response) -> Document:
        """Answer a proxy that takes only small bodies."""
        if self._request_bytes <= LEAST_REQUEST_BYTES:
            raise RequestRefusedError(problem_of(answer))
        self._request_bytes = max(self._request_bytes // 8, LEAST_REQUEST_BYTES)
        return saying("Something on the way takes only smaller requests.")

    def ask_after(self, upload: Mapping[str, Any]) -> Document:
        """Return the upload as it stands now."""
        return document_of(self._ask("GET", _path(upload)))

    def hints(self, upload: Mapping[str, Any]) -> list[Document]:
        """Return the advice that the preview of a draft has; none where a server knows of none."""
        answer = self._ask("GET", f"{_path(upload)}/preview", params={"columns": 1})
        with suppress(ValueError):
            preview = answer.json()
            found = preview.get("hints") if isinstance(preview, dict) else None
            return [hint for hint in found or () if isinstance(hint, dict)]
        return []

    def wait(self, upload: Document, *, publish: bool) -> Document:
        """Follow an upload until nothing more happens by itself, as events or, where none get through, by asking."""
        while not _rests(upload, publish=publish):
            try:
                for shown in self._events(upload):
                    self._display.moved(shown)
                    if _rests(shown, publish=publish):
                        break
            except httpx.TransportError:
                pass
            # What the events leave out is in the answer to a question, which also says whether the server is there.
            upload = self.ask_after(upload)
            self._patience.renew()
            self._display.moved(upload)
            if not _rests(upload, publish=publish):
                time.sleep(POLL_SECONDS)
        return upload

    def _events(self, upload: Mapping[str, Any]) -> Iterator[Document]:
        """Yield the upload as it is, and whenever it has changed, for as long as the stream lasts."""
        address = f"{self._server}{_path(upload)}/events"
        headers = {"Accept": "text/event-stream"}
        with self._client.stream("GET", address, headers=headers, timeout=EVENT_TIMEOUT) as answer:
            if answer.status_code != httpx.codes.OK:
                return
            kind = ""
            for line in answer.iter_lines():
                name, _, value = line.partition(":")
                if name == "event":
                    kind = value.strip()
                elif name == "data" and kind == "upload":
                    try:
                        shown = json.loads(value)
                    except ValueError:
                        return
                    if not (isinstance(shown, dict) and is_upload(shown)):
                        return
                    yield shown

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's arguments
        """Return the answer to a request that may be sent as often as it takes."""
        while True:
            try:
                answer = self._client.request(method, self._server + path, **request)
            except httpx.TransportError as error:
                self._patience.pause(broken_line(error))
                continue
            is_being_served = answer.status_code == httpx.codes.CONFLICT and path == "/uploads"
            if answer.status_code in TRY_AGAIN or (is_being_served and slug_of(answer) == "upload-state"):
                self._patience.pause(problem_of(answer), at_least=retry_after(answer))
                continue
            require_taken(answer)
            return answer


def _changes(known: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes that make the choices of an upload those of this call."""
    changes: dict[str, Any] = {}
    for field in CHOICES:
        before, wanted = known.get(field) or {}, chosen.get(field) or {}
        if before != wanted:
            taken_back = dict.fromkeys(before) if isinstance(before, dict) else {}
            changes[field] = {**taken_back, **wanted} if isinstance(wanted, dict) else wanted
    return changes


def _rests(upload: Mapping[str, Any], *, publish: bool) -> bool:
    return upload["state"] in ENDED or (not publish and upload["state"] == UploadState.READY)


def _path(upload: Mapping[str, Any]) -> str:
    return f"/uploads/{upload['id']}"
