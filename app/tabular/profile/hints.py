"""Quality hints: what whoever publishes a table may want to change first. Advice: nothing is refused for one.

Each says its figure and what to do. It is exact unless `rows_looked_at` is less than the table's rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.profile.giveaways import class_share, line_share
from app.tabular.profile.looks import count_mails, count_telephones, is_name_of_id, is_name_of_personal
from app.tabular.profile.sampling import EqualColumns, RowSample
from app.tabular.wording import counted

MOST_NAMES = 20
"""Columns that a hint names."""
_NUMBERS = frozenset({"integer", "real", "numeric"})
_MOST_COMPARED, _FEWEST_COMPARED, _ENOUGH = 6_000, 100, 1_000
_BETWEEN, _NO_VALUE = "\x1f", "\x1e"
_FEWEST_IDS = 10
_LONGEST_ID = 64
_UNEVEN = 20
_MOST_CLASSES = 0.5
_LEAST_TELEPHONES = 0.5


class ColumnFacts(NamedTuple):
    """What the statistics of a column say.

    Attributes:
        name: as published.
        kind: its type.
        stated: cells that are not missing.
        distinct: different values, or at least so many.
        is_exact: whether `distinct` is.
        range: the smallest and the largest of its numbers.
        longest: characters of the longest text.
    """

    name: str
    kind: str
    stated: int
    distinct: int
    is_exact: bool
    range: tuple[float, float] | None
    longest: int | None


@dataclass(frozen=True, slots=True)
class TableEvidence:
    """What hints are found in.

    Attributes:
        rows: of the table.
        columns: by index; those that cannot be published are not among them.
        targets: columns that are to be predicted.
        others: columns that are no features: numbers of rows, and what is to be ignored.
        classes: by target, how many rows have each label, where all are counted.
        sample: some of the rows; None for sparse rows.
        equal: columns that are equal in all rows; None as above.
    """

    rows: int
    columns: Mapping[int, ColumnFacts]
    targets: Sequence[int]
    others: frozenset[int]
    classes: Mapping[int, Mapping[str, int]]
    sample: RowSample | None
    equal: EqualColumns | None


@dataclass(frozen=True, slots=True)
class Hint:
    """One piece of advice.

    Attributes:
        slug: what kind it is of.
        message: what is so, with the figure.
        advice: what to do.
        columns: the first of the columns that it is about, as published.
        column_count: how many there are.
        rows_looked_at: of how many rows it is known.
    """

    slug: str
    message: str
    advice: str
    columns: list[str]
    column_count: int
    rows_looked_at: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


def hints_for(table: TableEvidence) -> list[Hint]:
    """Return the hints for a table, at most one of each kind."""
    if not table.rows:
        return []
    finders: tuple[Callable[[TableEvidence], Iterator[Hint]], ...] = (
        _constant,
        _equal_columns,
        _equal_rows,
        _ids,
        _giveaways,
        _single_rows,
        _uneven,
        _personal,
    )
    return [hint for find in finders for hint in find(table)]


def _hint(
    table: TableEvidence, slug: str, message: str, advice: str, names: Iterable[str], *, rows: int = 0
) -> Hint:
    found = list(names)
    shown = [name[:200] for name in found[:MOST_NAMES]]
    return Hint(slug, message, advice, shown, len(found), rows or table.rows)


def _constant(table: TableEvidence) -> Iterator[Hint]:
    names = [
        facts.name
        for facts in table.columns.values()
        if facts.is_exact and facts.distinct == 1 and facts.stated == table.rows > 1
    ]
    if names:
        yield _hint(
            table,
            "constant-columns",
            f"{counted(len(names), 'column')} {_have(names)} the same value in every row.",
            "Leave them out: no model learns anything from a value that never changes.",
            names,
        )


def _equal_columns(table: TableEvidence) -> Iterator[Hint]:
    if table.equal is None:
        return
    groups = [
        [index for index in group if index in table.columns and table.columns[index].distinct > 1]
        for group in table.equal.groups
    ]
    repeated = [index for group in groups for index in group[1:]]
    if repeated:
        first = next(group for group in groups if group[1:])
        example = f"{table.columns[first[1]].name[:200]!r} and {table.columns[first[0]].name[:200]!r}"
        yield _hint(
            table,
            "duplicate-columns",
            f"{counted(len(repeated), 'column')} {_have(repeated)} in every row the value of an earlier one, "
            f"such as {example}.",
            "Leave out all but one of each.",
            (table.columns[index].name for index in sorted(repeated)),
        )


def _equal_rows(table: TableEvidence) -> Iterator[Hint]:
    sample = table.sample
    if sample is None or len(sample.indices) < len(table.columns) or sample.rows <= 1:
        return
    cells = [sample.column(index) for index in sample.indices]
    rows = pc.binary_join_element_wise(*cells, _BETWEEN, null_handling="replace", null_replacement=_NO_VALUE)
    repeated = len(rows) - len(rows.unique())
    if repeated:
        yield _hint(
            table,
            "duplicate-rows",
            f"{repeated} of {_rows(table, sample.rows)} {'is' if repeated == 1 else 'are'} the same as an earlier one.",
            "Remove them if they are the same observation twice: a copy in the test data of a row that was trained on "
            "makes results look better than they are.",
            (),
            rows=sample.rows,
        )


def _ids(table: TableEvidence) -> Iterator[Hint]:
    names = [facts.name for index, facts in _features(table) if _is_id(table, index, facts)]
    if names:
        is_sure = all(facts.is_exact for facts in table.columns.values() if facts.name in {*names})
        looked_at = table.rows if is_sure or table.sample is None else table.sample.rows
        yield _hint(
            table,
            "id-features",
            f"{counted(len(names), 'feature')} {_have(names)} another value in each of {_rows(table, looked_at)}, as "
            "the number of a row has.",
            "Say that it is the row's identifier (`row_id_attribute`), or let it be ignored (`ignore_attribute`).",
            names,
            rows=looked_at,
        )


def _is_id(table: TableEvidence, index: int, facts: ColumnFacts) -> bool:
    """Return whether each row has another value, and it is called so, counts on or is one short word."""
    if facts.kind not in {"integer", "string", "nominal"} or facts.stated < max(table.rows, _FEWEST_IDS):
        return False
    is_called_so = is_name_of_id(facts.name)
    low, high = facts.range or (0, 0)
    if not (
        is_called_so or facts.kind == "string" or (facts.kind == "integer" and high - low + 1 == table.rows)
    ):
        return False
    is_unique = facts.distinct == table.rows if facts.is_exact else _is_unique(table.sample, index)
    return is_unique and (is_called_so or facts.kind == "integer" or _are_words(table.sample, index, facts))


def _is_unique(sample: RowSample | None, index: int) -> bool:
    if sample is None or index not in sample.indices:
        return False
    cells = sample.column(index)
    return len(cells.unique()) == len(cells)


def _are_words(sample: RowSample | None, index: int, facts: ColumnFacts) -> bool:
    if sample is None or index not in sample.indices or (facts.longest or 0) > _LONGEST_ID:
        return False
    return not pc.match_substring(sample.column(index), " ").true_count


def _giveaways(table: TableEvidence) -> Iterator[Hint]:
    sample = table.sample
    if sample is None or len(table.targets) != 1 or table.targets[0] not in sample.indices:
        return
    target = table.targets[0]
    compared = min(_ENOUGH, max(_FEWEST_COMPARED, _MOST_COMPARED // len(sample.indices)))
    step = -(-sample.rows // compared)
    known = _every(sample.column(target), step)
    shares: dict[str, float] = {}
    for index, facts in _features(table):
        # What is constant tells nothing, and costs as much.
        if index in sample.indices and facts.distinct > 1:
            values = _every(sample.column(index), step)
            share = _share(table.columns[target].kind, facts.kind, known, values)
            if share is not None:
                shares[facts.name] = share
    if shares:
        best = max(shares, key=lambda name: shares[name])
        yield _hint(
            table,
            "target-giveaway",
            f"{counted(len(shares), 'feature')} {'goes' if len(shares) == 1 else 'go'} with the target almost without "
            f"exception: {best[:200]!r} tells {100 * shares[best]:.1f} % of it in {_rows(table, len(known))}.",
            "Leave out, or let be ignored (`ignore_attribute`), what is known only once the target is, or made of it.",
            shares,
            rows=len(known),
        )


def _every(cells: pa.Array, step: int) -> list[str | None]:
    found: list[str | None] = cells.take(pa.array(range(0, len(cells), step), pa.int64())).to_pylist()
    return found


def _share(
    target_kind: str, kind: str, target: Sequence[str | None], feature: Sequence[str | None]
) -> float | None:
    if target_kind not in _NUMBERS:
        return class_share(target, feature, is_number=kind in _NUMBERS)
    return line_share(target, feature) if kind in _NUMBERS else None


def _single_rows(table: TableEvidence) -> Iterator[Hint]:
    for index, counts in _nominal_targets(table):
        single = [label for label, count in counts.items() if count == 1]
        if single:
            yield _hint(
                table,
                "single-row-classes",
                f"{len(single)} {'classes' if single[1:] else 'class'} of the target {_have(single)} one row only, "
                f"such as {single[0][:100]!r}.",
                "Join rare classes, or remove their rows: no split has such a class both in training and in test data.",
                [table.columns[index].name],
            )


def _uneven(table: TableEvidence) -> Iterator[Hint]:
    for index, counts in _nominal_targets(table):
        most, least = max(counts, key=lambda one: counts[one]), min(counts, key=lambda one: counts[one])
        if counts[most] >= _UNEVEN * counts[least]:
            share = 100 * counts[most] / sum(counts.values())
            yield _hint(
                table,
                "class-imbalance",
                f"The classes are uneven: {most[:100]!r} has {share:.1f} % of the rows, {least[:100]!r} has "
                f"{counts[least]}.",
                "Say so in the description, and judge models by measures that do not reward guessing the commonest "
                "class, such as the area under the ROC curve.",
                [table.columns[index].name],
            )


def _nominal_targets(table: TableEvidence) -> Iterator[tuple[int, Mapping[str, int]]]:
    """Yield targets whose values are classes, and not another one in every second row, and how many rows each has."""
    for index in table.targets:
        counts = table.classes.get(index, {})
        if len(counts) > 1 and len(counts) <= _MOST_CLASSES * table.rows:
            yield index, counts


def _personal(table: TableEvidence) -> Iterator[Hint]:
    found: dict[str, str] = {}
    for index, facts in table.columns.items():
        said = _mails_or_telephones(table.sample, index, facts)
        if said:
            found[facts.name] = said
        elif is_name_of_personal(facts.name):
            found[facts.name] = "by its name"
    if found:
        name, said = next(iter(found.items()))
        yield _hint(
            table,
            "personal-data",
            f"{counted(len(found), 'column')} {'looks' if len(found) == 1 else 'look'} like data about persons, "
            f"such as {name[:200]!r}: {said}.",
            "Publish them only if you may: leave the columns out, or replace them by numbers that lead back to nobody.",
            found,
            rows=table.sample.rows if table.sample is not None and table.sample.rows else table.rows,
        )


def _mails_or_telephones(sample: RowSample | None, index: int, facts: ColumnFacts) -> str:
    if sample is None or facts.kind in _NUMBERS or index not in sample.indices:
        return ""
    cells = sample.column(index)
    of = f"of {counted(len(cells) - cells.null_count, 'value')} looked at"
    mails = count_mails(cells)
    if mails:
        return f"{mails} {of} {'has' if mails == 1 else 'have'} a mail address"
    cells = cells.drop_null().slice(0, _FEWEST_COMPARED)
    of = f"of {counted(len(cells), 'value')} looked at"
    telephones = count_telephones(cells)
    if telephones and telephones >= _LEAST_TELEPHONES * len(cells):
        return f"{telephones} {of} {'is a telephone number' if telephones == 1 else 'are telephone numbers'}"
    return ""


def _features(table: TableEvidence) -> Iterator[tuple[int, ColumnFacts]]:
    skipped = table.others.union(table.targets)
    return ((index, facts) for index, facts in table.columns.items() if index not in skipped)


def _rows(table: TableEvidence, looked_at: int) -> str:
    return counted(table.rows, "row") if looked_at >= table.rows else f"{looked_at} rows that were looked at"


def _have(names: Sequence[object]) -> str:
    return "has" if len(names) == 1 else "have"
