"""How an engine uses the machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from timbre.inference.device import CPU, Device
from timbre.inference.guards import SentenceLimits

DECODER_BYTES = 512 << 20
"""Of the merged decoders of a base that stay in memory."""


@dataclass(frozen=True)
class EngineSettings:
    """How an engine uses the machine."""

    profile: str = "fp32"
    """Of the graphs: fp32 or int8."""
    threads: int = 1
    """Of each graph."""
    slots: int = 8
    """Sentences decoded at once."""
    capacity: int = 1280
    """Positions of a slot."""
    voices: int = 8
    """Merged decoders kept."""
    voice_bytes: int = DECODER_BYTES
    """Most memory of the merged decoders kept, from two on."""
    limits: SentenceLimits = field(default_factory=SentenceLimits)
    """When a spoken sentence counts as failed."""
    device: Device = CPU
    """Of decoders, recogniser and character vectors. The text-to-semantic graph stays on the CPU, since its attention
    (GroupQueryAttention, causal = 0) has no float32 kernel for CUDA.
    """
