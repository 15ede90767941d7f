"""Plans of columns, kept by the profile of a file for its conversion, which then reads the rows once.

They hold for the same file, read and published by the same choices, by the same code. A file of them that is damaged,
or of anything else, counts as none.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from app.tabular.disk import DiskBudget
from app.tabular.reading import Doubt
from app.tabular.schema.job import ColumnPlans, Job
from app.tabular.schema.numbers import Notation
from app.tabular.schema.plan import ColumnPlan
from app.tabular.types import ConversionRequest, Repair, TabularError

MOST_BYTES = 1 << 24
"""Of a file of plans; more, which are labels in great number, are not kept."""
_OF_NO_MATTER = frozenset({"source", "target", "plans", "relation", "refuse_doubts", "limits"})
"""Fields of a request by which its plans do not differ; of the limits, see below."""
_LIMITS = ("max_columns", "max_labels", "max_cell_bytes", "max_unpacked_bytes")


def keep_plans(request: ConversionRequest, job: Job, plans: ColumnPlans) -> None:
    """Store the plans derived from all rows of a request's file, if the request names a file and they can be reused."""
    if request.plans is None or job.is_typed or not job.needs_all_rows:
        return
    known = {
        "columns": [[index, asdict(plan)] for index, plan in plans.columns.items()],
        "left_out": [asdict(repair) for repair in plans.left_out],
        "doubts": [asdict(doubt) for doubt in job.reading.doubts],
        "remarks": job.reading.remarks,
    }
    text = json.dumps(known, default=sorted).encode()  # sets are what JSON has not
    if len(text) > MOST_BYTES:
        return
    # It can do without: where there is no room, the conversion reads the rows twice.
    with suppress(TabularError, OSError), request.plans.open("wb") as file:
        DiskBudget(file.fileno(), request.limits).spend(len(text))
        file.write(_head(request, text) + text)


def kept_plans(request: ConversionRequest, job: Job) -> ColumnPlans | None:
    """Return the plans stored for a request, or None, and add the stored reading to that of its file.

    Whose reading may still be refused has none: nobody has seen a preview of it.
    """
    if request.plans is None or request.refuse_doubts or job.is_typed or not job.needs_all_rows:
        return None
    try:
        head, _, text = request.plans.read_bytes().partition(b"\n")
    except OSError:
        return None
    if head + b"\n" != _head(request, text):
        return None
    known = json.loads(text)
    job.reading.doubts[:] = map(_doubt, known["doubts"])
    job.reading.remarks[:] = known["remarks"]
    job.reading.is_complete = True
    return ColumnPlans(
        {index: _plan(plan) for index, plan in known["columns"]},
        [Repair(**repair) for repair in known["left_out"]],
    )


def _head(request: ConversionRequest, text: bytes) -> bytes:
    """Return the first line of a file of plans: a digest of what they are for, of the code, and of the rest."""
    asked = {
        each.name: getattr(request, each.name) for each in fields(request) if each.name not in _OF_NO_MATTER
    }
    asked |= {name: getattr(request.limits, name) for name in _LIMITS}
    asked |= {"reading": asdict(request.reading), "bytes": request.source.stat().st_size}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
    digest.update(f"{sys.version} {pa.__version__}".encode())
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    digest.update(text)
    return digest.hexdigest().encode() + b"\n"


def _plan(known: Mapping[str, Any]) -> ColumnPlan:
    labels = known["labels"]
    return ColumnPlan(
        **{
            **known,
            "labels": labels and tuple(labels),
            "missing_words": frozenset(known["missing_words"]),
            "repairs": tuple(Repair(**repair) for repair in known["repairs"]),
            "doubts": tuple(map(_doubt, known["doubts"])),
            "notation": Notation(**known["notation"]),
        }
    )


def _doubt(known: Mapping[str, Any]) -> Doubt:
    return Doubt(**{**known, "choices": tuple(known["choices"])})
