"""Sizes of the text-to-semantic network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class T2SConfig:
    """Every width of the network. Defaults are the official ones (v2 and later, 77.6 M parameters)."""

    hidden: int = 512
    """Width of every position."""
    heads: int = 16
    """Attention heads, which share `hidden`."""
    layers: int = 24
    """Transformer blocks."""
    feed_forward: int = 2048
    """Inner width of a block."""
    vocabulary: int = 1025
    """Semantic codes and the end token."""
    end_token: int = 1024
    """Its id."""
    phonemes: int = 732
    """Rows of the phone table."""
    bert_width: int = 1024
    """Width of the character vectors that are added to the phones, 0 for a network without that projection."""
    dropout: float = 0.0
    """In attention and feed-forward."""
    position_dropout: float = 0.1
    """After positions were added."""
    max_positions: int = 4000
    """Longest text, and longest audio, each."""

    def __post_init__(self) -> None:
        for name in ("hidden", "heads", "layers", "feed_forward", "vocabulary", "phonemes", "max_positions"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is not a multiple of heads {self.heads}")
        if self.hidden % 2:
            raise ValueError(f"hidden must be even (sine and cosine halves), got {self.hidden}")
        if not 0 <= self.end_token < self.vocabulary:
            raise ValueError(f"end_token {self.end_token} is outside the vocabulary of {self.vocabulary}")
        if self.bert_width < 0:
            raise ValueError(f"bert_width must not be negative, got {self.bert_width}")

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.hidden // self.heads

    @classmethod
    def from_upstream(cls, model: Mapping[str, Any]) -> T2SConfig:
        """From the `model` part of an upstream configuration. Raises ValueError for sizes that no such network can
        have.
        """
        missing = [key for key in _UPSTREAM_KEYS if key not in model]
        if missing:
            raise ValueError(f"text-to-semantic configuration lacks {', '.join(missing)}")
        if model["embedding_dim"] != model["hidden_dim"]:
            raise ValueError(f"embedding_dim {model['embedding_dim']} differs from hidden_dim {model['hidden_dim']}")
        return cls(
            hidden=int(model["hidden_dim"]),
            heads=int(model["head"]),
            layers=int(model["n_layer"]),
            feed_forward=int(model["linear_units"]),
            vocabulary=int(model["vocab_size"]),
            end_token=int(model["EOS"]),
            phonemes=int(model["phoneme_vocab_size"]),
            dropout=float(model.get("dropout", 0.0)),
        )

    def to_upstream(self) -> dict[str, Any]:
        """The `model` part of an upstream configuration. Raises ValueError when upstream cannot express the sizes."""
        if self.bert_width != 1024:
            raise ValueError(f"upstream's network has a projection of 1024 values, this one of {self.bert_width}")
        return {
            "vocab_size": self.vocabulary,
            "phoneme_vocab_size": self.phonemes,
            "embedding_dim": self.hidden,
            "hidden_dim": self.hidden,
            "head": self.heads,
            "linear_units": self.feed_forward,
            "n_layer": self.layers,
            "dropout": self.dropout,
            "EOS": self.end_token,
            "random_bert": 0,
        }


_UPSTREAM_KEYS = (
    "vocab_size", "phoneme_vocab_size", "embedding_dim", "hidden_dim", "head", "linear_units", "n_layer", "EOS",
)  # fmt: skip

T2S_V2 = T2SConfig()
T2S_NANO = T2SConfig(
    hidden=256, heads=4, layers=6, feed_forward=768, vocabulary=517, end_token=516, bert_width=0, position_dropout=0.0
)
T2S_PICO = T2SConfig(hidden=32, heads=2, layers=2, feed_forward=64, bert_width=0)
