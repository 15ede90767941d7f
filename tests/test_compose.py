"""The arrangement of compose.yaml, as far as it can be looked at without Docker."""

import re
from pathlib import Path
from typing import Any

import yaml

from app.core.settings import Settings

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "openml-web"}


def test_our_services_when_configured_then_every_variable_is_a_setting() -> None:
    known = {name.upper() for name in Settings.model_fields}

    assert len(OURS) == 5
    for service in OURS.values():
        assert set(service["environment"]) <= known


def test_our_services_when_started_then_with_settings_fit_for_production() -> None:
    # What `.env` has to give is as its example, where there is one.
    given = re.compile(r"\$\{[A-Z_]+(:\?[^}]*?(, e\.g\. (?P<example>[^}]+))?|:-(?P<default>[^}]*))?\}")
    for service in OURS.values():
        values: dict[str, Any] = {
            name.lower(): given.sub(
                lambda match: (
                    match["default"]
                    if match["default"] is not None
                    else match["example"] or "0123456789abcdef" * 2
                ),
                value,
            )
            for name, value in service["environment"].items()
        }
        assert not Settings(_env_file=None, **values).embedded_worker


def test_build_when_mounted_as_the_page_says_then_in_each_web_service_where_the_setting_looks() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    (override,) = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)

    services = yaml.safe_load(override)["services"]

    assert set(services) == {name for name, service in OURS.items() if service["command"] == "serve"}
    for name, service in services.items():
        assert service["environment"].keys() <= {name.upper() for name in Settings.model_fields}
        assert not service["environment"].keys() & OURS[name]["environment"].keys(), "it would be another's"
        targets = [volume.split(":")[1:] for volume in service["volumes"]]
        assert targets == [[service["environment"]["SPA_DIR"], "ro"]]


def test_variables_when_secret_then_required_and_without_a_default() -> None:
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", TEXT))
    defaults = set(re.findall(r"\$\{([A-Z_]+):-[^}]+\}", TEXT))
    required = set(re.findall(r"\$\{([A-Z_]+):\?", TEXT))

    assert used - defaults - required == {"SMTP_LOGIN", "SMTP_PASS"}, "empty by default"
    assert not {name for name in defaults if re.search("PASS|KEY|SECRET", name)}


def test_services_when_they_need_each_other_then_they_wait_for_what_can_be_waited_for() -> None:
    for name, service in SERVICES.items():
        checked = "test" in service.get("healthcheck", {})
        assert checked or name in {"migrate", "bucket"}, name
        for other, how in service.get("depends_on", {}).items():
            condition = "service_healthy" if "test" in SERVICES[other].get("healthcheck", {}) else None
            assert how["condition"] == (condition or "service_completed_successfully")


def test_parts_when_named_then_they_are_declared() -> None:
    volumes = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    configs = {config["source"] for service in SERVICES.values() for config in service.get("configs", [])}

    assert volumes == set(COMPOSE["volumes"])
    assert configs == set(COMPOSE["configs"])


def test_image_when_built_then_everything_copied_gets_into_the_build() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}

    assert {name for line in copied for name in line.split()} == let_in
