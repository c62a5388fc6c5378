"""Where graphs run: the processor, or a CUDA device when this ONNX Runtime and this machine have one.

wanted (auto, cpu, cuda, cuda:N) + providers that ONNX Runtime offers -> Device -> options of each session
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from timbre.core.errors import ConfigurationError

if TYPE_CHECKING:
    import onnxruntime as ort

CPU_PROVIDER, CUDA_PROVIDER = "CPUExecutionProvider", "CUDAExecutionProvider"
WANTED = re.compile(r"auto|cpu|cuda(?::(\d{1,2}))?")
"""What `device` may be."""


@dataclass(frozen=True)
class Device:
    """Where ONNX Runtime computes."""

    name: str = "cpu"
    """cpu or cuda:N."""
    providers: tuple[str, ...] = (CPU_PROVIDER,)
    """Of ONNX Runtime, in order of preference, the CPU last."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Provider -> its options."""
    fallback: str = ""
    """Why it is not the requested device; "" if it is."""

    @property
    def session_providers(self) -> list[tuple[str, dict[str, Any]]]:
        """As InferenceSession takes them."""
        return [(name, dict(self.options.get(name, {}))) for name in self.providers]

    @property
    def shown(self) -> str:
        """One line: cpu, or cuda:0, or cpu and why."""
        return f"{self.name} ({self.fallback})" if self.fallback else self.name


CPU = Device()


def choose_device(wanted: str, offered: Sequence[str] | None = None) -> Device:
    """The device to use. offered: providers by name, None for those of this ONNX Runtime.

    auto takes CUDA where it is offered; cuda without it is the processor with the reason in `fallback`, which the
    caller must say. Raises ConfigurationError for any other word.
    """
    match = WANTED.fullmatch(wanted)
    if match is None:
        raise ConfigurationError(f"device: {wanted!r} is not a device", "use auto, cpu, cuda or cuda:N")
    have = tuple(offered) if offered is not None else _offered()
    if wanted == "cpu" or (wanted == "auto" and CUDA_PROVIDER not in have):
        return CPU
    if CUDA_PROVIDER not in have:
        return Device(fallback=f"{wanted} was requested, but this ONNX Runtime offers {', '.join(have)}")
    number = match[1] or "0"
    # Shapes differ from sentence to sentence: an exhaustive search for algorithms would be made for each.
    options = {"device_id": number, "cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}
    return Device(f"cuda:{number}", (CUDA_PROVIDER, CPU_PROVIDER), {CUDA_PROVIDER: options})


def _offered() -> tuple[str, ...]:
    import onnxruntime as ort  # here, since settings and help read this module and its import takes a moment

    return tuple(ort.get_available_providers())


def lost_provider(device: Device, session: ort.InferenceSession) -> str:
    """The first provider that the session should have and does not, "" when it has all: ONNX Runtime goes on without
    a provider whose libraries or device are missing.
    """
    used = session.get_providers()
    return next((name for name in device.providers if name not in used), "")
