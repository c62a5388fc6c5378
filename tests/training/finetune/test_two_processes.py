"""Two processes on one machine share the work of a step, as two GPUs would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from timbre.core.base import Base

_CHILD = """
import os, sys
from pathlib import Path
import torch
from accelerate import debug_launcher

def work():
    torch.set_num_threads(1)
    from timbre.core.base import read_base
    from tests.training.finetune.conftest import job_for
    job_for(read_base(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3]), "pair", batch=4, max_steps=6).run()

debug_launcher(work, num_processes=2)
"""


@pytest.mark.slow
def test_two_processes_train_one_adapter(base: Base, features: Path, tmp_path: Path) -> None:
    for name in ("pair", "pair-resume"):
        (tmp_path / name).mkdir()
    arguments = [sys.executable, "-c", _CHILD, str(base.folder), str(features), str(tmp_path)]
    done = subprocess.run(arguments, cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "pair" / "training.json").read_text())
    assert found["processes"] == 2
    for run in found["networks"].values():
        assert run["steps"] == 6
        assert run["held_out_best"] < run["held_out_before"]
