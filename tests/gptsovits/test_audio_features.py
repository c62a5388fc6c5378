"""Spectra, Kaldi filter bank and speaker network against values that can be worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from timbre.gptsovits.acoustic.spectrogram import (
    MEL_FLOOR,
    MelConfig,
    MelSpectrogram,
    Spectrogram,
    SpectrogramConfig,
    mel_bank,
    slaney_hz_to_mel,
    slaney_mel_to_hz,
)
from timbre.gptsovits.encoders.eres2net import AttentionalFusion, ERes2NetConfig, ERes2NetV2, Res2Block
from timbre.gptsovits.encoders.kaldi_fbank import FbankConfig, kaldi_fbank, kaldi_mel_bank

_FRAMING = SpectrogramConfig(rate_hz=8000, n_fft=64, hop=16, window=64)


def _tone(hz: float, samples: int, rate: int) -> Tensor:
    return torch.cos(2 * math.pi * hz * torch.arange(samples, dtype=torch.float64) / rate).float()


def test_a_cosine_on_a_bin_shows_half_the_window_and_a_quarter_beside_it() -> None:
    # Hann window: sum 32 at 64 samples; half of it goes to the positive frequency, half of that to each neighbour.
    magnitudes = Spectrogram(_FRAMING)(_tone(8000 * 8 / 64, 320, 8000).unsqueeze(0))
    assert magnitudes.shape == (1, 33, 20)
    middle = magnitudes[0, :, 10]
    torch.testing.assert_close(middle[7:10], torch.tensor([8.0, 16.0, 8.0]), rtol=1e-4, atol=1e-4)
    assert float(middle[12:].max()) < 1e-3


def test_silence_has_the_magnitude_of_the_epsilon_and_the_mel_of_the_floor() -> None:
    mels = MelSpectrogram(MelConfig(_FRAMING, n_mels=8))
    silence = torch.zeros(2, 160)
    torch.testing.assert_close(mels.spectrogram(silence), torch.full((2, 33, 10), 1e-4))
    torch.testing.assert_close(mels.from_magnitudes(torch.zeros(1, 33, 3)), torch.full((1, 8, 3), math.log(MEL_FLOOR)))


def test_a_wave_that_cannot_be_reflected_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        Spectrogram(_FRAMING)(torch.zeros(1, 24))


def test_slaney_scale_is_linear_to_1_khz_then_27_steps_for_6_4_times() -> None:
    assert slaney_hz_to_mel(200.0) == pytest.approx(3.0)
    assert slaney_hz_to_mel(1000.0) == pytest.approx(15.0)
    assert slaney_hz_to_mel(6400.0) == pytest.approx(42.0)
    hz = torch.tensor([0.0, 500.0, 1000.0, 3333.0]).double().numpy()
    back = slaney_mel_to_hz(torch.tensor([slaney_hz_to_mel(float(f)) for f in hz]).double().numpy())
    assert back == pytest.approx(hz)


def test_mel_triangles_have_unit_area() -> None:
    config = MelConfig(SpectrogramConfig(rate_hz=32_000, n_fft=4096, hop=640, window=4096), n_mels=20)
    areas = mel_bank(config).sum(axis=1) * (32_000 / 4096)
    assert areas == pytest.approx([1.0] * 20, abs=0.02)


def test_kaldi_filters_peak_at_their_centres() -> None:
    config = FbankConfig(bins=8)
    bank = kaldi_mel_bank(config)
    assert bank.shape == (8, 257)
    assert float(bank[:, -1].max()) == 0.0
    low, high = (1127 * math.log(1 + f / 700) for f in (20.0, 8000.0))
    for index in range(8):
        centre = 700 * (math.exp((low + (index + 1) * (high - low) / 9) / 1127) - 1)
        assert abs(int(bank[index].argmax()) * 16_000 / 512 - centre) <= 16_000 / 512
    # Between the first and the last centre two neighbours always add up to one.
    first, last = int(bank[0].argmax()) + 1, int(bank[-1].argmax())
    torch.testing.assert_close(bank.sum(0)[first:last], torch.ones(last - first), rtol=1e-4, atol=1e-4)


def test_kaldi_frames_are_whole_and_silence_or_an_offset_gives_the_floor() -> None:
    floor = math.log(torch.finfo(torch.float32).eps)
    assert kaldi_fbank(torch.zeros(2, 399 + 161)).shape == (2, 2, 80)
    assert kaldi_fbank(torch.zeros(400)).shape == (1, 80)
    torch.testing.assert_close(kaldi_fbank(torch.zeros(400)), torch.full((1, 80), floor))
    # A constant loses its mean first, before pre-emphasis could make something of it.
    torch.testing.assert_close(kaldi_fbank(torch.full((400,), 0.5)), torch.full((1, 80), floor))
    with pytest.raises(ValueError, match="shorter than one frame"):
        kaldi_fbank(torch.zeros(399))


def test_kaldi_energy_of_a_tone_by_the_definition() -> None:
    wave = 0.3 * _tone(1234.0, 400, 16_000)
    frame = wave.double() - wave.double().mean()
    emphasised = [float(frame[0]) * 0.03] + [float(frame[i] - 0.97 * frame[i - 1]) for i in range(1, 400)]
    window = [(0.5 - 0.5 * math.cos(2 * math.pi * i / 399)) ** 0.85 for i in range(400)]
    samples = torch.tensor([a * b for a, b in zip(emphasised, window, strict=True)])
    angles = 2 * math.pi / 512 * torch.outer(torch.arange(257.0), torch.arange(400.0)).double()
    power = (angles.cos() @ samples.double()).square() + (angles.sin() @ samples.double()).square()
    wanted = (kaldi_mel_bank(FbankConfig()).double() @ power).clamp(min=torch.finfo(torch.float32).eps).log()
    torch.testing.assert_close(kaldi_fbank(wave)[0].double(), wanted, rtol=1e-3, atol=1e-3)


_TINY = ERes2NetConfig(channels=8, blocks=(1, 1, 1, 1), base_width=16, scale=2, expansion=2, bins=16, embedding=4)


def _set(module: nn.Module, weight: float, bias: float) -> None:
    for name, parameter in module.named_parameters():
        nn.init.constant_(parameter, bias if name.endswith("bias") else weight)


def test_fusion_without_attention_is_a_sum_and_with_full_attention_takes_the_first() -> None:
    fusion = AttentionalFusion(4).eval()
    x, y = torch.randn(2, 4, 3, 5), torch.randn(2, 4, 3, 5)
    _set(fusion, 0.0, 0.0)
    torch.testing.assert_close(fusion(x, y), x + y)
    nn.init.constant_(fusion.get_submodule("local_att.4").bias, 50.0)  # type: ignore[arg-type]
    torch.testing.assert_close(fusion(x, y), 2 * x)


def test_parts_of_a_block_are_chained_and_clipped_at_20() -> None:
    # Unit kernels, one input channel and unit statistics: part 1 is x, part 2 is x + part 1 = 2x; the result adds both.
    config = ERes2NetConfig(channels=1, base_width=64, scale=2, expansion=1)
    block = Res2Block(config, 1, 1, 1, fused=False).eval()
    with torch.no_grad():
        block.conv1.weight.fill_(1.0)
        block.conv3.weight.fill_(1.0)
        for convolution in block.convs:
            convolution.weight.zero_()  # type: ignore[union-attr,operator]
            convolution.weight[:, :, 1, 1] = 1.0  # type: ignore[index,operator]
        out = block(torch.tensor([-1.0, 1.0, 3.0, 15.0]).view(1, 1, 1, 4))
    # 1 + 2 and the shortcut 1; 3 + 6 + 3; 15 + clip(30) + 15 = 50, clipped; nothing of the negative one.
    torch.testing.assert_close(out.flatten(), torch.tensor([0.0, 4.0, 12.0, 20.0]), rtol=1e-4, atol=1e-4)


def test_speaker_network_shapes_names_and_unit_vectors() -> None:
    torch.manual_seed(0)
    network = ERes2NetV2(_TINY).eval()
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert ERes2NetConfig.from_shapes(shapes) == _TINY
    assert ERes2NetConfig().pooled == 20480
    features = torch.randn(2, 24, 16)
    with torch.inference_mode():
        pooled, vector = network(features), network.embed(features)
    assert pooled.shape == (2, _TINY.pooled)
    torch.testing.assert_close(vector.norm(dim=-1), torch.ones(2))
    # The pooled mean is one half of the statistics that the embedding sees.
    maps = network._fused(features)
    torch.testing.assert_close(pooled, maps.detach().mean(-1))
    wanted = network.seg_1(torch.cat([maps.mean(-1), (maps.var(-1) + 1e-8).sqrt()], dim=1))
    torch.testing.assert_close(vector, wanted.detach() / wanted.detach().norm(dim=-1, keepdim=True))
