"""The chart, rendered by helm and checked against the published types of Kubernetes and KEDA."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.deploy.tools import CHART, ROOT, helm, problems, render

pytestmark = pytest.mark.slow

S3 = ("--set", "registry.url=s3://bucket/voices", "--set", "registry.credentialsSecret=s3")
EVERYTHING = (
    *("--set", "ingress.enabled=true", "--set", "monitoring.enabled=true", "--set", "gpu.enabled=true"),
    *("--set", "runners.enabled=true", "--set", "autoscaling.customMetrics.enabled=true"),
    *("--set", "care.prune.enabled=true", "--set", "care.backup.enabled=true"),
)
FORMS: dict[str, tuple[str, ...]] = {
    "defaults": (),
    "on S3": S3,
    "everything": EVERYTHING,
    "everything on S3": (*S3, *EVERYTHING),
    "Jenkins": ("--set", "runners.enabled=true", "--set", "runners.kind=jenkins"),
}


def of_kind(manifests: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def pods(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pod specs of every workload."""
    found = [item["spec"]["template"]["spec"] for item in of_kind(manifests, "Deployment")]
    found += [item["spec"]["jobTemplate"]["spec"]["template"]["spec"] for item in of_kind(manifests, "CronJob")]
    return found + [item["spec"]["jobTargetRef"]["template"]["spec"] for item in of_kind(manifests, "ScaledJob")]


def test_the_chart_is_clean() -> None:
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("form", FORMS)
def test_every_manifest_fits_its_type(form: str) -> None:
    manifests = render(*FORMS[form])
    assert len(manifests) >= 5
    assert {item["kind"]: problems(item) for item in manifests if problems(item)} == {}


def test_the_check_can_fail() -> None:
    deployment = of_kind(render(), "Deployment")[0]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["readinessprobe"] = container.pop("readinessProbe")
    assert problems(deployment) == ["Deployment.spec.template.spec.containers[0].readinessprobe: no such field"]
    scaled = of_kind(render(*FORMS["everything"]), "ScaledJob")[0]
    scaled["spec"]["maxReplicaCount"] = "many"
    assert problems(scaled)


@pytest.mark.parametrize("form", FORMS)
def test_no_pod_may_more_than_it_needs(form: str) -> None:
    for pod in pods(render(*FORMS[form])):
        assert pod["automountServiceAccountToken"] is False
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
        assert all("limits" in container["resources"] for container in pod["containers"])


def test_servers_cannot_write_to_their_image_or_the_registry() -> None:
    pod = of_kind(render(), "Deployment")[0]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert mounts["/registry"]["readOnly"] is True


@pytest.mark.parametrize("form", FORMS)
def test_secrets_are_only_named(form: str) -> None:
    manifests = render(*FORMS[form])
    assert of_kind(manifests, "Secret") == []
    environment = [
        item
        for pod in pods(manifests)
        for container in pod["containers"]
        for item in container.get("env", [])
        if re.search("TOKEN|SECRET|PASSWORD|KEY$", item["name"])
    ]
    assert all("secretKeyRef" in item["valueFrom"] for item in environment)


def test_runners_go_to_zero_and_take_one_job_each() -> None:
    scaled = of_kind(render(*FORMS["everything"]), "ScaledJob")[0]["spec"]
    assert scaled["minReplicaCount"] == 0
    assert scaled["jobTargetRef"]["backoffLimit"] == 0
    runner = scaled["jobTargetRef"]["template"]["spec"]["containers"][0]
    assert "--max-builds=1" in runner["args"]
    assert runner["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_a_rolling_update_never_has_less_than_all_servers() -> None:
    manifests = render()
    strategy = of_kind(manifests, "Deployment")[0]["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 1, "maxUnavailable": 0}
    assert of_kind(manifests, "PodDisruptionBudget")[0]["spec"]["minAvailable"] == 1


def test_a_registry_must_be_named() -> None:
    done = helm("template", "voices", str(CHART), "--set", "registry.existingClaim=")
    assert done.returncode != 0
    assert "registry.url or registry.existingClaim" in done.stderr


def test_values_are_checked() -> None:
    done = helm("template", "voices", str(CHART), "--set", "runners.kind=travis")
    assert done.returncode != 0
    assert "kind" in done.stderr
    assert helm("template", "voices", str(CHART), "--set", "sever.replicas=3").returncode != 0


def test_the_chart_carries_the_rules_of_deploy() -> None:
    rules = (ROOT / "deploy" / "prometheus" / "rules.yaml").read_text("utf-8")
    assert (CHART / "files" / "rules.yaml").read_text("utf-8") == rules
