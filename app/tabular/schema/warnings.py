"""Warnings about an accepted table: what OpenML can and cannot do with it."""

from collections.abc import Iterator, Mapping, Sequence

from app.tabular.types import Column, ConversionRequest
from app.tabular.wording import counted


def warnings_for(
    request: ConversionRequest,
    columns: Sequence[Column],
    words: Mapping[str, int],
    rows: int,
) -> tuple[str, ...]:
    """Return sentences about a converted table.

    Args:
        request: what was asked.
        columns: the attributes written.
        words: by column, cells that were words such as NA and are now missing.
        rows: number of rows.
    """
    warnings = list(_about_targets(request.target_attributes, columns))
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
            f"{found} (`def_tar_att`): OpenML may be unable to process the dataset, which then never becomes active."
        )
    for column in columns:
        if column.name not in targets:
            continue
        if column.kind == "integer":
            yield (
                f"The target {column.name!r} holds whole numbers: it can be used for regression, but for "
                'classification only if it is declared as "nominal".'
            )
        if column.kind == "string":
            yield f'The target {column.name!r} is text, which no task can use; declare it as "nominal".'
        if column.missing:
            yield f"The target {column.name!r} has missing values; some of OpenML's measures fail on them."
