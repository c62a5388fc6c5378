"""Stage 1 on whole folders: what it writes, what it refuses, and what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf

from benchmarks.stage_one import Outcome, run_stage_one
from tests.pipeline.voice.bad_inputs import CASES, SMALL, Case, answers, clip, good_folder, noisy, put, texts
from timbre.audio.level import active_level_dbfs
from timbre.audio.mos import Mos
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.vad import detect
from timbre.audio.waveform import Waveform
from timbre.core.errors import ConfigurationError
from timbre.core.recipe import ValidateRecipe
from timbre.inference.speaker_groups import Speakers, compare
from timbre.pipeline.stages.validate import stage
from timbre.pipeline.stages.validate.checks import (
    Findings,
    check_amount,
    check_noise,
    check_pace,
    check_speakers,
)
from timbre.pipeline.stages.validate.cleaning import Cleaner, DenoiseDecision


def report(outcome: Outcome) -> dict:
    return json.loads((outcome.report / "validation.json").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.listen], ids=lambda case: case.name)
def test_a_fault_of_the_sound_is_named(case: Case, tmp_path: Path) -> None:
    said = answers(case, tmp_path)
    assert any(case.answer in line for line in said), said


@pytest.mark.parametrize("rate_hz", [16_000, 32_000])
def test_a_good_folder_becomes_even_slices_at_both_rates(tmp_path: Path, rate_hz: int) -> None:
    folder = good_folder(tmp_path / "ada", 6)
    outcome = run_stage_one(folder, tmp_path, rate_hz, SMALL)
    assert outcome.problems == ()
    found = report(outcome)
    assert found["passed"]
    assert len(found["slices"]) == 6
    assert sum(piece["held_out"] for piece in found["slices"]) == 1
    assert [piece["text"] for piece in found["slices"]] == texts("awb")[:6]
    for piece in found["slices"]:
        base, analysis = read(outcome.output / piece["file"]), read(outcome.output / piece["file_16k"])
        assert (base.rate_hz, analysis.rate_hz) == (rate_hz, 16_000)
        assert base.duration_s == pytest.approx(piece["duration_s"], abs=1e-4)
        assert base.duration_s == pytest.approx(analysis.duration_s, abs=1e-3)
        heard = detect(analysis.samples)
        assert active_level_dbfs(heard.levels_dbfs, heard.speech) == pytest.approx(-16.0, abs=1.0)
        assert np.abs(base.samples).max() <= 10 ** (-1 / 20) + 1e-3
        assert piece["prompt"] == (3.0 <= piece["duration_s"] <= 10.0)
    assert "passed" in (outcome.report / "validation.md").read_text(encoding="utf-8")


def test_the_result_is_the_same_every_time(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada")
    first, second = (run_stage_one(folder, tmp_path, recipe=SMALL) for _ in range(2))
    for path in sorted(first.output.rglob("*")):
        if path.is_file():
            assert (second.output / path.relative_to(first.output)).read_bytes() == path.read_bytes(), path.name


@pytest.mark.slow
def test_a_clean_recording_is_not_denoised_and_a_noisy_one_is(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada")
    put(folder, "wavs/0002.wav", noisy(clip("awb", 2).samples, 0.008))
    # On this voice a denoiser takes some of the speech as well, which the default limit does not allow.
    careful = report(run_stage_one(folder, tmp_path, recipe=SMALL))["clips"][1]["denoise"]
    assert not careful["applied"]
    assert "would harm the voice" in careful["reason"]
    found = report(run_stage_one(folder, tmp_path, recipe=SMALL | {"denoise_max_speech_loss_mos": 0.6}))
    decisions = [entry["denoise"] for entry in found["clips"]]
    assert [decision["applied"] for decision in decisions] == [False, True, False]
    assert decisions[1]["denoiser"] == found["denoiser"] == "DeepFilterNet 3"
    assert decisions[1]["after"]["overall"] >= decisions[1]["before"]["overall"] + 0.1
    assert "SNR" in decisions[0]["reason"]
    assert "DNSMOS" in decisions[1]["reason"]
    off = report(run_stage_one(folder, tmp_path, recipe=SMALL | {"denoise": "off", "min_snr_db": 5.0}))
    assert not any(entry["denoise"]["applied"] for entry in off["clips"])


class Another:
    """A denoiser of which a voice comes out a third higher, as of somebody else."""

    name = "another"

    def denoise(self, wave: Waveform) -> Waveform:
        places = np.arange(len(wave.samples)) * 1.33 % (len(wave.samples) - 1)
        return Waveform(np.interp(places, np.arange(len(wave.samples)), wave.samples).astype(np.float32), wave.rate_hz)


def test_a_denoiser_makes_no_second_speaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decide(_: Cleaner, snr_db: float, probes: object) -> DenoiseDecision:
        turns.append(len(turns) % 2 == 0)
        return DenoiseDecision(turns[-1], "another", "every second one")

    turns: list[bool] = []
    monkeypatch.setattr(stage, "choose_denoiser", lambda *_: SimpleNamespace(make=Another))
    monkeypatch.setattr(Cleaner, "decide", decide)
    outcome = run_stage_one(good_folder(tmp_path / "ada", 6), tmp_path, recipe=SMALL | {"denoise": "rnnoise"})
    assert report(outcome)["denoised_clips"] == 3
    assert outcome.problems == ()
    assert report(outcome)["speakers"]["group_similarity"] > 0.85


def ticking(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Speech beside a clock of the same mean power: strokes of 0.2 s that die away, two a second."""
    times = np.arange(round(0.2 * rate_hz)) / rate_hz
    stroke = np.sin(2 * np.pi * 1900 * times) * np.exp(-times / 0.03)
    clock = np.zeros(len(samples))
    for start in range(0, len(samples) - len(stroke), rate_hz // 2):
        clock[start : start + len(stroke)] += stroke
    clock *= np.sqrt(np.mean(samples**2) / np.mean(clock**2))
    mixed = samples + clock
    return (mixed * (0.5 / np.abs(mixed).max())).astype(np.float32)


def test_a_clock_as_loud_as_the_voice_refuses_the_folder_and_one_ticking_clip_does_not(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada", 6)
    for number in range(1, 7):
        wave = clip("awb", number)
        put(folder, f"wavs/{number:04d}.wav", ticking(wave.samples, wave.rate_hz), wave.rate_hz)
        if number in (1, 6):
            said = [problem.value for problem in run_stage_one(folder, tmp_path, recipe=SMALL).problems]
            assert any("noise that comes and goes" in value for value in said) is (number == 6), said


def test_a_denoiser_that_is_asked_for_but_absent_is_for_the_operator(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="deepfilternet"):
        run_stage_one(good_folder(tmp_path / "ada"), tmp_path, recipe=SMALL | {"denoise": "deepfilternet-torch"})


@pytest.mark.parametrize(("seconds", "passes"), [(59.9, False), (60.0, True), (60.1, True), (1800.1, False)])
def test_the_limits_of_effective_speech(seconds: float, passes: bool) -> None:
    found = Findings()
    check_amount(seconds, ValidateRecipe(), found)
    assert (not found.problems) is passes


@pytest.mark.parametrize("options", [{"rate_hz": 44_100}, {"rate_hz": 8_000}, {"channels": 2}, {"subtype": "FLOAT"}])
def test_rates_and_channels_of_real_recorders_are_read(tmp_path: Path, options: dict) -> None:
    folder = good_folder(tmp_path / "ada")
    for number in (1, 2, 3):
        wave = resample(clip("awb", number), options.get("rate_hz", 16_000))
        samples = np.stack([wave.samples] * options.get("channels", 1), axis=1)
        path = folder / f"wavs/{number:04d}.wav"
        sf.write(str(path), samples, wave.rate_hz, subtype=options.get("subtype", "PCM_16"))
    outcome = run_stage_one(folder, tmp_path, recipe=SMALL)
    assert outcome.problems == ()
    if options.get("rate_hz") == 8_000:
        assert any("telephone" in remark["value"] for remark in report(outcome)["remarks"])


def test_two_groups_of_embeddings_are_two_speakers() -> None:
    random = np.random.default_rng(0)

    def near(centre: np.ndarray, count: int) -> np.ndarray:
        vectors = np.abs(centre + 0.02 * random.standard_normal((count, 64))).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    one, two = np.abs(random.standard_normal((2, 64)))
    one, two = one / np.linalg.norm(one), two / np.linalg.norm(two)
    alone = compare(near(one, 12), 0.78)
    assert alone.smaller == ()
    assert alone.groups > 0.9
    mixed = compare(np.concatenate((near(one, 9), near(two, 3))), 0.78)
    assert mixed.smaller == (9, 10, 11)
    assert mixed.similarity[:9].min() > mixed.similarity[9:].max()


def test_an_output_is_not_louder_for_a_float_file_beyond_full_scale(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada")
    put(folder, "wavs/0001.wav", clip("awb", 1).samples * np.float32(8.0), subtype="FLOAT")
    outcome = run_stage_one(folder, tmp_path, recipe=SMALL)
    assert outcome.problems == ()
    assert any("times full scale" in remark["value"] for remark in report(outcome)["remarks"])
    heard = detect(Waveform(read(outcome.output / "slices/00001.wav").samples, 16_000).samples)
    assert active_level_dbfs(heard.levels_dbfs, heard.speech) == pytest.approx(-16.0, abs=1.0)


@pytest.mark.parametrize(("seconds", "refused"), [(4.0, True), (2.0, False)])
def test_a_second_group_counts_when_there_is_enough_speech_to_tell_it_by(seconds: float, refused: bool) -> None:
    speakers = Speakers(np.zeros((3, 4), np.float32), np.array([0.9, 0.9, 0.9, 0.8, 0.8]), 0.7, (3, 4))
    found = Findings()
    check_speakers(list("abcde"), [seconds] * 5, speakers, ValidateRecipe(), found)
    assert bool(found.problems) is refused
    if refused:
        assert "two speakers (similarity 0.70)" in found.problems[0].value


@pytest.mark.parametrize(
    ("similarity", "slices", "problems", "remarks"),
    [(0.69, 6, 1, 0), (0.71, 6, 0, 1), (0.76, 6, 0, 0), (0.66, 3, 0, 1), (0.63, 3, 1, 0)],
)
def test_an_odd_slice_is_refused_or_left_to_an_ear(similarity: float, slices: int, problems: int, remarks: int) -> None:
    speakers = Speakers(np.zeros((slices, 4), np.float32), np.array([0.9, 0.9, similarity]), 0.9, ())
    found = Findings()
    check_speakers(list("abc"), [4.0] * 3, speakers, ValidateRecipe(), found)
    assert (len(found.rejected), len(found.remarks)) == (problems, remarks)


@pytest.mark.parametrize(
    ("snr_db", "groups", "refused"),
    [(30.0, 0.74, True), (12.0, 0.74, False), (12.0, 0.55, True), (22.0, 0.74, True)],
)
def test_noise_in_half_of_a_folder_is_no_second_speaker(snr_db: float, groups: float, refused: bool) -> None:
    similarity = np.array([0.9, 0.9, 0.9, 0.62, 0.62])
    speakers = Speakers(np.zeros((3, 4), dtype=np.float32), similarity, groups, (3, 4))
    found = Findings()
    noise = [31.0, 30.0, 32.0, snr_db, snr_db]
    check_speakers(list("abcde"), [4.0] * 5, speakers, ValidateRecipe(), found, noise)
    assert bool(found.problems) is refused
    assert not found.rejected
    if not refused:
        assert [remark.kind for remark in found.remarks] == ["noise"]
        assert "12 dB SNR among others of 31 dB" in found.remarks[0].value


@pytest.mark.parametrize(("letters", "passes"), [(25, True), (15, False)])
def test_slow_readers_pass_but_not_texts_that_are_far_too_short(letters: int, passes: bool) -> None:
    found = Findings()
    check_pace(["a"], ["x" * letters], [10.0], ValidateRecipe(), found)
    assert (not found.rejected) is passes


@pytest.mark.parametrize(("opinion", "refused"), [(1.2, True), (2.0, False)])
def test_a_recording_that_is_drowned_is_refused_whatever_the_denoiser_makes_of_it(
    opinion: float, refused: bool
) -> None:
    decision = DenoiseDecision(True, "DeepFilterNet 3", "", Mos(3.0, 2.0, opinion), Mos(3.4, 3.9, 3.1), refused)
    found = Findings()
    check_noise("a", SimpleNamespace(snr_db=14.0), decision, ValidateRecipe(), found)  # type: ignore[arg-type]
    assert bool(found.rejected) is refused
    if refused:
        assert "DNSMOS 1.20 as recorded" in found.rejected[0][1].value
