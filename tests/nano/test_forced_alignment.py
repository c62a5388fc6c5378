"""Scores of frames for alignment."""

from __future__ import annotations

import numpy as np
import torch

from timbre.nano.alignment import Alignment
from timbre.nano.content_network import ContentConfig, ContentEncoder
from timbre.nano.forced_alignment import align_scores, frame_scores
from timbre.text.frontend import phonemize
from timbre.text.recognition import CLASSES, SILENCE
from timbre.text.symbols import ids_of


def test_a_head_with_weights_in_the_thousands_is_read_exactly() -> None:
    """`timbre pretrain restore` fits such heads; in half precision their scores were noise and no clip aligned."""
    torch.manual_seed(0)
    encoder = ContentEncoder(ContentConfig()).eval()
    audio = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
    with torch.no_grad():
        encoder.frame_head.weight.mul_(3e4)
        encoder.frame_head.bias.sub_(3e4)  # the softmax cancels it, half precision does not
        scores = frame_scores(encoder, audio)
        encoder.frame_head.bias.add_(3e4)
        plain = frame_scores(encoder, audio)
    assert scores.shape == (50, encoder.config.classes)
    np.testing.assert_allclose(np.exp(scores).sum(1), 1.0, atol=1e-4)
    np.testing.assert_allclose(scores, plain, atol=0.05)


def test_loud_frames_are_sounds_of_the_text() -> None:
    """The recogniser hears another phone than the text has, as of an accent."""
    chances = np.full((60, len(CLASSES)), 1e-6)
    chances[:, SILENCE] = 0.9
    chances[10:40] = 0.004
    chances[10:40, CLASSES.index("ZH")] = 0.5
    chances[10:40, SILENCE] = 0.08
    scores = np.log(chances).astype(np.float32)
    audio = np.full(60 * 320, 1e-3, np.float32)
    audio[10 * 320 : 40 * 320] = 0.3
    phones = ids_of(phonemize("Red and blue.", "en").phones)

    def sounding_s(found: Alignment | None) -> float:
        assert found is not None
        begins = [0.0, *found.ends_s[:-1]]
        silence = CLASSES[SILENCE]
        return sum(e - b for n, b, e in zip(found.phones, begins, found.ends_s, strict=True) if n != silence)

    assert sounding_s(align_scores("a", scores, phones)) < 0.3
    assert 0.55 < sounding_s(align_scores("a", scores, phones, audio=audio)) < 0.65
