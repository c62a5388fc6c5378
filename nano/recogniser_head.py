"""The recogniser's head on a finished encoder: CTC over clean speech, then the blank's bias that errs least.

hidden of real clips -> linear head by CTC -> bias of the blank by phone error on dev clips

The encoder stays as it is, and so do the codes. In training the head saw disturbed speech cut in windows; here it
sees whole clips as they are. A blank that is too likely drops phones: its bias is chosen on dev clips, decoded by
the best path alone: the search of inference has a bonus of its own for that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from timbre.core.errors import ConfigurationError
from timbre.inference.phone_search import collapse
from timbre.nano.alignment import Alignment
from timbre.nano.content_network import ContentEncoder
from timbre.nano.corpus import Clip, Corpus
from timbre.text.edit_distance import edit_counts, total
from timbre.text.frontend import phonemize
from timbre.text.recognition import BLANK, spoken_class_ids

BLANK_SHIFTS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25)
NATIVE = ("ljspeech", "vctk", "aishell")


@dataclass(frozen=True)
class HeadTraining:
    """How the head is refitted."""

    clips: int = 400
    """Most clips of each corpus."""
    rounds: int = 8
    """Passes over them; the rate falls by a fifth per round."""
    batch: int = 16
    """Clips of an update."""
    learning_rate: float = 2e-3
    """Of Adam in the first round."""
    seed: int = 0
    """Of the choice of clips and of their order."""


Example = tuple[Tensor, Tensor]
"""hidden [F, H] and class ids [P] of a clip."""


def refit_head(
    encoder: ContentEncoder,
    corpus: Corpus,
    alignments: Mapping[str, Alignment],
    settings: HeadTraining,
    report: Callable[[str], None],
) -> nn.Linear:
    """A new CTC head, begun from the encoder's own. ConfigurationError without native dev clips.

    The result is the best of the rounds and of the head that was there, each with the best shift of its blank.
    """
    random = np.random.default_rng(settings.seed)
    training = [
        (_hidden(encoder, corpus, clip), torch.tensor(alignments[clip.id].spoken()))
        for clip in _drawn(corpus, alignments, settings.clips, random)
    ]
    dev = [
        (_hidden(encoder, corpus, clip), torch.tensor(spoken_class_ids(phonemize(clip.text, clip.language).phones)))
        for clip in corpus.select("dev")
        if clip.path.partition("/")[0] in NATIVE
    ]
    if not dev or not training:
        raise ConfigurationError(f"{len(training)} clips to fit and {len(dev)} dev clips", "timbre pretrain corpus")
    head = nn.Linear(encoder.config.hidden, encoder.config.classes)
    head.load_state_dict(encoder.ctc_head.state_dict())
    best_rate, best = math.inf, head.state_dict()
    optimizer = torch.optim.Adam(head.parameters(), lr=settings.learning_rate)
    for number in range(settings.rounds + 1):
        if number:
            _pass(head, optimizer, [training[index] for index in random.permutation(len(training))], settings.batch)
            for group in optimizer.param_groups:
                group["lr"] *= 0.8
        rate, shift = best_shift(head, dev)
        report(f"round {number}: phone error {100 * rate:.2f} % on {len(dev)} dev clips, blank {shift:+.2f}")
        if rate < best_rate:
            best_rate = rate
            best = {name: value.detach().clone() for name, value in head.state_dict().items()}
            best["bias"][BLANK] += shift
    head.load_state_dict(best)
    return head


def best_shift(head: nn.Linear, examples: Sequence[Example]) -> tuple[float, float]:
    """(phone error rate, shift of the blank's bias) of the shift that errs least."""
    with torch.inference_mode():
        scores = [head(hidden).numpy() for hidden, _ in examples]
    results = []
    for shift in BLANK_SHIFTS:
        moved = [np.where(np.arange(item.shape[1]) == BLANK, item + shift, item) for item in scores]
        counts = [
            edit_counts(wanted.tolist(), collapse(item)) for item, (_, wanted) in zip(moved, examples, strict=True)
        ]
        results.append((total(counts).rate, shift))
    return min(results)


def _pass(head: nn.Linear, optimizer: torch.optim.Optimizer, examples: Sequence[Example], batch: int) -> None:
    for start in range(0, len(examples), batch):
        group = examples[start : start + batch]
        hidden = nn.utils.rnn.pad_sequence([item for item, _ in group])
        lengths = torch.tensor([len(target) for _, target in group])
        loss = functional.ctc_loss(
            head(hidden).log_softmax(-1),
            torch.cat([target for _, target in group]),
            torch.tensor([len(item) for item, _ in group]),
            lengths,
            blank=BLANK,
            reduction="sum",
            zero_infinity=True,
        )
        optimizer.zero_grad()
        (loss / lengths.sum()).backward()
        optimizer.step()


def _hidden(encoder: ContentEncoder, corpus: Corpus, clip: Clip) -> Tensor:
    with torch.no_grad():
        return encoder.hidden(torch.from_numpy(corpus.heard(clip))[None])[0]


def _drawn(corpus: Corpus, alignments: Mapping[str, Alignment], count: int, random: np.random.Generator) -> list[Clip]:
    """Aligned training clips of the real speech, at most ``count`` of each corpus."""
    groups: dict[str, list[Clip]] = {}
    for clip in corpus.select("train"):
        if clip.part == "real" and clip.id in alignments and alignments[clip.id].spoken():
            groups.setdefault(clip.path.partition("/")[0], []).append(clip)
    return [clips[index] for clips in groups.values() for index in random.permutation(len(clips))[:count]]
