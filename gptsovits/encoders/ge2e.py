"""GE2E speaker encoder: speech -> one vector that says who speaks.

wave 16 kHz [T] -> mel frames [F, 40] -> partials [K, 160, 40] -> LSTM -> mean over partials -> unit vector [256]

Network and objective: Wan et al. 2018, "Generalized end-to-end loss for speaker verification" (arXiv 1710.10467). The
weights are those of the Resemblyzer package (Apache-2.0, trained on LibriSpeech-other and VoxCeleb); mel, partials and
volume rule follow it, so that the vectors are the same. Its long-silence trimming is not repeated here: clips come
voice-detected.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from timbre.core.errors import ConfigurationError, InputError

RATE_HZ = 16000
EMBEDDING_SIZE = 256
_MEL_BANDS = 40
_WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
PARTIAL_FRAMES = 160  # 1.6 s
_PARTIALS_HZ = 1.3  # partial windows started a second
_MIN_COVERAGE = 0.75  # a last partial with less speech than this is dropped
TARGET_DBFS = -30.0  # quieter speech is raised to this, louder speech is left alone
_BATCH_PARTIALS = 64

Floats = NDArray[np.float32]


class Ge2e(nn.Module):
    """Three LSTM layers, a linear layer, ReLU, L2 norm. mels [B, F, 40] -> [B, 256]."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_MEL_BANDS, EMBEDDING_SIZE, 3, batch_first=True)
        self.linear = nn.Linear(EMBEDDING_SIZE, EMBEDDING_SIZE)

    def forward(self, mels: Tensor) -> Tensor:
        """mels: power mel frames [B, F, 40] (not logarithmic). Returns unit vectors [B, 256], no value below 0."""
        _, (hidden, _) = self.lstm(mels)
        return nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)

    @torch.inference_mode()
    def embed(self, wave: Floats) -> Floats:
        """Speaker vector [256] of one clip [T] at 16 kHz, unit length. Raises InputError when it is empty or silent."""
        vector: Floats = self.embed_many([wave])[0]
        return vector

    @torch.inference_mode()
    def embed_many(self, waves: Sequence[Floats]) -> Floats:
        """Speaker vectors [N, 256] of N clips at 16 kHz, each the unit-length mean over the clip's partials."""
        device = self.linear.weight.device
        windows: list[Tensor] = []
        counts: list[int] = []
        for wave in waves:
            windows.append(partials(torch.from_numpy(normalise_volume(wave))).to(device))
            counts.append(len(windows[-1]))
        if not windows:
            return np.zeros((0, EMBEDDING_SIZE), np.float32)
        vectors = torch.cat([self(batch) for batch in torch.split(torch.cat(windows), _BATCH_PARTIALS)])
        means = torch.stack([part.mean(0) for part in torch.split(vectors, counts)])
        result: Floats = nn.functional.normalize(means, dim=1).cpu().numpy()
        return result


def partials(wave: Tensor) -> Tensor:
    """Overlapping mel windows [K, 160, 40] of a wave [T]; the tail is padded with zeros or dropped by coverage."""
    starts = partial_starts(len(wave))
    need = (starts[-1] + PARTIAL_FRAMES) * HOP_SAMPLES
    mel = mel_frames(nn.functional.pad(wave, (0, max(0, need - len(wave)))))
    return torch.stack([mel[start : start + PARTIAL_FRAMES] for start in starts])


def load_ge2e(weights: Path | None = None, device: str = "cpu") -> Ge2e:
    """The encoder with its trained weights, in eval mode.

    weights: a Resemblyzer checkpoint (`model_state` inside); None for the one in the installed resemblyzer package.
    Raises ConfigurationError when the file is absent or does not fit the network.
    """
    path = weights or packaged_weights()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    except (OSError, KeyError, RuntimeError, ValueError, EOFError, TypeError) as error:
        raise ConfigurationError(f"{path}: no GE2E weights in it: {error}", "reinstall resemblyzer") from error
    # The two similarity scalars belong to the training loss and are not part of the encoder.
    state = {key: value for key, value in state.items() if not key.startswith("similarity_")}
    network = Ge2e()
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ConfigurationError(f"{path}: GE2E weights do not fit: {error}", "reinstall resemblyzer") from error
    return network.eval().requires_grad_(False).to(device)


def packaged_weights() -> Path:
    """Path of pretrained.pt in the installed resemblyzer package, found without importing it (its import is slow)."""
    spec = importlib.util.find_spec("resemblyzer")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "pretrained.pt"
        if path.is_file():
            return path
    raise ConfigurationError("resemblyzer: package or its pretrained.pt is not installed", "pip install resemblyzer")


def normalise_volume(wave: Floats) -> Floats:
    """Raises a wave [T] to -30 dBFS RMS; louder waves come back as they are. Raises InputError on silence or NaN."""
    wave = np.asarray(wave, np.float32)
    if wave.ndim != 1 or wave.size == 0:
        raise InputError(f"speaker embedding: wave of shape {wave.shape}, needs [T] with T > 0", "give a mono clip")
    power = float(np.mean(np.square(wave, dtype=np.float64)))
    if not math.isfinite(power) or power <= 1e-16:
        raise InputError(f"speaker embedding: mean power {power:g}, nothing to hear", "leave the silent clip out")
    gain_db = TARGET_DBFS - 10 * math.log10(power)
    return wave if gain_db <= 0 else np.asarray(wave * 10 ** (gain_db / 20), np.float32)


def partial_starts(samples: int) -> list[int]:
    """First mel frame of each partial of a clip of that many samples; never empty."""
    frames = math.ceil((samples + 1) / HOP_SAMPLES)
    step = round(RATE_HZ / _PARTIALS_HZ / HOP_SAMPLES)
    starts = list(range(0, max(1, frames - PARTIAL_FRAMES + step + 1), step))
    coverage = (samples / HOP_SAMPLES - starts[-1]) / PARTIAL_FRAMES
    return starts[:-1] if coverage < _MIN_COVERAGE and len(starts) > 1 else starts


def mel_frames(wave: Tensor) -> Tensor:
    """Power mel spectrogram [1 + T // 160, 40] of a wave [T]: 25 ms Hann windows, centred, zero padding at the ends."""
    spectrum = torch.stft(
        wave,
        _WINDOW_SAMPLES,
        HOP_SAMPLES,
        window=torch.hann_window(_WINDOW_SAMPLES, device=wave.device),
        pad_mode="constant",
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()
    return (mel_filters().to(wave.device) @ power).T


@lru_cache(maxsize=1)
def mel_filters() -> Tensor:
    """Slaney mel filters [40, 201], 0 to 8 kHz, each of unit area (Slaney 1998, Auditory Toolbox)."""
    edges = _mel_to_hz(np.linspace(0.0, _hz_to_mel(RATE_HZ / 2), _MEL_BANDS + 2))
    bins = np.linspace(0.0, RATE_HZ / 2, _WINDOW_SAMPLES // 2 + 1)
    rise = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    area = 2.0 / (edges[2:] - edges[:-2])
    filters = np.maximum(0.0, np.minimum(rise, fall)) * area[:, None]
    # The first to ask may be in inference mode, a later one may want gradients.
    with torch.inference_mode(False):
        return torch.from_numpy(filters.astype(np.float32))


def _hz_to_mel(hz: float) -> float:
    """Slaney scale: linear to 1 kHz (15 mel), then 27 mel for each factor 6.4."""
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * math.log(6.4) / 27))
