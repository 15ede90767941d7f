"""Plans that the profile kept: the conversion reads the rows once, and writes the same bytes and says the same."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.tabular import Conversion, ConversionRequest, TabularError
from app.tabular.convert import convert
from app.tabular.profile.run import profile
from app.tabular.reading import Reading
from tests.tabular.test_random_dialects import DIALECTS, Written, tables, written

CSV = """id,flag,"words, quoted",size,late
1,true,"NA",1.5,1
2,false,"b\\ c",,2
3,NA,"d \\" e",3e2,x
"""


def asking(folder: Path, content: bytes, **fields: Any) -> ConversionRequest:
    (folder / "in").write_bytes(content)
    known: dict[str, Any] = {"format": "csv", "relation": "table", "plans": folder / "plans", **fields}
    return ConversionRequest(folder / "in", folder / "out", **known)


def with_plans(request: ConversionRequest) -> None:
    """Profile the file of a request, and keep the plans."""
    profile(replace(request, target=request.target.with_name("profile")))


def passes_of(request: ConversionRequest) -> tuple[set[str], Conversion, bytes]:
    """Return which passes over the rows a conversion makes, what it says to the server, and what it writes."""
    phases: set[str] = set()
    done = convert(request, lambda progress: phases.add(progress.phase))
    said = Conversion.from_json(json.loads(json.dumps(done.to_json())))
    return phases, said, request.target.read_bytes()


@settings(max_examples=25, deadline=None)
@given(
    table=tables(), how=DIALECTS, words=st.sampled_from([None, ("low", "-")]), targets=st.sampled_from([0, 1])
)
def test_random_tables_when_plans_were_kept_then_the_conversion_is_the_same(
    table: list[list[Any]], how: Written, words: tuple[str, ...] | None, targets: int
) -> None:
    with TemporaryDirectory() as folder:
        request = asking(Path(folder), written(table, how), reading=Reading(missing=words))
        try:
            _, done, data = passes_of(request)
            if targets:
                request = replace(request, target_attributes=(done.columns[-1].name,))
                _, done, data = passes_of(request)
        except TabularError:
            return
        with_plans(request)
        assert passes_of(request) == ({"writing"}, done, data)


def test_a_table_of_every_sort_when_plans_were_kept_then_remarks_doubts_and_repairs_are_the_same(
    tmp_path: Path,
) -> None:
    few = "n,Na\u00efve,y\n1,low,None\n2,high,Some\n3,low,None\n4,low,NA\n"
    # What only late rows show is found in whichever pass is the first.
    late = ",,\n" + "1,low,Some\n1,low,None\n" * 125_000 + "3,a\\\\b,Some\n3,x,None\n"
    request = asking(tmp_path, (few + late).encode(), target_attributes=("y",))
    phases, done, data = passes_of(request)
    assert phases == {"types", "writing"}
    assert {doubt.field for doubt in done.doubts} == {"escape", "missing"}
    assert done.repairs
    assert any("without a value in any column" in warning for warning in done.warnings)
    with_plans(request)
    assert passes_of(request) == ({"writing"}, done, data)
    # Of another name, as it may get after its preview.
    assert passes_of(replace(request, relation="other"))[0] == {"writing"}


def _cut(request: ConversionRequest) -> ConversionRequest:
    assert request.plans
    request.plans.write_bytes(request.plans.read_bytes()[:-2])
    return request


def _altered(request: ConversionRequest) -> ConversionRequest:
    assert request.plans
    head, _, text = request.plans.read_text().partition("\n")
    known = json.loads(text)
    known["columns"][0][1]["kind"] = "string"
    request.plans.write_text(f"{head}\n{json.dumps(known)}")
    return request


def _nonsense(request: ConversionRequest) -> ConversionRequest:
    assert request.plans
    request.plans.write_bytes(b"\xff\n[")
    return request


def _gone(request: ConversionRequest) -> ConversionRequest:
    assert request.plans
    request.plans.unlink()
    return request


def _longer(request: ConversionRequest) -> ConversionRequest:
    with request.source.open("a") as file:
        file.write("4,true,x,2,3\n")
    return request


@pytest.mark.parametrize(
    "change",
    [
        _cut,
        _altered,
        _nonsense,
        _gone,
        _longer,
        lambda request: replace(request, attributes={"id": "string"}),
        lambda request: replace(request, target_attributes=("flag",)),
        lambda request: replace(request, leave_out=("id",)),
        lambda request: replace(request, rename={"id": "number"}),
        lambda request: replace(request, repair=False),
        lambda request: replace(request, reading=Reading(missing=("b c",))),
        lambda request: replace(request, limits=replace(request.limits, max_labels=5)),
    ],
)
def test_plans_when_damaged_or_of_something_else_then_made_anew(
    change: Callable[[ConversionRequest], ConversionRequest], tmp_path: Path
) -> None:
    request = asking(tmp_path, CSV.encode())
    with_plans(request)
    request = change(request)
    phases, *found = passes_of(request)
    assert phases == {"types", "writing"}
    assert found == list(passes_of(replace(request, plans=None))[1:])


def test_plans_when_a_column_has_an_error_then_none_are_kept(tmp_path: Path) -> None:
    request = asking(tmp_path, CSV.encode(), attributes={"late": "integer"})
    with_plans(request)
    assert request.plans
    assert not request.plans.exists()
