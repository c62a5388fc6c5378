"""The acoustic model as a whole, its discriminators and losses, on the tiny preset."""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from timbre.gptsovits.acoustic.adversarial import adversarial_pass, join_losses
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.discriminator_configuration import DiscriminatorConfig
from timbre.gptsovits.acoustic.discriminators import DiscriminatorOutput, Discriminators
from timbre.gptsovits.acoustic.generator_configuration import HifiGanConfig
from timbre.gptsovits.acoustic.losses import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    kl_loss,
    mel_loss,
)
from timbre.gptsovits.acoustic.masking import sequence_mask
from timbre.gptsovits.acoustic.synthesizer import Reference, Synthesizer, TrainingBatch
from timbre.gptsovits.parity.sovits import sovits_checks

PARITY = Path(os.environ.get("TIMBRE_SHARED", Path(__file__).parents[3] / "shared")) / "parity"
HIFIGAN = HifiGanConfig(8, (10, 8, 4), (20, 16, 8), (3,), ((1, 3),))


def network(**changes: object) -> Synthesizer:
    torch.manual_seed(5)
    net = Synthesizer(replace(SynthesizerConfig.pico(), **changes)).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        # Fresh generators and couplings hardly react to their input.
        for parameter in [*net.flow.parameters(), *net.dec.parameters()]:
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def batch_of(net: Synthesizer, lengths: list[int], phones: list[int]) -> TrainingBatch:
    """Random rows, rubbish on the padding."""
    torch.manual_seed(6)
    config, rows = net.config, len(lengths)
    speaker = torch.randn(rows, config.speaker_width) if config.speaker_width else None
    return TrainingBatch(
        torch.rand(rows, config.spectrum_bins, max(lengths)),
        torch.tensor(lengths),
        torch.randint(0, config.codebook_size, (rows, 1, -(-max(lengths) // 2))),
        torch.randint(0, config.symbols, (rows, max(phones))),
        torch.tensor(phones),
        speaker,
        torch.zeros(rows, dtype=torch.long),
    )


def one_row(batch: TrainingBatch, row: int) -> TrainingBatch:
    length, phones = int(batch.lengths[row]), int(batch.phone_lengths[row])
    pick = slice(row, row + 1)
    assert batch.speaker is not None
    assert batch.starts is not None
    return TrainingBatch(
        batch.spectrum[pick, :, :length],
        batch.lengths[pick],
        batch.codes[pick, :, : -(-length // 2)],
        batch.phones[pick, :phones],
        batch.phone_lengths[pick],
        batch.speaker[pick],
        batch.starts[pick],
    )


def voice(net: Synthesizer) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(8)
    config = net.config
    reference = Reference(torch.rand(1, config.spectrum_bins, 30), torch.randn(1, config.speaker_width))
    codes = torch.randint(0, config.codebook_size, (1, 1, 12))
    return codes, torch.randint(0, config.symbols, (1, 9)), net.condition(reference)


@pytest.mark.parametrize("generator", [SynthesizerConfig.pico().generator, HIFIGAN], ids=["istft", "hifigan"])
def test_decode_lengths_and_folding(generator: HifiGanConfig) -> None:
    net = network(generator=generator)
    codes, phones, condition = voice(net)
    with torch.no_grad():
        wave = net.decode(codes, phones, condition, noise_scale=0.0)
        assert wave.shape == (1, 1, 12 * 2 * 320)
        assert net.decode(codes, phones, condition, speed=1.3).shape[2] == (int(24 / 1.3) + 1) * 320
        noisy = net.decode(codes, phones, condition, noise_scale=0.5)
        assert (noisy - wave).abs().max() > 1e-5
        folded = copy.deepcopy(net).fold()
        assert not any(name.endswith("weight_g") for name in folded.state_dict())
        assert torch.allclose(folded.decode(codes, phones, condition, noise_scale=0.0), wave, atol=1e-5)


def test_two_references_average() -> None:
    net = network()
    torch.manual_seed(9)
    first, second = (
        Reference(torch.rand(1, net.config.spectrum_bins, frames), torch.randn(1, 256)) for frames in (20, 31)
    )
    mean = net.mean_condition([first, second])
    assert torch.allclose(mean, (net.condition(first) + net.condition(second)) / 2, atol=1e-6)
    with pytest.raises(ValueError, match="speaker vector"):
        net.condition(Reference(first.spectrum))


def test_streaming_keeps_lengths_and_agrees_away_from_seams() -> None:
    net = network()
    codes, phones, condition = voice(net)
    with torch.no_grad():
        whole = net.decode_chunk(codes, phones, condition, noise_scale=0.0)
        assert torch.equal(whole.wave, net.decode(codes, phones, condition, noise_scale=0.0))
        first = net.decode_chunk(codes[:, :, :8], phones, condition, noise_scale=0.0)
        tail = first.hidden[:, :, -4:]
        second = net.decode_chunk(codes, phones, condition, keep_codes=6, before=tail, noise_scale=0.0)
        assert second.wave.shape[2] == 6 * 2 * 320
        assert second.hidden.shape[2] == 12
        assert torch.equal(second.hidden[:, :, 4:], whole.hidden[:, :, -8:])
        assert (second.hidden[:, :, :4] - whole.hidden[:, :, -12:-8]).abs().max() > 1e-4


def test_training_rows_do_not_depend_on_the_batch() -> None:
    net = network()
    batch = batch_of(net, [40, 25], [12, 7])
    both = net(batch, noise_scale=0.0)
    for row in range(2):
        alone = net(one_row(batch, row), noise_scale=0.0)
        frames = int(batch.lengths[row])
        pick = slice(row, row + 1)
        assert torch.allclose(both.wave[pick], alone.wave, atol=1e-5)
        assert torch.allclose(both.z_p[pick, :, :frames], alone.z_p, atol=1e-5)
        assert torch.allclose(both.prior.mean[pick, :, :frames], alone.prior.mean, atol=1e-5)
    per_row = [
        kl_loss(out.z_p, out.posterior.log_std, out.prior.mean, out.prior.log_std, out.mask)
        for out in (both, net(one_row(batch, 0), 0.0), net(one_row(batch, 1), 0.0))
    ]
    weighted = (per_row[1] * 40 + per_row[2] * 25) / 65
    assert torch.allclose(per_row[0], weighted, rtol=1e-5)


def test_odd_frames_and_missing_codes_are_filled() -> None:
    net = network()
    codes = torch.arange(3).view(1, 1, 3)
    assert torch.equal(net.features_of(codes, 5), net.features_of(codes)[:, :, :5])
    assert torch.equal(net.features_of(codes, 7)[:, :, 6], net.features_of(codes)[:, :, 5])


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    net = network()
    batch = batch_of(net, [40, 25], [12, 7])
    gradients = []
    for enabled in (False, True):
        net.use_gradient_checkpointing(enabled)
        net.zero_grad(set_to_none=True)
        out = net(batch, noise_scale=0.0)
        (out.wave.square().mean() + out.z_p.square().mean() + out.prior.mean.square().mean()).backward()
        gradients.append({name: p.grad for name, p in net.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert not any(name.startswith("ssl_proj") for name in gradients[0])
    for name, value in gradients[0].items():
        assert torch.allclose(value, gradients[1][name], rtol=1e-3, atol=1e-6), name


def test_bfloat16_autocast_keeps_scales_in_float32() -> None:
    net = network()
    batch = batch_of(net, [40, 25], [12, 7])
    exact = net(batch, noise_scale=0.0)
    with torch.autocast("cpu", torch.bfloat16):
        out = net(batch, noise_scale=0.0)
    for one, other in ((out.wave, exact.wave), (out.z_p, exact.z_p), (out.prior.log_std, exact.prior.log_std)):
        assert one.dtype == torch.float32
        assert (one - other).abs().max() < 0.05 * other.abs().max() + 0.05


def test_a_network_without_posterior_does_not_train() -> None:
    net = Synthesizer(SynthesizerConfig.pico(), with_posterior=False)
    assert not any(name.startswith("enc_q") for name in net.state_dict())
    with pytest.raises(ValueError, match="posterior"):
        net(batch_of(net, [20], [5]))


# -- discriminators and losses -----------------------------------------------------------------------------------------


def judges() -> Discriminators:
    torch.manual_seed(3)
    return Discriminators(DiscriminatorConfig.pico())


def test_discriminators_judge_any_length() -> None:
    discriminators = judges()
    assert len(discriminators.discriminators) == 4
    for samples in (1600, 1601):
        real, fake = torch.randn(2, 1, samples), torch.randn(2, 1, samples)
        on_real, on_fake = discriminators.compare(real, fake)
        for one, alone in zip(on_real, discriminators(real), strict=True):
            assert one.score.shape[0] == 2
            assert one.features[-1].shape[1] == 1
            assert torch.allclose(one.score, alone.score, atol=1e-5)
        assert torch.allclose(on_fake[1].score, discriminators(fake)[1].score, atol=1e-5)


def test_losses_by_hand() -> None:
    def judged(*values: float) -> list[DiscriminatorOutput]:
        score = torch.tensor([values])
        return [DiscriminatorOutput(score, (2 * score, score))]

    real, fake = judged(1.0, 0.5), judged(0.0, 0.5)
    assert discriminator_loss(real, fake).item() == pytest.approx(0.125 + 0.125)
    assert generator_loss(fake).item() == pytest.approx((1.0 + 0.25) / 2)
    assert feature_matching_loss(real, fake).item() == pytest.approx(2 * (1.0 + 0.5))
    target, predicted = torch.zeros(1, 2, 4), torch.ones(1, 2, 4)
    mask = sequence_mask(torch.tensor([2]), 4)
    predicted[:, :, 2:] = 100.0
    assert mel_loss(target, predicted, mask).item() == pytest.approx(45.0)
    mean, log_std = torch.randn(1, 3, 4), 0.3 * torch.randn(1, 3, 4)
    assert kl_loss(mean, log_std, mean, log_std, mask).item() == pytest.approx(-1.5)
    draws = mean + torch.exp(log_std) * torch.randn(20000, 3, 4)
    wide = sequence_mask(torch.full((20000,), 2), 4)
    assert abs(kl_loss(draws, log_std, mean, log_std, wide).item()) < 0.03


def test_one_pass_gives_both_players_their_gradients() -> None:
    discriminators = judges()
    real, latent = torch.randn(2, 1, 1601), torch.randn(2, 1, 1601, requires_grad=True)
    wave = torch.tanh(latent)
    judged = adversarial_pass(discriminators, real, wave)
    ours = [parameter.grad.clone() for parameter in discriminators.parameters()]
    joined = join_losses(wave, judged.wave_gradient, wave.square().mean())
    assert torch.equal(joined, wave.square().mean())  # logs report the losses, not the product with the gradient
    joined.backward()
    ours_latent = latent.grad.clone()
    discriminators.zero_grad()
    latent.grad = None
    wave = torch.tanh(latent)
    loss_d = discriminator_loss(discriminators(real), discriminators(wave.detach()))
    loss_d.backward()
    for one, parameter in zip(ours, discriminators.parameters(), strict=True):
        assert torch.allclose(one, parameter.grad, rtol=1e-4, atol=1e-6)
    on_fake = discriminators(wave)
    matching = feature_matching_loss(discriminators(real), on_fake)
    (generator_loss(on_fake) + matching + wave.square().mean()).backward()
    assert torch.allclose(ours_latent, latent.grad, rtol=1e-4, atol=1e-7)
    assert torch.allclose(judged.discriminator, loss_d, rtol=1e-5)
    assert torch.allclose(judged.feature_matching, matching, rtol=1e-5)


# -- reference vectors -------------------------------------------------------------------------------------------------


@pytest.mark.shared
@pytest.mark.skipif(not PARITY.is_dir(), reason="no reference vectors beside the checkout")
def test_small_reference_set_is_met_and_a_wrong_one_is_not(tmp_path: Path) -> None:
    source = PARITY / "sovits_v2pro_small"
    checks = list(sovits_checks(source))
    assert len(checks) == 16
    assert [check.tensor for check in checks if not check.passed] == []
    for name in ("config.json", "fingerprint.json", "state_dict.safetensors"):
        (tmp_path / name).symlink_to(source / name)
    vectors = load_file(str(source / "vectors.safetensors"))
    vectors["out.audio"][0, 0, 7] += 2e-4
    vectors["out.surprise"] = torch.zeros(1)
    del vectors["out.z"]
    save_file(vectors, str(tmp_path / "vectors.safetensors"))
    missed = {check.tensor for check in sovits_checks(tmp_path) if not check.passed}
    assert missed >= {"out.audio", "out.surprise", "out.z"}
    assert "out.m_p" not in missed


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.skipif(not PARITY.is_dir(), reason="no reference vectors beside the checkout")
def test_full_reference_set_with_its_training_step() -> None:
    checks = list(sovits_checks(PARITY / "sovits_v2_full"))
    assert [check.tensor for check in checks if not check.passed] == []
    assert {"out.train_losses", "out.train_grad_norms", "weights"} <= {check.tensor for check in checks}
