"""The sample voice on the base that speaks, through the gates as they are shipped: what a newcomer's first run does.

Only the training is shorter. A base whose gates refuse good voices, or whose exported graphs are broken, ends here.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from timbre.audio.reader import read
from timbre.cli.main import call

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
STEPS = 60
FEWEST_BLOCKING = 8


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with nano, the shipped recipe and the sample voice."""
    shutil.copytree(ROOT / "bases" / "nano", tmp_path / "bases" / "nano")
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    shutil.copytree(ROOT / "voices" / "awb", tmp_path / "voices" / "awb")
    path = tmp_path / "voices" / "awb" / "voice.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    # Steps, not minutes: a slow machine must make the adapter that a fast one makes.
    settings["recipe"]["finetune"] |= {"min_steps": STEPS, "max_steps": STEPS}
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return tmp_path


def test_the_sample_voice_passes_the_shipped_gates(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wav = repository / "awb.wav"
    where = ["--root", str(repository)]
    code = call([*where, "run", "awb"])
    assert code == 0, capsys.readouterr().out
    report = json.loads(next((repository / ".timbre").rglob("gates.json")).read_text(encoding="utf-8"))
    assert report["passed"] is True
    blocking = [gate for gate in report["gates"].values() if gate["blocks"]]
    assert len(blocking) >= FEWEST_BLOCKING
    assert all(gate["passed"] for gate in blocking)
    capsys.readouterr()
    assert call([*where, "voices", "list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed["version"]
    assert listed["state"] == "published"
    assert listed["versions"] == 1
    assert call([*where, "say", "awb", "Good morning.", "-o", str(wav)]) == 0
    spoken = read(wav)
    assert 0.4 < spoken.duration_s < 5.0
    assert abs(spoken.samples).max() > 0.02
