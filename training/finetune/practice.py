"""Practice sentences: what the voice's owner never read, spoken while its adapter is trained.

texts -> codes of the frozen text to semantic, at paces between the base's and the owner's -> the base's own speech |
adapted speech of the same codes -> Hearing

A minute of recordings has few sounds in few neighbourhoods, and some owners pronounce them as no listener expects. In
sentences of its own the adapted network is asked for two things: that they sound like the owner, and that what is heard
in them stays what was heard of the base.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from timbre.core.base import Base
from timbre.gptsovits.acoustic.generator_source_istft import SourceIstftGenerator
from timbre.gptsovits.acoustic.masking import sequence_mask
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.files.base_networks import load_text_to_semantic
from timbre.gptsovits.text_to_semantic.decoding import T2SRequest, generate
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.gptsovits.text_to_semantic.sampling import SamplingConfig
from timbre.text.frontend import phonemize
from timbre.text.pauses import finished
from timbre.text.phone_codes import TextPath
from timbre.text.phone_durations import Durations, TimedPath, codes_a_sound, drawn_out
from timbre.training.finetune.data import pad_rows

OTHER_LANGUAGES = 12
"""Sentences of each further language of the base: a voice is asked for them now and then."""
SLOWEST = 2.0
"""Times the base's seconds: the slowest pace that is practised, and that stage 3 tries."""
_LONGEST_CODES = 250
_GOLDEN = 0.6180339887
"""Its multiples fill an interval evenly, however many of them there are."""
_TEXTS = "timbre.training.finetune.practice_texts"


@dataclass(frozen=True)
class PracticeSentence:
    """One sentence as the base speaks it."""

    phones: Tensor
    """int64 [P]."""
    codes: Tensor
    """int64 [N]."""
    wave: Tensor
    """[N * code_frames * hop], the base's own speech in the voice's condition."""


@dataclass(frozen=True)
class PracticeBatch:
    """Sentences padded on the right, T frames."""

    codes: Tensor
    """int64 [B,1,N]."""
    phones: Tensor
    """int64 [B,P]."""
    lengths: Tensor
    """[B], frames."""
    phone_lengths: Tensor
    """[B]."""
    wave: Tensor
    """[B,1,T*hop], the base's own."""


def practice_texts(language: str) -> list[str]:
    """The sentences of a language; none where none were written."""
    path = resources.files(_TEXTS) / f"{language}.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def practice_phones(base: Base, language: str) -> list[Tensor]:
    """Phone ids [P] of all sentences of the voice's language, and of a few of each other one that the base speaks."""
    found = []
    for other in dict.fromkeys((language, *base.languages)):
        texts = practice_texts(other)
        for text in texts if other == language else texts[:OTHER_LANGUAGES]:
            phonemes = finished(phonemize(text, other, speaks=base.languages))
            found.append(torch.tensor(phonemes.ids, dtype=torch.int64))
    return found


def practice_codes(base: Base, network: TextToSemantic, phones: Sequence[Tensor]) -> list[Tensor]:
    """Codes [N] of each text [P] as the base's own text to semantic speaks it, a seed each; without a prompt."""
    speaking = base.speaking
    sampling = SamplingConfig(speaking.top_k, speaking.top_p, speaking.temperature, speaking.repetition_penalty)
    requests = []
    for seed, row in enumerate(phones):
        path = None
        if speaking.follow_text:
            durations = Durations(np.random.default_rng(seed), speaking.duration_spread, speaking.temperature)
            way = TextPath.of(row.tolist(), _LONGEST_CODES - 1)
            path = TimedPath(way, durations) if way is not None else None
        requests.append(T2SRequest(row, torch.zeros(0, dtype=torch.int64), seed=seed, path=path))
    results = generate(network.eval(), requests, sampling, max_codes=_LONGEST_CODES)
    return [result.codes for result in results]


def owners_pace(recorded: Iterable[Tensor], practised: Iterable[Tensor]) -> float:
    """Codes that the owner takes for a sound to each one that the base takes, 1 to SLOWEST; recorded, practised: codes
    [N] of phones."""
    own, base = (codes_a_sound(row.tolist() for row in rows) for rows in (recorded, practised))
    return min(max(own / base, 1.0), SLOWEST) if base else 1.0


def at_paces(codes: Sequence[Tensor], slowest: float) -> list[Tensor]:
    """Codes [N] of phones -> each drawn out by a factor of its own, spread evenly from 1 to slowest."""
    found = []
    for index, row in enumerate(codes):
        stretch = 1.0 + (slowest - 1.0) * (index * _GOLDEN % 1.0)
        found.append(torch.tensor([*drawn_out(row.tolist(), stretch)], dtype=torch.int64))
    return found


@torch.no_grad()
def practise(
    base: Base,
    weights_root: Path | None,
    network: Synthesizer,
    condition: Tensor,
    language: str,
    recorded: Iterable[Tensor] = (),
) -> tuple[PracticeSentence, ...]:
    """Every practice sentence, spoken by the base: network before it is wrapped, condition [1,G,1] of the voice, both
    on the same device. recorded: codes [N] of the owner's recordings, for their pace. Sentences without codes are left
    out.
    """
    assert isinstance(network.dec, SourceIstftGenerator)
    device = condition.device
    phones = practice_phones(base, language)
    semantic = load_text_to_semantic(base, weights_root).to(device)
    spoken = practice_codes(base, semantic, phones)
    if base.speaking.follow_text:
        alike = spoken[: len(practice_texts(language))] or spoken
        spoken = at_paces(spoken, owners_pace(recorded, alike))
    found = []
    for ids, codes in zip(phones, spoken, strict=True):
        if not len(codes):
            continue
        silent = torch.zeros(len(codes) * network.config.code_frames * network.config.hop)
        batch = _batch([PracticeSentence(ids, codes.cpu(), silent)], network, device)
        wave = network.dec.synthesise(*network.dec.polar(latent_of(network, batch, condition), condition), 0)
        found.append(PracticeSentence(ids, codes.cpu(), wave[0, 0].float().cpu()))
    return tuple(found)


class Practice:
    """Draws sentences for a step, and lets the network that is trained speak them."""

    def __init__(self, sentences: Sequence[PracticeSentence], weight: float) -> None:
        """sentences: at least one. weight: of what is heard of them, beside the same of the voice's own slices."""
        self.sentences, self.weight = tuple(sentences), weight

    def draw(self, count: int, network: Synthesizer, device: torch.device) -> PracticeBatch:
        """So many sentences, by torch's generator."""
        chosen = torch.randint(len(self.sentences), (count,)).tolist()
        return _batch([self.sentences[index] for index in chosen], network, device)


def _batch(rows: Sequence[PracticeSentence], network: Synthesizer, device: torch.device) -> PracticeBatch:
    frames = network.config.code_frames
    return PracticeBatch(
        pad_rows([row.codes for row in rows]).unsqueeze(1).to(device),
        pad_rows([row.phones for row in rows]).to(device),
        torch.tensor([frames * len(row.codes) for row in rows], device=device),
        torch.tensor([len(row.phones) for row in rows], device=device),
        pad_rows([row.wave for row in rows]).unsqueeze(1).to(device),
    )


def latent_of(network: Synthesizer, batch: PracticeBatch, condition: Tensor) -> Tensor:
    """What the network makes of the batch, as its generator speaks it: [B,C,T]; condition [B,G,1]."""
    mask = sequence_mask(batch.lengths, batch.codes.shape[2] * network.config.code_frames)
    phone_mask = sequence_mask(batch.phone_lengths, batch.phones.shape[1])
    features = network.features_of(batch.codes)
    prior = network.enc_p(features, mask, batch.phones, phone_mask, network.text_condition(condition))
    return network.moving(network.flow.inverse(prior.mean, mask, condition), mask)
