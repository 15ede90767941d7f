"""Take a session from the edge (SessionDep, a worker's step); what needs its own transactions stands in SEVERAL below.

A function that opens a session by itself holds a connection where its caller may have one already, and commits where
nobody sees it. So each module that has to says why: no connection is held while something slow happens.
"""

from collections.abc import Iterator
from fnmatch import fnmatch

from tests.rules.source import Source, Violation

OPENERS = ("database.session", "database.unit")
EDGES = (
    "app/deps.py",
    "app/resources.py",
    "app/commands/*.py",
    "app/*/routes*.py",
    "app/worker/*.py",
)
"""Where a transaction begins and ends: a request, a command, the start, the frame of a worker's steps."""
CLAIMS = "rows of a queue are claimed by a transaction that stands before the work begins"
STEP = "a worker's step: a transaction before the slow part, and one after it"
SEVERAL = {
    "app/accounts/api_tokens.py": STEP,
    "app/accounts/export.py": "nothing is held while the client reads",
    "app/accounts/deletion.py": "the picture goes once it is certain that no row names it",
    "app/accounts/mail_delivery.py": STEP,
    "app/accounts/provider_flow.py": "nothing is held while a provider is asked",
    "app/accounts/passkey_use.py": "nothing is held while a signature is checked",
    "app/accounts/reauthentication.py": "nothing is held while a password is hashed",
    "app/accounts/sign_in.py": "a ticket is kept though the log-in fails",
    "app/accounts/token_exchange.py": "nothing is held while a CI service is asked for its keys",
    "app/accounts/refresh.py": "what ends with a stolen token stays ended though the request fails",
    "app/accounts/service_picture.py": "a picture goes once it is certain that no row names it",
    "app/accounts/service_public.py": "nothing is held while a password is hashed",
    "app/accounts/service_signed_in.py": "nothing is held while a password is hashed",
    "app/accounts/second_factor.py": STEP,
    "app/accounts/sessions.py": "nothing is held while a password is hashed",
    "app/accounts/totp.py": STEP,
    "app/admin/uploads.py": "bytes go once it is certain that no row names them",
    "app/db/index_changes.py": "told once OpenML has answered, and nothing is held while it is asked",
    "app/db/outbox.py": CLAIMS,
    "app/db/rate_counters.py": "a storage of the library `limits`, which knows no session",
    "app/db/open_requests.py": "one statement for all open requests of a process",
    "app/db/store_marks.py": "nothing is held while the store is asked",
    "app/db/task_requests.py": CLAIMS,
    "app/db/upload_queues.py": CLAIMS,
    "app/index/sources.py": "users are read between two requests to OpenML",
    "app/tasks/service.py": "nothing is held while OpenML is asked",
    "app/uploads/admission.py": "room is reserved while bytes come",
    "app/uploads/append.py": "nothing is held while bytes come",
    "app/uploads/at_openml.py": STEP,
    "app/uploads/claimed.py": STEP,
    "app/uploads/conversion.py": "room is counted while a child process writes",
    "app/uploads/creation.py": "nothing is held while metadata is judged",
    "app/uploads/lifecycle.py": "bytes go once it is certain that no row names them",
    "app/uploads/mending.py": "nothing is held while OpenML is asked",
    "app/uploads/pipeline.py": STEP,
    "app/uploads/receive.py": "nothing is held while bytes come",
    "app/uploads/service.py": "nothing is held while metadata is judged",
    "app/uploads/stopping.py": "bytes go once it is certain that no row names them",
    "app/uploads/event_stream.py": "nothing is held between two looks",
}
"""Why a module opens sessions of its own."""


def violations(source: Source) -> Iterator[Violation]:
    """Yield each session that is opened elsewhere."""
    if source.name in SEVERAL or any(fnmatch(source.name, pattern) for pattern in EDGES):
        return
    yield from opened(source)


def opened(source: Source) -> Iterator[Violation]:
    """Yield each session that a file opens."""
    for name, call in source.calls():
        if name.endswith(OPENERS):
            yield call.lineno, f"{name}() is called"
