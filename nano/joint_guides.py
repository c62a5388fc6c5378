"""Two teachers of the acoustic model's second half: where in the text each frame is, and how speech is to be heard.

TextGuide  attention of MRTE over the phones [T,P]  <- places of an alignment: cross entropy
Heard      generated wave -> frozen content encoder -> features before the codebook  <- those of the recording: distance

Without the first, the frames of a small corpus never find the text, and a wrong code stays a wrong phone. The second is
the perceptual loss of voice conversion (Polyak et al. 2020 use a recogniser likewise), with the features that codes
are made of: their unit is the spread inside a phone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.nano.content_network import HOP, WINDOW, ContentEncoder


class TextGuide:
    """Teaches one head of MRTE to look at the phone that sounds, where that is known."""

    def __init__(self, model: Synthesizer, head: int = 0) -> None:
        attention = model.enc_p.mrte.cross_attention
        self._head, self._width = head, attention.head_width
        self._seen: dict[str, Tensor] = {}
        self._hooks = [
            attention.conv_q.register_forward_hook(self._keeper("queries")),
            attention.conv_k.register_forward_hook(self._keeper("keys")),
        ]

    def _keeper(self, name: str):  # type: ignore[no-untyped-def]
        def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
            self._seen[name] = output

        return keep

    def loss(self, places: Tensor, phone_mask: Tensor) -> Tensor:
        """After a forward pass. places int64 [B,T], -1 where unknown; phone_mask [B,1,P] -> mean cross entropy."""
        first = self._head * self._width
        queries = self._seen["queries"][:, first : first + self._width].float()
        keys = self._seen["keys"][:, first : first + self._width].float()
        self._seen.clear()
        scores = queries.transpose(1, 2) @ keys / math.sqrt(self._width)
        scores = scores.masked_fill(phone_mask == 0, -1e4)
        known = (places >= 0).sum().clamp(min=1)
        summed = functional.cross_entropy(scores.flatten(0, 1), places.flatten(), ignore_index=-1, reduction="sum")
        return summed / known

    def remove(self) -> None:
        """Take the hooks off."""
        for hook in self._hooks:
            hook.remove()


class Heard(nn.Module):
    """Distance of two waves in the features of a frozen content encoder, after the quantizer's projection.

    directions: the first so many rows of the projection are those that tell phones apart.
    """

    def __init__(self, encoder: ContentEncoder, projection: Tensor, directions: int) -> None:
        super().__init__()
        self.encoder = encoder.eval().requires_grad_(False)
        self.projection: Tensor
        self.register_buffer("projection", projection[:directions].clone())
        encoder.freeze_front(0)

    def features(self, wave: Tensor) -> Tensor:
        """wave [B,1,S] at 16 kHz -> [B,D,S // 640]."""
        padded = functional.pad(wave[:, 0], (0, WINDOW - HOP))
        hidden = self.encoder.hidden(padded).transpose(1, 2)
        return functional.conv1d(hidden, self.projection.to(hidden), stride=self.projection.shape[2])

    def forward(self, wave: Tensor, target: Tensor) -> Tensor:
        """wave, target [B,1,S] -> mean smooth L1 distance of their features; gradient for ``wave`` only."""
        with torch.autocast(wave.device.type, torch.bfloat16):
            with torch.no_grad():
                wanted = self.features(target)
            found = self.features(wave)
        return functional.smooth_l1_loss(found.float(), wanted.float())
