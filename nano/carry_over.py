"""When the codebook is refitted: acoustic model and text to semantic go on from what they learned on the old codes.

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

from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.text_to_semantic.configuration import T2S_NANO
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.nano.checkpointing import averaged
from timbre.nano.corpus import Corpus
from timbre.nano.joint import start_from_classes
from timbre.nano.quantizer import codes_path
from timbre.nano.semantic import start_from_follower
from timbre.nano.semantic_data import Ids
from timbre.nano.speech_stages import BEFORE, START, load_quantizer, stored_codes

Report = Callable[[str], None]

EARLIER = "earlier"
"""Marks the last checkpoints on the codebook before this one, once their networks were carried over."""


def set_aside(corpus: Corpus) -> None:
    """Keep the codes that are there as ``<part>.codes.before.npz``; call before the quantizer is refitted.

    Codes that were set aside by a run that did not come to its end stay: what has been written since is of the new
    codebook.
    """
    for part in corpus.parts:
        path, aside = codes_path(corpus, part), codes_path(corpus, part, BEFORE)
        if path.is_file() and not aside.is_file():
            path.replace(aside)


def waiting(corpus: Corpus) -> bool:
    """Whether codes are set aside whose networks were not yet carried over."""
    return any(codes_path(corpus, part, BEFORE).is_file() for part in corpus.parts)


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
    """Write ``acoustic/start.pt`` and ``semantic/start.pt``; their trained checkpoints become ``*.earlier.pt``, and the
    codes that were set aside go. Killed on the way and called again, it comes to the same.
    """
    config = SynthesizerConfig.nano()
    shares = shares_of(stored_codes(corpus, BEFORE), stored_codes(corpus), config.codebook_size)
    report(f"of each new code, {float(shares.max(1).values.mean()):.2f} is one old code")
    for trained, network in ((work / "acoustic" / "joint.pt", "acoustic"), (work / "semantic" / "t2s.pt", "t2s")):
        source = _source(trained)
        if source is None:
            continue
        model: torch.nn.Module
        if network == "acoustic":
            before, model = Synthesizer(config), Synthesizer(config)
            _load(before, source)
            load_quantizer(model, work)
            start_from_classes(model, before, shares)
        else:
            spoke, model = TextToSemantic(T2S_NANO), TextToSemantic(T2S_NANO)
            _load(spoke, source)
            start_from_follower(model, spoke, shares)
        path = trained.with_name(START)
        torch.save(model.state_dict(), path)
        if source == trained:
            trained.replace(_aside(trained))
        report(f"{path}")
    for part in corpus.parts:
        codes_path(corpus, part, BEFORE).unlink(missing_ok=True)
    for path in (work / "acoustic" / "joint.pt", work / "semantic" / "t2s.pt"):
        _aside(path.with_name(START)).unlink(missing_ok=True)
        if _aside(path).is_file():
            _aside(path).replace(path.with_name(f"{path.stem}.{EARLIER}.pt"))


def _source(trained: Path) -> Path | None:
    """Weights on the old codes: the trained ones, or those that training was to start from; None without either."""
    start = trained.with_name(START)
    if trained.is_file():
        return trained
    if start.is_file() and not _aside(trained).is_file() and not _aside(start).is_file():
        start.replace(_aside(start))
    return _aside(start) if _aside(start).is_file() else None


def _load(model: torch.nn.Module, source: Path) -> None:
    if source.name.startswith(Path(START).stem):
        model.load_state_dict(torch.load(source, map_location="cpu", weights_only=True))
    else:
        averaged(model, source)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.stem}.{BEFORE}.pt")
