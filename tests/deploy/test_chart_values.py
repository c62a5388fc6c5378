"""values.schema.json of the chart: which values it refuses, key by key; what it refuses is then refused by helm."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deploy.tools import CHART

SCHEMA = jsonschema.Draft7Validator(json.loads((CHART / "values.schema.json").read_text("utf-8")))
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
# Passed on to Kubernetes as they are: their types are checked in the rendered manifests.
FREE = {
    "server.env", "server.resources", "server.nodeSelector", "server.affinity", "server.podDisruptionBudget",
    "ingress.annotations", "runners.nodeSelector", "runners.resources",
}  # fmt: skip
Path = tuple[str, ...]


def walk(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value with its path, down to what is passed on as it is."""
    yield path, node
    if isinstance(node, dict) and ".".join(path) not in FREE:
        for key, value in node.items():
            yield from walk(value, (*path, key))


def accepts(path: Path, value: Any) -> bool:
    """The chart's own values with one of them replaced or added."""
    values = copy.deepcopy(VALUES)
    place = values
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return bool(SCHEMA.is_valid(values))


def test_the_charts_own_values_are_valid() -> None:
    assert SCHEMA.is_valid(VALUES)


def test_a_misspelled_key_is_refused_at_every_level() -> None:
    mappings = {".".join(path): path for path, node in walk(VALUES) if isinstance(node, dict)}
    assert len(mappings) > 12
    assert {name for name, path in mappings.items() if accepts((*path, "mispelled"), 1)} == FREE


def test_every_value_has_a_type() -> None:
    wrong: dict[type, Any] = {bool: "yes", int: "many", float: "many", str: 7, list: "x", dict: "x"}
    assert {".".join(path) for path, node in walk(VALUES) if path and accepts(path, wrong[type(node)])} == set()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image.pullPolicy", "Sometimes"),
        ("registry.url", "https://bucket"),
        ("service.type", "Cluster"),
        ("runners.kind", "travis"),
        ("server.replicas", -1),
        ("server.terminationGracePeriodSeconds", -1),
        ("server.drainSeconds", -1),
        ("gpu.count", -1),
        ("autoscaling.minReplicas", -1),
        ("autoscaling.maxReplicas", -1),
        ("autoscaling.targetCPU", -1),
        ("service.port", -1),
        ("runners.maxReplicas", -1),
        ("runners.pollSeconds", -1),
        ("runners.activeDeadlineSeconds", -1),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: Any) -> None:
    assert not accepts(tuple(name.split(".")), value)


@pytest.mark.parametrize("url", ["", "s3://bucket/voices", "hf://owner/voices"])
def test_registries_are_accepted(url: str) -> None:
    assert accepts(("registry", "url"), url)
