"""Every metric of the service: name, kind, labels, and what it says. docs/metrics.md and the dashboard are made of it.

Whoever measures calls `add`, `observe` or `set` of a metric (`app/core/measuring.py`).

Labels have few values, all of them ours: a route's template and never a path, an outcome and never a text.
"""

from collections.abc import Mapping
from typing import Final

from app.core.measuring import Kind, Metric, ValueSource


def _metric(name: str, kind: Kind, text: str, *labels: str, **more: object) -> Metric:
    return Metric(name, kind, text, labels, **more)  # type: ignore[arg-type]  # named as there


def _each(*values: str) -> tuple[tuple[str, ...], ...]:
    return tuple((value,) for value in values)


_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
_READ: Final = ValueSource.SCRAPE
_ANSWER_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600)
"""From a row by its key to a form that waits until its dataset is published."""
_OPENML_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900)
_CONVERSION_SECONDS = (0.1, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600)
_DELAY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_MEMORY_BYTES = (64e6, 128e6, 256e6, 512e6, 1e9, 1.5e9, 2e9, 4e9)

# Requests
HTTP_REQUESTS = _metric(
    "http_requests_total",
    _C,
    "Requests that were answered, by the template of their route.",
    "method",
    "route",
    "status",
)
HTTP_SECONDS = _metric(
    "http_request_duration_seconds", _H, "Time from a request's head to the end of its answer.", "method", "route",
    buckets=_ANSWER_SECONDS,
)  # fmt: skip
HTTP_BYTES_IN = _metric("http_request_body_bytes_total", _C, "Bytes of bodies that came in.", "route")
HTTP_BYTES_OUT = _metric("http_response_body_bytes_total", _C, "Bytes of bodies that went out.", "route")
HTTP_PROBLEMS = _metric("http_problems_total", _C, "Problems that were answered, by their name.", "problem")
FILES_ANSWERED = _metric("site_files_total", _C, "Files of the frontend's build that were answered.")
UNTRUSTED_PROXIES = _metric(
    "untrusted_forwarded_total",
    _C,
    "Requests whose X-Forwarded-For came from an address outside TRUSTED_PROXIES.",
)

# Uploads
UPLOAD_STEPS = _metric("upload_steps_total", _C, "Steps of uploads, by the state that they led to.", "state")
UPLOAD_FAILURES = _metric(
    "upload_failures_total", _C, "Uploads that failed, by the name of the problem.", "problem"
)
UPLOADS = _metric("uploads", _G, "Unfinished uploads, at most 10 000 of each state.", "state", source=_READ)
UPLOADS_AGE = _metric(
    "uploads_oldest_seconds", _G, "Age of the oldest unfinished upload of each state.", "state", source=_READ
)
UPLOAD_BYTES = _metric(
    "upload_reserved_bytes", _G, "Bytes that unfinished uploads take of the disk, or will take.", source=_READ
)
UPLOAD_USER_BYTES = _metric(
    "upload_fullest_user_bytes", _G, "The same of the user who has most.", source=_READ
)
UPLOAD_USER_LIMIT = _metric(
    "upload_user_limit_bytes", _G, "What one user may have (UPLOAD_USER_BYTES).", source=_READ
)
UPLOAD_BODIES = _metric("upload_bodies_open", _G, "Requests that are sending bytes of uploads.")
EVENT_STREAMS = _metric("event_streams_open", _G, "Streams of events that are open.")

# Queues and workers
QUEUE_ROWS = _metric(
    "queue_rows", _G, "Rows of each queue, claimed ones included, at most 10 000.", "queue", source=_READ
)
QUEUE_SECONDS = _metric(
    "queue_oldest_due_seconds", _G, "For how long the oldest row that is due has waited for a worker; 0: none is due.",
    "queue", source=_READ,
)  # fmt: skip
WORKERS = _metric(
    "workers", _G, "Workers that work: processes of `openml-web worker`, on all machines.", source=_READ
)
EMBEDDED_WORKERS = _metric("embedded_workers", _G, "Workers that work inside web processes of this machine.")
PROCESSES = _metric("processes", _G, "Processes of this machine that run, `web` or `worker`.", "kind")
CPU_SECONDS = _metric("process_cpu_seconds_total", _C, "Processor time, without child processes.", "kind")
LOOP_DELAY = _metric(
    "event_loop_delay_seconds", _H, "How late a timer of an event loop came, looked at twice a second.",
    buckets=_DELAY_SECONDS,
)  # fmt: skip

# Conversions
CONVERSIONS_RUNNING = _metric("conversions_running", _G, "Tables that child processes profile or convert.")
CONVERSIONS_WAITING = _metric("conversions_waiting", _G, "Tables that wait for one of the machine's places.")
CONVERSION_SECONDS = _metric(
    "conversion_duration_seconds", _H, "Time of a child that profiled or converted a table, by what came of it.",
    "task", "outcome", buckets=_CONVERSION_SECONDS, known=(("convert", "done"), ("profile", "done")),
)  # fmt: skip
CHILD_MEMORY = _metric(
    "child_peak_memory_bytes", _H,
    "The most memory that a child process had that worked on somebody's bytes; not of one that was killed.", "task",
    buckets=_MEMORY_BYTES,
)  # fmt: skip

# OpenML
OPENML_REQUESTS = _metric(
    "openml_requests_total", _C, "Requests to OpenML, by HTTP status (`none`: no answer) and OpenML's error code.",
    "endpoint", "status", "code",
)  # fmt: skip
OPENML_SECONDS = _metric(
    "openml_request_duration_seconds", _H, "Time from a request to OpenML to the end of its answer.", "endpoint",
    buckets=_OPENML_SECONDS,
)  # fmt: skip
OPENML_BYTES = _metric("openml_sent_bytes_total", _C, "Bytes of bodies that were sent to OpenML.")
OPENML_LOST = _metric(
    "openml_lost_answers_total", _C, "Requests to OpenML of which no whole answer came.", "endpoint"
)
RECONCILIATIONS = _metric(
    "openml_reconciliations_total", _C,
    "Looks for an upload whose answer was lost: `found`, `waiting` (it may come), `absent` (sent again), `unknown`.",
    "outcome", known=_each("found", "waiting", "absent", "unknown"),
)  # fmt: skip

# The search index
INDEX_DOCUMENTS = _metric(
    "index_documents", _G, "Documents in the index of this machine.", "kind", source=_READ
)
INDEX_WAITING = _metric(
    "index_documents_waiting",
    _G,
    "Those of which only a list's line is known; they are read whole one by one.",
    source=_READ,
)
INDEX_AGE = _metric(
    "index_age_seconds",
    _G,
    "How long ago a list of the OpenML server was read to its end; every list is looked at each minute.",
    source=_READ,
)
INDEX_BYTES = _metric("index_bytes", _G, "What the index takes of the disk.", source=_READ)

# Mails and accounts
MAILS = _metric(
    "mails_total", _C, "Attempts to send a mail: `sent`, `retried` (it comes later), `given_up`.", "outcome",
    known=_each("sent", "retried", "given_up"),
)  # fmt: skip
MAILS_GIVEN_UP = _metric(
    "mails_given_up", _G, "Mails of the last 30 days that were given up, at most 10 000.", source=_READ
)
LOGINS = _metric(
    "logins_total", _C, "Attempts to log in: `ok`, `wrong` (name or password), `unconfirmed`, `refused` (a limit), "
    "`second_factor` (one is due), `wrong_factor`.",
    "outcome", known=_each("ok", "wrong", "unconfirmed", "refused", "second_factor", "wrong_factor"),
)  # fmt: skip
API_TOKENS_REFUSED = _metric(
    "api_token_refusals_total", _C,
    "API tokens that opened nothing: `mistyped`, `unknown` (or revoked), `expired`, `closed` (account), `scope`.",
    "reason", known=_each("mistyped", "unknown", "expired", "closed", "scope"),
)  # fmt: skip
TOKEN_EXCHANGES = _metric(
    "token_exchanges_total", _C,
    "Tokens of CI jobs that were to be exchanged: `ok`, `refused`, `unavailable` (the CI service's keys).",
    "outcome", known=_each("ok", "refused", "unavailable"),
)  # fmt: skip
LIMITS_HIT = _metric("rate_limit_refusals_total", _C, "Requests that a rate limit refused.", "limit")
EXECUTOR_CALLS = _metric(
    "executor_calls",
    _G,
    "What a bounded executor computes or has waiting: `password` are hashes.",
    "executor",
)
EXECUTOR_LIMIT = _metric("executor_limit", _G, "What it has at most; more is refused.", "executor")

# Database, disk, build
DATABASE_CONNECTIONS = _metric("database_connections", _G, "Connections in use.", "pool")
DATABASE_LIMIT = _metric("database_connections_limit", _G, "Connections that there may be.", "pool")
DATABASE_WAITING = _metric("database_connection_waits", _G, "Who waits for a connection.", "pool")
DATABASE_FAULTS = _metric(
    "database_faults_total",
    _C,
    "What the database did not do, by the reason; `read-only`: it takes no writes.",
    "reason",
    known=_each("read-only", "full", "away"),
)
DATABASE_AWAY = _metric("database_away", _G, "Processes that cannot reach the database.")
CLOCK_OFFSET = _metric(
    "database_clock_offset_seconds", _G, "How far this machine's clock and the database's are apart.",
    source=ValueSource.MAXIMUM,
)  # fmt: skip
DATABASE_UP = _metric(
    "scrape_database_up",
    _G,
    "1 if the database was read for this answer; 0: what is read from it is missing.",
    source=_READ,
)
TABLE_BYTES = _metric(
    "table_bytes",
    _G,
    "Bytes of each table with its indexes, as InnoDB knows them; with SQLite of all together.",
    "table",
    source=_READ,
)
DISK_FREE = _metric("disk_free_bytes", _G, "Free bytes of the disk that DATA_DIR is on.", source=_READ)
DISK_SIZE = _metric("disk_size_bytes", _G, "All bytes of that disk.", source=_READ)
PUBLISHED_BYTES = _metric(
    "published_bytes", _G, "What is kept of published datasets' files on this machine.", source=_READ
)
PUBLISHED_FILES = _metric("published_files", _G, "In how many files that is.", source=_READ)
DISK_RESERVE = _metric(
    "disk_reserve_bytes", _G, "What uploads leave free of it (DISK_RESERVE_BYTES).", source=_READ
)
STORE_KNOWN = _metric(
    "store_known",
    _G,
    "1 if the store of bytes is the database's; 0: it is an empty or another one. Missing: it does not answer.",
    source=_READ,
)
BUILD = _metric("build_info", _G, "Always 1; what runs.", "version", "python", "database", source=_READ)

GROUPS: Mapping[str, tuple[Metric, ...]] = {
    "Requests": (
        HTTP_REQUESTS,
        HTTP_SECONDS,
        HTTP_BYTES_IN,
        HTTP_BYTES_OUT,
        HTTP_PROBLEMS,
        FILES_ANSWERED,
        UNTRUSTED_PROXIES,
    ),
    "Uploads": (
        UPLOAD_STEPS,
        UPLOAD_FAILURES,
        UPLOADS,
        UPLOADS_AGE,
        UPLOAD_BYTES,
        UPLOAD_USER_BYTES,
        UPLOAD_USER_LIMIT,
        UPLOAD_BODIES,
        EVENT_STREAMS,
    ),
    "Queues, workers and processes": (
        QUEUE_ROWS,
        QUEUE_SECONDS,
        WORKERS,
        EMBEDDED_WORKERS,
        PROCESSES,
        CPU_SECONDS,
        LOOP_DELAY,
    ),
    "Conversions": (
        CONVERSIONS_RUNNING,
        CONVERSIONS_WAITING,
        CONVERSION_SECONDS,
        CHILD_MEMORY,
    ),
    "The OpenML server": (
        OPENML_REQUESTS,
        OPENML_SECONDS,
        OPENML_BYTES,
        OPENML_LOST,
        RECONCILIATIONS,
    ),
    "The search index": (
        INDEX_DOCUMENTS,
        INDEX_WAITING,
        INDEX_AGE,
        INDEX_BYTES,
    ),
    "Mails and accounts": (
        MAILS,
        MAILS_GIVEN_UP,
        LOGINS,
        API_TOKENS_REFUSED,
        TOKEN_EXCHANGES,
        LIMITS_HIT,
        EXECUTOR_CALLS,
        EXECUTOR_LIMIT,
    ),
    "Database, disk and version": (
        DATABASE_CONNECTIONS,
        DATABASE_LIMIT,
        DATABASE_WAITING,
        DATABASE_AWAY,
        DATABASE_FAULTS,
        CLOCK_OFFSET,
        DATABASE_UP,
        TABLE_BYTES,
        PUBLISHED_BYTES,
        PUBLISHED_FILES,
        DISK_FREE,
        DISK_SIZE,
        DISK_RESERVE,
        STORE_KNOWN,
        BUILD,
    ),
}
"""All of them: chapters of docs/metrics.md, and rows of the dashboard."""
METRICS: tuple[Metric, ...] = tuple(metric for group in GROUPS.values() for metric in group)
