"""Practice sentences: the base speaks them first, the adapter is heard beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.listener_texts import ENGLISH, MANDARIN, SHORT_ENGLISH, SHORT_MANDARIN
from tests.conftest import ROOT
from tests.nano.synthetic_corpus import write_corpus
from tests.nano.test_joint import CPU, started
from tests.training.finetune.conftest import job_for
from tests.training.finetune.test_spoken_terms import Bands, learned, task_of, terms_of, voice_of, weighted
from timbre.core.base import Base, load_base
from timbre.evaluation.texts import fixed_sentences
from timbre.gptsovits.files.base_networks import load_synthesizer, load_text_to_semantic
from timbre.nano.corpus import Corpus
from timbre.text.phone_codes import UNIT_OF, TextPath
from timbre.text.phone_durations import codes_a_sound, drawn_out
from timbre.text.recognition import CLASSES
from timbre.training.finetune import practice as practice_module
from timbre.training.finetune import voice
from timbre.training.finetune.hearing import Hearing, HearingWeights
from timbre.training.finetune.practice import (
    OTHER_LANGUAGES,
    SLOWEST,
    Practice,
    PracticeSentence,
    at_paces,
    latent_of,
    owners_pace,
    practice_codes,
    practice_phones,
    practice_texts,
    practise,
)
from timbre.training.finetune.sovits_trainer import AcousticTask
from timbre.training.finetune.voice_condition import voice_condition
from timbre.training.lora import LoraSettings, wrap

pytest.importorskip("parselmouth")
JUDGED = {"en": (*ENGLISH, *SHORT_ENGLISH), "zh": (*MANDARIN, *SHORT_MANDARIN)}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def nano() -> Base:
    return load_base("nano", ROOT / "bases")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_that_is_judged_is_practised(language: str) -> None:
    def plain(text: str) -> str:
        return re.sub(r"\W", "", text.lower())

    texts = practice_texts(language)
    assert len(texts) >= 40
    assert len({plain(text) for text in texts}) == len(texts)
    assert any(len(text.split()) <= 3 for text in texts), "short ones too"
    judged = {plain(text) for text in (*JUDGED[language], *fixed_sentences(language))}
    assert not judged & {plain(text) for text in texts}


def test_a_voice_practises_its_own_language_most(nano: Base) -> None:
    english, mandarin = practice_phones(nano, "en"), practice_phones(nano, "zh")
    assert len(english) == len(practice_texts("en")) + OTHER_LANGUAGES
    assert torch.equal(mandarin[0], english[-OTHER_LANGUAGES])
    assert practice_texts("ja") == []


def test_the_base_speaks_every_sound_of_the_texts(nano: Base) -> None:
    phones = practice_phones(nano, "en")
    chosen = [phones[0], phones[2], phones[-1]]
    network = load_text_to_semantic(nano)
    codes = practice_codes(nano, network, chosen)
    assert [item.tolist() for item in practice_codes(nano, network, chosen)] == [item.tolist() for item in codes]
    for row, found in zip(chosen, codes, strict=True):
        path = TextPath.of(row.tolist())
        assert path is not None
        for code in found.tolist():
            assert code in path.choices()[0]
            path.take(code)
        assert path.choices()[1], "to the end"


def test_all_of_it_on_the_base_that_ships(nano: Base) -> None:
    network = load_synthesizer(nano).eval()
    condition = 0.1 * torch.randn(1, network.config.condition_channels, 1, generator=torch.Generator().manual_seed(0))
    sentences = practise(nano, None, network, condition, "en")
    assert len(sentences) == len(practice_texts("en")) + OTHER_LANGUAGES
    samples = network.config.code_frames * network.config.hop
    for item in sentences:
        assert len(item.wave) == len(item.codes) * samples
        assert 0.01 < float(item.wave.square().mean().sqrt()) < 1.0
        assert torch.isfinite(item.wave).all()


def lasting(units: list[int], codes_each: int) -> torch.Tensor:
    """Sounds of so many codes each, silence around them."""
    return torch.tensor([0, 1, *(code for unit in units for code in (2 * unit, *[2 * unit + 1] * (codes_each - 1))), 0])


def test_the_owners_pace_is_that_of_the_recorded_sounds() -> None:
    vowels = [UNIT_OF[CLASSES.index(name), 0] for name in ("AA", "AH", "M")]
    stop = UNIT_OF[CLASSES.index("T"), 0]
    base = [lasting(vowels, 2), lasting(vowels, 2)]
    assert owners_pace([lasting(vowels, 3)], base) == pytest.approx(1.5)
    assert owners_pace([lasting([*vowels, *[stop] * 9], 3)], base) == pytest.approx(1.5), "of 2 to 3 codes everywhere"
    assert owners_pace([torch.cat([lasting(vowels, 3), torch.zeros(50, dtype=torch.int64)])], base) == 1.5, "no pauses"
    assert owners_pace([lasting(vowels, 9)], base) == SLOWEST
    assert owners_pace([lasting(vowels, 1)], base) == 1.0, "faster is left to the frames"
    assert owners_pace([], base) == owners_pace([lasting(vowels, 2)], []) == 1.0


def test_practice_goes_from_the_pace_of_the_base_to_that_of_the_owner(nano: Base) -> None:
    vowels = [UNIT_OF[CLASSES.index(name), 0] for name in ("AA", "AH", "M", "S")] * 5
    plain = [lasting(vowels, 4) for _ in range(40)]
    lengths = np.array([codes_a_sound([row.tolist()]) for row in at_paces(plain, 1.8)]) / 4
    assert torch.equal(at_paces(plain, 1.8)[0], plain[0])
    assert lengths.min() == 1.0
    assert lengths.max() == pytest.approx(1.8, abs=0.06)
    assert np.histogram(lengths, 4, (1.0, 1.8))[0].min() >= 8, "evenly"
    assert all(torch.equal(*pair) for pair in zip(at_paces(plain, 1.0), plain, strict=True))


def test_a_slow_owners_practice_is_slower(nano: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    phones = practice_phones(nano, "en")[:6]
    monkeypatch.setattr(practice_module, "practice_phones", lambda base, language: phones)
    network = load_synthesizer(nano).eval()
    condition = torch.zeros(1, network.config.condition_channels, 1)
    plain = practise(nano, None, network, condition, "en")
    recorded = [torch.tensor([*drawn_out(item.codes.tolist(), 1.6)]) for item in plain]
    slow = practise(nano, None, network, condition, "en", recorded)
    ratios = [len(later.codes) / len(item.codes) for later, item in zip(slow, plain, strict=True)]
    assert ratios[0] == 1.0
    assert 1.3 < max(ratios) < 1.6
    for later in slow:
        assert len(later.wave) == len(later.codes) * network.config.code_frames * network.config.hop


def test_practice_lasts_as_the_base_says_and_not_as_chance_will_have_it(nano: Base) -> None:
    phones = practice_phones(nano, "en")[:1] * 6
    network = load_text_to_semantic(nano)
    lengths = [len(row) for row in practice_codes(nano, network, phones)]
    assert max(lengths) - min(lengths) <= 0.12 * max(lengths), lengths


def sentences_of(corpus: Corpus) -> tuple[PracticeSentence, ...]:
    random = torch.Generator().manual_seed(5)
    return tuple(
        PracticeSentence(
            torch.randint(0, 100, (9,), generator=random), torch.randint(0, 16, (count,), generator=random),
            0.1 * torch.randn(count * 960, generator=random),
        )
        for count in (60, 70, 20)
    )  # fmt: skip


def practising(corpus: Corpus, weight: float, heard: HearingWeights) -> AcousticTask:
    task = task_of(corpus, weighted()[0], heard)
    task.practice = Practice(sentences_of(corpus), weight)
    return task


def test_what_is_heard_of_them_counts_beside_the_slices(corpus: Corpus) -> None:
    heard = HearingWeights(speaker=1.0, content=1.0)
    once, twice = (terms_of(practising(corpus, weight, heard)) for weight in (1.0, 2.0))
    parts = [value for name, value in once.items() if name != "total"]
    assert once.keys() >= {"practice_speaker", "practice_content"}
    assert float(once["total"].detach()) == pytest.approx(sum(float(part.detach()) for part in parts), rel=1e-5)
    for name in ("practice_speaker", "practice_content"):
        assert float(twice[name].detach()) == pytest.approx(2 * float(once[name].detach()), rel=1e-4)
    without = terms_of(task_of(corpus, weighted()[0], heard))
    assert not {"practice_speaker", "practice_content"} & without.keys()
    assert not any(name.startswith("practice") for name in practising(corpus, 1.0, heard).validate())


def test_adapters_learn_to_be_the_owner_in_them_and_to_stay_as_clear(corpus: Corpus) -> None:
    for name, heard in (("practice_speaker", HearingWeights(speaker=1.0)), ("practice_content", HearingWeights(0, 1))):
        losses = learned(practising(corpus, 1.0, heard), name)
        assert losses[-1] < 0.98 * losses[0], (name, losses)


def test_the_same_step_draws_the_same_sentences_and_other_steps_others(corpus: Corpus) -> None:
    practice = Practice(sentences_of(corpus), 1.0)
    network = started(corpus)
    drawn = []
    for seed in (1, 1, 2, 3, 4):
        torch.manual_seed(seed)
        drawn.append(practice.draw(2, network, CPU))
    assert torch.equal(drawn[0].codes, drawn[1].codes)
    assert len({str(batch.codes.tolist()) for batch in drawn}) > 1
    batch = max(drawn, key=lambda item: int(item.lengths.max() - item.lengths.min()))
    frames = int(batch.lengths.max())
    assert batch.wave.shape == (2, 1, frames * 480)
    short = int(batch.lengths.argmin())
    assert not batch.wave[short, 0, int(batch.lengths[short]) * 480 :].any()


def test_the_base_is_heard_as_itself(corpus: Corpus) -> None:
    """Before any step the adapted network says what the base says."""
    data, network = voice_of(corpus), started(corpus)
    condition = voice_condition(network, data.training, CPU)
    hearing = Hearing(HearingWeights(0.0, 1.0), data, network.config, CPU, Bands(), None)
    wrap(network.eval(), LoraSettings(rank=4))
    practice = Practice(sentences_of(corpus)[:1], 1.0)
    with torch.no_grad():
        batch = practice.draw(1, network, CPU)
        latent = latent_of(network, batch, condition)
        own = network.dec.synthesise(*network.dec.polar(latent, condition), 0)  # type: ignore[operator]
        start = torch.zeros(1, dtype=torch.long)
        found = hearing.terms(network, latent, own, batch.lengths, start, condition)
    assert float(found["content"]) < 0.05, "a piece's edges are all that differs"


def test_what_is_practised_has_gone_through_the_filter(corpus: Corpus) -> None:
    practice, network = Practice(sentences_of(corpus), 1.0), started(corpus).eval()
    condition = torch.zeros(2, network.config.condition_channels, 1)
    assert network.modulation is not None
    found = []
    with torch.no_grad():
        torch.manual_seed(1)
        batch = practice.draw(2, network, CPU)
        for _ in range(2):
            found.append(latent_of(network, batch, condition))
            network.modulation.weight.mul_(1.5)
    assert torch.allclose(found[1], 1.5 * found[0], atol=1e-5)


def test_a_base_without_a_source_practises_nothing(tmp_path: Path, base: Base, features: Path) -> None:
    job = job_for(base, features, tmp_path, "out", practice_weight=1.0, speaker_weight=1.0, max_steps=4)
    work = job._job()
    network, condition = work._synthesizer()
    assert work._practice(network, condition) is None


def test_what_is_practised_reaches_the_training(
    tmp_path: Path, base: Base, features: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not the measurement of what is kept, which is of slices alone."""
    given: list[object] = []

    class Task(AcousticTask):
        def __init__(self, *options: Any) -> None:
            given.append(options[8])
            super().__init__(*options)

    sentences = (PracticeSentence(torch.arange(3), torch.arange(4), torch.zeros(4)),)
    monkeypatch.setattr(voice, "AcousticTask", Task)
    monkeypatch.setattr(voice, "hears", lambda config, weights: True)
    monkeypatch.setattr(voice, "practise", lambda *options: sentences)
    work = job_for(base, features, tmp_path, "out", practice_weight=0.5, max_steps=1, min_steps=1)._job()
    work.acoustic()
    assert isinstance(given[0], Practice)
    assert (given[0].sentences, given[0].weight) == (sentences, 0.5)
    monkeypatch.setattr(voice, "practise", lambda *options: ())
    work.acoustic()
    assert given[1] is None, "a language without sentences"
