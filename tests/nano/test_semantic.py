"""Text-to-semantic: batches, the guide of attention, hidden codes, training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from timbre.core.errors import ConfigurationError
from timbre.gptsovits.text_to_semantic.configuration import T2SConfig
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.nano.semantic import AttentionGuide, CodeDrop, SemanticSettings, development_loss, train
from timbre.nano.semantic_data import Example, ExampleSampler, phone_ids

CPU = torch.device("cpu")
TINY = T2SConfig(hidden=32, heads=2, layers=2, feed_forward=64, bert_width=0, position_dropout=0.0)


def ids(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int16)


def follow_examples(count: int, seed: int) -> list[Example]:
    """Each phone lasts one to three codes that equal it: what the network must learn."""
    random = np.random.default_rng(seed)
    examples = []
    for index in range(count):
        phones = random.integers(2, 20, size=random.integers(4, 9)).astype(np.int16)
        codes = np.repeat(phones, random.integers(1, 4, size=len(phones)))
        examples.append(Example(f"{seed}/{index}", f"S{index % 3}", phones, codes))
    return examples


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


def test_the_network_learns_and_resumes(tmp_path: Path) -> None:
    config = dataclasses.replace(TINY, vocabulary=104, end_token=103)
    torch.manual_seed(0)
    model = TextToSemantic(config)
    examples, development = follow_examples(200, 1), follow_examples(20, 2)
    before, _ = development_loss(model.eval(), development, 500)
    settings = SemanticSettings(
        max_positions=400, learning_rate=3e-3, warm_up_steps=5, steps=90, average_decay=0.9, join_share=0.2
    )
    path = train(model, examples, development, tmp_path, "t2s", settings, CPU)
    after, correct = development_loss(model, development, 500)
    assert after < 0.75 * before
    assert correct > 0.2
    steps = torch.load(path, weights_only=True)["clock"]["step"]
    again = TextToSemantic(config)
    longer = dataclasses.replace(settings, steps=100)
    train(again, examples, development, tmp_path, "t2s", longer, CPU)
    assert torch.load(path, weights_only=True)["clock"]["step"] == steps + 10
    assert development_loss(again, development, 500)[0] < 0.75 * before


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
