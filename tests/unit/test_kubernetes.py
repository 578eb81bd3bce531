"""The manifests of docs/operations are valid, and run what the Procfile runs, as the pages say."""

import shlex
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from demo.lethe import PROCFILE
from shared.settings import Settings
from tests.unit.conftest import REQUIRED

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/operations/kubernetes"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
MANIFESTS: list[dict[str, Any]] = [
    manifest for file in sorted(FOLDER.glob("*.yaml")) for manifest in yaml.safe_load_all(file.read_text())
]
BY_NAME = {(each["kind"], each["metadata"]["name"]): each for each in MANIFESTS}
PODS = {
    each["metadata"]["labels"]["app.kubernetes.io/component"]: each["spec"]["template"]["spec"]
    for each in MANIFESTS
    if each["kind"] in ("Deployment", "Job")
}
every_pod = pytest.mark.parametrize("component", PODS)


@pytest.mark.parametrize("version", ["1.30", "1.34"])
@pytest.mark.parametrize("which", BY_NAME, ids="-".join)
def test_a_manifest_is_valid(which: tuple[str, str], version: str) -> None:
    """By the schema of Kubernetes, which knows no other members."""
    kubernetes_validate.validate(BY_NAME[which], version, strict=True)


def test_there_is_a_pod_for_each_process_and_the_migrations() -> None:
    """Of the Procfile."""
    assert PODS.keys() == {*PROCFILE, "migrate"}


@every_pod
def test_a_pod_runs_what_compose_runs(component: str) -> None:
    """The image's own command, or the one of the compose file."""
    assert PODS[component]["containers"][0].get("command") == COMPOSE[component].get("command")


def test_the_commands_are_those_of_the_procfile() -> None:
    """But for the addresses, which are inside of the pod."""
    for component in ("worker", "beat"):
        assert PODS[component]["containers"][0]["command"] == ["celery", *shlex.split(PROCFILE[component])[1:]]


@every_pod
def test_a_pod_may_do_little(component: str) -> None:
    """Not as root, and nothing is written to but the volumes."""
    pod = PODS[component]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"]
    assert "fsGroup" not in pod["securityContext"]  # it would change the owner of Evolution's files
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@every_pod
def test_no_variable_of_a_service_is_taken_for_a_setting(component: str) -> None:
    """Kubernetes sets LETHE_WEB_PORT for a Service called lethe-web, and Lethe refuses what it does not know."""
    assert PODS[component]["enableServiceLinks"] is False


def test_a_pod_has_the_time_to_end_that_compose_gives() -> None:
    """And web the seconds before, in which no Service sends calls to it any more."""
    grace = {name: int(str(COMPOSE[name].get("stop_grace_period", "0s"))[:-1]) for name in ("web", "worker")}
    first = int(PODS["web"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])

    assert PODS["worker"]["terminationGracePeriodSeconds"] == grace["worker"]
    assert PODS["web"]["terminationGracePeriodSeconds"] == grace["web"] + first


def test_flower_is_not_open_to_everybody() -> None:
    """Without a user it does not start."""
    (given,) = PODS["flower"]["containers"][0]["env"]

    assert given == {
        "name": "FLOWER_BASIC_AUTH",
        "valueFrom": {"secretKeyRef": {"name": "lethe", "key": "FLOWER_BASIC_AUTH"}},
    }


def test_there_is_one_beat_at_a_time() -> None:
    """The old one ends before the new one starts."""
    beat = BY_NAME["Deployment", "lethe-beat"]["spec"]

    assert (beat["replicas"], beat["strategy"]) == (1, {"type": "Recreate"})


def test_lethe_accepts_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that are named there exist; those that are empty are the ones without which it does not start."""
    given = BY_NAME["ConfigMap", "lethe"]["data"] | BY_NAME["Secret", "lethe"]["stringData"]
    for name, value in given.items():
        monkeypatch.setenv(name, value or "given")

    made = Settings(**REQUIRED, cache_url="redis://h")

    required = {f"LETHE_{name.upper()}" for name, field in Settings.model_fields.items() if field.is_required()}
    empty = {name for name, value in given.items() if not value}
    assert made.trusted_proxies == 1
    assert required == empty - {"LETHE_CACHE_URL"}
