"""Sound files as recorders, pipes and phones leave them: everything that is there is read, what is missing is said."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile as sf

from tests.pipeline.voice.bad_inputs import clip
from timbre.audio.reader import UndecodableError, mono_blocks, probe, read
from timbre.audio.waveform import Samples

RATE_HZ = 16_000


def speech() -> Samples:
    return clip("awb", 1).samples


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(content) if size is None else size) + content


def form(bits: int = 16, tag: int = 1, order: str = "<") -> bytes:
    content = struct.pack(f"{order}HHIIHH", tag, 1, RATE_HZ, RATE_HZ * bits // 8, bits // 8, bits)
    return b"fmt " + struct.pack(f"{order}I", len(content)) + content


def pcm() -> bytes:
    return (np.clip(speech(), -1, 1) * 32767).astype("<i2").tobytes()


def wave_file(*chunks: bytes, kind: bytes = b"RIFF", size: int = 36) -> bytes:
    return kind + struct.pack("<I", size) + b"WAVE" + b"".join(chunks)


def encoded(
    path: Path, codec: str, container: str | None = None, samples: Samples | None = None, **options: str
) -> Path:
    """The clip through one of FFmpeg's encoders. options: of the container."""
    sound = speech() if samples is None else samples
    with av.open(str(path), "w", format=container, options=options) as out:
        stream: Any = out.add_stream(codec, rate={"libopus": 48_000, "wmav2": 44_100}.get(codec, 16_000))
        stream.codec_context.layout = "mono"
        if codec == "libmp3lame":
            stream.codec_context.options = {"q": "4"}
            stream.codec_context.global_quality = 4 * 118
            stream.codec_context.flags |= 2
        stream.codec_context.bit_rate = 0 if codec == "libmp3lame" else 64_000
        graph = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=stream.codec_context.rate)
        fifo = av.AudioFifo()
        frame = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
        frame.sample_rate = RATE_HZ
        for piece in (*graph.resample(frame), *graph.resample(None)):
            fifo.write(piece)
        size = stream.codec_context.frame_size or 1024
        while (piece := fifo.read(size, partial=True)) is not None:
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("size 0", lambda: wave_file(form(), chunk(b"data", pcm(), 0), size=0)),
        ("size -1", lambda: wave_file(form(), chunk(b"data", pcm(), 0xFFFFFFFF), size=0xFFFFFFFF)),
        (
            "RF64 never finished",
            lambda: wave_file(
                chunk(b"ds64", bytes(28)), form(), chunk(b"data", pcm(), 0xFFFFFFFF), kind=b"RF64", size=0xFFFFFFFF
            ),
        ),
        ("empty data first", lambda: wave_file(form(), chunk(b"data", b""), chunk(b"data", pcm()))),
        ("odd chunk, no padding", lambda: wave_file(form(), chunk(b"LIST", b"INFOabc"), chunk(b"data", pcm()))),
        ("two bytes short", lambda: wave_file(form(), chunk(b"data", pcm()))[:-2]),
        ("long empty list first", lambda: wave_file(form(), chunk(b"LIST", bytes(393_164)), chunk(b"data", pcm()))),
        ("garbage behind", lambda: wave_file(form(), chunk(b"data", pcm())) + b"\xde\xad\xbe\xef" * 50),
    ],
)  # fmt: skip
def test_every_sample_of_a_wav_is_read_whatever_its_sizes_say(
    tmp_path: Path, name: str, data: Callable[[], bytes]
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(data())
    wave = read(path)
    assert abs(len(wave.samples) - len(speech())) <= 1
    count = min(len(wave.samples), len(speech()))
    assert np.abs(wave.samples[:count] - speech()[:count]).max() < 1e-3


def test_a_wav_that_is_really_empty_is_not_called_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wave_file(form(), chunk(b"data", b""), chunk(b"LIST", b"INFO")))
    assert len(read(path).samples) == 0


def test_a_wav_cut_in_its_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wave_file(form(), chunk(b"data", pcm()))[: -len(pcm()) // 3])
    with pytest.raises(UndecodableError, match="missing"):
        read(path)


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.m4a", "aac", None), ("a.aac", "aac", "adts"), ("a.wma", "wmav2", "asf"), ("a.opus", "libopus", None),
        ("a.webm", "libopus", None), ("a.mp4", "aac", None), ("a.mkv", "aac", None), ("a.mp3", "libmp3lame", None),
        ("named.wav", "aac", "mp4"),
    ],
)  # fmt: skip
def test_what_phones_and_meetings_record_is_read(tmp_path: Path, name: str, codec: str, container: str | None) -> None:
    wave = read(encoded(tmp_path / name, codec, container))
    assert wave.duration_s == pytest.approx(len(speech()) / RATE_HZ, abs=0.12)
    assert 0.5 < np.std(wave.samples) / np.std(speech()) < 1.5


def test_an_mp3_of_variable_rate_without_header_keeps_its_length(tmp_path: Path) -> None:
    # Quiet first, loud later: what the first frames promise is far from what follows.
    sound = np.concatenate((np.zeros(RATE_HZ, np.float32), speech(), speech()))
    path = encoded(tmp_path / "a.mp3", "libmp3lame", samples=sound, write_xing="0", id3v2_version="0")
    assert probe(path).duration_s == pytest.approx(len(sound) / RATE_HZ, abs=0.15)
    assert read(path).duration_s == pytest.approx(len(sound) / RATE_HZ, abs=0.15)


@pytest.mark.parametrize("xing", ["0", "1"])
def test_a_cut_mp3_is_found(tmp_path: Path, xing: str) -> None:
    path = encoded(tmp_path / "a.mp3", "libmp3lame", write_xing=xing)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(UndecodableError, match="truncated"):
        read(path)


def test_a_cut_m4a_whose_index_comes_first_is_found(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.m4a", "aac", movflags="faststart")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(UndecodableError):
        read(path)


def test_a_chained_ogg_is_read_to_its_end_and_a_cut_one_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    sf.write(str(path), speech(), RATE_HZ)
    once = path.read_bytes()
    path.write_bytes(once + once)
    assert read(path).duration_s == pytest.approx(2 * len(speech()) / RATE_HZ, abs=0.05)
    path.write_bytes(once + once[: len(once) // 2])
    with pytest.raises(UndecodableError, match="end of the file is missing"):
        read(path)


def test_a_flac_from_a_pipe_is_read_and_a_cut_one_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    sf.write(str(path), speech(), RATE_HZ)
    data = bytearray(path.read_bytes())
    # The 36 bits of the number of samples in STREAMINFO: a pipe cannot go back to write them.
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(bytes(data))
    assert len(read(path).samples) == len(speech())
    path.write_bytes(bytes(data[: len(data) // 2]))
    with pytest.raises(UndecodableError):
        read(path)


@pytest.mark.parametrize(("suffix", "kind"), [(".aiff", "AIFF"), (".w64", "W64"), (".wav", "AIFF")])
def test_lossless_formats_of_other_systems_are_read(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"a{suffix}"
    sf.write(str(path), speech(), RATE_HZ, format=kind)
    assert np.abs(read(path).samples - speech()).max() < 1e-3


def test_an_inverted_channel_is_turned_back_and_no_block_is_silent(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sf.write(str(path), np.stack((speech(), -speech()), 1), RATE_HZ, subtype="FLOAT")
    assert np.abs(read(path).samples - speech()).max() < 1e-6
    assert np.abs(np.concatenate(list(mono_blocks(path, 999))) - speech()).max() < 1e-6


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    sf.write(str(secret), speech(), RATE_HZ)
    (tmp_path / "a.wav").write_text(f"ffconcat version 1.0\nfile '{secret}'\n")
    (tmp_path / "b.wav").write_text(f"#EXTM3U\n#EXTINF:3\n{secret}\n")
    for name in ("a.wav", "b.wav"):
        with pytest.raises(UndecodableError):
            read(tmp_path / name)
