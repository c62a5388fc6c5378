"""The ear of stage 1: the phone recogniser of the voice's base, or nano's for a base that has none.

16 kHz samples -> content encoder -> phone head -> log probabilities of classes, 50 frames a second
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timbre.audio.waveform import Samples
from timbre.core.base import Base
from timbre.core.errors import ConfigurationError
from timbre.pipeline.bases.recogniser import recognising_base
from timbre.pipeline.stages.validate.one_thread import one_torch_thread

_SHORTEST = 1_600


@dataclass(eq=False)
class Listener:
    """Loads its networks (and torch) at the first sound."""

    base: Base
    """A base that has a recogniser; `recognising_base` finds it."""
    _networks: tuple[Any, Any] | None = field(default=None, init=False)

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that it was trained to hear."""
        return self.base.languages

    def scores(self, samples: Samples) -> NDArray[np.float32]:
        """Class scores [T, K] of 16 kHz samples (n,), not normalised; T = 0 for less than a window."""
        import torch

        encoder, head = self._loaded()
        if len(samples) < _SHORTEST:
            return np.zeros((0, head.out_features), np.float32)
        with one_torch_thread(), torch.no_grad():
            found = head(encoder(torch.from_numpy(np.ascontiguousarray(samples))[None]).last_hidden_state)[0]
        return np.asarray(found.numpy(), np.float32)

    def _loaded(self) -> tuple[Any, Any]:
        if self._networks is None:
            from timbre.gptsovits.files.base_networks import load_content_encoder, load_recogniser

            head = load_recogniser(self.base)
            if head is None:
                raise ConfigurationError(f"base {self.base.name}: no recogniser", "use a base that has one")
            self._networks = (load_content_encoder(self.base), head)
        return self._networks


def listener_for(base: Base) -> Listener | None:
    """The listener of a base, or None when no recogniser is there."""
    found = recognising_base(base)
    return Listener(found) if found is not None else None
