"""DNSMOS P.835: how clean and pleasant speech sounds, on 1 to 5, predicted by a network (Reddy et al. 2022).

The weights come with the package speechmos. They are run here directly: that package's own loader also imports librosa
and numba for a second network that we do not need, and it leaves no say over the number of threads.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.errors import ConfigurationError
from timbre.core.telemetry import switch_off_telemetry

if TYPE_CHECKING:
    import onnxruntime

RATE_HZ = 16_000
WINDOW = 144_160
# Published polynomials from raw network outputs to the scale of the listening test.
_SPEECH = (-0.08397278, 1.22083953, 0.0052439)
_BACKGROUND = (-0.13166888, 1.60915514, -0.39604546)
_OVERALL = (-0.06766283, 1.11546468, 0.04602535)


@dataclass(frozen=True)
class Mos:
    """Predicted mean opinion scores, 1 (bad) to 5 (excellent)."""

    speech: float
    """P.835 SIG: the voice itself, whatever noise lies behind it."""
    background: float
    """P.835 BAK: how little the noise disturbs."""
    overall: float
    """P.835 OVRL, the value that Timbre calls DNSMOS."""


class Dnsmos:
    """The network, loaded once."""

    def __init__(self, threads: int = 1) -> None:
        """Raises ConfigurationError when the package that brings the weights is not installed."""
        switch_off_telemetry()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Its arena would keep the largest activations for the life of the process.
        options.enable_cpu_mem_arena = False
        self._session: onnxruntime.InferenceSession = onnxruntime.InferenceSession(
            str(dnsmos_weights()), options, providers=["CPUExecutionProvider"]
        )

    def score(self, wave: Waveform, windows: int = 1) -> Mos:
        """Mean score of up to `windows` windows of 9.01 s spread over the sound; shorter sounds are repeated.

        Raises ValueError on an empty sound.
        """
        samples = resample(wave, RATE_HZ).samples
        if not len(samples):
            raise ValueError("no samples to score")
        if len(samples) < WINDOW:
            samples = np.tile(samples, -(-WINDOW // len(samples)))
        last = len(samples) - WINDOW
        count = min(windows, 1 + last // WINDOW)
        starts = np.linspace(0, last, count).astype(int) if count > 1 else [0]
        raw = np.mean(
            [self._session.run(None, {"input_1": np.clip(samples[None, s : s + WINDOW], -1, 1)})[0][0] for s in starts],
            axis=0,
        )
        return Mos(
            *(
                float(np.polyval(curve, value))
                for curve, value in zip((_SPEECH, _BACKGROUND, _OVERALL), raw, strict=True)
            )
        )


def dnsmos_weights() -> Path:
    """The P.835 model file. Raises ConfigurationError when the package that brings it is not installed."""
    spec = importlib.util.find_spec("speechmos")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "dnsmos_models" / "sig_bak_ovr.onnx"
        if path.is_file():
            return path
    raise ConfigurationError("speechmos: package or its DNSMOS weights are not installed", "pip install speechmos")
