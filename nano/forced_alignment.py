"""Forced alignment by the content encoder's own frame head: when each phone of a known text sounds.

frame log probabilities [F,C] + phones of the text -> best monotone path -> Alignment

Between phones silence may come, free of charge where the text has a mark and at both ends, at a price elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from timbre.nano.alignment import LONGEST_PHONE_S, Alignment
from timbre.nano.content_network import HOP, WINDOW, ContentEncoder
from timbre.text.forced_path import best_path, states_of
from timbre.text.recognition import CLASSES, SILENCE, class_of
from timbre.text.symbols import phones_of
from timbre.training.text_codes import WORST_SCORE, levels_of, without_loud_silence

FRAME_S = 0.02
Floats = npt.NDArray[np.float32]


def align_scores(
    identity: str,
    scores: Floats,
    phones: Sequence[int],
    longest_s: float = LONGEST_PHONE_S,
    audio: Floats | None = None,
) -> Alignment | None:
    """Alignment of frame log probabilities [F,C] with a text (ids of the v2 table); None when they do not fit. audio:
    what was heard [T]; where it is loud there is no silence (training/text_codes.py), None: wherever it is likely."""
    kinds = [kind for symbol in phones_of(phones) if (kind := class_of(symbol)) is not None]
    classes, costs = states_of(kinds)
    path, score = best_path(scores, classes, costs)
    if not path or score < WORST_SCORE:
        return None
    if audio is not None:
        path, _ = best_path(without_loud_silence(scores, levels_of(audio, len(scores))), classes, costs)
    names: list[str] = []
    ends: list[float] = []
    offset = (WINDOW / 2 - HOP / 2) / 16_000  # a frame's middle lies that much after its share of the hops
    for frame in range(len(path)):
        if frame + 1 == len(path) or path[frame + 1] != path[frame]:
            names.append(CLASSES[classes[path[frame]]])
            ends.append(round((frame + 1) * FRAME_S + offset, 4))
    begins = [0.0, *ends[:-1]]
    if any(n != CLASSES[SILENCE] and e - b > longest_s for n, b, e in zip(names, begins, ends, strict=True)):
        return None
    return Alignment(identity, tuple(names), tuple(ends))


@torch.inference_mode()
def frame_scores(encoder: ContentEncoder, audio: Floats) -> Floats:
    """float32 [T] at 16 kHz -> log probabilities of the classes [T // 320, C]."""
    padded = np.pad(audio, (0, WINDOW - HOP))
    with torch.autocast("cpu", torch.bfloat16):
        hidden = encoder.hidden(torch.from_numpy(padded)[None])
    # Not in half precision: the weights of a head that was fitted in closed form go into the thousands.
    scores = encoder.frame_head(hidden.float())[0]
    result: Floats = scores.log_softmax(-1).numpy()
    return result
