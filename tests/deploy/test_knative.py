"""The serverless form against the published type of Knative Serving, and the settings and routes that it names."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import yaml

from tests.deploy.tools import ROOT, problems
from timbre.serving.settings import PREFIX, ServeSettings

FILE = ROOT / "deploy" / "knative" / "service.yaml"


@pytest.fixture
def service() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
    return found


def test_it_fits_its_type(service: dict[str, Any]) -> None:
    assert problems(service) == []
    container = service["spec"]["template"]["spec"]["containers"][0]
    container["readinessprobe"] = container.pop("readinessProbe")
    assert len(problems(service)) == 1


def test_it_names_what_the_server_has(service: dict[str, Any]) -> None:
    container = service["spec"]["template"]["spec"]["containers"][0]
    settings = {f"{PREFIX}{field.name.upper()}" for field in fields(ServeSettings)}
    assert {item["name"] for item in container["env"]} - settings == {"TIMBRE_REGISTRY"}
    ports = {container["ports"][0]["containerPort"], container["readinessProbe"]["httpGet"]["port"]}
    assert ports == {9880}
    assert "EXPOSE 9880" in (ROOT / "Dockerfile").read_text("utf-8")
    waiting = next(int(item["value"]) for item in container["env"] if item["name"] == f"{PREFIX}QUEUE")
    # No request that Knative hands over is refused for lack of a place.
    assert service["spec"]["template"]["spec"]["containerConcurrency"] <= ServeSettings().workers + waiting


def test_it_may_no_more_than_it_needs(service: dict[str, Any]) -> None:
    pod = service["spec"]["template"]["spec"]
    context = pod["containers"][0]["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    assert (context["runAsNonRoot"], context["readOnlyRootFilesystem"]) == (True, True)
    assert (context["allowPrivilegeEscalation"], context["capabilities"]) == (False, {"drop": ["ALL"]})
