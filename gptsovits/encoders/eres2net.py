"""ERes2NetV2: the speaker-verification network whose pooled features condition the v2Pro family.

Chen et al. 2024, "ERes2NetV2: Boosting short-duration speaker verification performance with computational efficiency"
(arXiv 2406.02167): Res2Net blocks (a block's channels are split, each part is convolved after adding the part before),
attentional fusion instead of that addition in stages 3 and 4, and a fusion of both stages' outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_CEILING = 20.0
_FUSED_STAGES = (3, 4)


@dataclass(frozen=True)
class ERes2NetConfig:
    """Sizes of the network; defaults are those of the official weights."""

    channels: int = 64
    """Of the first stage, doubled at each later one."""
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    """Per stage."""
    base_width: int = 24
    """Part width per 64 channels."""
    scale: int = 4
    """Parts of a block."""
    expansion: int = 4
    """Output channels of a block over its planes."""
    bins: int = 80
    """Mel bins of the input."""
    embedding: int = 192
    """Width of the speaker vector; the v2Pro family takes the wider features before it."""

    @property
    def pooled(self) -> int:
        """Width of the pooled features: channels of the last stage times remaining bins (20480 at official size)."""
        return self.channels * 8 * self.expansion * (self.bins // 8)

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> ERes2NetConfig:
        """Sizes of the network that a state dict belongs to. Raises KeyError when a tell-tale tensor is missing."""
        channels = shapes["conv1.weight"][0]
        expansion = shapes["layer1.0.conv3.weight"][0] // channels
        counts = [
            len({key.split(".")[1] for key in shapes if key.startswith(f"layer{stage}.")}) for stage in (1, 2, 3, 4)
        ]
        return cls(
            channels=channels,
            blocks=(counts[0], counts[1], counts[2], counts[3]),
            base_width=shapes["layer1.0.convs.0.weight"][0] * 64 // channels,
            scale=sum(key.startswith("layer1.0.convs.") for key in shapes),
            expansion=expansion,
            bins=shapes["seg_1.weight"][1] // (2 * channels * expansion),
            embedding=shapes["seg_1.weight"][0],
        )


def clipped_relu(x: Tensor) -> Tensor:
    """min(max(x, 0), 20): the nonlinearity inside the blocks; the first convolution has an ordinary one."""
    return x.clamp(0.0, _CEILING)


class AttentionalFusion(nn.Module):
    """x (1 + a) + y (1 - a), a = tanh of a bottleneck over both (Dai et al. 2021); x, y and result [B, C, F, T]."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        inner = channels // reduction
        self.local_att = nn.Sequential(
            nn.Conv2d(2 * channels, inner, 1),
            nn.BatchNorm2d(inner),
            nn.SiLU(),
            nn.Conv2d(inner, channels, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        share = torch.tanh(self.local_att(torch.cat([x, y], dim=1)))
        out: Tensor = x * (1.0 + share) + y * (1.0 - share)
        return out


class Res2Block(nn.Module):
    """1x1 convolution, parts convolved in a chain, 1x1 convolution, shortcut: [B, C, F, T] -> [B, C', F / s, T / s]."""

    def __init__(self, config: ERes2NetConfig, inputs: int, planes: int, stride: int, fused: bool) -> None:
        super().__init__()
        width = planes * config.base_width // 64
        outputs = planes * config.expansion
        self.conv1 = nn.Conv2d(inputs, width * config.scale, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width * config.scale)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(config.scale))
        self.bns = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(config.scale))
        self.fuse_models = nn.ModuleList(AttentionalFusion(width) for _ in range(config.scale - 1)) if fused else None
        self.conv3 = nn.Conv2d(width * config.scale, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        parts = clipped_relu(self.bn1(self.conv1(x))).chunk(len(self.convs), dim=1)
        done: list[Tensor] = []
        for index, (convolve, normalise) in enumerate(zip(self.convs, self.bns, strict=True)):
            part = parts[index]
            if done:
                part = done[-1] + part if self.fuse_models is None else self.fuse_models[index - 1](done[-1], part)
            done.append(clipped_relu(normalise(convolve(part))))
        out = self.bn3(self.conv3(torch.cat(done, dim=1)))
        return clipped_relu(out + self.shortcut(x))


class ERes2NetV2(nn.Module):
    """Filter bank [B, T, bins] -> speaker features. `forward` gives the pooled ones that condition synthesis."""

    def __init__(self, config: ERes2NetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ERes2NetConfig()
        base = config.channels
        self.conv1 = nn.Conv2d(1, base, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        inputs = base
        for stage, count in enumerate(config.blocks, start=1):
            planes = base << (stage - 1)
            blocks = []
            for index in range(count):
                stride = 2 if stage > 1 and index == 0 else 1
                blocks.append(Res2Block(config, inputs, planes, stride, stage in _FUSED_STAGES))
                inputs = planes * config.expansion
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.layer3_ds = nn.Conv2d(inputs // 2, inputs, 3, 2, padding=1, bias=False)
        self.fuse34 = AttentionalFusion(inputs)
        self.seg_1 = nn.Linear(2 * config.pooled, config.embedding)

    def _fused(self, features: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(features.transpose(1, 2).unsqueeze(1))))
        third = self.get_submodule("layer3")(self.get_submodule("layer2")(self.get_submodule("layer1")(x)))
        fourth = self.get_submodule("layer4")(third)
        fused: Tensor = self.fuse34(fourth, self.layer3_ds(third))
        return fused.flatten(1, 2)

    def forward(self, features: Tensor) -> Tensor:
        """features [B, T, bins] (kaldi_fbank) -> mean over time of the fused maps, [B, pooled]."""
        return self._fused(features).mean(-1)

    def embed(self, features: Tensor) -> Tensor:
        """features [B, T, bins] -> unit speaker vector [B, embedding], for comparing speakers by cosine."""
        maps = self._fused(features)
        statistics = torch.cat([maps.mean(-1), torch.sqrt(maps.var(-1) + 1e-8)], dim=1)
        return F.normalize(self.seg_1(statistics), dim=-1)
