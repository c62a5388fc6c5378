"""Blocks of the acoustic model: shapes, padding, folding, invertibility."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.configuration import FlowConfig, PriorEncoderConfig, SynthesizerConfig, WaveNetConfig
from timbre.gptsovits.acoustic.discriminator_configuration import DiscriminatorConfig
from timbre.gptsovits.acoustic.flow import Coupling, ResidualCouplingFlow
from timbre.gptsovits.acoustic.generator_configuration import HifiGanConfig, IstftConfig
from timbre.gptsovits.acoustic.generator_hifigan import HifiGanGenerator
from timbre.gptsovits.acoustic.generator_istft import InverseStft, InverseStftByMatrix, IstftGenerator
from timbre.gptsovits.acoustic.masking import random_starts, sequence_mask, slice_rows
from timbre.gptsovits.acoustic.posterior_encoder import PosteriorEncoder, WaveNet
from timbre.gptsovits.acoustic.prior_encoder import Mrte, PriorEncoder, change_speed, crossfade_head
from timbre.gptsovits.acoustic.quantizer import ResidualQuantizer
from timbre.gptsovits.acoustic.relative_attention import MultiHeadAttention, RelativeEncoder, skew, unskew
from timbre.gptsovits.acoustic.style_encoder import StyleEncoder
from timbre.gptsovits.acoustic.weight_norm import (
    WeightNormConv1d,
    WeightNormConv2d,
    WeightNormConvTranspose1d,
    fold_weight_norm,
    split_weight,
)

SMALL_HIFIGAN = HifiGanConfig(8, (4, 2), (8, 4), (3, 5), ((1, 3), (1, 2)))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(7)


def shaken(module: nn.Module) -> nn.Module:
    """Every parameter random: zero-initialised layers would hide mistakes."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter) + 0.05)
    return module.eval()


def padded_batch(channels: int, lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    frames = max(lengths)
    mask = sequence_mask(torch.tensor(lengths), frames)
    # Rubbish on the padding: a block that looks there is caught.
    return torch.randn(len(lengths), channels, frames), mask


def test_masks_and_slices() -> None:
    mask = sequence_mask(torch.tensor([3, 1]), 4)
    assert mask.tolist() == [[[1, 1, 1, 0]], [[1, 0, 0, 0]]]
    x = torch.arange(12.0).view(2, 1, 6)
    assert slice_rows(x, torch.tensor([1, 3]), 2).tolist() == [[[1, 2]], [[9, 10]]]
    starts = torch.stack([random_starts(torch.tensor([10, 3, 4]), 4) for _ in range(200)])
    assert starts[:, 0].min() == 0
    assert starts[:, 0].max() == 6
    assert starts[:, 1:].abs().max() == 0


@pytest.mark.parametrize("frames", [1, 3, 9])
def test_skew_places_distances(frames: int) -> None:
    window = 2
    band = torch.randn(2, frames, 2 * window + 1)
    square = skew(band)
    for i in range(frames):
        for j in range(frames):
            inside = abs(j - i) <= window
            expected = band[:, i, j - i + window] if inside else torch.zeros(2)
            assert torch.equal(square[:, i, j], expected)
    back = unskew(square, 2 * window + 1)
    for i in range(frames):
        for k in range(2 * window + 1):
            expected = band[:, i, k] if 0 <= i + k - window < frames else torch.zeros(2)
            assert torch.equal(back[:, i, k], expected)


def test_relative_attention_against_loops() -> None:
    attention = MultiHeadAttention(4, 2, window=1)
    shaken(attention)
    x = torch.randn(1, 4, 5)
    ours = attention(x, x, torch.ones(1, 1, 5))
    q, k, v = (layer(x).view(2, 2, 5) for layer in (attention.conv_q, attention.conv_k, attention.conv_v))
    out = torch.zeros(2, 2, 5)
    for head in range(2):
        for i in range(5):
            near = {j: attention.emb_rel_k[0, j - i + 1] for j in range(5) if abs(i - j) <= 1}
            zero = torch.zeros(2)
            scores = torch.stack([(q[head, :, i] / 2**0.5) @ (k[head, :, j] + near.get(j, zero)) for j in range(5)])
            weights = scores.softmax(0)
            for j in range(5):
                value = v[head, :, j] + (attention.emb_rel_v[0, j - i + 1] if j in near else 0)
                out[head, :, i] += weights[j] * value
    assert torch.allclose(ours, attention.conv_o(out.view(1, 4, 5)), atol=1e-5)


def test_rows_do_not_see_padding() -> None:
    """Every block: a row of a padded batch gives what it gives alone."""
    lengths = [9, 5]
    wavenet = shaken(WaveNet(6, 3, WaveNetConfig(3, 5, 2)))
    encoder = shaken(RelativeEncoder(6, 10, 2, 2, 3))
    flow = shaken(ResidualCouplingFlow(6, 6, 3, FlowConfig(2, WaveNetConfig(2, 3))))
    posterior = shaken(PosteriorEncoder(6, 4, 6, 3, WaveNetConfig(2)))
    style = shaken(StyleEncoder(3, SynthesizerConfig.pico().style.__class__(6, 8, 2, 5, 0.0, True)))
    x, mask = padded_batch(6, lengths)
    condition = torch.randn(2, 3, 1)
    blocks = {
        "wavenet": lambda x, m, c: wavenet(x * m, m, c),
        "encoder": lambda x, m, c: encoder(x, m),
        "flow": lambda x, m, c: flow(x * m, m, c),
        "inverse flow": lambda x, m, c: flow.inverse(x * m, m, c),
        "posterior": lambda x, m, c: posterior(x, m, c, 0.0).mean,
        "style": lambda x, m, c: style(x, m),
    }
    for name, run in blocks.items():
        both = run(x, mask, condition)
        for row, length in enumerate(lengths):
            alone = run(x[row : row + 1, :, :length], mask[row : row + 1, :, :length], condition[row : row + 1])
            assert torch.allclose(both[row : row + 1, :, :length], alone, atol=1e-5), name


def test_style_without_masking_sees_padding() -> None:
    """The official weights' behaviour, and the proof that the check above can fail."""
    config = SynthesizerConfig.pico().style.__class__(6, 8, 2, 5, 0.0, False)
    style = shaken(StyleEncoder(3, config))
    x, mask = padded_batch(6, [9, 5])
    both, alone = style(x, mask)[1], style(x[1:, :, :5], mask[1:, :, :5])[0]
    assert (both - alone).abs().max() > 1e-4


def test_prior_encoder_masks_both_sequences() -> None:
    prior = shaken(PriorEncoder(5, 6, 4, 11, PriorEncoderConfig(12, 2, 1, 1, 1, mrte_width=8, mrte_heads=2)))
    features, mask = padded_batch(5, [8, 6])
    phones, phone_mask = torch.randint(0, 11, (2, 7)), sequence_mask(torch.tensor([7, 3]), 7)
    condition = torch.randn(2, 8, 1)
    both = prior(features, mask, phones, phone_mask, condition)
    alone = prior(features[1:, :, :6], mask[1:, :, :6], phones[1:, :3], phone_mask[1:, :, :3], condition[1:])
    assert torch.allclose(both.mean[1:, :, :6], alone.mean, atol=1e-5)
    assert both.mean[1, :, 6:].abs().max() == 0
    assert Mrte(6, 8, 2)(
        torch.randn(1, 6, 4), mask[:1, :, :4], torch.randn(1, 6, 3), phone_mask[:1, :, :3], condition[:1]
    ).shape == (1, 6, 4)


def test_flow_is_invertible_and_starts_as_flips() -> None:
    config = FlowConfig(3, WaveNetConfig(2, 3))
    fresh = ResidualCouplingFlow(6, 4, 3, config)
    x, mask = padded_batch(6, [9, 5])
    x, condition = x * mask, torch.randn(2, 3, 1)
    assert torch.equal(fresh(x, mask, condition), x.flip(1))
    flow = shaken(fresh)
    there = flow(x, mask, condition)
    assert (there - x.flip(1)).abs().max() > 0.1
    assert torch.allclose(flow.inverse(there, mask, condition), x, atol=1e-5)
    assert isinstance(flow.flows[0], Coupling)


def layers() -> list[tuple[nn.Module, torch.Tensor]]:
    return [
        (WeightNormConv1d(4, 6, 3, dilation=2, padding=2, groups=2), torch.randn(1, 4, 9)),
        (WeightNormConv2d(2, 3, (5, 1), (3, 1), padding=(2, 0)), torch.randn(1, 2, 9, 3)),
        (WeightNormConvTranspose1d(4, 3, 8, stride=4, padding=2), torch.randn(1, 4, 5)),
    ]


@pytest.mark.parametrize("index", range(3))
def test_folding_changes_nothing(index: int) -> None:
    layer, x = layers()[index]
    root = nn.Sequential(shaken(layer))
    kept = copy.deepcopy(root)
    before = root(x)
    assert fold_weight_norm(root) == 1
    assert type(root[0]) in (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d)
    assert torch.allclose(root(x), before, atol=1e-6)
    gain, direction = split_weight(root[0].weight.detach())
    kept.load_state_dict({"0.weight_g": gain, "0.weight_v": direction, "0.bias": root[0].bias})
    assert torch.allclose(kept(x), before, atol=1e-5)
    assert fold_weight_norm(root) == 0
    pickle.dumps(kept.state_dict())


def test_weight_norm_is_that_of_torch() -> None:
    layer = WeightNormConv1d(3, 5, 3)
    plain = nn.utils.parametrizations.weight_norm(nn.Conv1d(3, 5, 3))
    state = layer.state_dict()
    plain.load_state_dict(
        {
            "bias": state["bias"],
            "parametrizations.weight.original0": 2 * state["weight_g"],
            "parametrizations.weight.original1": state["weight_v"],
        }
    )
    with torch.no_grad():
        layer.weight_g.mul_(2)
    x = torch.randn(2, 3, 8)
    assert torch.allclose(layer(x), plain(x), atol=1e-6)


def test_generators_give_hop_samples_a_frame() -> None:
    hifigan = shaken(HifiGanGenerator(4, 3, SMALL_HIFIGAN))
    istft = shaken(IstftGenerator(4, 3, IstftConfig(8, 12, 2, 7, 64, 16)))
    condition = torch.randn(2, 3, 1)
    for generator, hop in ((hifigan, 8), (istft, 16)):
        for frames in (1, 5, 12):
            wave = generator(torch.randn(2, 4, frames), condition)
            assert wave.shape == (2, 1, frames * hop)
            assert wave.dtype == torch.float32
            assert torch.isfinite(wave).all()
        z = torch.randn(1, 4, 6)
        assert (generator(z, condition[:1]) - generator(z, condition[1:])).abs().max() > 1e-4
        with torch.autocast("cpu", torch.bfloat16):
            half = generator(z, condition[:1])
        assert half.dtype == torch.float32
        z.requires_grad_(True)
        generator(z, condition[:1]).square().sum().backward()
        plain = z.grad.clone()
        z.grad = None
        generator.gradient_checkpointing = True
        generator(z, condition[:1]).square().sum().backward()
        assert torch.allclose(plain, z.grad, rtol=1e-4, atol=1e-5)


def test_inverse_stft_inverts_and_equals_its_matrix() -> None:
    fft_size, hop, frames = 64, 16, 12
    wave = torch.randn(2, frames * hop)
    edge = (fft_size - hop) // 2
    framed = nn.functional.pad(wave.unsqueeze(1), (edge, edge), "reflect").squeeze(1)
    spectrum = torch.stft(framed, fft_size, hop, window=torch.hann_window(fft_size), center=False, return_complex=True)
    by_fft, by_matrix = InverseStft(fft_size, hop), InverseStftByMatrix(fft_size, hop)
    assert torch.allclose(by_fft(spectrum.real, spectrum.imag), wave, atol=1e-5)
    real, imaginary = torch.randn(2, 33, 5), torch.randn(2, 33, 5)
    assert torch.allclose(by_fft(real, imaginary), by_matrix(real, imaginary), atol=1e-5)
    generator = shaken(IstftGenerator(4, 0, IstftConfig(8, 12, 1, 7, fft_size, hop)))
    z = torch.randn(1, 4, 5)
    before = generator(z)
    generator.use_matrix_transform()
    assert torch.allclose(generator(z), before, atol=1e-4)
    with pytest.raises(ValueError, match="multiple of hop"):
        InverseStft(64, 15)


def test_encoder_can_be_checkpointed() -> None:
    encoder = shaken(RelativeEncoder(6, 10, 2, 2, 3))
    x, mask = padded_batch(6, [9, 5])
    encoder(x, mask).square().sum().backward()
    plain = [parameter.grad.clone() for parameter in encoder.parameters()]
    encoder.zero_grad()
    encoder.gradient_checkpointing = True
    encoder(x, mask).square().sum().backward()
    for one, parameter in zip(plain, encoder.parameters(), strict=True):
        assert torch.allclose(one, parameter.grad, rtol=1e-4, atol=1e-5)


def test_speed_and_crossfade() -> None:
    hidden, mask = torch.randn(1, 3, 20), torch.ones(1, 1, 20)
    assert change_speed(hidden, mask, 1.0)[0] is hidden
    faster, kept = change_speed(hidden, mask, 1.3)
    assert faster.shape == (1, 3, 16)
    assert kept.shape == (1, 1, 16)
    with pytest.raises(ValueError, match="above 0"):
        change_speed(hidden, mask, 0.0)
    blended = crossfade_head(torch.ones(1, 1, 6), torch.zeros(1, 1, 4))[0, 0]
    angles = torch.arange(4) * (torch.pi / 8)
    assert torch.allclose(blended, torch.cat([torch.sin(angles), torch.ones(2)]), atol=1e-6)
    falling = crossfade_head(torch.zeros(1, 1, 6), torch.ones(1, 1, 4))[0, 0]
    assert torch.allclose(falling[:4], torch.sin(angles + torch.pi / 2), atol=1e-6)


def test_quantizer_takes_the_nearest_row() -> None:
    quantizer = ResidualQuantizer(3, 8, layers=2)
    features = torch.randn(2, 3, 5)
    quantized = quantizer.quantize(features)
    assert quantized.codes.shape == (2, 2, 5)
    first, second = quantizer.codebooks()
    flat = features.transpose(1, 2).reshape(-1, 3)
    nearest = torch.cdist(flat, first.embed).argmin(1)
    assert torch.equal(quantized.codes[:, 0].reshape(-1), nearest)
    rest = torch.cdist(flat - first.embed[nearest], second.embed).argmin(1)
    assert torch.equal(quantized.codes[:, 1].reshape(-1), rest)
    summed = (first.embed[nearest] + second.embed[rest]).view(2, 5, 3).transpose(1, 2)
    assert torch.allclose(quantizer.decode(quantized.codes), summed)


def test_configurations_refuse_what_does_not_fit() -> None:
    good = {
        "version": "v2",
        "inter_channels": 192,
        "hidden_channels": 192,
        "filter_channels": 768,
        "n_heads": 2,
        "n_layers": 6,
        "kernel_size": 3,
        "p_dropout": 0.1,
        "resblock": "1",
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5]] * 3,
        "upsample_rates": [10, 8, 2, 2, 2],
        "upsample_initial_channel": 512,
        "upsample_kernel_sizes": [16, 16, 8, 2, 2],
        "gin_channels": 512,
        "semantic_frame_rate": "25hz",
    }
    assert SynthesizerConfig.from_upstream(good) == SynthesizerConfig.v2()
    pro = {**good, "version": "v2Pro", "gin_channels": 1024}
    assert SynthesizerConfig.from_upstream(pro) == SynthesizerConfig.v2pro()
    for change, word in (
        ({"version": "v3"}, "v3"),
        ({"resblock": "2"}, "resblock"),
        ({"semantic_frame_rate": "50hz"}, "50hz"),
        ({"upsample_rates": [10, 8, 2, 2]}, "hop"),
        ({"gin_channels": 256}, "mrte_width"),
        ({"inter_channels": 191}, "odd"),
    ):
        with pytest.raises(ConfigurationError, match=word):
            SynthesizerConfig.from_upstream({**good, **change})
    with pytest.raises(ConfigurationError, match="n_layers"):
        SynthesizerConfig.from_upstream({key: value for key, value in good.items() if key != "n_layers"})
    assert DiscriminatorConfig.v2pro().periods[-2:] == (17, 23)
