"""Codes that say what sounds: phone, tone, and whether the phone begins.

alignment + front end's phones -> one code every 40 ms                      (training, voices with a transcript)
hidden features -> projection -> nearest row of this codebook               (speech without a transcript)

A codebook found by clustering makes text-to-semantic guess at differences that nobody asked for, and what the cluster
leaves out nobody can say. Here a code is a phone of the text (Mandarin finals with their tone) and a bit that says
whether it has just begun, so text becomes codes by a choice of durations alone, and the bit tells two equal phones in
a row from a long one. The row of a code is a sum of unit vectors, one a property, which makes the nearest row to a
vector of log probabilities the most probable code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import torch
from torch import Tensor

from timbre.gptsovits.acoustic.quantizer import ResidualQuantizer
from timbre.nano.alignment import Alignment
from timbre.text.phone_codes import CODES, NEUTRAL, TONES, UNIT_OF, UNITS, tone_of
from timbre.text.recognition import CLASSES, MANDARIN_FINALS, SILENCE, class_of
from timbre.text.symbols import phones_of
from timbre.training.text_codes import CodeLabels, Ids

CODE_S = 0.04

_NAMES = {name: index for index, name in enumerate(CLASSES)}
ROWS = CODES

DETAIL_SHARE = 0.5
"""Length of the unit vectors of tone and beginning, beside 1 for the class."""

DETAIL_WEIGHT = 0.1
"""How much the log odds of tone and beginning count against those of the class: they choose among its rows only."""


@dataclass(frozen=True)
class Segment:
    """A stretch of one sound."""

    kind: int
    """Class id."""
    tone: int
    """0 to 5."""
    place: int
    """Index of the phone in the text, -1 for none."""
    end_s: float
    """Seconds."""


def segments_of(alignment: Alignment, phones: Ids) -> list[Segment]:
    """What sounds and where it stands in the text. phones: ids of the v2 table [P].

    A pause belongs to the mark that stands there, else to the phone before it. Sounds that differ from the text keep
    their place where as many differ on both sides.
    """
    symbols = list(phones_of(int(phone) for phone in phones))
    kinds = [class_of(symbol) for symbol in symbols]
    text = [(kind, index) for index, kind in enumerate(kinds) if kind is not None and kind != SILENCE]
    spoken = [(_NAMES[name], index) for index, name in enumerate(alignment.phones) if _NAMES[name] != SILENCE]
    matcher = SequenceMatcher(None, [kind for kind, _ in text], [kind for kind, _ in spoken], autojunk=False)
    place_of: dict[int, int] = {}
    for _, a, a_end, b, b_end in matcher.get_opcodes():
        if a_end - a == b_end - b:
            for offset in range(a_end - a):
                place_of[spoken[b + offset][1]] = text[a + offset][1]
    found: list[Segment] = []
    before = -1
    for index, (name, end_s) in enumerate(zip(alignment.phones, alignment.ends_s, strict=True)):
        kind = _NAMES[name]
        if kind == SILENCE:
            marked = before + 1 < len(kinds) and kinds[before + 1] == SILENCE
            found.append(Segment(kind, 0, before + 1 if marked else max(before, 0), end_s))
        else:
            place = place_of.get(index, -1)
            before = place if place >= 0 else before
            tone = 0
            if name in MANDARIN_FINALS:
                tone = tone_of(symbols[place]) if place >= 0 else NEUTRAL
                tone = tone or NEUTRAL
            found.append(Segment(kind, tone, place, end_s))
    return found


def label_codes(segments: Sequence[Segment], count: int) -> CodeLabels | None:
    """``count`` codes of 40 ms. Every sound gets one at least, however short it is; None when there are too many."""
    kept = [
        segment
        for index, segment in enumerate(segments)
        if segment.kind != SILENCE or segment.end_s - (segments[index - 1].end_s if index else 0.0) >= CODE_S / 2
    ]
    if not kept or len(kept) > count:
        return None
    ends = np.rint(np.array([segment.end_s for segment in kept]) / CODE_S).astype(int)
    ends[-1] = count
    for index in range(len(ends)):  # forwards: at least one code each
        ends[index] = max(ends[index], (ends[index - 1] if index else 0) + 1)
    ends[-1] = count
    for index in range(len(ends) - 2, -1, -1):  # backwards: none beyond the end
        ends[index] = min(ends[index], ends[index + 1] - 1)
    codes, places = np.zeros(count, np.int16), np.zeros(count, np.int16)
    begin = 0
    for segment, end in zip(kept, ends, strict=True):
        code = 2 * UNIT_OF[segment.kind, segment.tone]
        codes[begin:end] = code + 1
        codes[begin] = code
        places[begin:end] = segment.place
        begin = end
    return CodeLabels(codes, places)


def corpus_labels(
    alignments: Mapping[str, Alignment], phones: Mapping[str, Ids], counts: Mapping[str, int]
) -> dict[str, CodeLabels]:
    """Codes and places of all clips that have an alignment and phones; counts: codes that fit into each clip."""
    found = {}
    for identity, alignment in alignments.items():
        if identity in phones and identity in counts:
            labelled = label_codes(segments_of(alignment, phones[identity]), counts[identity])
            if labelled is not None:
                found[identity] = labelled
    return found


def code_rows(width: int) -> Tensor:
    """The codebook [ROWS, width]. Dimensions: classes, tones, begins, goes on, and one that makes up for length."""
    rows = torch.zeros(ROWS, width)
    classes = len(CLASSES)
    for index, (kind, tone) in enumerate(UNITS):
        for later in (0, 1):
            row = rows[2 * index + later]
            row[kind] = 1.0
            if tone:
                row[classes + tone - 1] = DETAIL_SHARE
            row[classes + TONES + later] = DETAIL_SHARE
    rows[:, classes + TONES + 2] = 0.5 * rows.square().sum(1) - 0.5
    # The added value has a length too; it is small, and the same correction again makes the rest negligible.
    rows[:, classes + TONES + 2] = 0.5 * rows.square().sum(1) - 0.5
    return rows


def quantizer_of(width: int) -> ResidualQuantizer:
    """The codebook as the acoustic model holds it."""
    quantizer = ResidualQuantizer(width, ROWS)
    book = quantizer.codebooks()[0]
    with torch.no_grad():
        book.embed.copy_(code_rows(width))
        book.embed_avg.copy_(book.embed)
    return quantizer


def projection_of(
    frame: tuple[Tensor, Tensor], tone: tuple[Tensor, Tensor], begins: tuple[Tensor, Tensor], frames: int = 2
) -> tuple[Tensor, Tensor]:
    """Weight [H, H, frames] and bias [H] of ``ssl_proj`` from linear heads (weight [C, H], bias [C]) of the encoder.

    frame: all classes; tone: five; begins: one, log odds. The heads' values are averaged over the frames of a code.
    """
    width = frame[0].shape[1]
    weight, bias = torch.zeros(width, width), torch.zeros(width)
    classes = len(CLASSES)
    gain = DETAIL_WEIGHT / DETAIL_SHARE
    weight[:classes], bias[:classes] = frame
    weight[classes : classes + TONES], bias[classes : classes + TONES] = gain * tone[0], gain * tone[1]
    half = 0.5 * gain
    first, later = classes + TONES, classes + TONES + 1
    weight[first], bias[first] = half * begins[0][0], half * begins[1][0]
    weight[later], bias[later] = -half * begins[0][0], -half * begins[1][0]
    bias[classes + TONES + 2] = 1.0
    return weight.unsqueeze(2).repeat(1, 1, frames) / frames, bias
