"""BERT of a base as a graph, with what the engine needs to feed it: token ids of characters, projection to phones.

Layers that nobody reads are left out: the vectors are those of the third layer from the end.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import torch
from torch import Tensor, nn

from timbre.core import base as roles
from timbre.core.base import Base
from timbre.core.errors import ConfigurationError
from timbre.inference.characters import FIRST, LAST, UNKNOWN
from timbre.training.bert_features import LAYER
from timbre.training.export.acoustic_graphs import trace

if TYPE_CHECKING:
    from transformers import BertModel


class CharacterGraph(nn.Module):
    """ids int64 [1,L] -> vectors [1,L,W]."""

    def __init__(self, bert: BertModel) -> None:
        super().__init__()
        # hidden_states holds the embeddings and then one entry a layer.
        wanted = len(bert.encoder.layer) + 1 + LAYER
        self.bert = copy.copy(bert)
        self.bert._modules = dict(bert._modules)
        self.bert.encoder = copy.copy(bert.encoder)
        self.bert.encoder._modules = dict(bert.encoder._modules)
        self.bert.encoder.layer = bert.encoder.layer[:wanted]

    def forward(self, ids: Tensor) -> Tensor:
        """As the class."""
        states: Tensor = self.bert(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        return states


def character_graph(bert: BertModel) -> onnx.ModelProto:
    """The graph `bert` of inference/exported_base.py."""
    ids = torch.arange(9)[None] % bert.config.vocab_size
    return trace(CharacterGraph(bert), (ids,), ("ids",), ("vectors",), {"ids": {1: "L"}})


def character_tokens(base: Base, weights_root: Path | None = None) -> dict[str, int]:
    """Ids of single characters and of the marks that the engine needs. Raises ConfigurationError without a mark."""
    path = base.file_path(roles.BERT_TOKENIZER, weights_root)
    data = json.loads(path.read_text(encoding="utf-8"))
    ids: dict[str, int] = {**data["model"]["vocab"], **{item["content"]: item["id"] for item in data["added_tokens"]}}
    for mark in (FIRST, LAST, UNKNOWN):
        if mark not in ids:
            raise ConfigurationError(f"{path}: no token {mark}", f"run: timbre base pull {base.name}")
    return {token: int(number) for token, number in ids.items() if len(token) == 1 or token in (FIRST, LAST, UNKNOWN)}
