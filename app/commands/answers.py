"""What a server of ours, or something on the way to it, answers to `openml-web upload`."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
Document = dict[str, Any]


class RequestRefusedError(Exception):
    """The server, or the file, says no; `problem` is a problem+json document."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self.problem = dict(problem)
        super().__init__(str(self.problem.get("detail", "")))


class NotSignedInError(RequestRefusedError):
    """The server does not know the token or key, or it may not upload."""


class ServerUnreachableError(RequestRefusedError):
    """The server could not be reached, or did not do its work, for longer than patience lasts."""


def require_server(text: str, *, insecure_http: bool) -> str:
    """Return the root of a service, without a slash at its end.

    Raises:
        ValueError: it is no address, or the key would cross a network for everybody to read.
    """
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("give the server's address, e.g. https://www.openml.org")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("give the server's address alone, without a name, a password, or a question mark")
    if parts.scheme == "http" and not (insecure_http or is_loopback(text)):
        raise ValueError(
            "over plain http everybody on the way could read the API key; use https, or --insecure-http"
        )
    return text.rstrip("/")


def is_loopback(server: str) -> bool:
    """Say whether an address stays on this machine."""
    host = urlsplit(server).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def document_of(answer: httpx.Response) -> Document:
    """Return the upload that an answer describes."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not (isinstance(document, dict) and is_upload(document)):
        raise ServerUnreachableError(
            saying(f"{_site(answer.request)} does not answer as OpenML's upload service does.")
        )
    return document


def is_upload(document: Document) -> bool:
    """Say whether a document has what the rest relies on: other servers answer with JSON as well."""
    received = document.get("received_bytes")
    return (
        UPLOAD_ID.fullmatch(str(document.get("id", ""))) is not None
        and isinstance(document.get("state"), str)
        and isinstance(document.get("publish"), bool)
        and isinstance(received, int)
        and received >= 0
    )


def limits_of(answer: httpx.Response) -> tuple[tuple[str, ...], int] | None:
    """Return the ends of names that a server reads and the bytes that it takes, None if it does not say so."""
    try:
        document = answer.json()
        endings, most = document["suffixes"], document["upload_bytes"]
    except (ValueError, KeyError, TypeError):
        return None
    is_told = isinstance(endings, list) and all(isinstance(ending, str) for ending in endings)
    return (tuple(endings), most) if is_told and isinstance(most, int) else None


def require_taken(answer: httpx.Response) -> None:
    """Raise what an answer says, unless it says yes."""
    if answer.is_success:
        return
    if answer.is_redirect:
        target = answer.headers.get("location", "")
        raise refused(f"The server says to go to {target}; if that is right, give its root with --server.")
    problem = problem_of(answer)
    if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise NotSignedInError(problem)
    raise RequestRefusedError(problem) if is_problem(answer) else ServerUnreachableError(problem)


def is_problem(answer: httpx.Response) -> bool:
    """Say whether an answer is a problem of the service, and not of something on the way."""
    return bool(answer.headers.get("content-type", "").startswith("application/problem+json"))


def problem_of(answer: httpx.Response) -> Document:
    """Return what an answer says is wrong, or that it says nothing we can read."""
    if is_problem(answer):
        try:
            problem = answer.json()
        except ValueError:
            problem = None
        if isinstance(problem, dict):
            return {"detail": answer.reason_phrase, **problem}
    return saying(f"{_site(answer.request)} answers {answer.status_code} {answer.reason_phrase}.")


def slug_of(answer: httpx.Response) -> str:
    """Return the kind of problem that an answer is, empty if it is none."""
    return str(problem_of(answer).get("type", "")).rpartition("/")[2]


def broken_line(error: httpx.TransportError) -> Document:
    """Describe a broken line; the library's own words may be empty."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    return saying(f"The line to {_site(error.request)} broke ({words}{': ' if str(error) else ''}{error}).")


def _site(request: httpx.Request) -> str:
    """Return a server's name and port: the default and a forgotten variable are not in sight."""
    return request.url.netloc.decode("ascii")


def saying(detail: str) -> Document:
    """Return a problem of our own."""
    return {"detail": detail}


def refused(detail: str) -> RequestRefusedError:
    """Return the error of what is wrong here, not there."""
    return RequestRefusedError(saying(detail))


def retry_after(answer: httpx.Response) -> float:
    """Return for how many seconds the server wants to be left alone."""
    text = answer.headers.get("retry-after", "")
    return float(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0
