"""The compose file of deploy/compose, and the script that prepares its secrets."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import yaml

from tests.deploy.tools import ROOT

FOLDER = ROOT / "deploy" / "compose"


def test_it_fits_the_schema_of_compose(tmp_path: Path) -> None:
    def says(file: Path) -> int:
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert says(FOLDER / "compose.yaml") == 0
    broken = tmp_path / "compose.yaml"
    broken.write_text((FOLDER / "compose.yaml").read_text("utf-8").replace('ports: ["80:80"', "ports: [[80]"), "utf-8")
    assert says(broken) != 0


def test_what_it_mounts_exists_or_is_prepared(tmp_path: Path) -> None:
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))["services"]
    mounted = [item.split(":")[0] for service in services.values() for item in service.get("volumes", [])]
    files = [item for item in mounted if item.startswith(("./", "../"))]
    copy = tmp_path / "deploy" / "compose"
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets", ".env"))
    done = subprocess.run([str(copy / "prepare.sh"), "voices.test"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(files) >= 6
    assert [item for item in files if not (copy / item).exists()] == []
    assert stat.S_IMODE((copy / "secrets").stat().st_mode) == 0o700
    environment = (copy / ".env").read_text("utf-8")
    identity = json.loads((copy / "secrets" / "s3.json").read_text("utf-8"))["identities"][0]["credentials"][0]
    assert f"S3_SECRET_KEY={identity['secretKey']}" in environment
    keys = (copy / "secrets" / "api-keys").read_text("utf-8").split()
    assert (copy / "secrets" / "metrics-key").read_text("utf-8").strip() in keys


def test_preparing_twice_keeps_the_keys(tmp_path: Path) -> None:
    copy = tmp_path / "compose"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("secrets", ".env"))
    states = []
    for _ in range(2):
        subprocess.run([str(copy / "prepare.sh")], check=True, capture_output=True)
        states.append({path.name: path.read_bytes() for path in sorted((copy / "secrets").iterdir())})
    assert states[0] == states[1]
