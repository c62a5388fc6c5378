"""Multi-reference timbre encoder: speech frames attend to phones and take up the global condition (Jiang et al. 2023,
Mega-TTS 2, in the reduced form of GPT-SoVITS)."""

from __future__ import annotations

from torch import Tensor, nn

from timbre.gptsovits.acoustic.relative_attention import MultiHeadAttention


class Mrte(nn.Module):
    """channels: width of speech and text; width: inner width, also that of the condition; heads: of the attention."""

    def __init__(self, channels: int, width: int, heads: int) -> None:
        super().__init__()
        self.cross_attention = MultiHeadAttention(width, heads)
        self.c_pre = nn.Conv1d(channels, width, 1)
        self.text_pre = nn.Conv1d(channels, width, 1)
        self.c_post = nn.Conv1d(width, channels, 1)

    def forward(self, speech: Tensor, mask: Tensor, text: Tensor, text_mask: Tensor, condition: Tensor) -> Tensor:
        """speech [B,C,T], mask [B,1,T], text [B,C,P], text_mask [B,1,P], condition [B,width,1] -> [B,C,T]."""
        frames = self.c_pre(speech * mask)
        phones = self.text_pre(text * text_mask)
        mixed = self.cross_attention(frames * mask, phones * text_mask, text_mask) + frames + condition
        out: Tensor = self.c_post(mixed * mask)
        return out
