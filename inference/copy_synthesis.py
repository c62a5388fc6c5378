"""Copy synthesis: a recording through posterior encoder and the voice's generator, frame by frame in step with it.

What is heard is how well base and adapter can represent this voice at all, apart from text and prosody.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.inference.acoustic import DecoderCache, Utterance
from timbre.inference.exported_base import ExportedBase
from timbre.inference.session import open_session
from timbre.inference.voice import Voice

Floats = NDArray[np.float32]
_EPSILON = 1e-8


class CopySynthesis:
    """Recordings of one base's rate (others are resampled) -> the same through the voice's networks."""

    def __init__(self, base: ExportedBase, decoders: DecoderCache, *, threads: int = 1) -> None:
        self._base = base
        self._decoders = decoders
        self._posterior = open_session(base.graph("posterior"), threads=threads)

    def copy(self, wave: Waveform, voice: Voice) -> tuple[Waveform, Waveform]:
        """(original, copy), both at the base's rate and of equal length, cut to whole frames."""
        samples = resample(wave, self._base.rate_hz).samples
        spectrum = magnitude_spectrum(samples, self._base.fft_size, self._base.hop)
        feeds = {"spectrum": spectrum[None], "condition": voice.prompt.condition}
        latent = np.asarray(self._posterior.run(None, feeds)[0], np.float32)
        nothing = np.zeros(1, np.int64)
        decoder = self._decoders.get(voice)
        utterance = Utterance(self._base, decoder, nothing, voice.prompt.condition, seed=0)
        copied = utterance.next_piece(latent)
        length = min(len(copied), len(samples))
        rate = self._base.rate_hz
        return Waveform(samples[:length], rate), Waveform(copied[:length], rate)


def magnitude_spectrum(samples: Floats, fft_size: int, hop: int) -> Floats:
    """[S] -> [F, T] with T = S // hop: (fft_size - hop) / 2 samples of reflection each side, periodic Hann window.

    sqrt(re^2 + im^2 + 1e-8), as timbre.gptsovits.acoustic.spectrogram has it.
    """
    edge = (fft_size - hop) // 2
    padded = np.pad(samples, edge, mode="reflect")
    frames = sliding_window_view(padded, fft_size)[::hop]
    window = np.hanning(fft_size + 1)[:-1].astype(np.float32)
    spectrum = np.fft.rfft(frames * window, axis=1)
    return np.ascontiguousarray(np.sqrt(spectrum.real**2 + spectrum.imag**2 + _EPSILON).T, np.float32)
