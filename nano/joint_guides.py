"""The teacher of the acoustic model's second half: where in the text each frame is.

attention of MRTE over the phones [T,P]  <- places of an alignment: cross entropy

Without it, the frames of a small corpus never find the text, and a wrong code stays a wrong phone.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

from timbre.gptsovits.acoustic.synthesizer import Synthesizer


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
