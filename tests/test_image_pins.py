"""renovate.json pins the images of others by digest: it is valid, and no file names an image that it does not see."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = ROOT / "renovate.json"
# An image of somebody else: a host or an owner, a name, a tag or digest.
IMAGE = re.compile(
    r"(?<![\w$/{.-])((?:[a-z0-9-]+\.)+(?:io|com|dev)/[a-z0-9./-]+|gitlab/gitlab-runner)(?::|@sha256:)[\w.-]+"
)


def settings() -> Any:
    return json.loads(CONFIGURATION.read_text(encoding="utf-8"))


def says(file: Path) -> int:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.renovate", str(file)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_it_is_a_configuration_of_renovate(tmp_path: Path) -> None:
    assert says(CONFIGURATION) == 0
    broken = tmp_path / "renovate.json"
    broken.write_text(json.dumps(settings() | {"packageRules": {"enabled": False}}), encoding="utf-8")
    assert says(broken) != 0


def images_in(text: str) -> set[str]:
    return {match[1] for match in IMAGE.finditer(text)}


def seen_by_renovate(path: Path, text: str) -> set[str]:
    """What its managers read, as their documentation has it."""
    enabled = settings()["enabledManagers"]
    name = path.relative_to(ROOT).as_posix()
    if path.name == "Dockerfile":
        assert "dockerfile" in enabled
        arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.M))
        bases = re.findall(r"^FROM \$\{(\w+)\}", text, re.M)
        return {arguments[base].partition(":")[0] for base in bases if base in arguments}
    if re.search(r"(^|/)(docker-)?compose[^/]*\.ya?ml$", name):
        assert "docker-compose" in enabled
        services = yaml.safe_load(text)["services"].values()
        return {service["image"].partition(":")[0] for service in services if "image" in service}
    if path.name == "values.yaml":
        assert "helm-values" in enabled
        return set(re.findall(r"repository: ([\w./-]+), tag:", text))
    return {
        match["depName"]
        for manager in settings()["customManagers"]
        if name in manager["managerFilePatterns"]
        for pattern in manager["matchStrings"]
        for match in re.finditer(pattern.replace("(?<", "(?P<"), text)
    }


def test_no_image_of_others_escapes_it() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    files = [
        name for name in listed if name.endswith((".yml", ".yaml", "Dockerfile")) and not name.startswith("tests/")
    ]
    found: set[str] = set()
    for name in files:
        text = (ROOT / name).read_text(encoding="utf-8")
        named = {image for image in images_in(text) if not image.startswith("registry.example.com")}
        assert named - seen_by_renovate(ROOT / name, text) == set(), name
        found |= named
    assert {"docker.io/library/python", "docker.io/nvidia/cuda", "docker.io/library/nginx"} <= found
    assert "quay.io/buildah/stable" in found


def test_a_digest_may_stand_behind_every_tag() -> None:
    """What it will write is still read: by its own pattern, and by the files' own rules for Python and CUDA."""
    text = f"default: quay.io/buildah/stable:v1.42.0@sha256:{'0' * 64}"
    assert seen_by_renovate(ROOT / "ci" / "gitlab" / "images.yml", text) == {"quay.io/buildah/stable"}
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for rule in settings()["packageRules"]:
        if "allowedVersions" in rule:
            (package,) = rule["matchPackageNames"]
            tag = re.search(rf"^ARG \w+={package}:([^@\s]+)", dockerfile, re.M)
            assert tag is not None, package
            assert re.search(rule["allowedVersions"].strip("/"), tag[1]), package
