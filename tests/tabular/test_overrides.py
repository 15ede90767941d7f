"""Names and types that somebody chooses, held against a profile as the conversion would take them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.tabular import ConversionRequest, TabularError, read_profile
from app.tabular.convert import convert
from app.tabular.profile.overrides import override_violations
from app.tabular.profile.run import profile

CONTENT = 'x y,"a ""b"" \\",é,é,level\n1,a,yes,no,1\n2,b,no,yes,n/a?\n'


@pytest.fixture
def asked(tmp_path: Path) -> ConversionRequest:
    source = tmp_path / "source"
    source.write_text(CONTENT)
    request = ConversionRequest(source, tmp_path / "profile", "csv", "r", ignore_attributes=("x y",))
    profile(request)
    return replace(request, target=tmp_path / "arff", ignore_attributes=())


@pytest.mark.usefixtures("asked")
def test_columns_when_searched_then_found_by_either_name_whatever_stands_in_it(
    tmp_path: Path,
) -> None:
    for search, names in {'"B" \\': ["a _b_ _"], "X_Y": ["x_y"], "É": ["e", "e.1"], "zz": []}.items():
        page = read_profile(tmp_path / "profile", search=search)
        assert [column["name"] for column in page.columns] == names
        assert page.found == len(names)
    keys = [column["key"] for column in read_profile(tmp_path / "profile").columns]
    assert keys == ["x y", 'a "b" \\', "é", "e.1", "level"]


@pytest.mark.every(5)
@pytest.mark.parametrize("name", ["x y", 'a "b" \\', "a _b_ _", "é", "e", "e.1", "level", "LEVEL", "b"])
@pytest.mark.parametrize("kind", ["string", "integer", "real", "boolean", "nominal", "number"])
def test_choice_when_made_then_judged_as_the_conversion_does(
    asked: ConversionRequest, tmp_path: Path, name: str, kind: Any
) -> None:
    refusal = None
    try:
        convert(replace(asked, attributes={name: kind}))
    except TabularError as error:
        refusal = error
    said = override_violations(tmp_path / "profile", {name: kind}, {}, repair=True, max_labels=10_000)
    assert bool(said) == bool(refusal), (said, refusal)
    for violation in said:
        assert (violation.column, violation.role) == (name, "types")
        assert violation.row == (refusal and refusal.row)
