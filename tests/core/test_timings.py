"""The spans of time that can be set together."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Le
from pydantic import ValidationError

from app.core.clock import utc_now
from app.core.reference import as_markdown
from app.core.setting_checks import LONGEST
from app.core.setting_loading import load_settings
from app.core.settings import Settings, SettingsError
from app.core.timings import Timings

NAMES = list(Timings.model_fields)


def set_to(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TIMINGS", text)
    return load_settings()


@pytest.mark.parametrize("name", NAMES)
def test_timings_when_one_is_set_then_that_and_the_others_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    settings = set_to(json.dumps({name: 7}), tmp_path, monkeypatch)

    assert settings.timings.model_dump() == Timings().model_dump() | {name: 7}


def test_timings_when_a_file_holds_them_then_read_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "timings").write_text('{"lease_seconds": 30,\n "audit_days": 90}\n')
    monkeypatch.setenv("TIMINGS_FILE", str(tmp_path / "timings"))

    assert Settings(_env_file=None, data_dir=tmp_path).timings == Timings(lease_seconds=30, audit_days=90)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("5", "TIMINGS: write a JSON object of names and numbers, e.g."),
        ("lease_seconds=5", "TIMINGS: write a JSON object of names and numbers, e.g."),
        ('[["lease_seconds", 5]]', "TIMINGS: write a JSON object of names and numbers, e.g."),
        ("[" * 100_000, "TIMINGS: write a JSON object of names and numbers, e.g."),
        (
            '{"lease_second": 5}',
            "TIMINGS: there is no lease_second; there are lease_seconds, reconcile_seconds,",
        ),
        ('{"LEASE_SECONDS": 5}', "TIMINGS: there is no LEASE_SECONDS; there are lease_seconds,"),
        ('{"audit_days": 5, "audit_days": 6}', "TIMINGS: audit_days is there twice; write it once"),
        ('{"lease_seconds": "5"}', "TIMINGS: lease_seconds: Input should be a valid number"),
        ('{"lease_seconds": true}', "TIMINGS: lease_seconds: Input should be a valid number"),
        ('{"lease_seconds": null}', "TIMINGS: lease_seconds: Input should be a valid number"),
        ('{"lease_seconds": {"a": 1}}', "TIMINGS: lease_seconds: Input should be a valid number"),
        ('{"lease_seconds": 0}', "TIMINGS: lease_seconds: Input should be greater than 0"),
        (
            '{"database_timeout_seconds": 0.01}',
            "TIMINGS: database_timeout_seconds: Input should be greater than",
        ),
        ('{"audit_days": 1.5}', "TIMINGS: audit_days: Input should be a valid integer"),
        ('{"audit_days": 0}', "TIMINGS: audit_days: Input should be greater than or equal to 1"),
    ],
)
def test_timings_when_they_are_wrong_then_the_start_says_what_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        set_to(text, tmp_path, monkeypatch)

    [found] = str(refused.value).splitlines()[1:]
    assert found.startswith(f"- {complaint}")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", ["Infinity", "NaN", "1e300", "9" * 30])
def test_timing_when_nobody_could_compute_with_it_then_refused_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: str
) -> None:
    with pytest.raises(SettingsError, match=f"- TIMINGS: {name}: "):
        set_to(f'{{"{name}": {number}}}', tmp_path, monkeypatch)


@pytest.mark.parametrize("name", NAMES)
def test_timing_when_the_longest_that_is_taken_then_a_date_can_be_made_of_it(name: str) -> None:
    unit = name.rpartition("_")[2]
    bounds: list[Any] = [bound.le for bound in Timings.model_fields[name].metadata if isinstance(bound, Le)]
    longest: dict[str, Any] = {name: min([LONGEST[unit], *bounds])}

    span = timedelta(**{unit: getattr(Timings(**longest), name)})

    assert utc_now() - span < utc_now() <= utc_now() + span
    with pytest.raises(ValidationError):
        Timings(**{name: longest[name] + 1})


def test_page_of_settings_when_made_then_every_timing_with_its_default() -> None:
    page = as_markdown()

    for name, field in Timings.model_fields.items():
        assert f"| `{name}` | `{field.default}` | {field.description} |" in page
