"""Sound files as recorders, pipes and phones leave them: everything that is there is read, what is missing is said."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile as sf

from tests.pipeline.voice.bad_inputs import clip
from timbre.audio.cut_end import Cut, find_cut
from timbre.audio.reader import UndecodableError, mono_blocks, probe, read
from timbre.audio.resample import resample
from timbre.audio.waveform import Samples, Waveform

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


def written(path: Path, kind: str, subtype: str | None = None) -> bytes:
    """The clip through libsndfile, in one of its containers."""
    sf.write(str(path), speech(), RATE_HZ, format=kind, subtype=subtype)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("AIFF", None), ("W64", None), ("CAF", None), ("WAV", "MS_ADPCM"), ("WAV", "IMA_ADPCM"), ("WAV", "GSM610"),
        ("RF64", None), ("FLAC", None),
    ],
)  # fmt: skip
def test_a_cut_file_of_libsndfile_is_found(tmp_path: Path, kind: str, subtype: str | None) -> None:
    path = tmp_path / "a.wav"
    whole = written(path, kind, subtype)
    assert read(path).duration_s == pytest.approx(len(speech()) / RATE_HZ, abs=0.1)
    for share in (1 / 3, 2 / 3, 0.9):
        path.write_bytes(whole[: round(len(whole) * share)])
        with pytest.raises(UndecodableError):
            read(path)


@pytest.mark.parametrize(
    ("name", "codec", "container", "options"),
    [
        ("a.aac", "aac", "adts", {}), ("a.avi", "pcm_s16le", "avi", {}), ("a.avi", "libmp3lame", "avi", {}),
        ("a.mkv", "libopus", "matroska", {}), ("a.webm", "libopus", "webm", {"live": "1"}),
        ("a.mp4", "aac", "mp4", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}),
        ("a.m4a", "aac", "ipod", {"movflags": "faststart"}), ("a.wma", "wmav2", "asf", {}),
        ("a.oga", "flac", "ogg", {}), ("a.caf", "alac", "caf", {}), ("a.wav", "libmp3lame", "wav", {}),
    ],
)  # fmt: skip
def test_a_cut_file_of_ffmpeg_is_found(
    tmp_path: Path, name: str, codec: str, container: str, options: dict[str, str]
) -> None:
    path = encoded(tmp_path / name, codec, container, **options)
    whole = path.read_bytes()
    assert read(path).duration_s == pytest.approx(len(speech()) / RATE_HZ, abs=0.12)
    for share in (1 / 3, 2 / 3, 0.9):
        path.write_bytes(whole[: round(len(whole) * share)])
        with pytest.raises(UndecodableError):
            read(path)


def test_a_cut_amr_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.amr"
    # Frames of 20 ms at 12.2 kbit/s.
    path.write_bytes(b"#!AMR\n" + (b"\x3c" + bytes(31)) * 50)
    assert find_cut(path) is None
    path.write_bytes(path.read_bytes()[:-7])
    assert find_cut(path) == Cut(25, 7, framed=True)


@pytest.mark.parametrize(("kind", "note"), [("AIFF", b"ANNO\0\0\x10\0"), ("CAF", b"info\0\0\0\0\0\0\x10\0")])
def test_a_cut_behind_the_sound_does_no_harm(tmp_path: Path, kind: str, note: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(written(path, kind) + note + b"abcd")
    assert len(read(path).samples) == len(speech())


@pytest.mark.parametrize(("bits", "held"), [(20, 24), (24, 32), (12, 16)])
def test_a_wav_whose_bits_lie_in_wider_samples_is_read_without_its_size(tmp_path: Path, bits: int, held: int) -> None:
    wide = (np.clip(speech(), -1, 1).astype(np.float64) * (2**31 - 1)).astype("<i4")
    samples = wide.view("u1").reshape(-1, 4)[:, 4 - held // 8 :].tobytes()
    content = struct.pack("<HHIIHH", 1, 1, RATE_HZ, RATE_HZ * held // 8, held // 8, bits)
    path = tmp_path / "a.wav"
    path.write_bytes(wave_file(chunk(b"fmt ", content), chunk(b"data", samples, 0), size=0))
    assert np.abs(read(path).samples - speech()).max() < 1e-4


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_a_compressed_wav_is_read_without_its_size(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    data = bytearray(written(path, "WAV", subtype))
    at = data.find(b"data")
    data[4:8] = data[at + 4 : at + 8] = bytes(4)
    path.write_bytes(bytes(data))
    assert read(path).duration_s == pytest.approx(len(speech()) / RATE_HZ, abs=0.1)


def test_two_lossless_files_put_together_are_refused(tmp_path: Path) -> None:
    path, half = tmp_path / "a.wav", len(pcm()) // 4 * 2
    once = wave_file(form(), chunk(b"data", pcm()), size=36 + len(pcm()))
    two = wave_file(form(), chunk(b"data", pcm()[:half]), chunk(b"LIST", b"INFO"), chunk(b"data", pcm()[half:]))
    flac = written(tmp_path / "a.flac", "FLAC")
    for joined in (once + once, two, flac + flac):
        path.write_bytes(joined)
        with pytest.raises(UndecodableError, match="more sound behind the first"):
            read(path)


@pytest.mark.parametrize("other_hz", [16_000, 24_000])
@pytest.mark.parametrize("tag", ["3", "0"])
def test_mp3_files_put_together_are_read_whole(tmp_path: Path, other_hz: int, tag: str) -> None:
    path, first = tmp_path / "a.mp3", encoded(tmp_path / "b.mp3", "libmp3lame", id3v2_version=tag).read_bytes()
    sf.write(str(path), resample(Waveform(speech(), RATE_HZ), other_hz).samples, other_hz, format="MP3")
    second = path.read_bytes()
    path.write_bytes(second + first)
    assert read(path).duration_s == pytest.approx(2 * len(speech()) / RATE_HZ, abs=0.25)
    path.write_bytes(second + first[: len(first) * 2 // 3])
    with pytest.raises(UndecodableError):
        read(path)


@pytest.mark.parametrize("xing", ["0", "1"])
def test_an_mp3_with_a_hole_is_found(tmp_path: Path, xing: str) -> None:
    path = encoded(tmp_path / "a.mp3", "libmp3lame", samples=np.tile(speech(), 2), write_xing=xing)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(bytes(data))
    with pytest.raises(UndecodableError):
        read(path)


@pytest.mark.parametrize("stated", [0.5, 0.99])
def test_a_flac_that_goes_on_beyond_its_stated_length_is_read_whole(tmp_path: Path, stated: float) -> None:
    path = tmp_path / "a.flac"
    data = bytearray(written(path, "FLAC"))
    data[22:26] = round(len(speech()) * stated).to_bytes(4, "big")
    path.write_bytes(bytes(data))
    assert len(read(path).samples) == len(speech())


@pytest.mark.parametrize("damage", ["gone", "zeros"])
@pytest.mark.parametrize("codec", ["OPUS", "VORBIS"])
def test_an_ogg_with_a_page_lost_is_found(tmp_path: Path, codec: str, damage: str) -> None:
    path = tmp_path / "a.ogg"
    sf.write(str(path), np.tile(speech(), 4), RATE_HZ, format="OGG", subtype=codec)
    data = path.read_bytes()
    assert read(path).duration_s == pytest.approx(4 * len(speech()) / RATE_HZ, abs=0.05)
    starts = [found.start() for found in re.finditer(b"OggS", data)]
    start, end = starts[len(starts) // 2], starts[len(starts) // 2 + 1]
    path.write_bytes(data[:start] + data[end:] if damage == "gone" else data[: end - 20] + bytes(20) + data[end:])
    with pytest.raises(UndecodableError, match="damaged, sound is missing"):
        read(path)


def test_an_ogg_cut_out_of_a_longer_one_is_read(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.ogg", "libopus", samples=np.tile(speech(), 2), page_duration="200000")
    data = path.read_bytes()
    starts = [found.start() for found in re.finditer(b"OggS", data)]
    audio = next(at for at in starts if int.from_bytes(data[at + 6 : at + 14], "little"))
    later = starts[starts.index(audio) + 4]
    path.write_bytes(data[:audio] + data[later:])
    assert read(path).duration_s > len(speech()) / RATE_HZ


def test_empty_channels_of_surround_sound_do_not_weaken_the_voice(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    # What lossy coding leaves of silence.
    hiss = np.random.default_rng(0).standard_normal((len(speech()), 6)).astype(np.float32) * 1e-5
    hiss[:, 2] += speech()
    sf.write(str(path), hiss, RATE_HZ, subtype="FLOAT")
    assert np.abs(read(path).samples - speech()).max() < 1e-3
    assert np.abs(np.concatenate(list(mono_blocks(path, 999))) - speech()).max() < 1e-3
