"""The teacher of the acoustic model's second half, and codes that are made anew."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.nano.test_joint import CPU, corpus, sampler_of, small, started  # noqa: F401
from timbre.gptsovits.acoustic.prior_encoder import Mrte
from timbre.nano.alignment import Alignment
from timbre.nano.corpus import Corpus
from timbre.nano.expectation import with_wrong_codes
from timbre.nano.joint import JointLoss, JointSettings
from timbre.nano.joint_data import SentenceSampler
from timbre.nano.joint_guides import TextGuide
from timbre.nano.label_codes import corpus_labels
from timbre.text.recognition import CLASSES, class_of
from timbre.text.symbols import phones_of


class Holder(torch.nn.Module):
    """As much of a Synthesizer as TextGuide looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.enc_p = torch.nn.Module()
        self.enc_p.mrte = Mrte(16, 16, 2)


def test_the_text_guide_brings_attention_to_the_places() -> None:
    torch.manual_seed(0)
    holder = Holder()
    text, mask = torch.randn(2, 16, 5), torch.ones(2, 1, 5)
    places = torch.tensor([[0, 0, 1, 2, 3, 4], [0, 1, 2, 3, 3, -1]])
    speech = torch.gather(text, 2, places.clamp(min=0)[:, None].expand(2, 16, 6)) + 0.1 * torch.randn(2, 16, 6)
    guide = TextGuide(holder)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(holder.parameters(), 0.02)
    values = []
    for _ in range(60):
        holder.enc_p.mrte(speech, torch.ones(2, 1, 6), text, mask, torch.zeros(2, 16, 1))
        loss = guide.loss(places, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(float(loss.detach()))
    assert values[0] > 1.0
    assert values[-1] < 0.1
    guide.remove()
    holder.enc_p.mrte(speech, torch.ones(2, 1, 6), text, mask, torch.zeros(2, 16, 1))
    with pytest.raises(KeyError):
        guide.loss(places, mask)


def test_unknown_places_and_padded_phones_do_not_count() -> None:
    torch.manual_seed(0)
    holder = Holder()
    guide = TextGuide(holder)  # type: ignore[arg-type]
    mask = torch.tensor([[[1.0, 1.0, 1.0, 0.0, 0.0]]])

    def loss(text: torch.Tensor, places: list[int]) -> float:
        holder.enc_p.mrte(torch.ones(1, 16, 3), torch.ones(1, 1, 3), text, mask, torch.zeros(1, 16, 1))
        return float(guide.loss(torch.tensor([places]), mask).detach())

    text = torch.randn(1, 16, 5)
    other = text.clone()
    other[:, :, 3:] = 9.0
    assert loss(text, [0, 1, 2]) == pytest.approx(loss(other, [0, 1, 2]))
    assert loss(text, [-1, -1, -1]) == 0.0
    assert loss(text, [0, -1, -1]) != pytest.approx(loss(text, [1, -1, -1]), abs=1e-4)


def test_the_guide_is_a_term_of_the_loss_and_teaches_the_prior(corpus: Corpus) -> None:  # noqa: F811
    model, sampler = started(corpus), sampler_of(corpus)
    batch = sampler.batch(0)
    batch = dataclasses.replace(batch, places=torch.zeros_like(batch.places))
    settings = JointSettings(guide_weight=0.3)
    terms = JointLoss(small(), settings, CPU, TextGuide(model))(model, batch, True)
    assert set(terms) == {"kl", "spoken", "guide", "magnitude", "wave", "total"}
    rest = sum(terms[name] for name in ("kl", "spoken", "magnitude", "wave"))
    assert float((terms["total"] - rest).detach()) == pytest.approx(0.3 * float(terms["guide"].detach()), abs=1e-4)
    terms["guide"].backward()
    gradient = model.enc_p.mrte.cross_attention.conv_q.weight.grad
    assert gradient is not None
    assert float(gradient.abs().sum()) > 0


def test_places_of_a_batch_follow_the_alignment(corpus: Corpus) -> None:  # noqa: F811
    plain = sampler_of(corpus)
    assert (plain.batch(0).places == -1).all()
    clip = plain.clips[0]
    count = len(plain.phones[clip.id])
    names = [class_of(symbol) for symbol in phones_of(int(phone) for phone in plain.phones[clip.id])]
    spoken = [(CLASSES[kind], index) for index, kind in enumerate(names) if kind is not None]
    ends = [clip.seconds * (position + 1) / len(spoken) for position in range(len(spoken))]
    alignment = Alignment(clip.id, tuple(name for name, _ in spoken), tuple(ends))
    labelled = corpus_labels({clip.id: alignment}, plain.phones, {clip.id: len(plain.codes[clip.id])})
    known = SentenceSampler(
        corpus,
        plain.codes,
        plain.phones,
        plain.pitch,
        plain.speakers,
        450,
        1,
        places={clip.id: labelled[clip.id].places},
    )
    places = known.places(clip)
    assert places.min() >= 0
    assert places.max() < count
    assert (np.diff(places) >= 0).all()
    batch = known.collate([clip], np.random.default_rng(0))
    frames = known.frames_of(clip)
    assert batch.places[0, :frames:2].tolist() == places[: frames // 2].tolist()
    assert torch.equal(batch.places[0, :frames:2], batch.places[0, 1:frames:2])


def test_wrong_codes_come_from_the_batch_in_their_share() -> None:
    torch.manual_seed(0)
    codes = torch.randint(0, 512, (1, 4, 2000))
    spoiled = with_wrong_codes(codes, 0.2)
    assert spoiled.shape == codes.shape
    assert set(spoiled.flatten().tolist()) <= set(codes.flatten().tolist())
    assert 0.17 < float((spoiled != codes).float().mean()) < 0.22
    assert with_wrong_codes(codes, 0.0) is codes
