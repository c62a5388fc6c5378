"""`timbre parity`: finds sets by content, passes the small one, and misses when anything is wrong with it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from timbre.cli.commands.parity import parity
from timbre.core.errors import CheckFailedError
from timbre.gptsovits.parity.run import find_sets, run_parity

_SHARED = Path(os.environ.get("TIMBRE_SHARED", Path(__file__).resolve().parents[3] / "shared"))
_SMALL = _SHARED / "parity" / "t2s_small"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    if not _SMALL.is_dir():
        pytest.skip("no shared parity data beside the checkout")
    folder = tmp_path / "another name"
    shutil.copytree(_SMALL, folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    return folder


@pytest.mark.shared
def test_a_set_under_another_name_passes(small: Path) -> None:
    checks = list(run_parity(small.parent))
    assert len(checks) >= 13
    assert [check for check in checks if not check.passed] == []


@pytest.mark.shared
@pytest.mark.parametrize("name", ["in.phones", "out.hidden", "out.greedy_rep1.35", "out.batch1_tokens"])
def test_a_missing_tensor_is_a_miss(small: Path, name: str) -> None:
    vectors = load_file(str(small / "vectors.safetensors"))
    del vectors[name]
    if name == "out.greedy_rep1.35":
        del vectors["out.greedy_rep1.0"]
    save_file(vectors, str(small / "vectors.safetensors"))
    assert any(not check.passed for check in run_parity(small.parent))


@pytest.mark.shared
def test_a_changed_value_a_wrong_shape_and_an_unknown_output_are_misses(small: Path) -> None:
    vectors = load_file(str(small / "vectors.safetensors"))
    vectors["out.text_emb"] = vectors["out.text_emb"] + 2e-4
    vectors["out.logits"] = vectors["out.logits"][:, :-1].contiguous()
    vectors["out.something"] = vectors["out.hidden"].clone()
    save_file(vectors, str(small / "vectors.safetensors"))
    missed = {check.tensor for check in run_parity(small.parent) if not check.passed}
    assert missed == {"out.text_emb", "out.logits", "out.something"}


@pytest.mark.shared
def test_wrong_weights_show_in_the_fingerprint(small: Path) -> None:
    state = load_file(str(small / "state_dict.safetensors"))
    state["h.layers.1.norm2.bias"] = state["h.layers.1.norm2.bias"] + 1e-3
    save_file(state, str(small / "state_dict.safetensors"))
    missed = [check.tensor for check in run_parity(small.parent) if not check.passed]
    assert "weights" in missed


def test_nothing_to_compare_is_a_failed_check(tmp_path: Path) -> None:
    with pytest.raises(CheckFailedError):
        find_sets(tmp_path)
    assert CheckFailedError.exit_code == 20


def test_an_unknown_configuration_is_a_miss(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    result = CliRunner().invoke(parity, [str(tmp_path)])
    assert isinstance(result.exception, CheckFailedError)
    assert "MISS" in result.output
