"""How many frames of context the generator needs for chunked decoding to equal decoding at once: measured, not
derived.
"""

from __future__ import annotations

import torch
from torch import Tensor

from timbre.gptsovits.acoustic.generator_source_istft import SourceIstftGenerator
from timbre.gptsovits.acoustic.synthesizer import Synthesizer

_FRAMES = 128
_TOLERANCE = 1e-6


@torch.no_grad()
def context_frames(network: Synthesizer, longest: int = 60) -> int:
    """Smallest number of frames beyond which a change of the latent does not reach the wave (relative 1e-6).

    A frame in the middle is changed; the farthest sample that moves gives the reach, which is the same on both sides.
    Of a generator with harmonic source it is the reach of the network's spectra: the engine makes the wave of them.
    0 means that the reach is longer than `longest` frames: decode at once.
    """
    config = network.config
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(1, config.latent_channels, _FRAMES, generator=generator)
    condition = torch.randn(1, config.condition_channels, 1, generator=generator)
    moved = z.clone()
    moved[:, :, _FRAMES // 2] += 1.0
    first, second = _by_frame(network, z, condition), _by_frame(network, moved, condition)
    changed = torch.nonzero((first - second).abs().amax(dim=1) > _TOLERANCE * first.abs().max()).flatten()
    if not len(changed):
        return 1
    reach = max(_FRAMES // 2 - int(changed[0]), int(changed[-1]) - _FRAMES // 2) + 1
    return reach if reach <= longest else 0


def _by_frame(network: Synthesizer, z: Tensor, condition: Tensor) -> Tensor:
    """What the graph gives for each frame [T, values]."""
    if isinstance(network.dec, SourceIstftGenerator):
        # Voicing and F0 look one frame around, the first convolution already three.
        return network.dec.frames(z, condition)[0].T
    wave: Tensor = network.dec(z, condition)[0, 0]
    return wave.view(_FRAMES, network.config.hop)
