"""LIBSVM text becomes sparse ARFF, value by value as scikit-learn reads it."""

import io
import random
from collections.abc import Callable
from typing import Any

import pytest

from app.tabular import Limits, TabularError

Converter = Callable[..., Any]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("+1 1:0.5 3:1e-3\n-1 2:-7\n0\n", ["label", "x1", "x2", "x3"]),
        ("1.5 0:2 4:0\r\n2 1:3", ["label", "x0", "x1", "x2", "x3", "x4"]),
        ("# head\n1 qid:3 1:2 # doc 7\n\n2 qid:4 2:9\n", ["label", "qid", "x1", "x2"]),
    ],
)
def test_rows_when_sparse_then_the_values_are_those_of_scikit_learn(
    converter: Converter, text: str, names: list[str]
) -> None:
    # Not imported by all who collect tests: it takes a tenth of their time.
    from sklearn.datasets import load_svmlight_file

    done = converter(text, kind="svm")
    assert [column.name for column in done.conversion.columns] == names
    assert done.conversion.arff_format == "Sparse_ARFF"
    loaded = load_svmlight_file(io.BytesIO(text.encode()), query_id="qid" in names, zero_based="x0" in names)
    expected = loaded[0].toarray().tolist()
    head = [[label] for label in loaded[1].tolist()]
    if "qid" in names:
        head = [[*cells, query] for cells, query in zip(head, loaded[2].tolist(), strict=True)]
    cells = [dict.fromkeys(range(len(names)), 0.0) for _ in done.rows]
    for row, line in zip(cells, done.rows, strict=True):
        pairs = [pair.split(" ") for pair in line.strip("{}").split(",")]
        row.update({int(index): float(value) for index, value in pairs})
    assert [list(row.values()) for row in cells] == [[*a, *b] for a, b in zip(head, expected, strict=True)]


NUMBERS = (
    "0",
    "-1.5",
    "+7",
    "1e-05",
    "2E3",
    "1e400",
    "nan",
    "00012",
    "1.",
    ".5",
    "123456789012345678",
    "-0.000000000001",
)


@pytest.mark.parametrize("seed", range(60))
def test_rows_when_read_at_once_then_as_pair_by_pair(converter: Converter, seed: int) -> None:
    """A second blank between pairs has them read one by one."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    rows = []
    for _ in range(chance.randrange(1, 5)):
        indices = chance.sample(range(1, 9), chance.randrange(4))
        pairs = [
            f"{index}:{chance.choice(NUMBERS)}" for index in (indices if seed % 5 == 0 else sorted(indices))
        ]
        label = chance.choice(["+1", "-1", "3", "0.5", "+-1", chance.choice(NUMBERS)])
        rows.append(" ".join([label, *(["qid:7"] if seed % 3 == 0 else []), *pairs]))
    text = "\n".join(rows)

    def outcome(content: str) -> object:
        try:
            return converter(content, kind="svm").text
        except TabularError as error:
            return str(error)

    assert outcome(text) == outcome(text.replace(" ", "  "))


def test_labels_when_declared_nominal_then_those_that_occur(converter: Converter) -> None:
    done = converter(
        "+1 1:1\n-1 1:2\n", kind="libsvm", attributes={"label": "nominal"}, target_attributes=("label",)
    )
    assert "@ATTRIBUTE 'label' {-1,1}\n" in done.text
    assert done.rows == ["{0 1,1 1}", "{0 -1,1 2}"]


def test_comments_when_there_are_some_then_told_that_they_are_left_out(converter: Converter) -> None:
    changes = [repair.change for repair in converter("1 1:1 # a\n2 1:2\n", kind="svm").conversion.repairs]
    assert changes == ["The columns are named `label` to `x1`.", "1 comment left out."]


@pytest.mark.parametrize(
    ("text", "slug", "line", "said"),
    [
        ("1 1:1\n1,3 1:2\n", "invalid-svmlight", 2, "several labels"),
        ("1:1 2:2\n", "invalid-svmlight", 1, "no label"),
        ("1 2:1 1:1\n", "invalid-svmlight", 1, "ascend"),
        ("1 1:1 1:2\n", "invalid-svmlight", 1, "ascend"),
        ("1 1:x\n", "invalid-svmlight", 1, "not a number"),
        ("1 1:nan\n", "invalid-svmlight", 1, "not a number"),
        ("1 -1:2\n", "invalid-svmlight", 1, "no pair"),
        ("1 qid:1 1:1\n1 1:1\n", "invalid-svmlight", 2, "qid"),
        ("# nothing\n", "no-rows", None, "no rows"),
        ("a,b\n1,2\n", "invalid-svmlight", 1, "several labels"),
    ],
)
def test_rows_when_they_cannot_be_read_then_refused_with_the_line(
    converter: Converter, text: str, slug: str, line: int | None, said: str
) -> None:
    with pytest.raises(TabularError) as caught:
        converter(text, kind="svm")
    assert (caught.value.slug, caught.value.line) == (slug, line)
    assert said in str(caught.value)


def test_indices_when_beyond_the_most_columns_then_refused(converter: Converter) -> None:
    with pytest.raises(TabularError) as caught:
        converter("1 999999999:1\n", kind="svm", limits=Limits(max_columns=100))
    assert caught.value.slug == "too-many-columns"
