"""The audio room against sounds whose truth is known by construction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.pipeline.voice.bad_inputs import clip, echoing, melody, noisy, telephone
from timbre.audio.denoise import RnNoise
from timbre.audio.level import apply_gain, limit, peak_dbfs, rms, to_db
from timbre.audio.mos import Dnsmos
from timbre.audio.music import MusicStream
from timbre.audio.noise import AmplitudeStream, signal_to_noise_db
from timbre.audio.reader import UndecodableError, blocks, probe, read, to_mono, write
from timbre.audio.resample import StreamResampler, resample
from timbre.audio.room import RoomStream, reverberation_s
from timbre.audio.spectrum import BandwidthStream, FrameStream
from timbre.audio.vad import ActivityStream, detect
from timbre.audio.waveform import Samples, Waveform, join, within_full_scale

RATE_HZ = 16_000


def tone(hz: float, seconds: float, rate_hz: int = RATE_HZ, amplitude: float = 0.5) -> Samples:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def test_waveform_refuses_what_is_not_mono_float32() -> None:
    with pytest.raises(ValueError, match="one dimension"):
        Waveform(np.zeros((2, 3), dtype=np.float32), RATE_HZ)
    with pytest.raises(ValueError, match="float32"):
        Waveform(np.zeros(3), RATE_HZ)
    wave = Waveform(np.arange(16, dtype=np.float32), 8)
    assert wave.between(0.5, 1.0).samples.tolist() == [4, 5, 6, 7]
    assert join([wave, wave]).duration_s == 4.0
    with pytest.raises(ValueError, match="rates"):
        join([wave, Waveform(wave.samples, 16)])


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        (".wav", "PCM_U8", 0.02),
        (".wav", "PCM_16", 1e-4),
        (".wav", "PCM_24", 1e-6),
        (".wav", "PCM_32", 1e-6),
        (".wav", "FLOAT", 1e-7),
        (".wav", "DOUBLE", 1e-7),
        (".flac", "PCM_16", 1e-4),
        (".flac", "PCM_24", 1e-6),
        (".ogg", "VORBIS", 0.05),
        (".mp3", "MPEG_LAYER_III", None),
    ],
)
def test_every_format_decodes_to_the_sound_that_was_written(
    tmp_path: Path, suffix: str, subtype: str, tolerance: float | None
) -> None:
    path = tmp_path / f"a{suffix}"
    stereo = np.stack((tone(440, 1.0, 44_100), tone(440, 1.0, 44_100)), axis=1)
    sf.write(str(path), stereo, 44_100, subtype=subtype)
    info = probe(path)
    assert (info.rate_hz, info.channels) == (44_100, 2)
    wave = read(path)
    assert wave.samples.dtype == np.float32
    if tolerance is None:
        # MP3 adds delay: compare what a listener would.
        assert rms(wave.samples) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    else:
        assert len(wave.samples) == 44_100
        assert np.abs(wave.samples - stereo[:, 0]).max() <= tolerance


def test_blocks_bound_what_is_held_and_join_to_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    whole = np.random.default_rng(0).uniform(-0.5, 0.5, 10_000).astype(np.float32)
    sf.write(str(path), whole, RATE_HZ, subtype="FLOAT")
    parts = [to_mono(block) for block in blocks(path, 999)]
    assert max(map(len, parts)) == 999
    assert np.array_equal(np.concatenate(parts), whole)


def test_a_silent_channel_does_not_halve_the_level() -> None:
    block = np.stack((np.full(8, 0.5, np.float32), np.zeros(8, np.float32)), axis=1)
    assert to_mono(block).tolist() == [0.5] * 8


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_cut_file_is_named_as_truncated_and_the_whole_one_is_not(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    sf.write(str(path), clip("awb", 1).samples, RATE_HZ)
    assert sum(map(len, blocks(path))) > 0
    path.write_bytes(path.read_bytes()[:-5_000])
    with pytest.raises(UndecodableError, match=r"a\.(wav|flac|ogg)"):
        sum(map(len, blocks(path)))


def test_a_wav_from_a_pipe_has_no_size_and_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sf.write(str(path), tone(440, 0.5), RATE_HZ)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(bytes(data))
    assert read(path).duration_s == pytest.approx(0.5)


def test_writing_never_clips(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"peak 1\.5"):
        write(tmp_path / "a.wav", Waveform(tone(440, 0.1, amplitude=1.5), RATE_HZ))


def test_what_is_too_loud_is_cut_and_what_is_no_number_is_silent(tmp_path: Path) -> None:
    loud = np.array([0.25, -1.5, 7.0, np.nan, np.inf, -np.inf, 1.0], np.float32)
    cut = within_full_scale(loud)
    assert cut.dtype == np.float32
    np.testing.assert_array_equal(cut, np.array([0.25, -1.0, 1.0, 0.0, 1.0, -1.0, 1.0], np.float32))
    write(tmp_path / "cut.wav", Waveform(cut, 16_000))


def test_resampling_a_stream_equals_resampling_the_whole() -> None:
    wave = Waveform(tone(1000, 1.0, 44_100), 44_100)
    stream = StreamResampler(44_100, RATE_HZ)
    parts = [stream.push(part) for part in np.array_split(wave.samples, 7)]
    parts.append(stream.push(np.zeros(0, np.float32), last=True))
    streamed, whole = np.concatenate(parts), resample(wave, RATE_HZ).samples
    assert len(streamed) == len(whole)
    assert np.abs(streamed - whole).max() < 1e-3


@pytest.mark.parametrize("gain_db", [0.0, 6.0, 20.0])
def test_the_limiter_keeps_the_ceiling_without_flat_tops(gain_db: float) -> None:
    wave = apply_gain(clip("awb", 1), 10.0 + gain_db)
    limited = limit(wave, -1.0)
    assert peak_dbfs(limited.wave) <= -1.0 + 1e-4
    assert limited.reduction_db > 0
    # Clipping would leave runs of equal samples at the ceiling.
    top = np.abs(limited.wave.samples) > 10 ** (-1.05 / 20)
    same = (np.diff(limited.wave.samples) == 0) & top[1:]
    assert np.count_nonzero(same) < 5


def test_the_limiter_leaves_quiet_sound_alone() -> None:
    wave = Waveform(tone(440, 0.2), RATE_HZ)
    assert limit(wave, -1.0).wave is wave


def test_frames_show_a_sine_in_its_bin() -> None:
    powers = np.concatenate([FrameStream(512, 160).push(tone(1000, 0.5, amplitude=1.0))])
    assert powers.mean(axis=0).argmax() == 32
    assert powers[:, 32] == pytest.approx(1.0, rel=0.01)


def test_speech_is_found_where_it_is() -> None:
    speech = clip("awb", 1).samples
    silence = np.zeros(RATE_HZ, np.float32)
    activity = detect(np.concatenate((silence, speech, silence)))
    runs = activity.runs(True)
    assert runs[0][0] > 0.9
    assert runs[-1][1] < 1.3 + len(speech) / RATE_HZ
    assert 0.6 * len(speech) / RATE_HZ < activity.speech_s < len(speech) / RATE_HZ + 0.2
    assert detect(silence).speech_s == 0


def test_activity_does_not_depend_on_the_blocks() -> None:
    speech = clip("awb", 2).samples
    stream = ActivityStream()
    for part in np.array_split(speech, 13):
        stream.push(part)
    assert np.array_equal(stream.finish().speech, detect(speech).speech)


@pytest.mark.parametrize("true_db", [5.0, 10.0, 20.0])
def test_signal_to_noise_is_near_the_truth(true_db: float) -> None:
    speech = np.concatenate([clip("awb", number).samples for number in (1, 2, 3)])
    activity = detect(speech)
    active = rms(np.repeat(activity.speech, 480) * speech[: len(activity.speech) * 480]) / np.sqrt(
        activity.speech.mean()
    )
    spoilt = noisy(speech, active * 10 ** (-true_db / 20))
    amplitudes = AmplitudeStream()
    amplitudes.push(spoilt)
    assert signal_to_noise_db(detect(spoilt), amplitudes.finish()) == pytest.approx(true_db, abs=4.0)


def test_bandwidth_sees_through_a_higher_rate() -> None:
    for samples, low, high in (
        (clip("awb", 1).samples, 6_500, 8_000),
        (telephone(clip("awb", 1).samples), 3_500, 4_300),
    ):
        stream = BandwidthStream(RATE_HZ)
        stream.push(samples)
        assert low <= stream.finish() <= high


@pytest.mark.parametrize("seconds", [0.3, 0.6, 1.0])
def test_reverberation_follows_the_room(seconds: float) -> None:
    stream = RoomStream()
    for number in range(1, 9):
        stream.push(echoing(clip("awb", number).samples, seconds))
    assert reverberation_s(stream.finish()) == pytest.approx(seconds, rel=0.45)
    assert reverberation_s(stream.finish()[:10]) is None


def test_music_is_told_from_speech() -> None:
    speech = np.concatenate([clip("awb", number).samples for number in (1, 2, 3)])
    hum = tone(400, len(speech) / RATE_HZ, amplitude=0.05)
    shares = []
    for samples in (speech, speech + hum, speech + melody(len(speech)), melody(len(speech))):
        stream = MusicStream()
        stream.push(samples)
        shares.append(stream.finish())
    assert shares[0] < 0.05
    assert shares[1] < 0.05
    assert shares[2] > 0.3
    assert shares[3] > 0.8


@pytest.mark.parametrize("pause_s", [1.0, 2.5])
def test_a_hum_of_two_tones_that_speech_hides_is_no_music(pause_s: float) -> None:
    """A child reads word by word beside a machine that hums at 297 and 500 Hz, 30 dB below the voice."""
    pause = np.zeros(round(pause_s * RATE_HZ), np.float32)
    speech = np.concatenate([part for number in (1, 2) for part in (clip("awb", number).samples[:RATE_HZ], pause)])
    hum = (tone(297, 10) + tone(500, 10))[: len(speech)] * np.float32(rms(speech) * 10 ** (-30 / 20))
    stream = MusicStream()
    stream.push(speech + hum)
    assert stream.finish() < 0.05


def test_rnnoise_takes_noise_out_and_keeps_time() -> None:
    clean = clip("awb", 4)
    spoilt = Waveform(noisy(clean.samples, 0.01), RATE_HZ)
    cleaned = RnNoise().denoise(spoilt)
    assert len(cleaned.samples) == len(clean.samples)
    pause = slice(0, 3_000)
    assert to_db(rms(cleaned.samples[pause])) < to_db(rms(spoilt.samples[pause])) - 10
    lags = np.correlate(cleaned.samples[8_000:24_000], clean.samples[8_200:23_800], "valid")
    assert abs(int(lags.argmax()) - 200) <= 8


def test_opinion_prefers_clean_speech() -> None:
    judge = Dnsmos()
    clean, spoilt = clip("awb", 1), Waveform(noisy(clip("awb", 1).samples, 0.03), RATE_HZ)
    better, worse = judge.score(clean), judge.score(spoilt)
    assert better.overall > worse.overall + 0.5
    assert better.background > worse.background + 0.8
    assert 1.0 < better.overall < 5.0
    with pytest.raises(ValueError, match="no samples"):
        judge.score(Waveform(np.zeros(0, np.float32), RATE_HZ))
