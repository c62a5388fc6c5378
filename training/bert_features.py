"""Character vectors of Mandarin BERT, repeated for the phones of each character: what the official bases also read.

Phonemes -> [width, P]; zeros where the language has no such vectors
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core import base as roles
from core.base import Base
from gptsovits.base_networks import load_bert
from text.phonemes import Phonemes

_LAYER = -3
"""Third layer from the end, as the official weights were trained with."""


class BertFeatures:
    """BERT of a base with its tokenizer. Raises ConfigurationError when its files are not there."""

    def __init__(self, base: Base, device: torch.device, weights_root: Path | None = None) -> None:
        from transformers import BertTokenizerFast

        self._network = load_bert(base, weights_root).to(device)  # type: ignore[arg-type]
        path = base.file_path(roles.BERT_TOKENIZER, weights_root)
        self._tokenizer: Any = BertTokenizerFast(tokenizer_file=str(path))
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
                ids = self._tokenizer.convert_tokens_to_ids(["[CLS]", *segment.normalized, "[SEP]"])
                states = self._network(torch.tensor([ids], device=self._device)).hidden_states[_LAYER]
                characters = states[0, 1:-1].float().cpu().numpy()
                part = np.repeat(characters, segment.word2ph, axis=0).T
            parts.append(part)
        return np.concatenate(parts, axis=1).astype(np.float16)
