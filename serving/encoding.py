"""Samples to bytes as they are spoken: wav and pcm by hand, mp3, opus, ogg, aac and flac through FFmpeg's libraries.

samples at the voice's rate -> resampler (when another rate is wanted) -> encoder -> bytes for the client

`start` and every `push` return what can be sent at once; `finish` returns the rest. An encoder serves one response.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from timbre.audio.provenance import Label, riff_list
from timbre.audio.waveform import within_full_scale

Floats = NDArray[np.float32]
RATES = (8000, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Sample rates that a client may ask for, Hz."""

_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_OPEN_LENGTH = 0xFFFFFFFF
_FULL_SCALE = 32767
_PART_SAMPLES = 1 << 17


@dataclass(frozen=True)
class Format:
    """An encoding that clients may ask for."""

    name: str
    """What `response_format` calls it."""
    media_type: str
    """Content-Type of the answer."""
    container: str = ""
    """FFmpeg's name of the muxer; "" for wav and pcm, which need none."""
    codec: str = ""
    """FFmpeg's name of the encoder; "" for wav and pcm."""
    bit_rate: int = 0
    """Bits a second; 0 where nothing is lost."""
    sample_format: str = "s16"
    """FFmpeg's name of the samples that the encoder takes."""


FORMATS = {
    item.name: item
    for item in (
        Format("wav", "audio/wav"),
        Format("pcm", "audio/pcm"),
        Format("mp3", "audio/mpeg", "mp3", "libmp3lame", 96_000, "s16p"),
        Format("opus", "audio/ogg", "ogg", "libopus", 48_000, "s16"),
        Format("ogg", "audio/ogg", "ogg", "libopus", 48_000, "s16"),
        Format("aac", "audio/aac", "adts", "aac", 80_000, "fltp"),
        Format("flac", "audio/flac", "flac", "flac", 0, "s16"),
    )
}


class Encoder(Protocol):
    """One response's encoder; rate_hz: of the sound that the client gets."""

    rate_hz: int

    def start(self) -> bytes:
        """Bytes that come before any sound."""

    def push(self, samples: Floats) -> bytes:
        """samples [S] of the voice's rate -> bytes that can be sent now, perhaps none."""

    def finish(self) -> bytes:
        """What is left, and the end."""


def output_rate(name: str, voice_rate_hz: int, wanted_hz: int | None) -> int:
    """The rate that a format will have: the wanted one, else the voice's own; Opus knows only five rates."""
    rate = wanted_hz or voice_rate_hz
    if name in ("opus", "ogg") and rate not in _OPUS_RATES:
        return next(known for known in _OPUS_RATES if known >= min(rate, 48000))
    return rate


def open_encoder(name: str, voice_rate_hz: int, wanted_hz: int | None = None, label: Label | None = None) -> Encoder:
    """An encoder for a stream whose length is not known. name: a key of FORMATS. label: for the tags of formats that
    have some before the sound (mp3, opus, flac).
    """
    rate = output_rate(name, voice_rate_hz, wanted_hz)
    resampler = _Resampler(voice_rate_hz, rate)
    if name in ("wav", "pcm"):
        return _PcmEncoder(resampler, header=name == "wav")
    return _LibraryEncoder(FORMATS[name], resampler, _Sink(), label)


class WholeEncoder:
    """A finished answer, encoded sentence by sentence, with lengths in its header. name: a key of FORMATS. label: for
    the tags of all formats that have some.
    """

    def __init__(self, name: str, voice_rate_hz: int, wanted_hz: int | None = None, label: Label | None = None) -> None:
        self._label = label
        self._rate_hz = output_rate(name, voice_rate_hz, wanted_hz)
        self._name = name
        resampler = _Resampler(voice_rate_hz, self._rate_hz)
        self._sink = _SeekableSink()
        self._encoder: Encoder
        if name in ("wav", "pcm"):
            self._encoder = _PcmEncoder(resampler, header=False)
            self._sink.write(wav_header(self._rate_hz, 0) if name == "wav" else b"")
        else:
            self._encoder = _LibraryEncoder(FORMATS[name], resampler, self._sink, label)

    def push(self, samples: Floats) -> None:
        """samples [S] of the voice's rate."""
        # By parts, so that no copy of it is larger than one.
        for start in range(0, len(samples), _PART_SAMPLES):
            self._sink.write(self._encoder.push(samples[start : start + _PART_SAMPLES]))

    def finish(self) -> bytes:
        """All of it."""
        self._sink.write(self._encoder.finish())
        if self._name == "wav":
            size_bytes = self._sink.tell() - len(wav_header(self._rate_hz, 0))
            self._sink.seek(0)
            more = b"" if self._label is None else riff_list(self._label)
            self._sink.write(wav_header(self._rate_hz, size_bytes, len(more)))
            self._sink.seek(0, io.SEEK_END)
            self._sink.write(more)
        return self._sink.getvalue()


def wav_header(rate_hz: int, size_bytes: int | None, more_bytes: int = 0) -> bytes:
    """44 bytes before 16-bit mono samples. size_bytes: None for a stream, whose length is unknown yet. more_bytes: of
    chunks after the samples.
    """
    size = _OPEN_LENGTH if size_bytes is None else size_bytes
    riff = _OPEN_LENGTH if size_bytes is None else size_bytes + 36 + more_bytes
    format_chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + format_chunk + struct.pack("<4sI", b"data", size)


def _int16(samples: Floats) -> NDArray[np.int16]:
    scaled = np.round(within_full_scale(samples) * _FULL_SCALE)
    return np.asarray(scaled, np.int16)


class _Resampler:
    """Streaming rate conversion; passes samples through when there is nothing to convert."""

    def __init__(self, source_hz: int, target_hz: int) -> None:
        self.rate_hz = target_hz
        self._stream = None if source_hz == target_hz else soxr.ResampleStream(source_hz, target_hz, 1, "float32")

    def push(self, samples: Floats) -> Floats:
        data = np.ascontiguousarray(samples, np.float32)
        return data if self._stream is None else np.asarray(self._stream.resample_chunk(data), np.float32)

    def finish(self) -> Floats:
        nothing = np.zeros(0, np.float32)
        if self._stream is None:
            return nothing
        return np.asarray(self._stream.resample_chunk(nothing, last=True), np.float32)


class _PcmEncoder:
    def __init__(self, resampler: _Resampler, *, header: bool) -> None:
        self.rate_hz = resampler.rate_hz
        self._resampler = resampler
        self._header = header

    def start(self) -> bytes:
        return wav_header(self.rate_hz, None) if self._header else b""

    def push(self, samples: Floats) -> bytes:
        return _int16(self._resampler.push(samples)).tobytes()

    def finish(self) -> bytes:
        return _int16(self._resampler.finish()).tobytes()


class _Sink:
    """Takes what the container writes; cannot seek, so the container writes what a pipe can take."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def write(self, data: bytes) -> int:
        self._pending += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self._pending)
        self._pending.clear()
        return data


class _SeekableSink(io.BytesIO):
    """Lets the container go back and write lengths into its header."""

    def take(self) -> bytes:
        return b""


class _LibraryEncoder:
    """A container of FFmpeg's over a sink. av is imported here: its import takes longer than a sentence."""

    def __init__(
        self, kind: Format, resampler: _Resampler, sink: _Sink | _SeekableSink, label: Label | None = None
    ) -> None:
        import av

        self._frame_of = av.AudioFrame.from_ndarray
        self.rate_hz = resampler.rate_hz
        self._kind = kind
        self._resampler = resampler
        self._sink = sink
        self._made_frames = 0
        options = {"flush_packets": "1"}
        if kind.container == "ogg":
            options["page_duration"] = "200000"
        if kind.container == "mp3" and isinstance(sink, _Sink):
            # A header with the length can only be written by going back.
            options |= {"write_xing": "0", "id3v2_version": "0" if label is None else "3"}
        self._container: Any = av.open(sink, "w", format=kind.container, options=options, buffer_size=1024)
        if label is not None:
            self._container.metadata.update(label.tags)
        stream: Any = self._container.add_stream(kind.codec, rate=self.rate_hz, layout="mono")
        self._stream = stream
        stream.codec_context.format = kind.sample_format
        if kind.bit_rate:
            stream.bit_rate = min(kind.bit_rate, 3 * self.rate_hz)

    def start(self) -> bytes:
        return b""

    def push(self, samples: Floats) -> bytes:
        self._encode(self._resampler.push(samples))
        return self._sink.take()

    def finish(self) -> bytes:
        self._encode(self._resampler.finish())
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()
        return self._sink.take()

    def _encode(self, samples: Floats) -> None:
        if not len(samples):
            return
        whole = self._kind.sample_format.startswith("s16")
        data = _int16(samples) if whole else within_full_scale(samples)
        frame = self._frame_of(data[None], format=self._kind.sample_format, layout="mono")
        frame.sample_rate = self.rate_hz
        frame.pts = self._made_frames
        self._made_frames += len(samples)
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
