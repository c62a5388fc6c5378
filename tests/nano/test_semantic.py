"""Text-to-semantic: stand-in codes, batches, training, and the step from classes to codes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from timbre.core.errors import ConfigurationError
from timbre.gptsovits.text_to_semantic.configuration import T2SConfig
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.nano.alignment import Alignment
from timbre.nano.corpus import Clip
from timbre.nano.semantic import (
    CLASS_COUNT,
    AttentionGuide,
    CodeDrop,
    SemanticSettings,
    class_shares,
    development_loss,
    start_from_follower,
    train,
    with_vocabulary,
)
from timbre.nano.semantic_data import (
    DurationModel,
    Example,
    ExampleSampler,
    class_codes,
    corpus_examples,
    made_up_examples,
    phone_ids,
    places_of,
)
from timbre.text.recognition import CLASSES, SILENCE, class_of
from timbre.text.symbols import symbols

CPU = torch.device("cpu")
TINY = T2SConfig(hidden=32, heads=2, layers=2, feed_forward=64, bert_width=0, position_dropout=0.0)


def ids(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int16)


def clip(identity: str, split: str = "train") -> Clip:
    return Clip(identity, identity, "S", "en", "Hi.", 1.0, split, 0, 16000, "real")


def follow_examples(count: int, seed: int) -> list[Example]:
    """Each phone lasts one to three codes that equal it: what a follower must learn."""
    random = np.random.default_rng(seed)
    examples = []
    for index in range(count):
        phones = random.integers(2, 20, size=random.integers(4, 9)).astype(np.int16)
        codes = np.repeat(phones, random.integers(1, 4, size=len(phones)))
        examples.append(Example(f"{seed}/{index}", f"S{index % 3}", phones, codes))
    return examples


def test_stand_in_codes_follow_the_alignment() -> None:
    alignment = Alignment("a", ("<silence>", "AH", "B"), (0.1, 0.2, 0.4))
    codes = class_codes(alignment)
    assert codes is not None
    # Centres at 0.02, 0.06, ... 0.38.
    assert [CLASSES[index] for index in codes] == ["<silence>"] * 2 + ["AH"] * 3 + ["B"] * 5
    assert class_codes(Alignment("b", (), ())) is None


def test_only_training_clips_with_a_possible_rate_are_used() -> None:
    phones = {name: ids(*range(10)) for name in ("good", "dev", "fast", "slow", "without")}
    codes = {"good": ids(*range(30)), "dev": ids(*range(30)), "fast": ids(*range(9)), "slow": ids(*range(90))}
    clips = [clip("good"), clip("dev", "dev"), clip("fast"), clip("slow"), clip("without")]
    assert [example.id for example in corpus_examples(clips, phones, codes)] == ["good"]


def test_made_up_sentences_say_their_phones_in_order() -> None:
    real = Alignment("a", ("<silence>", "AH", "B", "N"), (0.3, 0.4, 0.47, 0.6))
    durations = DurationModel([real] * 30)
    (example,) = made_up_examples(iter(["A bun."]), 1, durations, seed=0)
    wanted = [class_of(phone) for phone in ("AH0", "B", "AH1", "N")]
    assert list(example.phones) == list(phone_ids("A bun.", "en"))  # type: ignore[arg-type]
    heard = [int(code) for code in example.codes if code != SILENCE]
    order = [code for index, code in enumerate(heard) if index == 0 or heard[index - 1] != code]
    assert order == [code for code in wanted if code in order]
    assert set(order) <= set(wanted)
    assert example.places is not None
    # A code belongs to the phone that it stands for.
    pairs = zip(example.places, example.codes, strict=True)
    spoken = [(class_of(symbols()[example.phones[place]]), code) for place, code in pairs]
    assert all(kind == code for kind, code in spoken if code != SILENCE)
    assert (np.diff(example.places) >= 0).all()
    with pytest.raises(ConfigurationError, match="durations"):
        DurationModel([])


def test_a_front_end_that_refuses_gives_no_phones() -> None:
    assert phone_ids("bonjour", "fr") is None
    assert phone_ids("...", "en") is None


def test_batches_stay_within_the_budget_and_depend_on_the_step_alone() -> None:
    examples = follow_examples(60, 1)
    sampler, again = (ExampleSampler(examples, 200, seed=2, join_share=0.5) for _ in range(2))
    joined = 0
    for step in range(20):
        batch = sampler.batch(step)
        assert batch.phones.shape[0] * (batch.phones.shape[1] + batch.codes.shape[1]) <= 200
        assert torch.equal(batch.codes, again.batch(step).codes)
        joined += sum(len(phones) > 8 for phones, _, _ in sampler.rows(step))
    assert joined > 5
    with pytest.raises(ConfigurationError, match="no examples"):
        ExampleSampler([], 200, 0)


def test_joined_rows_are_of_one_speaker() -> None:
    examples = [Example(f"{s}{i}", s, ids(*[v] * 4), ids(*[v] * 6)) for s, v in (("a", 3), ("b", 4)) for i in range(5)]
    sampler = ExampleSampler(examples, 400, seed=0, join_share=1.0)
    for step in range(10):
        for phones, codes, _ in sampler.rows(step):
            assert len(set(phones.tolist()) | set(codes.tolist())) == 1


def test_the_follower_learns_and_resumes(tmp_path: Path) -> None:
    config = with_vocabulary(TINY, CLASS_COUNT)
    torch.manual_seed(0)
    model = TextToSemantic(config)
    examples, development = follow_examples(200, 1), follow_examples(20, 2)
    before, _ = development_loss(model.eval(), development, 500)
    settings = SemanticSettings(
        max_positions=400, learning_rate=3e-3, warm_up_steps=5, steps=90, average_decay=0.9, join_share=0.2
    )
    path = train(model, examples, development, tmp_path, "follower", settings, CPU)
    after, correct = development_loss(model, development, 500)
    assert after < 0.75 * before
    assert correct > 0.2
    steps = torch.load(path, weights_only=True)["clock"]["step"]
    again = TextToSemantic(config)
    longer = dataclasses.replace(settings, steps=100)
    train(again, examples, development, tmp_path, "follower", longer, CPU)
    assert torch.load(path, weights_only=True)["clock"]["step"] == steps + 10
    assert development_loss(again, development, 500)[0] < 0.75 * before


def test_codes_start_as_the_classes_that_sound_under_them() -> None:
    torch.manual_seed(0)
    follower = TextToSemantic(with_vocabulary(TINY, CLASS_COUNT)).eval()
    # Codes 0..205: each class has two codes of its own.
    pairs = [(ids(*(2 * c for c in range(CLASS_COUNT))), ids(*range(CLASS_COUNT)))] * 50
    pairs += [(ids(*(2 * c + 1 for c in range(CLASS_COUNT))), ids(*range(CLASS_COUNT)))] * 50
    shares = class_shares(pairs, 2 * CLASS_COUNT)
    assert torch.allclose(shares.sum(1), torch.ones(2 * CLASS_COUNT))
    assert shares[7].argmax() == 3
    model = TextToSemantic(with_vocabulary(TINY, 2 * CLASS_COUNT)).eval()
    start_from_follower(model, follower, shares)
    classes = Example("a", "S", ids(5, 6, 7), ids(3, 3, 9, 9, 20))
    codes = Example("a", "S", ids(5, 6, 7), ids(6, 7, 18, 19, 40))
    with torch.no_grad():
        of_classes = follower(ExampleSampler([classes], 999, 0, 0.0).batch(0)).softmax(-1)[0]
        of_codes = model(ExampleSampler([codes], 999, 0, 0.0).batch(0)).softmax(-1)[0]
    grouped = of_codes[:, : 2 * CLASS_COUNT].view(6, CLASS_COUNT, 2).sum(2)
    assert (grouped.argmax(1) == of_classes[:, :CLASS_COUNT].argmax(1)).float().mean() >= 0.5
    # And it is the follower that is copied: another follower gives another prediction.
    torch.manual_seed(1)
    start_from_follower(model, TextToSemantic(with_vocabulary(TINY, CLASS_COUNT)), shares)
    with torch.no_grad():
        other = model(ExampleSampler([codes], 999, 0, 0.0).batch(0)).softmax(-1)[0]
    assert (other - of_codes).abs().max() > 1e-4


def test_places_move_with_the_second_of_two_joined_examples() -> None:
    examples = [Example(str(i), "s", ids(1, 2, 3), ids(7, 8, 9), ids(0, 1, 2)) for i in range(3)]
    batch, places = ExampleSampler(examples, 90, seed=0, join_share=1.0).guided_batch(0)
    assert batch.phones.shape[1] == 6
    assert places[0].tolist() == [0, 1, 2, 3, 4, 5]


def test_the_guide_wants_the_next_phone_and_its_gradient_reaches_the_head() -> None:
    torch.manual_seed(0)
    model = TextToSemantic(TINY)
    guide = AttentionGuide(model, layers=(0, 1))
    example = Example("a", "S", ids(5, 6, 7), ids(3, 3, 9, 9, 20), ids(0, 0, 1, 1, 2))
    batch, places = ExampleSampler([example], 99, 0, 0.0).guided_batch(0)
    model(batch)
    loss = guide.loss(batch, places)
    assert float(loss.detach()) == pytest.approx(np.log(3), rel=0.5)
    loss.backward()
    head = model.h.layers[0].self_attn.in_proj.weight.grad[:8]
    assert head.abs().sum() > 0
    # Queries of the other head stay untouched by the first layer's term alone; unknown places give no loss at all.
    model(batch)
    assert float(guide.loss(batch, torch.full_like(places, -1)).detach()) == 0.0
    # Descent on it brings the attention to the wanted phones.
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        model(batch)
        loss = guide.loss(batch, places)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.3
    guide.remove()
    assert not model.h.layers[0].self_attn.in_proj._forward_hooks


def test_places_of_a_recording_come_from_its_alignment() -> None:
    phones = phone_ids("A bun, no.", "en")
    assert phones is not None
    assert [symbols()[phone] for phone in phones] == ["AH0", "B", "AH1", "N", ",", "N", "OW1", "."]
    names = ("<silence>", "AH", "B", "AH", "N", "<silence>", "M", "OW")
    alignment = Alignment("a", names, tuple(0.04 * (index + 1) for index in range(len(names))))
    # M was not written: its place is not known. Two codes after the end belong to the last symbol.
    assert places_of(alignment, phones, 10).tolist() == [0, 0, 1, 2, 3, 4, -1, 6, 7, 7]


def test_a_span_is_a_part_of_the_text_with_its_own_codes() -> None:
    phones = np.arange(100, 120, dtype=np.int16)
    example = Example("a", "S", phones, np.repeat(phones, 3), np.repeat(np.arange(20, dtype=np.int16), 3))
    sampler = ExampleSampler([example], 4000, seed=0, join_share=0.0, span_share=1.0)
    rows = sampler.rows(0)
    assert len({len(part) for part, _, _ in rows}) > 3
    for part, codes, places in rows:
        assert codes.tolist() == np.repeat(part, 3).tolist()
        assert part[places].tolist() == codes.tolist()
    unknown = Example("b", "S", phones, np.repeat(phones, 3))
    whole = ExampleSampler([unknown], 4000, seed=0, join_share=0.0, span_share=1.0).rows(0)
    assert all(len(part) == 20 for part, _, _ in whole)


def test_hidden_codes_are_hidden_in_training_only() -> None:
    torch.manual_seed(0)
    model = TextToSemantic(TINY)
    codes = torch.randint(0, 16, (2, 400))
    whole = model.ar_audio_embedding(codes)
    drop = CodeDrop(model, 0.25)
    model.train()
    seen = model.ar_audio_embedding(codes)
    hidden = (seen == 0).all(-1)
    assert 0.15 < float(hidden.float().mean()) < 0.35
    assert torch.equal(seen[~hidden], whole[~hidden])
    model.eval()
    assert torch.equal(model.ar_audio_embedding(codes), whole)
    drop.remove()
    model.train()
    assert torch.equal(model.ar_audio_embedding(codes), whole)
