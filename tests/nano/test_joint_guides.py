"""The teachers of the acoustic model's second half, and codes that are made anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.nano.test_joint import CPU, corpus, sampler_of, small, started  # noqa: F401
from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.prior_encoder import Mrte
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.text_to_semantic.configuration import T2S_NANO
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.nano.alignment import Alignment
from timbre.nano.carry_over import carry_over, set_aside, shares_of, waiting
from timbre.nano.checkpointing import Clock, WeightAverage, save_checkpoint
from timbre.nano.content_network import ContentConfig, ContentEncoder
from timbre.nano.corpus import Corpus
from timbre.nano.joint import JointLoss, JointSettings, with_wrong_codes
from timbre.nano.joint_data import SentenceSampler
from timbre.nano.joint_guides import Heard, TextGuide
from timbre.nano.quantizer import Quantizer
from timbre.nano.speech_stages import BEFORE, START, stored_codes
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


def listener() -> Heard:
    torch.manual_seed(3)
    encoder = ContentEncoder(ContentConfig(hidden=16, layers=1, heads=2, feed_forward=16, position_groups=4))
    return Heard(encoder, torch.randn(16, 16, 2), 6)


def test_what_is_heard_is_zero_for_the_recording_and_grows_with_noise() -> None:
    heard = listener()
    wave = 0.3 * torch.sin(torch.arange(12_800) * 0.1).view(1, 1, -1)
    noise = torch.randn(1, 1, 12_800)
    assert float(heard(wave, wave)) == 0.0
    little, much = (float(heard(wave + level * noise, wave)) for level in (0.005, 0.2))
    assert 0.0 < little < much
    made = (wave + 0.01 * noise).requires_grad_()
    heard(made, wave).backward()
    assert made.grad is not None and float(made.grad.abs().sum()) > 0
    assert all(parameter.grad is None for parameter in heard.encoder.parameters())


def test_what_is_heard_teaches_the_prior(corpus: Corpus) -> None:  # noqa: F811
    model = started(corpus)
    settings = JointSettings(heard_weight=1.0, guide_weight=0.3)
    loss_of = JointLoss(small(), settings, CPU, TextGuide(model), listener())
    terms = loss_of(model, sampler_of(corpus).batch(0), True)
    assert set(terms) >= {"heard", "guide"}
    terms["heard"].backward()
    gradient = model.enc_p.proj.weight.grad
    assert gradient is not None and float(gradient.abs().sum()) > 0


def test_places_of_a_batch_follow_the_alignment(corpus: Corpus) -> None:  # noqa: F811
    plain = sampler_of(corpus)
    assert (plain.batch(0).places == -1).all()
    clip = plain.clips[0]
    count = len(plain.phones[clip.id])
    names = [class_of(symbol) for symbol in phones_of(int(phone) for phone in plain.phones[clip.id])]
    spoken = [(CLASSES[kind], index) for index, kind in enumerate(names) if kind is not None]
    ends = [clip.seconds * (position + 1) / len(spoken) for position in range(len(spoken))]
    alignment = Alignment(clip.id, tuple(name for name, _ in spoken), tuple(ends))
    known = SentenceSampler(
        corpus, plain.codes, plain.phones, plain.pitch, plain.speakers, 450, 1, alignments={clip.id: alignment}
    )
    places = known.places(clip)
    assert places.min() >= 0 and places.max() < count and (np.diff(places) >= 0).all()
    batch = known.collate([clip], np.random.default_rng(0))
    frames = known.frames_of(clip)
    assert batch.places[0, :frames:2].tolist() == places[: frames // 2].tolist()
    assert torch.equal(batch.places[0, :frames:2], batch.places[0, 1:frames:2])


def test_shares_tell_which_old_code_a_new_one_replaces() -> None:
    old = {"a": np.array([0, 1, 2, 0], np.int16), "b": np.array([2], np.int16)}
    new = {"a": np.array([2, 0, 1, 2], np.int16), "b": np.array([1], np.int16), "c": np.array([0], np.int16)}
    shares = shares_of(old, new, 3)
    assert shares.argmax(1).tolist() == [1, 2, 0]
    assert torch.allclose(shares.sum(1), torch.ones(3))
    with pytest.raises(ConfigurationError, match="both codebooks"):
        shares_of({"x": old["a"]}, new, 3)


def _trained(work: Path, seed: int) -> tuple[Synthesizer, TextToSemantic]:
    """Both networks in a work folder, as their stages leave them, and a codebook."""
    torch.manual_seed(seed)
    synthesizer, t2s = Synthesizer(SynthesizerConfig.nano()), TextToSemantic(T2S_NANO)
    for name, network in (("acoustic/joint.pt", synthesizer), ("semantic/t2s.pt", t2s)):
        (work / name).parent.mkdir(exist_ok=True)
        save_checkpoint(work / name, network, {}, WeightAverage(network), Clock(3, 1.0))
    Quantizer(synthesizer.ssl_proj.weight, synthesizer.ssl_proj.bias, synthesizer.quantizer).save(work / "quantizer")
    return synthesizer, t2s


def _codes(seed: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).integers(0, 20, 400).astype(np.int16)


def _write_codes(copy: Corpus, seed: int) -> None:
    part = sorted({clip.part for clip in copy.clips})[0]
    np.savez(copy.folder / f"{part}.codes.npz", x=_codes(seed))


@pytest.fixture
def apart(corpus: Corpus, tmp_path: Path) -> Corpus:  # noqa: F811
    shutil.copytree(corpus.folder, tmp_path / "corpus")
    return Corpus.open(tmp_path / "corpus", sorted({clip.part for clip in corpus.clips}))


def test_a_second_codebook_that_was_cut_off_does_not_overwrite_the_first(apart: Corpus) -> None:
    _write_codes(apart, 1)
    set_aside(apart)
    first = stored_codes(apart, BEFORE)["x"].tolist()
    _write_codes(apart, 2)  # the new ones of one part, then a kill; and once more
    assert waiting(apart)
    set_aside(apart)
    assert stored_codes(apart, BEFORE)["x"].tolist() == first


def test_networks_are_carried_over_once(apart: Corpus, tmp_path: Path) -> None:
    synthesizer, t2s = _trained(tmp_path, 3)
    _write_codes(apart, 1)
    set_aside(apart)
    _write_codes(apart, 1)  # the same codes: what is carried over must be what was there
    carry_over(apart, tmp_path, lambda line: None)
    begun = torch.load(tmp_path / "semantic" / START, weights_only=True)
    assert torch.equal(begun["h.layers.0.linear1.weight"], t2s.state_dict()["h.layers.0.linear1.weight"])
    used = sorted(set(stored_codes(apart)["x"].tolist()))
    rows = "ar_audio_embedding.word_embeddings.weight"
    noise = 0.1 * float(t2s.state_dict()[rows][:512].std())
    moved = (begun[rows] - t2s.state_dict()[rows])[used]
    assert float(moved.std()) < 1.5 * noise, "a code that stayed itself keeps its row, but for the noise"
    heard = torch.load(tmp_path / "acoustic" / START, weights_only=True)
    assert torch.equal(heard["dec.direct.weight"], synthesizer.state_dict()["dec.direct.weight"])
    assert not waiting(apart)
    assert not (tmp_path / "acoustic" / "joint.pt").exists() and (tmp_path / "acoustic" / "joint.earlier.pt").is_file()


def test_networks_that_were_not_trained_since_are_carried_over_again(apart: Corpus, tmp_path: Path) -> None:
    _trained(tmp_path, 3)
    _write_codes(apart, 1)
    for seed in (2, 3):
        set_aside(apart)
        _write_codes(apart, seed)
        carry_over(apart, tmp_path, lambda line: None)
    set_aside(apart)
    rows = "ar_audio_embedding.word_embeddings.weight"
    once = torch.load(tmp_path / "semantic" / START, weights_only=True)[rows]
    _write_codes(apart, 4)
    carry_over(apart, tmp_path, lambda line: None)
    twice = torch.load(tmp_path / "semantic" / START, weights_only=True)[rows]
    shares = shares_of({"x": _codes(3)}, {"x": _codes(4)}, 512)
    assert float((twice[:512] - shares @ once[:512]).std()) < 0.2 * float(once[:512].std())


def test_carrying_over_may_be_killed_between_the_networks(
    apart: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _trained(tmp_path, 3)
    _write_codes(apart, 1)
    set_aside(apart)
    _write_codes(apart, 2)

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("timbre.nano.carry_over.start_from_follower", killed)
        carry_over(apart, tmp_path, lambda line: None)
    first = torch.load(tmp_path / "acoustic" / START, weights_only=True)
    assert waiting(apart) and (tmp_path / "semantic" / "t2s.pt").is_file()
    carry_over(apart, tmp_path, lambda line: None)
    again = torch.load(tmp_path / "acoustic" / START, weights_only=True)
    assert all(torch.equal(first[name], again[name]) for name in first), "what was carried over is not carried twice"
    assert (tmp_path / "semantic" / START).is_file() and not waiting(apart)


def test_wrong_codes_come_from_the_batch_in_their_share() -> None:
    torch.manual_seed(0)
    codes = torch.randint(0, 512, (1, 4, 2000))
    spoiled = with_wrong_codes(codes, 0.2)
    assert spoiled.shape == codes.shape and set(spoiled.flatten().tolist()) <= set(codes.flatten().tolist())
    assert 0.17 < float((spoiled != codes).float().mean()) < 0.22
    assert with_wrong_codes(codes, 0.0) is codes
