"""When the codebook is made anew: acoustic model and text to semantic go on from what they learned on the old codes.

old codes + new codes of the same clips -> how often each old code sounds under each new one -> start.pt of both stages

Everything but the layers that touch codes is copied; a new code starts as the mixture of the old codes heard in its
place, as codes once started from recogniser classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.errors import ConfigurationError
from gptsovits.configuration import SynthesizerConfig
from gptsovits.configuration_t2s import T2S_NANO
from gptsovits.synthesizer import Synthesizer
from gptsovits.text_to_semantic import TextToSemantic
from training.pretrain.checkpointing import averaged
from training.pretrain.corpus import Corpus
from training.pretrain.joint import start_from_classes
from training.pretrain.semantic import start_from_follower
from training.pretrain.semantic_data import Ids
from training.pretrain.speech_stages import BEFORE, START, load_quantizer, stored_codes

Report = Callable[[str], None]


def set_aside(corpus: Corpus) -> None:
    """Keep the codes that are there as ``<part>.codes.before.npz``; call before the quantizer is fitted anew."""
    for part in sorted({clip.part for clip in corpus.clips}):
        path = corpus.folder / f"{part}.codes.npz"
        if path.is_file():
            path.replace(corpus.folder / f"{part}.codes.{BEFORE}.npz")


def shares_of(old: Mapping[str, Ids], new: Mapping[str, Ids], rows: int) -> Tensor:
    """How often each old code sounds under each new one, [rows, rows] float32, each row sums to 1.

    Raises ConfigurationError when no clip has both.
    """
    counts = np.full((rows, rows), 1e-3)
    both = old.keys() & new.keys()
    if not both:
        raise ConfigurationError("no clip has codes of both codebooks", remedy="timbre pretrain quantizer --again")
    for identity in both:
        length = min(len(old[identity]), len(new[identity]))
        np.add.at(counts, (new[identity][:length], old[identity][:length]), 1.0)
    return torch.from_numpy(counts / counts.sum(1, keepdims=True)).float()


def carry_over(corpus: Corpus, work: Path, report: Report) -> None:
    """Write ``acoustic/start.pt`` and ``semantic/start.pt``; their trained checkpoints become ``*.before.pt``."""
    config = SynthesizerConfig.nano()
    shares = shares_of(stored_codes(corpus, BEFORE), stored_codes(corpus), config.codebook_size)
    report(f"of each new code, {float(shares.max(1).values.mean()):.2f} is one old code")
    joint, t2s = work / "acoustic" / "joint.pt", work / "semantic" / "t2s.pt"
    if joint.is_file():
        before, model = Synthesizer(config), Synthesizer(config)
        averaged(before, joint)
        load_quantizer(model, work)
        start_from_classes(model, before, shares)
        _hand_over(model, joint, report)
    if t2s.is_file():
        spoke, speaks = TextToSemantic(T2S_NANO), TextToSemantic(T2S_NANO)
        averaged(spoke, t2s)
        start_from_follower(speaks, spoke, shares)
        _hand_over(speaks, t2s, report)


def _hand_over(model: torch.nn.Module, trained: Path, report: Report) -> None:
    path = trained.with_name(START)
    torch.save(model.state_dict(), path)
    trained.replace(trained.with_name(f"{trained.stem}.{BEFORE}.pt"))
    report(f"{path}")
