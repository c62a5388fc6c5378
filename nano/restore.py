"""A work folder from a packed base, to continue training without its checkpoints.

bases/nano -> content.ckpt, start.pt of acoustic model and text to semantic

A base holds averaged weights in half precision and no optimizer state, so a restored run continues from the same
networks without reproducing the unbroken run. A base lacks the heads that only training needs (frames, prosody): they
are fitted in closed form on the features of the restored encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from timbre.core import base as base_module
from timbre.core.base import Base
from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.files.base_networks import load_synthesizer, load_text_to_semantic
from timbre.gptsovits.files.checkpoints import read_state_dict
from timbre.nano.alignment import UNKNOWN, Alignment
from timbre.nano.checkpointing import START
from timbre.nano.content import CHECKPOINT, ContentTrainer
from timbre.nano.content_batches import prosody_at
from timbre.nano.content_network import HOP, TONES, WINDOW, ContentEncoder, content_features
from timbre.nano.corpus import CONTENT_RATE_HZ as RATE_HZ
from timbre.nano.corpus import Corpus, unseen_speakers
from timbre.nano.label_codes import DETAIL_SHARE, DETAIL_WEIGHT, ROWS
from timbre.nano.pack import RECOGNISER
from timbre.nano.recipe import NanoRecipe
from timbre.nano.stages import load_alignments, stored_pitch, training_of
from timbre.nano.training_loop import Report
from timbre.text.recognition import CLASSES

Floats = npt.NDArray[np.float32]
VOICING_LOGIT = 4.0
"""Target of the prosody head's first output where voiced; its negative elsewhere."""


def restore(base: Base, recipe: NanoRecipe, speech: Path, work: Path, content_steps: int, report: Report) -> None:
    """Write the checkpoints from which the stages continue. Raises ConfigurationError where training exists already.

    content_steps: steps that the content encoder was trained for; sets its position in the schedule.
    """
    taken = [
        path
        for path in (
            work / "content" / CHECKPOINT, work / "acoustic" / "joint.pt", work / "acoustic" / START,
            work / "semantic" / "t2s.pt", work / "semantic" / START,
        )
        if path.exists()
    ]  # fmt: skip
    if taken:
        raise ConfigurationError(f"{taken[0]}: training exists already", remedy="give --work an empty folder")
    corpus = Corpus.open(work / "corpus", unseen=unseen_speakers(speech))
    alignments = load_alignments(corpus)
    trainer = ContentTrainer(training_of(recipe.content, "cpu"), None, work / "content")  # type: ignore[arg-type]
    load_content(trainer.encoder, base)
    report("fitting the heads of frames and prosody")
    share = fit_heads(trainer.encoder, corpus, alignments, stored_pitch(corpus))
    report(f"{100 * share:.1f} % of labelled frames are right")
    synthesizer, t2s = load_synthesizer(base).float(), load_text_to_semantic(base).float()
    take_code_heads(trainer.encoder, synthesizer)
    trainer.begin_at(content_steps)
    # The fitted head aligns well, but its weights are hundreds of times those of a trained one: 1,700 steps from it
    # gained nothing. A training that begins at step 0 learns its own.
    state = trainer.encoder.state_dict()
    _save({name: value for name, value in state.items() if "frame_head" not in name}, work / "content")
    # Last, since what is there already is not overwritten: until here a restore that was killed can be repeated.
    for folder, network in (("acoustic", synthesizer), ("semantic", t2s)):
        _save(network.state_dict(), work / folder)
    trainer.loop.save()


def _save(state: Mapping[str, Tensor], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state), folder / START)


def load_content(encoder: ContentEncoder, base: Base) -> None:
    """The base's HuBERT and CTC head into an encoder in training. The vector that masks frames stays unchanged."""
    state = read_state_dict(base.file_path(base_module.CONTENT_ENCODER, None))
    missing, unexpected = encoder.hubert.load_state_dict(
        {name: value.float() for name, value in state.items()}, strict=False
    )
    if unexpected or set(missing) - {"masked_spec_embed"}:
        wrong = sorted(unexpected or missing)[0]
        raise ConfigurationError(f"{base.folder}: {wrong} does not fit ContentConfig", remedy="give a nano base")
    head = read_state_dict(base.file_path(RECOGNISER, None))
    encoder.ctc_head.load_state_dict({name: value.float() for name, value in head.items()})


@torch.no_grad()
def take_code_heads(encoder: ContentEncoder, synthesizer: Synthesizer) -> None:
    """Heads of classes, tones and beginnings from the projection before a codebook of phones: undoes projection_of."""
    if synthesizer.config.codebook_size != ROWS or synthesizer.ssl_proj.bias is None:
        return
    weight, bias = synthesizer.ssl_proj.weight.sum(2), synthesizer.ssl_proj.bias
    gain, classes = DETAIL_WEIGHT / DETAIL_SHARE, len(CLASSES)
    encoder.frame_head.weight.copy_(weight[:classes])
    encoder.frame_head.bias.copy_(bias[:classes])
    rows = [(slice(2, 2 + TONES), slice(classes, classes + TONES), gain)]
    rows.append((slice(2 + TONES, 3 + TONES), slice(classes + TONES, classes + TONES + 1), 0.5 * gain))
    for own, theirs, scale in rows:
        encoder.prosody_head.weight[own].copy_(weight[theirs] / scale)
        encoder.prosody_head.bias[own].copy_(bias[theirs] / scale)


@torch.no_grad()
def fit_heads(
    encoder: ContentEncoder,
    corpus: Corpus,
    alignments: Mapping[str, Alignment],
    pitch: Mapping[str, Floats],
    clips: int = 600,
    seed: int = 0,
) -> float:
    """Frame head by discriminant analysis (equal covariances, true shares of the classes), prosody head by least
    squares, both on clean training clips. Returns the share of their labelled frames that the frame head has right.
    """
    encoder.eval()
    known = [clip for clip in corpus.select("train") if clip.id in alignments]
    drawn = np.random.default_rng(seed).permutation(len(known))[:clips]
    features, labels, prosody = [], [], []
    for clip in (known[index] for index in drawn):
        hidden = content_features(encoder, corpus.heard(clip))
        features.append(hidden)
        labels.append(alignments[clip.id].frame_labels(len(hidden)).astype(np.int64))
        centres_s = (WINDOW / 2 + HOP * np.arange(len(hidden))) / RATE_HZ
        prosody.append(prosody_at(pitch.get(clip.id), centres_s))
    if not features:
        raise ConfigurationError("no aligned clip to fit the heads on", remedy="timbre pretrain corpus")
    x, y, p = np.concatenate(features).astype(np.float64), np.concatenate(labels), np.concatenate(prosody)
    weight, bias = _discriminant_head(x[y != UNKNOWN], y[y != UNKNOWN], len(CLASSES))
    _set(encoder.frame_head, weight, bias)
    voiced, tracked = p[:, 0] == 1, p[:, 0] != UNKNOWN
    if voiced.any():
        voicing = _least_squares(x[tracked], VOICING_LOGIT * (2 * p[tracked, 0] - 1))
        octaves = _least_squares(x[voiced], p[voiced, 1])
        solved = np.stack([voicing, octaves])
        encoder.prosody_head.weight[:2].copy_(torch.from_numpy(solved[:, :-1]))
        encoder.prosody_head.bias[:2].copy_(torch.from_numpy(solved[:, -1]))
    return float(np.mean((x[y != UNKNOWN] @ weight.T + bias).argmax(1) == y[y != UNKNOWN]))


def _discriminant_head(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.int64], classes: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weight [C, H] and bias [C] of the log posterior of Gaussians with one covariance; absent classes get -20."""
    counts = np.bincount(y, minlength=classes)
    sums = np.zeros((classes, x.shape[1]))
    np.add.at(sums, y, x)
    means = sums / np.maximum(counts, 1)[:, None]
    centred = x - means[y]
    covariance = _with_ridge(centred.T @ centred / len(x), 0.01)
    weight = np.linalg.solve(covariance, means.T).T
    bias = np.log(np.maximum(counts, 1) / counts.sum()) - 0.5 * (weight * means).sum(1)
    weight[counts == 0], bias[counts == 0] = 0.0, -20.0
    return weight, bias


def _least_squares(x: npt.NDArray[np.float64], y: Floats) -> npt.NDArray[np.float64]:
    """[H + 1]: weights and, last, the bias, with a small ridge."""
    full = np.concatenate([x, np.ones_like(x[:, :1])], axis=1)
    solved: npt.NDArray[np.float64] = np.linalg.solve(_with_ridge(full.T @ full, 1e-3), full.T @ y)
    return solved


def _with_ridge(matrix: npt.NDArray[np.float64], share: float) -> npt.NDArray[np.float64]:
    """A square matrix with that share of its mean diagonal added to the diagonal, so that it can be inverted."""
    ridged: npt.NDArray[np.float64] = matrix + share * np.trace(matrix) / len(matrix) * np.eye(len(matrix))
    return ridged


def _set(head: nn.Linear, weight: npt.NDArray[np.float64], bias: npt.NDArray[np.float64]) -> None:
    head.weight.copy_(torch.from_numpy(weight))
    head.bias.copy_(torch.from_numpy(bias))
