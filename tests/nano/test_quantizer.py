"""The quantizer: codes tell phones apart, survive the file, and keep their rate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.nano.tone_corpus import write_tones
from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.nano.content_network import ContentConfig, ContentEncoder
from timbre.nano.quantizer import (
    Pairs,
    Quantizer,
    announce,
    as_pairs,
    code_quality,
    content_features,
    discriminants,
    write_codes,
)
from timbre.text.recognition import CLASSES

WIDTH = 16


@pytest.fixture
def pairs() -> Pairs:
    """Four phones along two of 32 dimensions, a third that carries pitch, and loud noise in the others."""
    random = np.random.default_rng(0)
    labels = np.array([CLASSES.index(name) for name in ("AA", "S", "IY", "M")])[random.integers(4, size=1500)]
    pitch = random.uniform(-0.5, 0.5, 1500).astype(np.float32)
    features = 8.0 * random.standard_normal((1500, 2 * WIDTH))
    centres = dict(zip(sorted(set(labels)), [(-3, -3), (-3, 3), (3, -3), (3, 3)], strict=True))
    features[:, :2] = np.array([centres[label] for label in labels]) + 0.5 * random.standard_normal((1500, 2))
    features[:, 2] = 3 * pitch + 0.05 * random.standard_normal(1500)
    return Pairs(features.astype(np.float32), labels.astype(np.int64), pitch)


def test_discriminants_ignore_loud_noise(pairs: Pairs) -> None:
    projection, mean = discriminants(pairs, 2, pitch_scale=10.0)
    assert projection.shape == (3, 2 * WIDTH)
    assert mean.shape == (2 * WIDTH,)
    weight = np.abs(projection) * pairs.features.std(0)
    assert weight[:2, :2].sum() > 5 * weight[:2, 2:].sum() / 10
    projected = (pairs.features - mean) @ projection.T
    assert np.corrcoef(projected[:, 2], pairs.pitch)[0, 1] > 0.95


def test_codes_know_phone_and_pitch(pairs: Pairs) -> None:
    quantizer = Quantizer.fit(pairs, WIDTH, rows=32, rounds=12, width=2, pitch_scale=10.0, seed=0)
    codes = quantizer.codes(pairs.features.reshape(-1, WIDTH))
    assert codes.dtype == np.int16
    assert codes.shape == (1500,)
    quality = code_quality([codes], [pairs.labels], [pairs.pitch], 32)
    assert quality.purity > 0.98
    assert quality.mutual > 0.95
    assert quality.pitch > 0.6
    assert quality.used == 1.0
    guess = np.random.default_rng(9).integers(32, size=1500).astype(np.int16)
    blind = code_quality([guess], [pairs.labels], [pairs.pitch], 32)
    assert blind.purity < 0.4
    assert blind.mutual < 0.1
    assert blind.pitch < 0.1


def test_the_file_gives_the_same_codes(pairs: Pairs, tmp_path: Path) -> None:
    quantizer = Quantizer.fit(pairs, WIDTH, 8, 3, 2, 0.0, 0)
    quantizer.save(tmp_path)
    hidden = pairs.features[:50].reshape(-1, WIDTH)
    assert np.array_equal(Quantizer.load(tmp_path).codes(hidden), quantizer.codes(hidden))
    with pytest.raises(ConfigurationError, match="quantizer"):
        Quantizer.load(tmp_path / "nowhere")


def test_codes_are_those_of_the_acoustic_model(pairs: Pairs) -> None:
    """Same names, same shapes, same result when loaded into the network that ships them."""
    config = SynthesizerConfig.nano()
    width, rows = config.ssl_width, config.codebook_size
    random = np.random.default_rng(1)
    wide = Pairs(random.standard_normal((1500, 2 * width)).astype(np.float32), pairs.labels[:1500], pairs.pitch[:1500])
    quantizer = Quantizer.fit(wide, width, rows, 1, 8, 1.0, 0)
    model = Synthesizer(config).eval()
    state = model.state_dict()
    assert {name: value.shape for name, value in quantizer.state().items()} == {
        name: value.shape for name, value in state.items() if name.startswith(("quantizer.", "ssl_proj."))
    }
    model.load_state_dict({**state, **quantizer.state()})
    hidden = random.standard_normal((21, width)).astype(np.float32)
    with torch.inference_mode():
        expected = model.quantizer.encode(model.ssl_proj(torch.from_numpy(hidden).T[None]))[0, 0].numpy()
    assert np.array_equal(quantizer.codes(hidden), expected)
    assert expected.shape == (10,)


def test_codes_of_a_corpus(tmp_path: Path) -> None:
    config = ContentConfig(
        hidden=WIDTH, layers=1, heads=2, feed_forward=16, bands=24, conv_channels=(72, 28, 72, 32), position_kernel=4,
        position_groups=2,
    )  # fmt: skip
    encoder = ContentEncoder(config).eval()
    corpus = write_tones(tmp_path, clips=3)
    features = np.concatenate([as_pairs(content_features(encoder, corpus.heard(clip))) for clip in corpus.clips])
    labels = np.random.default_rng(0).integers(2, 6, size=len(features))
    quantizer = Quantizer.fit(Pairs(features, labels, np.zeros(len(features), np.float32)), WIDTH, 8, 2, 4, 0.0, 0)
    path = write_codes(encoder, quantizer, corpus, "real", lambda line: None)
    with np.load(path) as stored:
        assert sorted(stored.files) == sorted(clip.id for clip in corpus.clips)
        for clip in corpus.clips:
            assert stored[clip.id].dtype == np.int16
            assert stored[clip.id].size == clip.samples // 960


def test_announcement_names_the_paths(tmp_path: Path) -> None:
    announce(tmp_path, {"quantizer": "here"})
    assert json.loads((tmp_path / "READY_CODES").read_text()) == {"quantizer": "here"}
