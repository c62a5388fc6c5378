"""Character vectors of Mandarin BERT, repeated for the phones of each character: what the official bases also read.

Phonemes -> [width, P]; zeros where the language has no such vectors
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from timbre.core import base as roles
from timbre.core.base import Base
from timbre.core.errors import ConfigurationError
from timbre.gptsovits.files.base_networks import load_bert
from timbre.text.phonemes import Phonemes

_FIRST, _LAST, _UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
LAYER = -3
"""Third layer from the end, as the official weights were trained with."""


class BertFeatures:
    """BERT of a base with its tokenizer. Raises ConfigurationError when its files are not there."""

    def __init__(self, base: Base, device: torch.device, weights_root: Path | None = None) -> None:
        self._network = load_bert(base, weights_root).to(device)  # type: ignore[arg-type]
        path = base.file_path(roles.BERT_TOKENIZER, weights_root)
        tokenizer = Tokenizer.from_file(str(path))
        self._ids: dict[str, int] = tokenizer.get_vocab()
        for mark in (_FIRST, _LAST, _UNKNOWN):
            if mark not in self._ids:
                raise ConfigurationError(f"{path}: no token {mark}", "pull the base again")
        self._device = device

    @torch.inference_mode()
    def of(self, phonemes: Phonemes) -> NDArray[np.float16]:
        """[W, P]: each Mandarin segment by itself, as upstream does; other languages are zeros."""
        width = self._network.config.hidden_size
        parts = []
        for segment in phonemes.segments:
            part = np.zeros((width, len(segment.phones)), np.float32)
            if segment.language == "zh" and segment.word2ph is not None:
                # One token a character, so that nothing is merged into words or dropped.
                tokens = (_FIRST, *segment.normalized, _LAST)
                ids = [self._ids.get(token, self._ids[_UNKNOWN]) for token in tokens]
                states = self._network(torch.tensor([ids], device=self._device)).hidden_states[LAYER]
                characters = states[0, 1:-1].float().cpu().numpy()
                part = np.repeat(characters, segment.word2ph, axis=0).T
            parts.append(part)
        return np.concatenate(parts, axis=1).astype(np.float16)
