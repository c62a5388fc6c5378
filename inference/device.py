"""Where graphs run: the processor, or a CUDA device when this ONNX Runtime and this machine have one.

wanted (auto, cpu, cuda, cuda:N) + providers that ONNX Runtime offers -> Device -> options of each session
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from timbre.core.errors import ConfigurationError

if TYPE_CHECKING:
    import onnxruntime as ort

CPU_PROVIDER, CUDA_PROVIDER = "CPUExecutionProvider", "CUDAExecutionProvider"
WANTED = re.compile(r"auto|cpu|cuda(?::(\d{1,2}))?")
"""What `device` may be."""
# The smallest graph, y = x of one float, opset 17.
PROBE = (
    b'\x08\x08:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)
_FATAL_ONLY = 4


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


def choose_device(
    wanted: str, offered: Sequence[str] | None = None, refusal: Callable[[Device], str] | None = None
) -> Device:
    """The device to use. offered: providers by name, None for those of this ONNX Runtime. refusal: see refused_by.

    auto takes CUDA where it is offered. Where CUDA is wanted or offered and cannot be used, it is the processor with
    the reason in `fallback`, which the caller must say. Raises ConfigurationError for any other word.
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
    device = Device(f"cuda:{number}", (CUDA_PROVIDER, CPU_PROVIDER), {CUDA_PROVIDER: options})
    reason = (refused_by if refusal is None else refusal)(device)
    return Device(fallback=f"{device.name} cannot be used: {reason}") if reason else device


def refused_by(device: Device) -> str:
    """Why a graph cannot be opened on a device here, "" when it can.

    ONNX Runtime offers every provider that it was built with, without a driver, a device or CUDA's libraries too.
    """
    import onnxruntime as ort  # as in _offered

    options = ort.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            session = ort.InferenceSession(PROBE, options, providers=device.session_providers)
    except Exception as error:  # the binding raises its own classes, none of them public
        return str(error)[:300]
    if lost := lost_provider(device, session):
        return f"ONNX Runtime opens no {lost} here; check the driver (nvidia-smi) and the libraries of CUDA and cuDNN"
    return ""


def _offered() -> tuple[str, ...]:
    import onnxruntime as ort  # here, since settings and help read this module and its import takes a moment

    return tuple(ort.get_available_providers())


def lost_provider(device: Device, session: ort.InferenceSession) -> str:
    """The first provider that the session should have and does not, "" when it has all: ONNX Runtime goes on without
    a provider whose libraries or device are missing.
    """
    used = session.get_providers()
    return next((name for name in device.providers if name not in used), "")
