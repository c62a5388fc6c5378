"""How many frames of context the generator needs for chunked decoding to equal decoding at once: measured, not
derived.
"""

from __future__ import annotations

import torch

from gptsovits.configuration import SourceIstftConfig
from gptsovits.synthesizer import Synthesizer

_FRAMES = 128
_TOLERANCE = 1e-6


@torch.no_grad()
def context_frames(network: Synthesizer, longest: int = 60) -> int:
    """Smallest number of frames beyond which a change of the latent does not reach the wave (relative 1e-6).

    A frame in the middle is changed; the farthest sample that moves tells the reach, which is the same on both sides.
    0 means that the reach is longer than `longest` frames (a generator with phase refinement): decode at once.
    """
    config = network.config
    if isinstance(config.generator, SourceIstftConfig):
        return 0
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(1, config.latent_channels, _FRAMES, generator=generator)
    condition = torch.randn(1, config.condition_channels, 1, generator=generator)
    moved = z.clone()
    moved[:, :, _FRAMES // 2] += 1.0
    first, second = network.dec(z, condition)[0, 0], network.dec(moved, condition)[0, 0]
    changed = torch.nonzero((first - second).abs() > _TOLERANCE * first.abs().max()).flatten()
    if not len(changed):
        return 1
    left = _FRAMES // 2 - int(changed[0]) // config.hop
    right = int(changed[-1]) // config.hop - _FRAMES // 2
    reach = max(left, right) + 1
    return reach if reach <= longest else 0
