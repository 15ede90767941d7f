"""Ask Database.now, or now_of(session) in a transaction: what is judged on another machine needs the clock they share.

Leases, tokens, links, cut-offs, counters: a machine that is five seconds ahead must not take another's work, nor keep a
token alive. The exceptions below are judged where they were made, or by whoever says so.
"""

from collections.abc import Iterator

from tests.rules.source import SANDBOX, Source, Violation

ASKS = ("utc_now", "time.time", "time.time_ns")
OWN_CLOCK = {
    "app/core/clock.py": "asks for everybody",
    "app/core/limits.py": "the library of the rate limits tells ends of windows in this machine's time",
    "app/db/rate_counters.py": "as above",
    "app/index/filling.py": "when this machine reads a list again",
    "app/published/folder.py": "files of this machine have its times",
    "app/metrics/scraping.py": "how old this machine's index is",
    "app/doctor/servers.py": "as above",
    "app/metrics/sampling.py": "how far the two clocks are apart is what it tells",
    "app/mail/transport.py": "a name of a file, to sort by",
    "app/doctor/clocks.py": "as above",
    "app/doctor/site.py": "how long a certificate is valid",
    "app/mail/trial.py": "the date of a test mail, which no database has a part in",
    "app/web/well_known.py": "a day within the next year",
    "app/storage/pictures.py": "files of this machine have its times",
    "app/storage/s3_pictures.py": "the store's own times, with an hour's grace",
}
"""Files that may ask their own machine, and why."""


def violations(source: Source) -> Iterator[Violation]:
    """Yield every call that asks this machine for the time of day."""
    if source.name in OWN_CLOCK or source.name.startswith(SANDBOX):
        return
    for name, call in source.calls():
        if name in ASKS or name.endswith(".utc_now"):
            yield call.lineno, f"{name}() is called"
