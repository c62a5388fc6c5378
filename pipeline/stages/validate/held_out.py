"""Which slices are kept for evaluation: the same ones every time, on every machine."""

from __future__ import annotations

from collections.abc import Sequence

from timbre.core.digests import digest_bytes
from timbre.text.scripts import normalised


def choose_held_out(
    texts: Sequence[str],
    durations_s: Sequence[float],
    share: float,
    least: int,
    min_duration_s: float,
    prompts: Sequence[bool] = (),
) -> frozenset[int]:
    """Indices of the slices that are never trained on: round(share * n), but at least `least`, at most n - 1.

    Order follows the SHA-256 of the text, so that adding a recording leaves most of the choice as it was. Slices with
    the same text go together: a text that was trained on would test nothing. Slices of min_duration_s or more come
    first, so that the evaluation does not consist of scraps.

    prompts: which slices may be the prompt, none where all may; the last of them is left to train on.
    """
    count = min(max(least, round(share * len(texts))), max(0, len(texts) - 1))
    groups: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        groups.setdefault(normalised(text).casefold(), []).append(index)

    def rank(text: str) -> tuple[bool, int, str]:
        members = groups[text]
        short = min(durations_s[i] for i in members) < min_duration_s
        return short, len(members), digest_bytes(text.encode())

    chosen: list[int] = []
    left = {index for index, prompt in enumerate(prompts) if prompt}
    for text in sorted(groups, key=rank):
        if len(chosen) >= count:
            break
        if left and not left - set(groups[text]):
            continue
        if len(chosen) + len(groups[text]) < len(texts):
            chosen += groups[text]
            left -= set(groups[text])
    return frozenset(chosen)
