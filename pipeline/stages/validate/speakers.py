"""Speaker vectors of slices, takes and the statement; inference/speaker_groups.py compares them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from timbre.audio.waveform import Samples
from timbre.inference.speaker_groups import Vectors
from timbre.pipeline.stages.validate.one_thread import one_torch_thread

if TYPE_CHECKING:
    from timbre.gptsovits.encoders.ge2e import Ge2e

# Shorter speech gives embeddings that wander.
MIN_SPEECH_S = 1.6


@lru_cache(maxsize=1)
def _network() -> Ge2e:
    # Frozen weights that every voice of a run may share.
    from timbre.gptsovits.encoders.ge2e import load_ge2e

    return load_ge2e()


class SpeakerEncoder:
    """GE2E on the CPU, loaded at the first call (it brings torch)."""

    def embed(self, waves: Sequence[Samples]) -> Vectors:
        """Unit vectors (n, 256) of n pieces of speech at 16 kHz, none of them silent."""
        with one_torch_thread():
            return _network().embed_many(waves)
