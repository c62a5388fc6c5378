"""Stage 2: the same input gives the same files, nothing is lost, and what cannot be used is named."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.training.finetune.conftest import HELD_OUT, SLICES, slices_of
from timbre.core.base import Base
from timbre.core.errors import InfrastructureError, InputError
from timbre.core.recipe import ExtractRecipe
from timbre.gptsovits.files.pico import make_pico
from timbre.text.frontend import phonemize
from timbre.text.symbols import is_speech
from timbre.training.features import SliceSource, extract_features, speaking_rate
from timbre.training.finetune.data import load_voice_data
from timbre.training.prompt_choice import SHORTLIST, Candidate, choose_prompt
from timbre.training.shards import ShardWriter, read_shards


def test_twice_the_same_and_alone_as_in_company(
    base: Base, wren: list[SliceSource], features: Path, tmp_path: Path
) -> None:
    extract_features(base, list(reversed(wren)), tmp_path, ExtractRecipe(batch_s=1))
    for name in ("extract.json", "features/0001.safetensors"):
        assert (tmp_path / name).read_bytes() == (features / name).read_bytes(), name


def test_what_is_in_the_features(base: Base, wren: list[SliceSource], features: Path) -> None:
    data = load_voice_data(features, base)
    assert (len(data.training), len(data.held_out)) == (SLICES - HELD_OUT, HELD_OUT)
    row, piece = data.training[0], wren[0]
    samples, _ = soundfile.read(piece.path, dtype="int16")
    np.testing.assert_array_equal((row.wave.numpy() * 32768).astype(np.int16), samples)
    assert len(row.codes) == len(samples) // 640
    assert int(row.codes.max()) < 64
    assert len(set(row.codes.tolist())) > 3, "codes that never change carry no speech"
    assert tuple(row.phones.tolist()) == phonemize(piece.text, "en").ids
    assert float(row.ge2e.norm()) == pytest.approx(1.0, abs=1e-4)
    assert row.speaker is row.ge2e
    training = [item for item in wren if not item.held_out]
    phones = sum(is_speech(phone) for item in training for phone in phonemize(item.text, "en").phones)
    assert data.rate == pytest.approx(sum(item.speech_s for item in training) / phones, abs=1e-4)


def test_the_prompt_is_explained_and_never_held_out(features: Path, wren: list[SliceSource]) -> None:
    about = json.loads((features / "extract.json").read_text())["prompt"]
    chosen = next(piece for piece in wren if piece.id == about["id"])
    assert chosen.prompt
    assert not chosen.held_out
    for word in ("DNSMOS", "SNR", "GE2E", "complete sentence", "pace"):
        assert word in about["reason"]
    assert about["candidates"][0]["id"] == about["id"]
    assert [c["score"] for c in about["candidates"]] == sorted((c["score"] for c in about["candidates"]), reverse=True)


def test_texts_that_cannot_be_spoken_are_all_named(base: Base, wren: list[SliceSource], tmp_path: Path) -> None:
    bad = [dataclasses.replace(wren[0], text="..."), dataclasses.replace(wren[1], text="!?"), *wren[2:]]
    with pytest.raises(InputError) as caught:
        extract_features(base, bad, tmp_path, ExtractRecipe())
    assert "slice 00001" in str(caught.value)
    assert "slice 00002" in str(caught.value)
    assert "00003" not in str(caught.value)


def test_the_voices_own_readings_count(base: Base, wren: list[SliceSource], tmp_path: Path) -> None:
    word = wren[0].text.split()[1].lower()
    extract_features(base, wren[:3], tmp_path, ExtractRecipe(), lexicon={word: ("ZH", "UH1", "ZH")})
    found = read_shards(tmp_path / "features")["00001"]["phones"]
    assert tuple(found) == phonemize(wren[0].text, "en", {word: ("ZH", "UH1", "ZH")}).ids
    assert tuple(found) != phonemize(wren[0].text, "en").ids


def test_nothing_to_train_on_is_refused(base: Base, wren: list[SliceSource], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of them to train on"):
        extract_features(base, wren[-HELD_OUT:], tmp_path, ExtractRecipe())
    with pytest.raises(InputError):
        speaking_rate([{"held_out": True, "speech_s": 1.0, "sounding_phones": 3}])


def test_a_base_like_the_official_ones(tmp_path: Path) -> None:
    """32 kHz, ERes2NetV2 vectors, BERT for Mandarin: everything that nano does not have."""
    base = make_pico(tmp_path / "big", like="v2Pro")
    extract_features(base, slices_of("lian", tmp_path / "wavs", 32_000)[5:], tmp_path / "out", ExtractRecipe())
    data = load_voice_data(tmp_path / "out", base)
    row = data.training[0]
    assert row.speaker is not None
    assert row.speaker.shape != row.ge2e.shape
    assert float(row.speaker.std()) > 0
    assert row.bert is not None
    assert row.bert.shape[1] == len(row.phones)
    assert float(row.bert.abs().sum()) > 0
    # Both phones of a character carry the same vector, neighbouring characters do not.
    assert torch.equal(row.bert[:, 0], row.bert[:, 1])
    assert not torch.equal(row.bert[:, 1], row.bert[:, 2])
    assert abs(len(row.wave) - 2 * 16_000 * 3.2) < 32


def test_shards_are_bounded_and_read_back(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, 1)
    big = np.zeros(100_000, np.float64)
    for name in "abc":
        writer.add(name, {"x": big + ord(name), "y": np.arange(3)})
    writer.flush()
    assert writer.files == 3
    found = read_shards(tmp_path)
    assert sorted(found) == ["a", "b", "c"]
    assert found["b"]["x"][0] == ord("b")
    assert all(path.stat().st_size < 2**20 for path in tmp_path.iterdir())
    path = tmp_path / "0002.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InfrastructureError, match="0002"):
        read_shards(tmp_path)


def candidate(identity: str, **changes: object) -> Candidate:
    standard = Candidate(identity, "A whole sentence.", 5.0, 0.9, 35.0, 3.5, 0.09, True)
    return dataclasses.replace(standard, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "worse",
    [{"similarity": 0.7}, {"mos": 2.0}, {"snr_db": 5.0}, {"text": "A piece of a"}, {"seconds_per_phone": 0.2},
     {"duration_s": 2.0}, {"duration_s": 11.0}, {"prompt": False}],
)  # fmt: skip
def test_every_wish_decides_the_prompt(worse: dict[str, object]) -> None:
    pool = [candidate("1", **worse), candidate("2"), candidate("3", similarity=0.89)]
    assert choose_prompt(pool, 3.0, 10.0).id == "2"


def test_only_the_most_promising_are_listened_to_and_then_decide() -> None:
    pool = [candidate(f"{number:02d}", similarity=0.9 - 0.01 * number, mos=None) for number in range(12)]
    asked = []

    def listen(item: Candidate) -> float:
        asked.append(item.id)
        return 4.5 if item.id == "03" else 1.5

    assert choose_prompt(pool, 3.0, 10.0, listen).id == "03"
    assert asked == [f"{number:02d}" for number in range(SHORTLIST)]
    assert choose_prompt(pool, 3.0, 10.0).id == "00"


def test_wishes_that_no_slice_meets_are_dropped_and_named() -> None:
    found = choose_prompt([candidate("1", duration_s=2.0, text="short"), candidate("2", duration_s=0.5)], 3.0, 10.0)
    assert found.id == "1"
    assert len(found.relaxed) == 2
    assert "relaxed" in found.reason
    assert choose_prompt([candidate("b"), candidate("a")], 3.0, 10.0).id == "a"
    with pytest.raises(InputError):
        choose_prompt([], 3.0, 10.0)
