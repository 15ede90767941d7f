"""Warnings about an accepted table: what OpenML can and cannot do with it."""

from collections.abc import Iterator, Mapping, Sequence

from app.tabular.types import Column, ConversionRequest
from app.tabular.wording import counted, shortened

MOST_TARGET_LABELS = 23_170
"""Labels of a target for whose square, in whole numbers of four bytes, OpenML's engine has memory (2 GiB)."""
_MOST_BEYOND = 10


def warnings_for(
    request: ConversionRequest,
    columns: Sequence[Column],
    words: Mapping[str, int],
    rows: int,
    beyond: Mapping[str, tuple[int, str]],
) -> tuple[str, ...]:
    """Return sentences about a converted table.

    Args:
        request: what was asked.
        columns: the attributes written.
        words: by column, cells that were words such as NA and are now missing.
        rows: number of rows.
        beyond: by column, the row (from 0) and the text of a number at which the sum of squares is infinite.
    """
    warnings = list(_about_targets(request.target_attributes, columns))
    for name, (row, text) in list(beyond.items())[:_MOST_BEYOND]:
        warnings.append(
            f"In column {name!r}, row {row + 1} has {shortened(text)}, and no double can hold the sum of the squares. "
            "OpenML's engine computes it and gives up: the dataset never becomes active. Scale the column, make the "
            'value missing, or declare the column as "string".'
        )
    for column in columns:
        if column.missing == rows:
            warnings.append(f"Column {column.name!r} has no value at all; it is published as {column.kind}.")
        if column.name in words and column.kind in {"string", "nominal"}:
            count = counted(words[column.name], "cell")
            warnings.append(
                f"In column {column.name!r}, {count} with words such as NA became missing; to keep such words, "
                'declare the column as "string" or list its labels.'
            )
    return tuple(warnings)


def _about_targets(targets: Sequence[str], columns: Sequence[Column]) -> Iterator[str]:
    if len(targets) != 1:
        found = "No default target is given" if not targets else "Several default targets are given"
        yield (
            f"{found} (`def_tar_att`): OpenML's engine asks each row for its class and gives up, so that the dataset "
            "never becomes active. Name the one column that is to be predicted, if there is one."
        )
    for column in columns:
        if column.name not in targets:
            continue
        if column.kind == "integer":
            yield (
                f"The target {column.name!r} holds whole numbers: it can be used for regression, but for "
                'classification only if it is declared as "nominal".'
            )
        if column.labels and len(column.labels) > MOST_TARGET_LABELS:
            yield (
                f"The target {column.name!r} has {len(column.labels)} labels. OpenML's engine needs memory for the "
                f"square of their number, and has it for {MOST_TARGET_LABELS}: the dataset never becomes active. Name "
                "another target, or join labels."
            )
        if column.kind == "string":
            yield f'The target {column.name!r} is text, which no task can use; declare it as "nominal".'
        if column.missing:
            yield f"The target {column.name!r} has missing values; some of OpenML's measures fail on them."
