"""The arrangement of deploy/kubernetes, as far as it can be looked at without a cluster."""

import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.cli import FOR_OPERATORS
from app.core.serving import GRACEFUL_SECONDS
from app.core.settings import Settings
from tests.conftest import Running

ROOT = Path(__file__).parents[1]
PARTS: list[dict[str, Any]] = [
    part
    for path in sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
    for part in yaml.safe_load_all(path.read_text())
]
NAMED = {(part["kind"], part["metadata"]["name"]): part for part in PARTS}
GIVEN: dict[str, str] = NAMED["ConfigMap", "openml-web"]["data"]
PODS: dict[str, dict[str, Any]] = {
    name: part["spec"]["template"]["spec"]
    for (kind, name), part in NAMED.items()
    if kind in {"Deployment", "Job"}
}
CONTAINERS = {name: pod["containers"][0] for name, pod in PODS.items()}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
SECRETS = {
    "APP_SECRET_KEY": "0123456789abcdef" * 2,
    "DATABASE_URI": "mysql://openml_web:letters@database/openml",
    "REDIS_URL": "redis://:letters@redis:6379/0",
    "AWS_SECRET_ACCESS_KEY": "letters",
    "SMTP_PASS": "letters",
}


@pytest.fixture
def settings(tmp_path: Path, migrated_sqlite: Path, sandbox_url: str) -> Settings:
    """One kind of database: probes look the same on each."""
    shutil.copy(migrated_sqlite, tmp_path / "openml.db")
    return Settings(_env_file=None, data_dir=tmp_path, openml_server=sandbox_url)


@pytest.mark.parametrize("version", ["1.30.0", "1.37.0"])
def test_parts_when_checked_by_the_schemas_of_kubernetes_then_nothing_is_wrong_or_unknown(
    version: str,
) -> None:
    assert len(PARTS) == 6
    for part in PARTS:
        kubernetes_validate.validate(part, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**PARTS[0], "of": "nobody"}, version, strict=True)


def test_settings_when_read_with_the_secrets_as_files_then_fit_for_production(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name.removesuffix("_FILE"): path for name, path in GIVEN.items() if name.endswith("_FILE")}
    assert files == {name: f"/etc/openml-web/{name}" for name in SECRETS}
    assert {name.removesuffix("_FILE").lower() for name in GIVEN} <= set(Settings.model_fields)
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(f"{value}\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))

    settings = Settings(_env_file=None, data_dir=tmp_path)
    assert (settings.environment, settings.embedded_worker) == ("production", False)
    assert settings.app_secret_key.get_secret_value() == SECRETS["APP_SECRET_KEY"]


def test_secrets_when_made_as_the_page_says_then_each_file_that_a_pod_reads() -> None:
    page = (ROOT / "docs/deploy.md").read_text()
    made = {
        name: set(re.findall(r"--from-file=([A-Z_]+)", text))
        for name, text in re.findall(
            r"kubectl create secret generic (\S+)((?: \\\n +--from-file=\S+| --from-file=\S+)+)", page
        )
    }
    assert made == {"openml-web": set(SECRETS), "openml-web-migrate": {"DATABASE_URI"}}
    for pod in PODS.values():
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert set(volumes) == set(mounts)
        assert {name for name in volumes if "secret" in volumes[name]} <= {"secrets", "migrate"}
        assert mounts["secrets"] == "/etc/openml-web"
    assert CONTAINERS["openml-web-migrate"]["env"] == [
        {"name": "DATABASE_URI_FILE", "value": "/etc/openml-web-migrate/DATABASE_URI"}
    ]


def test_pods_when_started_then_as_the_user_of_the_image_with_nothing_more_than_it_needs() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    uid = int(re.findall(r"--uid (\d+)", dockerfile)[0])
    for name, pod in PODS.items():
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": uid,
            "runAsGroup": uid,
            "fsGroup": uid,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        # Kubernetes would give a variable for each service: one that is called `redis` gives REDIS_PORT.
        assert (pod["enableServiceLinks"], pod["automountServiceAccountToken"]) == (False, False)
        container = CONTAINERS[name]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["args"][0] in FOR_OPERATORS
        writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        assert writable == {*re.findall(r"DATA_DIR=(\S+)", dockerfile), "/tmp"}  # noqa: S108 - of the pod
    assert len({container["image"] for container in CONTAINERS.values()}) == 1


async def test_probes_when_asked_then_by_ports_paths_and_commands_that_there_are(app: Running) -> None:
    web, worker = CONTAINERS["openml-web"], CONTAINERS["openml-web-worker"]
    port = Settings.model_fields["port"].default
    ports = {each["name"]: each["containerPort"] for each in web["ports"]}
    assert ports == {"http": port, "metrics": int(GIVEN["METRICS_LISTEN"].partition(":")[2])}
    assert NAMED["Service", "openml-web"]["spec"]["ports"][0]["targetPort"] == "http"
    for probe in PROBES:
        asked = web[probe]["httpGet"]
        assert asked["port"] == "http"
        # As the kubelet asks: by the pod's address.
        answer = await app.client.get(asked["path"], headers={"Host": f"10.244.1.7:{port}"})
        assert answer.json() == {"status": "ok"}, probe
    assert worker["livenessProbe"] == worker["startupProbe"]
    program, command, *options = worker["livenessProbe"]["exec"]["command"]
    assert (program, command in FOR_OPERATORS, options) == ("openml-web", True, ["--of", "worker"])


def test_web_pod_when_told_to_stop_then_there_is_time_for_its_requests() -> None:
    pod, web = PODS["openml-web"], CONTAINERS["openml-web"]
    shell, option, script = web["lifecycle"]["preStop"]["exec"]["command"]
    found = re.fullmatch(r"openml-web (drain); sleep (\d+)", script)
    assert (shell, option) == ("sh", "-c")
    assert found is not None
    assert found[1] in FOR_OPERATORS
    probe = web["readinessProbe"]
    assert int(found[2]) >= probe["periodSeconds"] * probe["failureThreshold"]
    # Starting the command takes some seconds where others compute.
    assert pod["terminationGracePeriodSeconds"] >= int(found[2]) + GRACEFUL_SECONDS + 10
