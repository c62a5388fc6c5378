"""Scores of frames for alignment."""

from __future__ import annotations

import numpy as np
import torch

from timbre.nano.content_network import ContentConfig, ContentEncoder
from timbre.nano.forced_alignment import frame_scores


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
