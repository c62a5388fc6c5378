"""Alert rules, dashboards and scraping, with Debian's Prometheus against a running server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.processes import free_port, stop
from tests.deploy.tools import ROOT
from tests.serving.running import Running, running
from tests.serving.shelf_of_voices import Shelf
from timbre.serving.metrics import Metrics

PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "voices.json"
needs_prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
_NAME = re.compile(r"\b(voice_[a-z_0-9]+)")
# Made by Prometheus itself, from rules.yaml.
RECORDED = {"voice_tts_time_to_first_audio_seconds_p95", "voice_tts_error_ratio"}


def series_of(server: Metrics) -> set[str]:
    """Names that /metrics can show, of series with labels too."""
    text = server.text().decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    suffixes = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}
    return {name + suffix for name, kind in kinds.items() for suffix in suffixes[kind]}


def expressions(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def used(texts: list[str]) -> set[str]:
    """Names of series in PromQL; a metric's name never ends in a label."""
    return {name for text in texts for name in _NAME.findall(text) if name != "voice_sha"}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "rules.yaml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_dashboards_and_alerts_ask_for_series_that_exist() -> None:
    known = series_of(Metrics("1", "2")) | RECORDED
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    assert len(expressions(dashboard)) >= 15
    assert used(expressions(dashboard)) - known == set()
    assert used([rule["expr"] for rule in rules()]) - known == set()
    assert {rule["record"] for rule in rules() if "record" in rule} == RECORDED


def test_the_check_of_names_can_fail() -> None:
    assert used(["rate(voice_tts_wishes_total[5m])"]) - series_of(Metrics("1", "2")) == {"voice_tts_wishes_total"}


def test_every_alert_is_tested_and_has_a_runbook() -> None:
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yaml").read_text("utf-8"))["tests"]
    checked = [check for test in tests for check in test["alert_rule_test"]]
    assert {check["alertname"] for check in checked if check["exp_alerts"]} == alerts
    assert {check["alertname"] for check in checked if not check["exp_alerts"]} == alerts
    runbook = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    assert {name for name in alerts if f"## {name}\n" not in runbook} == set()


def promtool(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", "test", "rules", "rules_test.yaml"], cwd=folder, capture_output=True, text=True, check=False
    )


@needs_prometheus
def test_each_alert_fires_and_clears() -> None:
    done = promtool(PROMETHEUS)
    assert done.returncode == 0, done.stdout + done.stderr


def mutants(text: str) -> Iterator[tuple[str, str]]:
    """The rules with one limit changed: (what was changed, text). Thresholds, windows and waits doubled and halved."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\s*(labels|annotations|summary|- record|- alert|- name|#)", line):
            continue
        for found in re.finditer(r"(?<![\w.])\d+(?:\.\d+)?(?=[\s),]|[smhd]\b|$)", line):
            unit = re.match(r"[smhd]?", line[found.end() :])
            assert unit is not None
            value = float(found[0])
            for other in (value * 2, value / 2) if value else (1.0,):
                shown = f"{other * 60:g}s" if unit[0] == "m" else f"{other:g}{unit[0]}"
                changed = line[: found.start()] + shown + line[found.end() + len(unit[0]) :]
                whole = [*lines[:number], changed, *lines[number + 1 :]]
                yield f"line {number + 1}: {changed.strip()}", "\n".join(whole) + "\n"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@needs_prometheus
def test_no_limit_of_an_alert_can_change_unseen(tmp_path: Path) -> None:
    shutil.copy(PROMETHEUS / "rules_test.yaml", tmp_path)
    unseen, tried = [], 0
    for what, text in mutants((PROMETHEUS / "rules.yaml").read_text("utf-8")):
        (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
        tried += 1
        if promtool(tmp_path).returncode == 0:
            unseen.append(what)
    assert tried >= 2 * len(rules())
    assert unseen == []


@needs_prometheus
def test_the_shipped_configuration_is_valid(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("key")
    for name in ("prometheus.yml", "rules.yaml"):
        text = (PROMETHEUS / name).read_text("utf-8").replace("/run/secrets/metrics-key", str(tmp_path / "key"))
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["promtool", "check", "config", "prometheus.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def speaking(tmp_path: Path, pico_export: Path) -> Iterator[Running]:
    shelf = Shelf(tmp_path / "registry", pico_export)
    shelf.publish("ada")
    with running(shelf.registry, tmp_path / "cache") as server:
        yield server


@needs_prometheus
def test_prometheus_scrapes_a_running_server(speaking: Running, tmp_path: Path) -> None:
    assert speaking.say("ada").status == 200
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))
    job = config["scrape_configs"][0]
    job.pop("authorization")
    job["static_configs"] = [{"targets": [f"127.0.0.1:{speaking.port}"]}]
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(PROMETHEUS / "rules.yaml", tmp_path / "rules.yaml")
    port = free_port()
    command = ["prometheus", f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    with subprocess.Popen(
        [*command, f"--config.file={tmp_path / 'prometheus.yml'}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert query(port, 'voice_model_info{voice="ada"}')[0]["value"][1] == "1"
            assert query(port, 'voice_tts_requests_total{status="200"}')[0]["metric"]["voice"] == "ada"
            # What the dashboard asks for can be computed.
            asked = expressions(json.loads(DASHBOARD.read_text("utf-8")))
            for expression in asked:
                answer(port, expression.replace("$job", "timbre"))
        finally:
            stop(process)


def answer(port: int, expression: str) -> list[dict[str, Any]]:
    url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    with urllib.request.urlopen(url, timeout=10) as reply:
        body = json.loads(reply.read())
    assert body["status"] == "success", expression
    return list(body["data"]["result"])


def query(port: int, expression: str) -> list[dict[str, Any]]:
    """The answer as soon as there is one."""
    deadline = time.monotonic() + 60
    while True:
        try:
            found = answer(port, expression)
        except OSError:
            found = []
        if found:
            return found
        assert time.monotonic() < deadline, f"no answer to {expression}"
        time.sleep(0.2)
