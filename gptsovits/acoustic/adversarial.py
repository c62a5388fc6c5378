"""One pass of the discriminators over real and generated audio that serves both players' updates.

A usual GAN step runs the discriminators four times: real and generated for their own update, and both again for the
generator's. Here both gradients are taken from one pass, against the discriminators as they were before the update
(simultaneous instead of alternating descent), and the generator's backward pass computes no weight gradients of the
discriminators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from timbre.gptsovits.acoustic.discriminators import Discriminators
from timbre.gptsovits.acoustic.losses import discriminator_loss, feature_matching_loss, generator_loss


@dataclass(frozen=True)
class AdversarialPass:
    """Losses of one pass, and the gradient of the generator's part with respect to the wave."""

    discriminator: Tensor
    """Loss of the discriminators, a detached scalar."""
    generator: Tensor
    """Adversarial loss of the generator, a detached scalar."""
    feature_matching: Tensor
    """Feature-matching loss of the generator, a detached scalar."""
    wave_gradient: Tensor
    """[B,1,L], gradient of ``generator + feature_matching``; `join_losses` adds it to the other losses."""

    def terms(self) -> dict[str, Tensor]:
        """The scalars by the names that training logs give them."""
        return {
            "discriminator": self.discriminator,
            "generator": self.generator,
            "features": self.feature_matching,
        }


def adversarial_pass(discriminators: Discriminators, real: Tensor, fake: Tensor) -> AdversarialPass:
    """real, fake [B,1,L]. Adds the discriminators' gradients to their ``.grad``; leaves the generator's graph alone.

    One discriminator after the other, so that only one set of activations is alive at a time.
    """
    wave = fake.detach().requires_grad_(True)
    gradient = torch.zeros_like(wave)
    losses = torch.zeros(3, device=real.device)
    rows = real.shape[0]
    for discriminator in discriminators.discriminators:
        # Cut here: the wave's gradient is wanted from the generator's loss only.
        output = discriminator(torch.cat([real, wave]))
        on_real, on_fake = output.split(rows)
        loss_d = discriminator_loss([on_real], [on_fake])
        loss_g = generator_loss([on_fake])
        loss_f = feature_matching_loss([on_real], [on_fake])
        (part,) = torch.autograd.grad(loss_g + loss_f, [wave], retain_graph=True)
        gradient += part
        _accumulate(discriminator, loss_d)
        losses += torch.stack([loss_d.detach(), loss_g.detach(), loss_f.detach()])
    return AdversarialPass(losses[0], losses[1], losses[2], gradient)


def _accumulate(discriminator: nn.Module, loss: Tensor) -> None:
    parameters: Sequence[Tensor] = [parameter for parameter in discriminator.parameters() if parameter.requires_grad]
    if parameters:
        torch.autograd.backward(loss, inputs=parameters)


def join_losses(wave: Tensor, wave_gradient: Tensor, others: Tensor) -> Tensor:
    """The value of ``others``; the backward pass also sends ``wave_gradient`` into ``wave``."""
    push = (wave * wave_gradient).sum()
    return others + (push - push.detach())


__all__ = ["AdversarialPass", "adversarial_pass", "join_losses"]
