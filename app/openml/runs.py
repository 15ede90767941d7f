"""Runs and their evaluations, as OpenML's server tells them to everybody: read tolerantly, for strangers made them."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from app.openml import xml
from app.openml.connection import Connection
from app.openml.errors import RefusedError
from app.openml.reading import PAGE, ListKind

NO_EVALUATIONS: Final = 542
"""OpenML's error code for an empty list of evaluations."""
MOST_FOLDS: Final = 1000
"""Of one measure of a run; the procedures that there are have as many at most."""
MOST_SETTINGS: Final = 1000
MOST_FILES: Final = 100
LONGEST_NAME: Final = 1100
"""Characters of the name of a flow; OpenML takes 1024, and adds a version."""
LONGEST_TEXT: Final = 2048
_ENTRY_BYTES: Final = 16 << 10
_WHOLE: Final = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a run came to by one measure; texts are empty, and numbers None, where they are not told."""

    run_id: int
    task_id: int | None
    flow_id: int | None
    flow_name: str
    data_name: str
    uploader: int | None
    at: str
    value: float


@dataclass(frozen=True, slots=True)
class RunMeasure:
    """What a run came to by one measure.

    Attributes:
        value: of the whole run; None where it has none, or none that is finite.
        array: what stands beside it, such as the values of each class, as JSON.
        folds: the finite values of its folds.
    """

    name: str
    value: float | None
    array: str
    folds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A run with all its measures."""

    id: int
    task_id: int | None
    task_type: str
    flow_id: int | None
    flow_name: str
    uploader: int | None
    uploader_name: str
    data_id: int | None
    data_name: str
    error: str
    settings: Sequence[tuple[str, str]]
    measures: Sequence[RunMeasure]
    tags: Sequence[str]
    files: Sequence[tuple[str, str]]
    """What was sent, and where it is: `predictions`, `description` and so on."""


def whole(text: str | None) -> int | None:
    """Return a number of something; None where the text is none."""
    return int(text) if text and _WHOLE.fullmatch(text.strip()) else None


def finite(text: str | None) -> float | None:
    """Return a finite number; None where the text is none."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _text(element: Element, name: str, limit: int = LONGEST_NAME) -> str:
    return (xml.child_text(element, name) or "").strip()[:limit]


def _read_evaluation(element: Element) -> Evaluation | None:
    run_id, value = whole(xml.child_text(element, "run_id")), finite(xml.child_text(element, "value"))
    if run_id is None or value is None:
        return None
    return Evaluation(
        run_id=run_id,
        task_id=whole(xml.child_text(element, "task_id")),
        flow_id=whole(xml.child_text(element, "flow_id")),
        flow_name=_text(element, "flow_name"),
        data_name=_text(element, "data_name"),
        uploader=whole(xml.child_text(element, "uploader")),
        at=_text(element, "upload_time"),
        value=value,
    )


EVALUATIONS: Final[ListKind[Evaluation | None]] = ListKind(
    name="list of evaluations",
    root="evaluations",
    item="evaluation",
    fields=frozenset(
        ["run_id", "task_id", "flow_id", "flow_name", "data_name", "uploader", "upload_time", "value"]
    ),
    read=_read_evaluation,
    most=PAGE,
    limit_bytes=PAGE * _ENTRY_BYTES,
)


def read_run(run_id: int, document: Element) -> Run:
    """Return a run of its description."""
    dataset = document.find(f"{xml.OML}input_data/{xml.OML}dataset")
    settings = document.findall(f"{xml.OML}parameter_setting")[:MOST_SETTINGS]
    files = document.findall(f"{xml.OML}output_data/{xml.OML}file")[:MOST_FILES]
    return Run(
        id=run_id,
        task_id=whole(xml.child_text(document, "task_id")),
        task_type=_text(document, "task_type"),
        flow_id=whole(xml.child_text(document, "flow_id")),
        flow_name=_text(document, "flow_name"),
        uploader=whole(xml.child_text(document, "uploader")),
        uploader_name=_text(document, "uploader_name"),
        data_id=None if dataset is None else whole(xml.child_text(dataset, "did")),
        data_name="" if dataset is None else _text(dataset, "name"),
        error=_text(document, "error", LONGEST_TEXT) or _text(document, "error_message", LONGEST_TEXT),
        settings=[(_text(each, "name"), _text(each, "value", LONGEST_TEXT)) for each in settings],
        measures=_read_measures(document.findall(f"{xml.OML}output_data/{xml.OML}evaluation")),
        tags=xml.child_texts(document, "tag")[:MOST_SETTINGS],
        files=[(_text(each, "name"), _text(each, "url", LONGEST_TEXT)) for each in files],
    )


def _read_measures(elements: Sequence[Element]) -> list[RunMeasure]:
    """Put together what is told of the whole run and of its folds."""
    wholes: dict[str, Element] = {}
    folds: Mapping[str, list[float]] = defaultdict(list)
    for element in elements:
        name = _text(element, "name")
        if "fold" not in element.attrib and "repeat" not in element.attrib:
            wholes.setdefault(name, element)
            continue
        value = finite(xml.child_text(element, "value"))
        if value is not None and len(folds[name]) < MOST_FOLDS:
            folds[name].append(value)
    return [
        RunMeasure(
            name=name,
            value=finite(xml.child_text(found, "value")) if (found := wholes.get(name)) is not None else None,
            array="" if found is None else xml.child_text(found, "array_data") or "",
            folds=tuple(folds.get(name, ())),
        )
        for name in sorted({*wholes, *folds} - {""})
    ]


class Runs:
    """Reads runs and their evaluations. Every method may raise the errors of `app.openml.errors`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def evaluations(
        self, filters: str, measure: str, *, lowest_first: bool, offset: int = 0
    ) -> tuple[list[Evaluation], int]:
        """Return a page of the evaluations by a measure, the lowest or highest first, and how many it had.

        `filters` are those of the API, e.g. `task/59`. What has no finite value is left out.
        """
        order = "asc" if lowest_first else "desc"
        path = f"evaluation/list/function/{measure}/{filters}/sort_order/{order}"
        try:
            found = await self._connection.read_list(f"{path}/limit/{PAGE}/offset/{offset}", EVALUATIONS)
        except RefusedError as error:
            if error.code != NO_EVALUATIONS:
                raise
            return [], 0
        return [each for each in found if each is not None], len(found)

    async def run(self, run_id: int) -> Run:
        """Return a run with its measures."""
        return read_run(run_id, await self._connection.read(f"run/{run_id}", "run", what="run"))
