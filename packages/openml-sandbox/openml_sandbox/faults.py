"""Faults that a test switches on: each makes calls fail as the real server, or what stands before it, was seen to.

==========================  ===========================================================================================
fault                       what happens
==========================  ===========================================================================================
``error-105-after-write``   the search index is down: the call does its work and answers 412/105 (for `data/edit` the
                            two documents follow each other; of a task the tags are not added)
``index-junk``              the index refuses: its JSON stands once or twice in front of the answer; tag calls say 105
``two-documents``           a refusal is printed in front of the answer: 473 (HTTP 500) for uploads, 105 for `data/edit`
``two-documents-cut``       the same, of which as many bytes arrive as the second document has
``race-134``                another upload took the version: 412/134, no dataset, its file row stays behind
``race-614``                the same task is made a second time, as two calls at once can
``lost-answer``             the work is done and the connection closed without an answer
``reset-after-last-byte``   the work is done and the connection reset (RST)
``cut-answer``              the work is done, and PHP prints the first half of the answer; nothing shows that it is one
``broken-off``              the work is done, and the connection closes in the middle of the answer
``slow``                    the work is done, and the answer comes `delay_seconds` later
``empty-500``               PHP dies before it did anything: HTTP 500 without a body
``empty-500-after-write``   PHP dies after the work was done
``429``, ``502-html``       what a proxy says without asking the server; 429 comes with `Retry-After: 1`
``504-html``                a proxy lost its patience: the work is done
``database-down``           412/107, in XML; GET, too
``never-active``            the evaluation engine never looks at the dataset, until the faults are cleared
``engine-error``            the evaluation engine fails once; after `data/reset` it succeeds
==========================  ===========================================================================================

Those that belong to some calls only say so in `CALLS`. A fault counts down where it took effect, so a call that is
refused for another reason leaves one that needs a finished write as it was.
"""

import re
import threading
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from typing import Literal, get_args

from openml_sandbox.answers import Answer, Format, error_document
from openml_sandbox.errors import ApiError

FaultName = Literal[
    "error-105-after-write",
    "index-junk",
    "two-documents",
    "two-documents-cut",
    "race-134",
    "race-614",
    "lost-answer",
    "reset-after-last-byte",
    "cut-answer",
    "broken-off",
    "slow",
    "empty-500",
    "empty-500-after-write",
    "429",
    "502-html",
    "504-html",
    "database-down",
    "never-active",
    "engine-error",
]
FAULT_NAMES: tuple[FaultName, ...] = get_args(FaultName)
EVERY_CALL = "*"

_NO_INDEX = "No alive nodes found in your cluster"
# What stands in front of the exception's text, and says which code caught it; for fork and the last three by analogy.
_INDEXED = {
    "POST /data/edit": "",
    "POST /data/fork": "Api_data.data_fork:",
    "POST /data/tag": "",
    "POST /data/untag": "",
    "DELETE /data/#": "Api_data.data_delete:",
    "POST /task": "Api_task.task_upload:",
    "POST /task/tag": "",
    "POST /task/untag": "",
    "DELETE /task/#": "Api_task.task_delete:",
    "DELETE /study/#": "Api_study.study_delete:",
}
_JUNK = (
    '{"error":{"root_cause":[{"type":"cluster_block_exception","reason":"blocked"}],'
    '"type":"cluster_block_exception","reason":"blocked"},"status":503}'
)
# How often the index is written to: the thing, and for what is new its owner's counters as well.
_JUNK_COUNTS = {"POST /data": 2, "POST /data/edit": 1, "POST /task": 2, "POST /study": 2}
_TAG_CALLS = ("POST /data/tag", "POST /data/untag", "POST /task/tag", "POST /task/untag")
_TWO_DOCUMENTS = ("POST /data", "POST /task", "POST /data/edit")
_NEW_DATASETS = ("POST /data", "POST /data/fork")

CALLS: dict[FaultName, tuple[str, ...]] = {
    "error-105-after-write": tuple(_INDEXED),
    "index-junk": (*_JUNK_COUNTS, *_TAG_CALLS),
    "two-documents": _TWO_DOCUMENTS,
    "two-documents-cut": _TWO_DOCUMENTS,
    "race-134": ("POST /data",),
    "race-614": ("POST /task",),
    "never-active": _NEW_DATASETS,
    "engine-error": _NEW_DATASETS,
}

_HTML = "text/html"
_BEFORE: dict[FaultName, Answer] = {
    "empty-500": Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"", _HTML),
    "429": Answer(429, b"<html><h1>429 Too Many Requests</h1></html>", _HTML, {"Retry-After": "1"}),
    "502-html": Answer(502, b"<html><h1>502 Bad Gateway</h1><hr>nginx</html>", _HTML),
    "database-down": error_document(ApiError(107), "xml"),
}
_AFTER: dict[FaultName, Answer] = {
    "empty-500-after-write": _BEFORE["empty-500"],
    "504-html": Answer(504, b"<html><h1>504 Gateway Time-out</h1><hr>nginx</html>", _HTML),
}


@dataclass(slots=True)
class Fault:
    """A fault that is switched on: for which call, how often (None: until cleared), and how slow."""

    on: str
    fault: FaultName
    times: int | None = 1
    delay_seconds: float = 0.0

    def is_for(self, call: str) -> bool:
        """Whether it may take effect in a call."""
        return self.times != 0 and self.on in {EVERY_CALL, call} and call in CALLS.get(self.fault, (call,))


class Meeting:
    """One call and the fault that it meets, if any; knows in the end whether that took effect."""

    def __init__(self, call: str, fault: Fault | None = None) -> None:
        self._call = call
        self.fault = fault
        self.took_effect = False

    def meets(self, *names: FaultName) -> bool:
        """Whether the call meets one of these faults; asking counts as the effect."""
        is_met = self.fault is not None and self.fault.fault in names
        self.took_effect = self.took_effect or is_met
        return is_met

    def delay_seconds(self) -> float:
        """How long the answer has to wait."""
        return self.fault.delay_seconds if self.fault and self.meets("slow") else 0.0

    def answer_before(self) -> Answer | None:
        """Answer in place of the server, if the fault is of that kind."""
        return _BEFORE[self.fault.fault] if self.fault and self.meets(*_BEFORE) else None

    def answer_after(self, answer: Answer, fmt: Format) -> Answer:
        """Distort the answer of a call that did its work."""
        if self.fault and self.meets(*_AFTER):
            return _AFTER[self.fault.fault]
        if self.meets("cut-answer"):
            return replace(answer, body=answer.body[: len(answer.body) // 2])
        if self.meets("error-105-after-write"):
            failed = error_document(ApiError(105, _INDEXED[self._call] + _NO_INDEX), fmt)
            return failed.followed_by(answer) if self._call == "POST /data/edit" else failed
        if self.meets("index-junk"):
            return self._with_junk(answer, fmt)
        if self.meets("two-documents", "two-documents-cut"):
            both = self._first_document(answer, fmt).followed_by(answer)
            is_cut = self.meets("two-documents-cut")
            return replace(both, body=both.body[: len(answer.body)]) if is_cut else both
        return answer

    def _with_junk(self, answer: Answer, fmt: Format) -> Answer:
        if self._call in _TAG_CALLS:
            return error_document(ApiError(105, _JUNK), fmt)
        return replace(answer, body=_JUNK.encode() * _JUNK_COUNTS[self._call] + answer.body)

    def _first_document(self, answer: Answer, fmt: Format) -> Answer:
        if self._call == "POST /data/edit":
            return error_document(ApiError(105, _NO_INDEX), fmt)
        made = re.search(rb"\d+", answer.body.partition(b"id")[2])
        return error_document(ApiError(473, f"id={made[0].decode() if made else ''}; tag=repeated"), fmt)


class Faults:
    """All faults that are switched on; kept in memory, so a restart clears them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Switch a fault on, behind those that are on already."""
        with self._lock:
            self._faults = [*(known for known in self._faults if known.times != 0), fault]

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._faults = []

    def list_on(self) -> list[dict[str, object]]:
        """List the faults that will still take effect."""
        with self._lock:
            return [asdict(fault) for fault in self._faults if fault.times != 0]

    def meet(self, call: str) -> Meeting:
        """Take the first fault for a call; it is counted at once, since other calls may come meanwhile."""
        with self._lock:
            fault = next((known for known in self._faults if known.is_for(call)), None)
            if fault is not None and fault.times is not None:
                fault.times -= 1
            return Meeting(call, fault)

    def part(self, meeting: Meeting) -> None:
        """Count a fault back that took no effect."""
        with self._lock:
            if meeting.fault and meeting.fault.times is not None and not meeting.took_effect:
                meeting.fault.times += 1
