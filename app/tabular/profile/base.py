"""Profiles of tables: what dense and sparse tables have in common, and the form of the result."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.profile.alternatives import TypeAlternative, TypeViolation
from app.tabular.profile.hints import ColumnFacts, TableEvidence, hints_for
from app.tabular.profile.numbers import Numbers
from app.tabular.profile.reasons import Evidence, reason
from app.tabular.profile.report import write_report
from app.tabular.profile.sampling import EqualColumns, RowSample
from app.tabular.profile.stats import LONGEST_VALUE, Detail, Lengths, Values, shortened_value
from app.tabular.schema.cells import BLANKS
from app.tabular.schema.inference import InferredType
from app.tabular.schema.job import ColumnPlans, Job, repairs_of, warnings_of
from app.tabular.schema.plan import ColumnPlan, RowCounts
from app.tabular.schema.scans import Scan
from app.tabular.table import LONG_COLUMN
from app.tabular.types import Column, Profile, ProgressSink

MOST_ROWS, MOST_ROW_COLUMNS, LONGEST_CELL = 20, 200, 200
"""Limits on the first rows in a profile: rows, columns, and characters of a cell."""
MOST_LABELS, MOST_REMARKS = 100, 100
"""Limits on a column's labels and on the table's repairs and warnings in a profile."""
NUMBERS = frozenset({"integer", "real", "numeric"})


class TableProfiler:
    """Collects the profile of a table.

    Attributes:
        rows: number of rows read.
        plans: of the columns; one that was refused is text.
        sample: rows for the quality hints, where they are dense.
        equal: columns that are equal, likewise.
    """

    sample: RowSample | None = None
    equal: EqualColumns | None = None

    def __init__(self, job: Job, plans: ColumnPlans, report: ProgressSink) -> None:
        self.rows = 0
        self._job = job
        self._report = report
        self.plans = plans
        self._plans, self._left_out = plans
        self._detail = Detail.of(max(len(self._plans), 1), job.request.limits.max_labels)
        # By column: what the conversion would refuse.
        self._faults: dict[int, TypeViolation] = {}
        self._counts = RowCounts(self._plans)
        self._fitting = dict.fromkeys(self._plans, 0)
        self._found: dict[int, int] = {}
        self._first_rows: list[list[str | None]] = []
        self._repeated = _repeated_names({index: job.file_names[index] for index in self._plans})
        self._shown = list(self._plans)[:MOST_ROW_COLUMNS]
        self._kinds = {index: plan.kind for index, plan in self._plans.items()}
        whole = {index: kind == "integer" for index, kind in self._kinds.items()}
        self._numbers = Numbers(whole, self._detail)
        self._lengths = Lengths()
        self._values = Values(
            self._plans, self._detail, different=self._different, is_watched=self._has_commonest
        )

    def alternatives(self, index: int) -> list[TypeAlternative]:
        """Return whether each type could be declared for a column."""
        raise NotImplementedError

    def write(self) -> Profile:
        """Write the profile."""
        job, counts = self._job, self._counts
        sound = {index: plan for index, plan in self._plans.items() if index not in self._faults}
        columns = [
            Column(plan.name, plan.kind, plan.labels, counts.missing[at]) for at, plan in sound.items()
        ]
        words = {plan.name: counts.words[index] for index, plan in sound.items() if counts.words[index]}
        repairs = repairs_of(job, sound, self._left_out)
        warnings = warnings_of(job, sound, columns, words, counts)
        table = {
            "rows": self.rows,
            "repair": job.request.repair,
            "columns": len(self._plans),
            "errors": len(self._faults),
            "arff_format": "Sparse_ARFF" if job.sparse else "ARFF",
            "target_attributes": job.request.target_attributes,
            "row_id_attribute": job.request.row_id_attribute,
            "ignore_attributes": job.request.ignore_attributes,
            "repairs": [asdict(repair) for repair in repairs[:MOST_REMARKS]],
            "repair_count": len(repairs),
            "warnings": warnings[:MOST_REMARKS],
            "hints": [hint.to_json() for hint in hints_for(self._facts(sound))],
            "first_rows": self._first_rows,
            "reading": job.reading.to_json(),
            "doubts": [asdict(doubt) for doubt in job.reading.questions],
        }
        write_report(
            job.request.target, table, (self._column(index) for index in self._plans), job.request.limits
        )
        return Profile(self.rows, len(self._plans), len(self._faults))

    def _facts(self, sound: Mapping[int, ColumnPlan]) -> TableEvidence:
        request = self._job.request
        others = {*request.ignore_attributes, request.row_id_attribute}
        targets = [index for index, plan in sound.items() if plan.name in request.target_attributes]
        return TableEvidence(
            self.rows,
            {index: self._column_facts(index) for index in sound},
            targets,
            frozenset(index for index, plan in sound.items() if plan.name in others),
            {index: self._published_counts(index) for index in targets if self._is_class(index)},
            self.sample,
            self.equal,
        )

    def _is_class(self, index: int) -> bool:
        return self._plans[index].kind == "nominal" and self._values.states[index].at_least is None

    def _column_facts(self, index: int) -> ColumnFacts:
        numbers, lengths = self._numbers.states.get(index), self._lengths.states.get(index)
        return ColumnFacts(
            self._plans[index].name,
            self._kinds[index],
            self.rows - self._counts.missing[index],
            self._distinct(index),
            self._values.states[index].at_least is None,
            (numbers.low, numbers.high) if numbers else None,
            lengths.longest if lengths else None,
        )

    def _distinct(self, index: int) -> int:
        """Return how many values a column has, at least."""
        values = self._values.states[index]
        if index not in self._found:
            self._found[index] = (
                self._different(index, values.counts) if values.at_least is None else values.at_least
            )
        return self._found[index]

    def _column(self, index: int) -> dict[str, Any]:
        plan, fault = self._plans[index], self._faults.get(index)
        numbers = None if fault else self._numbers.states.get(index)
        lengths = None if fault else self._lengths.states.get(index)
        values = self._values.states[index]
        alternatives = self.alternatives(index)
        return {
            "index": index,
            "file_name": self._job.file_names[index],
            "name": plan.name,
            "key": plan.name if index in self._repeated else self._job.file_names[index],
            "type": self._kinds[index],
            "labels": plan.labels and plan.labels[:MOST_LABELS],
            "label_count": plan.labels and len(plan.labels),
            "why": self._why(index, alternatives),
            "chosen": self._job.request.attributes.get(plan.name),
            "alternatives": [alternative.to_json() for alternative in alternatives],
            "missing": self._counts.missing[index],
            "distinct": self._distinct(index),
            "distinct_is_exact": values.at_least is None,
            "numbers": numbers.to_json() if numbers else None,
            "commonest": self._commonest(index) if self._has_commonest(index) else None,
            "lengths": lengths.to_json() if lengths else None,
            "error": fault.to_json() if fault else None,
        }

    def _why(self, index: int, alternatives: Sequence[TypeAlternative]) -> str:
        if index in self._faults:
            return self._faults[index].message
        job, plan = self._job, self._plans[index]
        scan = self._scan(index)
        integer = next(each for each in alternatives if each.type == "integer")
        return reason(
            Evidence(
                plan,
                self.rows - self._counts.missing[index],
                self._fitting[index],
                job.request.attributes.get(plan.name),
                scan.evidence if isinstance(scan, InferredType) else None,
                job.file_types[index] if job.file_types else None,
                integer.fault,
                plan.name in job.request.target_attributes,
            )
        )

    def _scan(self, index: int) -> Scan:
        return self._job.scans[index]

    def _has_commonest(self, index: int) -> bool:
        return index in self._faults or self._plans[index].kind not in NUMBERS

    def _published_counts(self, index: int) -> dict[str, int]:
        counts: dict[str, int] = {}
        for text, count in self._values.states[index].counts.items():
            value = self._value(index, text)
            if value is not None:
                counts[value] = counts.get(value, 0) + count
        return counts

    def _commonest(self, index: int) -> list[dict[str, Any]]:
        counts = self._published_counts(index)
        found = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: self._detail.commonest]
        return [{"value": shortened_value(value), "count": count} for value, count in found]

    def _different(self, index: int, texts: Collection[str]) -> int:
        plan = self._plans[index]
        # Of thousands of columns each has its values taken here.
        is_as_spelled = index not in self._faults and plan.is_verbatim and not plan.missing_words
        values = texts if is_as_spelled else self._published_values(index, texts)
        return len(values) if self._has_commonest(index) else _different_numbers(values)

    def _published_values(self, index: int, texts: Iterable[str]) -> set[str]:
        return {value for text in texts if (value := self._value(index, text)) is not None}

    def _value(self, index: int, text: str) -> str | None:
        """Return the published value of a text, or None if it is missing."""
        if index in self._faults:
            return text
        plan = self._plans[index]
        value = text if plan.is_plain else text.strip(BLANKS)
        if value in plan.missing_words:
            return None
        return value if plan.notation.is_plain else plan.notation.plain(value)

    def _refuse(self, index: int, fault: TypeViolation) -> None:
        """Treat a column as text from the current block on; no word in it is a missing value."""
        self._faults.setdefault(index, fault)
        self._plans[index] = ColumnPlan(self._plans[index].name, "string")
        self._counts.missing[index] -= self._counts.words[index]
        self._counts.words[index] = 0


def _different_numbers(texts: Collection[str]) -> int:
    """Return how many numbers different texts stand for."""
    if max(map(len, texts), default=0) > LONGEST_VALUE:
        # A number that is too long to be kept is known by its first digits and a digest.
        return len({text if len(text) > LONGEST_VALUE else float(text) for text in texts})
    if len(texts) <= LONG_COLUMN:
        return len(set(map(float, texts)))
    # Zero is added because Arrow takes a negative zero for another number.
    found: int = pc.count_distinct(pc.add(pa.array(list(texts), pa.string()).cast(pa.float64()), 0.0)).as_py()
    return found


def shortened_cell(cell: str | None) -> str | None:
    """Return a cell, truncated to `LONGEST_CELL` characters."""
    return cell if cell is None or len(cell) <= LONGEST_CELL else cell[: LONGEST_CELL - 1] + "…"


def _repeated_names(names: Mapping[int, str]) -> set[int]:
    """Return the columns whose name in the file is empty or that of an earlier column."""
    seen = {""}
    later = set()
    for index, name in names.items():
        if name in seen:
            later.add(index)
        seen.add(name)
    return later
