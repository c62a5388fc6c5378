"""Sound inside a page: players and spectrograms as data addresses, so that a report needs no other file."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.errors import TimbreError

RATE_HZ = 16_000
SHOWN_S = 12.0
"""Longest sound that a spectrogram shows."""


@dataclass(frozen=True)
class Sound:
    """A sound for a page."""

    player: str
    """FLAC as a data URL."""
    picture: str
    """PNG of the spectrogram, 0 to 8 kHz over `seconds`."""
    seconds: float
    """Of the picture, at most SHOWN_S; the player holds all."""
    samples: np.ndarray[tuple[int], np.dtype[np.float32]]
    """The part that the picture shows, at RATE_HZ."""


def sound(file: Path | bytes) -> Sound | None:
    """A file, or the bytes of one that libsndfile reads; None when it is not there or cannot be read."""
    try:
        if isinstance(file, bytes):
            decoded, rate_hz = soundfile.read(io.BytesIO(file), dtype="float32", always_2d=True)
            wave = Waveform(decoded.mean(axis=1, dtype=np.float32), rate_hz)
        elif file.is_file():
            wave = read(file)
        else:
            return None
        samples = resample(wave, RATE_HZ).samples
    except (TimbreError, soundfile.LibsndfileError):
        return None
    stream = io.BytesIO()
    soundfile.write(stream, samples, RATE_HZ, format="FLAC", subtype="PCM_16")
    player = f"data:audio/flac;base64,{base64.b64encode(stream.getvalue()).decode()}"
    shown = samples[: int(SHOWN_S * RATE_HZ)]
    picture = f"data:image/png;base64,{base64.b64encode(spectrogram(shown)).decode()}"
    return Sound(player, picture, len(shown) / RATE_HZ, shown)


def spectrogram(samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> bytes:
    """samples [T] at RATE_HZ -> PNG in grey: log magnitudes up to 8 kHz, 80 dB below the loudest."""
    size, hop = 512, max(128, len(samples) // 500)
    padded = np.pad(samples, (0, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    decibels = 10 * np.log10(power + 1e-10)
    grey = np.clip((decibels - decibels.max() + 80) / 80, 0, 1).T[::-1]
    pixels = (255 - grey[::2] * 255).astype(np.uint8)
    height, width = pixels.shape
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
