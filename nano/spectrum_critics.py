"""Critics of what the prior expects: they hear a sentence's spectrum and pitch instead of its wave.

latents expected and recorded [B,C,T] -> bands and pitch [B,82,T] -> gradient on the expected ones [B,C,T]

A prior that is fitted by distances speaks the average of all ways to say a phone, and that is blurred. Critics of waves
see slices of half a second through the generator and say so slowly; these see whole sentences where the blur arises,
for a fraction of the time of a step. Two are adversaries (least squares; Mao et al. 2017) that know code and voice of
each frame and whose layers also give a feature matching loss (Larsen et al. 2016); one is a listener that learns from
recordings which phone and tone sounds, whose layers are matched too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from torchaudio.functional import melscale_fbanks

from timbre.gptsovits.acoustic.generator_source_istft import PITCH_CHANNELS

BANDS = 80
WIDTH = 224
FIRST_WIDTH = 160
CODE_WIDTH = 96
KERNEL = 5
SLOPE = 0.2
SMOOTHING = 0.05
"""Label smoothing of the listener."""


@dataclass(frozen=True)
class PushShares:
    """How strongly each critic pulls at the expected latents, against the gradient of the spectral distance (1)."""

    adversarial: float = 0.5
    """To be taken for a recording."""
    features: float = 0.5
    """To have a recording's features in the adversaries' layers."""
    phones: float = 0.3
    """To be heard as the phones and tones of the codes."""
    heard: float = 0.5
    """To have a recording's features in the listener's layers."""
    noise: float = 0.0
    """Noise on what the adversaries see, in spreads of the bands: they then cannot tell by what nobody hears."""

    @property
    def listens(self) -> bool:
        """Whether there is anything for the listener to do."""
        return self.phones > 0 or self.heard > 0


def _convolution(channels: int, width: int, stride: int = 1, dilation: int = 1) -> nn.Module:
    padding = KERNEL // 2 * dilation
    return weight_norm(nn.Conv1d(channels, width, KERNEL, stride, padding, dilation))


class Adversary(nn.Module):
    """Tells recorded from expected frames, given codes [B,1,T/2] and a voice's condition [B,G,1]."""

    def __init__(self, channels: int, codes: int, condition: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(channels, FIRST_WIDTH)
        self.code = nn.Embedding(codes, CODE_WIDTH)
        self.voice = nn.Linear(condition, FIRST_WIDTH)
        self.rest = nn.ModuleList(
            (
                _convolution(FIRST_WIDTH + CODE_WIDTH, WIDTH, stride),
                _convolution(WIDTH, WIDTH, stride),
                _convolution(WIDTH, WIDTH),
            )
        )
        self.last = nn.Conv1d(WIDTH, 1, 3, padding=1)

    def forward(self, view: Tensor, codes: Tensor, condition: Tensor) -> tuple[Tensor, list[Tensor]]:
        """view [B,channels,T] -> (scores [B,1,T'], what each layer says)."""
        hidden = functional.leaky_relu(self.first(view), SLOPE) + self.voice(condition[..., 0]).unsqueeze(2)
        layers = [hidden]
        said = self.code(codes[:, 0]).transpose(1, 2).repeat_interleave(2, dim=2)[..., : hidden.shape[2]]
        hidden = torch.cat([hidden, said], dim=1)
        for layer in self.rest:
            hidden = functional.leaky_relu(layer(hidden), SLOPE)
            layers.append(hidden)
        return self.last(hidden), layers


class Listener(nn.Module):
    """Hears which unit (phone and tone) each code's two frames are."""

    def __init__(self, channels: int, units: int) -> None:
        super().__init__()
        self.first = _convolution(channels, WIDTH)
        self.rest = nn.ModuleList(_convolution(WIDTH, WIDTH, dilation=dilation) for dilation in (1, 2, 3))
        self.last = nn.Linear(WIDTH, units)

    def forward(self, view: Tensor) -> tuple[Tensor, list[Tensor]]:
        """view [B,channels,T] -> (logits [B,T/2,units], what each layer says)."""
        hidden = functional.leaky_relu(self.first(view), SLOPE)
        layers = [hidden]
        for layer in self.rest:
            hidden = hidden + functional.leaky_relu(layer(hidden), SLOPE)
            layers.append(hidden)
        return self.last(functional.avg_pool1d(hidden, 2).transpose(1, 2)), layers


@dataclass(frozen=True)
class Sentences:
    """What the critics know of a batch beside its latents."""

    codes: Tensor
    """int64 [B,1,T/2]."""
    lengths: Tensor
    """[B], frames."""
    mask: Tensor
    """[B,1,T]."""
    pitched: Tensor
    """[B], whether the pitch is known."""
    condition: Tensor
    """[B,G,1], of the voice; no gradient."""


class SpectrumCritics(nn.Module):
    """Adversaries and listener. ``learn`` leaves gradients in their parameters, ``push`` pulls at expected latents."""

    shift: Tensor
    scale: Tensor
    fitted: Tensor
    bands: Tensor

    def __init__(self, rate_hz: int, bins: int, codes: int, condition: int, shares: PushShares | None = None) -> None:
        """bins: of the spectrum; codes: size of the codebook of label_codes.py; condition: width of a voice's."""
        super().__init__()
        self.shares = shares or PushShares()
        channels = BANDS + PITCH_CHANNELS
        self.adversaries = nn.ModuleList(Adversary(channels, codes, condition, stride) for stride in (1, 2))
        self.listener = Listener(channels, codes // 2)
        filters = melscale_fbanks(bins, 40.0, 0.46 * rate_hz, BANDS, rate_hz, None, "slaney").T
        self.register_buffer("bands", filters / filters.sum(1, keepdim=True).clamp(min=1e-6), persistent=False)
        self.register_buffer("shift", torch.zeros(1, BANDS, 1))
        self.register_buffer("scale", torch.ones(1, BANDS, 1))
        self.register_buffer("fitted", torch.zeros(()))

    def view(self, latent: Tensor, direct: nn.Conv1d, sentences: Sentences) -> Tensor:
        """latent [B,C,T], direct: latents -> log magnitudes [B,F,T] -> bands of about unit variance and the pitch
        [B,82,T]."""
        assert direct.bias is not None
        weight, bias = direct.weight.detach()[..., 0], direct.bias.detach()
        spectrum = functional.conv1d(latent, (self.bands @ weight).unsqueeze(2), self.bands @ bias)
        if not self.fitted:
            with torch.no_grad():
                count = sentences.mask.sum()
                self.shift.copy_((spectrum * sentences.mask).sum((0, 2), keepdim=True) / count)
                spread = ((spectrum - self.shift).square() * sentences.mask).sum((0, 2), keepdim=True) / count
                self.scale.copy_(spread.sqrt() + 1e-3)
                self.fitted.fill_(1.0)
        pitch = latent[:, :PITCH_CHANNELS] * sentences.pitched.view(-1, 1, 1)
        return torch.cat([(spectrum - self.shift) / self.scale, pitch], dim=1) * sentences.mask

    def learn(self, recorded: Tensor, expected: Tensor, sentences: Sentences) -> dict[str, Tensor]:
        """Views [B,82,T] -> losses by name; their gradients are added to the parameters'."""
        loss = torch.zeros((), device=recorded.device)
        with torch.autocast(recorded.device.type, torch.bfloat16):
            for adversary in self.adversaries:
                real, _ = adversary(self._blurred(recorded.detach()), sentences.codes, sentences.condition)
                false, _ = adversary(self._blurred(expected.detach()), sentences.codes, sentences.condition)
                loss = loss + _masked((real.float() - 1).square() + false.float().square(), sentences.mask)
        found = {"critics": loss.detach() / (2 * len(self.adversaries))}
        if self.shares.listens:
            with torch.autocast(recorded.device.type, torch.bfloat16):
                logits, _ = self.listener(recorded.detach())
            heard = self._misheard(logits, sentences)
            loss, found["listener"] = loss + heard, heard.detach()
        loss.backward()
        return found

    def push(self, recorded: Tensor, expected: Tensor, sentences: Sentences) -> dict[str, tuple[Tensor, float]]:
        """Views [B,82,T], the expected one with a graph -> (loss, share) by name, for ``joined_gradient``."""
        fooled = features = torch.zeros((), device=expected.device)
        with torch.autocast(expected.device.type, torch.bfloat16):
            for adversary in self.adversaries:
                noise = self.shares.noise * torch.randn_like(recorded)
                with torch.no_grad():
                    _, real = adversary(recorded + noise, sentences.codes, sentences.condition)
                scores, false = adversary(expected + noise, sentences.codes, sentences.condition)
                fooled = fooled + _masked((scores.float() - 1).square(), sentences.mask)
                features = features + _distance(false, real)
        shares = self.shares
        terms = {
            "fooled": (fooled / len(self.adversaries), shares.adversarial),
            "features": (features / len(self.adversaries), shares.features),
        }
        if shares.listens:
            with torch.autocast(expected.device.type, torch.bfloat16):
                with torch.no_grad():
                    _, real = self.listener(recorded)
                logits, false = self.listener(expected)
            terms["misheard"] = (self._misheard(logits, sentences), shares.phones)
            terms["heard"] = (_distance(false, real), shares.heard)
        return terms

    def _blurred(self, view: Tensor) -> Tensor:
        return view + self.shares.noise * torch.randn_like(view) if self.shares.noise > 0 else view

    def _misheard(self, logits: Tensor, sentences: Sentences) -> Tensor:
        units = sentences.codes[:, 0, : logits.shape[1]] // 2
        there = torch.arange(units.shape[1], device=units.device) < (sentences.lengths // 2).view(-1, 1)
        error = functional.cross_entropy(
            logits.float().transpose(1, 2), units, reduction="none", label_smoothing=SMOOTHING
        )
        return (error * there).sum() / there.sum().clamp(min=1)


def _masked(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over frames that are there; values [B,1,T'], mask [B,1,T]."""
    there = functional.interpolate(mask, values.shape[2])
    return (values * there).sum() / there.sum().clamp(min=1.0)


def _distance(said: Sequence[Tensor], recorded: Sequence[Tensor]) -> Tensor:
    """L1 distance of layers over the recorded layer's mean magnitude, mean over the layers."""
    total = torch.zeros((), device=said[0].device)
    for one, other in zip(said, recorded, strict=True):
        other = other.detach().float()
        total = total + (one.float() - other).abs().mean() / other.abs().mean().clamp(min=1e-4)
    return total / len(said)


def joined_gradient(terms: dict[str, tuple[Tensor, float]], expected: Tensor, reference: Tensor) -> Tensor:
    """Gradient of all terms on ``expected``, each scaled to its share of the norm of ``reference``; shapes equal."""
    total = torch.zeros_like(reference)
    norm = reference.norm()
    for loss, share in terms.values():
        (gradient,) = torch.autograd.grad(loss, expected, retain_graph=True)
        total = total + gradient * (share * norm / gradient.norm().clamp(min=1e-9))
    return total
