"""The metrics as a page of the docs, made of their list."""

from collections.abc import Iterable, Iterator

from app.core.measuring import Metric, ValueSource
from app.core.metrics import GROUPS

INTRODUCTION = """# Metrics

With `METRICS_LISTEN=127.0.0.1:9464` Prometheus finds the metrics of a machine at `http://127.0.0.1:9464/metrics`, as
text or as OpenMetrics, whatever it asks for. Without the setting nothing is measured, and the library is not
imported.

```yaml
scrape_configs:
  - job_name: openml-web
    static_configs:
      - targets: ["127.0.0.1:9464"]
```

The address has no password, and tells how much is uploaded, and how many logins fail: let nobody but Prometheus reach
it.

**All processes of a machine are one target**, however they were started: `openml-web serve --workers 4`, `uvicorn`,
and `openml-web worker` beside them. They belong together if they have the same `DATA_DIR`; one of them answers, and
if it ends another one does within a second or two. Counters and histograms are the sums of all, those that have ended
included, from the moment that the first of them started until the last has ended. Gauges are the sums of those that
run. Requests are counted together, twice a second: of a process that is killed the last half second is missing. The
values are in memory, below `/dev/shm` (elsewhere in the folder for temporary files): 1.7 MB for each
process. Each container is a machine of its own.

**What is read from the database** is the same from every machine (`max` of it, not `sum`). It is read when somebody
asks, every five seconds at most, by statements that look at 10 000 rows of each index at most. If the database
does not answer in time it is missing, `scrape_database_up` is 0, and the rest is there.

**Labels are ours alone**: a route is a template such as `/uploads/{upload_id}`, and what no route took is `other`. No
address, name or text of anybody is in a metric.

Alert rules are in `deploy/prometheus/alerts.yml`, and [runbook.md](runbook.md) says what to do about each. A dashboard
for Grafana is `deploy/grafana/dashboard.json`; `openml-web config --dashboard` prints it. Tests have
Prometheus read every query of it, and Grafana's published types (`@grafana/grafana-foundation-sdk`) the document and
each panel. A running Grafana has not been tried.

This page is made from the list in `app/core/metrics.py`: `make docs`. To measure something new add it there; where it
happens call `metrics.NAME.add()`, `.set()` or `.observe()`.

"""
_HEAD = """
| Name | Kind | Labels | Meaning |
|---|---|---|---|
"""
_WHERE = {
    ValueSource.PROCESS: "",
    ValueSource.MAXIMUM: " The largest of all processes.",
    ValueSource.SCRAPE: " Read when asked.",
}


def metrics_as_markdown() -> str:
    """Return docs/metrics.md."""
    groups = (f"\n## {title}\n{_HEAD}{''.join(_rows(group))}" for title, group in GROUPS.items())
    return INTRODUCTION.rstrip("\n") + "\n" + "".join(groups)


def _rows(group: Iterable[Metric]) -> Iterator[str]:
    for metric in group:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
        yield f"| `{metric.full_name}` | {metric.kind} | {labels} | {metric.help}{_WHERE[metric.source]} |\n"
