"""Critics of the expected spectrum: what they learn, how they pull, and that a training goes on with them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from tests.nano.synthetic_corpus import write_corpus
from tests.nano.test_joint import CPU, sampler_of, small, started, stored
from timbre.nano.corpus import Corpus
from timbre.nano.joint import JointLoss, JointSettings, train_joint
from timbre.nano.joint_critics import Distances, Panel
from timbre.nano.spectrum_critics import PushShares, Sentences, SpectrumCritics, joined_gradient

CODES, CONDITION, CHANNELS, FRAMES = 8, 16, 18, 40


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def sentences(rows: int = 3) -> Sentences:
    lengths = torch.tensor([FRAMES, FRAMES - 8, FRAMES - 14][:rows])
    mask = (torch.arange(FRAMES) < lengths.view(-1, 1)).float().unsqueeze(1)
    codes = torch.randint(0, CODES, (rows, 1, FRAMES // 2))
    return Sentences(codes, lengths, mask, torch.ones(rows, dtype=torch.bool), torch.randn(rows, CONDITION, 1))


def spoken(batch: Sentences, blurred: bool) -> Tensor:
    """Latents that follow the codes [B,C,T]; blurred: without what differs from time to time."""
    torch.manual_seed(3)
    shapes = torch.randn(CODES // 2, CHANNELS)
    latent = shapes[batch.codes[:, 0] // 2].transpose(1, 2).repeat_interleave(2, dim=2)
    return (latent if blurred else latent + 0.8 * torch.randn(latent.shape)) * batch.mask


def critics() -> tuple[SpectrumCritics, nn.Conv1d]:
    torch.manual_seed(1)
    direct = nn.Conv1d(CHANNELS, 961, 1)
    return SpectrumCritics(24000, 961, CODES, CONDITION), direct


def test_they_learn_to_tell_the_blurred_from_the_recorded_and_to_hear_phones() -> None:
    judged, direct = critics()
    optimizer = torch.optim.Adam(judged.parameters(), 2e-3)
    rows: list[dict[str, float]] = []
    for step in range(60):
        torch.manual_seed(step)
        batch = sentences()
        real, blurred = (judged.view(spoken(batch, one), direct, batch) for one in (False, True))
        optimizer.zero_grad()
        rows.append({name: float(value) for name, value in judged.learn(real, blurred, batch).items()})
        optimizer.step()
    assert rows[0]["critics"] > 0.35
    assert rows[-1]["critics"] < 0.2
    assert rows[-1]["listener"] < 0.5 * rows[0]["listener"]


def test_padding_and_unknown_pitch_are_not_heard() -> None:
    judged, direct = critics()
    batch = dataclasses.replace(sentences(), pitched=torch.tensor([True, False, True]))
    latent = spoken(batch, False)
    view = judged.view(latent, direct, batch)
    assert not view[1, -2:].any()
    assert view[0, -2:].any()
    assert not (view * (1 - batch.mask)).any()
    inside = view[:, :-2].transpose(1, 2)[batch.mask[:, 0] > 0]
    assert torch.allclose(inside.mean(0), torch.zeros(80), atol=1e-3)


def test_a_push_leaves_the_critics_alone_and_a_step_along_it_fools_them_more() -> None:
    judged, direct = critics()
    batch = sentences()
    real = judged.view(spoken(batch, False), direct, batch).detach()
    latent = spoken(batch, True).requires_grad_(True)
    terms = judged.push(real, judged.view(latent, direct, batch), batch)
    assert set(terms) == {"fooled", "features", "misheard", "heard"}
    gradient = joined_gradient(terms, latent, torch.ones_like(latent))
    assert all(parameter.grad is None and parameter.requires_grad for parameter in judged.parameters())
    moved = (latent - 0.02 * gradient).detach()
    after = judged.push(real, judged.view(moved, direct, batch), batch)
    assert sum(float(loss) * share for loss, share in after.values()) < sum(
        float(loss.detach()) * share for loss, share in terms.values()
    )


def test_each_share_is_one_of_the_references_norm() -> None:
    latent = torch.zeros(1, 2, 3, requires_grad=True)
    reference = torch.full((1, 2, 3), 2.0)
    loss = 1000.0 * latent.sum()
    gradient = joined_gradient({"one": (loss, 0.5)}, latent, reference)
    assert torch.allclose(gradient.norm(), 0.5 * reference.norm())


def test_the_expected_latents_get_the_push_and_none_before_its_time(corpus: Corpus) -> None:
    model, sampler = started(corpus), sampler_of(corpus)
    config = small()
    judged = SpectrumCritics(config.rate_hz, config.spectrum_bins, config.codebook_size, config.condition_channels)
    loss_of = JointLoss(config, JointSettings(critics_weight=1.0), CPU, panel=Panel(judged))
    found: list[dict[str, Tensor]] = []
    gradients: list[Tensor] = []
    for factor in (0.0, 1.0):
        model.zero_grad()
        torch.manual_seed(2)
        terms = loss_of(model, sampler.batch(0), False, criticised=factor)
        terms["total"].backward()
        found.append(terms)
        gradients.append(model.enc_p.proj.weight.grad.clone())
    assert "fooled" not in found[0]
    assert {"fooled", "features", "misheard", "heard", "pitch", "critics", "listener"} <= set(found[1])
    assert torch.equal(found[0]["total"], found[1]["total"])
    assert not torch.allclose(gradients[0], gradients[1])


def test_a_stopped_run_continues_with_its_critics(corpus: Corpus, tmp_path: Path) -> None:
    settings = JointSettings(
        max_frames=200, steps=4, segment_frames=16, checkpoint_steps=2, report_steps=2,
        critics_weight=1.0, critics_from_step=1,
    )  # fmt: skip

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    whole = train_joint(started(corpus), sampler_of(corpus, 200), tmp_path / "whole", settings, CPU)
    with pytest.raises(KeyboardInterrupt):
        train_joint(started(corpus), sampler_of(corpus, 200), tmp_path / "broken", settings, CPU, stop)
    broken = train_joint(started(corpus), sampler_of(corpus, 200), tmp_path / "broken", settings, CPU)
    without = train_joint(
        started(corpus), sampler_of(corpus, 200), tmp_path / "without",
        dataclasses.replace(settings, critics_weight=1e-30), CPU,
    )  # fmt: skip

    for name, value in stored(whole)["network"].items():
        assert torch.equal(value, stored(broken)["network"][name]), name
    kept, again = stored(whole)["extra"]["critics"], stored(broken)["extra"]["critics"]
    assert all(torch.equal(kept[name], again[name]) for name in kept)
    assert not torch.equal(
        stored(whole)["network"]["enc_p.proj.weight"], stored(without)["network"]["enc_p.proj.weight"]
    )


def test_shares_can_be_set() -> None:
    judged = SpectrumCritics(24000, 961, CODES, CONDITION, PushShares(phones=0.0))
    batch = sentences()
    direct = nn.Conv1d(CHANNELS, 961, 1)
    view = judged.view(spoken(batch, False), direct, batch)
    assert judged.push(view.detach(), view, batch)["misheard"][1] == 0.0


def test_adversaries_hear_through_noise_and_a_listener_without_shares_is_left_out() -> None:
    batch = sentences()
    found = {}
    for noise in (0.0, 0.5):
        torch.manual_seed(1)
        direct = nn.Conv1d(CHANNELS, 961, 1)
        judged = SpectrumCritics(24000, 961, CODES, CONDITION, PushShares(phones=0.0, heard=0.0, noise=noise))
        real, blurred = (judged.view(spoken(batch, one), direct, batch) for one in (False, True))
        found[noise] = judged.learn(real, blurred, batch)
        assert set(judged.push(real, blurred, batch)) == {"fooled", "features"}
        assert all(parameter.grad is None for parameter in judged.listener.parameters())
    assert set(found[0.0]) == {"critics"}
    assert not torch.allclose(found[0.0]["critics"], found[0.5]["critics"])


@pytest.mark.parametrize(("loss", "share"), [(0.5, 1.0), (0.2, 0.5), (0.04, 0.0)])
def test_adversaries_that_win_pull_less(monkeypatch: pytest.MonkeyPatch, loss: float, share: float) -> None:
    judged, direct = critics()
    batch = sentences()
    sampled = SimpleNamespace(codes=batch.codes, lengths=batch.lengths, pitched=batch.pitched)
    monkeypatch.setattr(judged, "learn", lambda *_: {"critics": torch.tensor(loss)})
    monkeypatch.setattr(judged, "push", lambda real, said, _: {"fooled": ((said - real).abs().sum(), 1.0)})
    distances = Distances(lambda latent: latent.square().sum(), lambda latent: 0.0 * latent.sum())
    expected, generator = spoken(batch, True), SimpleNamespace(direct=direct)
    _, gradient = Panel(judged).criticise(
        generator, expected, spoken(batch, False), sampled, batch.mask, batch.condition, 1.0, distances  # type: ignore[arg-type]
    )  # fmt: skip
    assert float(gradient.norm()) == pytest.approx(share * float((2 * expected).norm()), rel=1e-4)


def test_a_generator_that_is_left_out_stays_as_it_was(corpus: Corpus, tmp_path: Path) -> None:
    settings = JointSettings(
        max_frames=200, steps=2, segment_frames=16, generator_every=0, critics_weight=1.0, critics_from_step=1
    )
    model = started(corpus)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train_joint(model, sampler_of(corpus, 200), tmp_path, settings, CPU)
    stored = torch.load(tmp_path / "joint.pt", weights_only=True)["network"]
    decoded = [name for name in stored if name.startswith("dec.")]
    assert decoded
    assert all(torch.equal(stored[name], before[name]) for name in decoded)
    assert not torch.equal(stored["enc_p.proj.weight"], before["enc_p.proj.weight"])
