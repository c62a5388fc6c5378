"""Change of rate by soxr, for whole sounds and for streams."""

from __future__ import annotations

import numpy as np
import soxr

from timbre.audio.waveform import Samples, Waveform


def resample(wave: Waveform, rate_hz: int) -> Waveform:
    """The same sound at rate_hz (soxr, high quality). Peaks may rise a little above those of the input."""
    if wave.rate_hz == rate_hz:
        return wave
    return Waveform(np.asarray(soxr.resample(wave.samples, wave.rate_hz, rate_hz), dtype=np.float32), rate_hz)


class StreamResampler:
    """Changes the rate of a stream of mono blocks, with the same result however the stream was cut."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._stream = None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")

    def push(self, block: Samples, last: bool = False) -> Samples:
        """Takes a block (n,) at the old rate, gives what is complete (m,) at the new one; last=True gives the rest."""
        if self._stream is None:
            return block
        return np.asarray(self._stream.resample_chunk(block, last=last), dtype=np.float32)
