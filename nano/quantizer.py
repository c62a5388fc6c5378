"""From features of the content encoder to codes: a projection to 25 Hz and a codebook.

hidden [F, H] at 50 Hz -> ssl_proj: two frames to one vector -> nearest row of the codebook -> codes [F // 2]

The projection is linear discriminant analysis over pairs of frames (Fisher; the classes are the aligned phones), so
that distance means difference of phone in units of the spread inside a phone. One more direction, found by least
squares, carries relative pitch. Rows that are left are zero: ssl_proj keeps the width that the acoustic model
expects. The rows of the codebook are k-means centres. Projection and codebook go into the acoustic model under
upstream's names.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from timbre.core.atomic import write_bytes
from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.quantizer import ResidualQuantizer
from timbre.nano.alignment import UNKNOWN, Alignment
from timbre.nano.content_network import HOP, WINDOW, ContentEncoder
from timbre.nano.corpus import CONTENT_RATE_HZ as RATE_HZ
from timbre.nano.corpus import Clip, Corpus
from timbre.nano.phone_error import smooth_path
from timbre.text.edit_distance import EditCounts, edit_counts, total
from timbre.text.recognition import BLANK, CLASSES, SILENCE

CODE_FRAMES = 2
CODE_CHANGE_COST = 1.0
"""Nats that a change of phone costs when phones are read off codes."""

QUANTIZER_FILE = "quantizer.safetensors"
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pairs:
    """Pairs of frames: features float32 [N, 2H]; label int64 [N] (UNKNOWN where not known); pitch float32 [N]:
    octaves from the clip's median, 0 where unvoiced, nan where not known."""

    features: Floats
    labels: npt.NDArray[np.int64]
    pitch: Floats


@dataclass(frozen=True)
class CodeQuality:
    """What the codes tell. purity: share of frames whose code's commonest phone is theirs; mutual: mutual information
    of codes and phones over the entropy of phones (0..1); phone_error: of the phones read off the codes by a smooth
    path; pitch: share of the variance of relative pitch that the codes explain; used: share of rows in use;
    perplexity of the codes."""

    purity: float
    mutual: float
    phone_error: EditCounts
    pitch: float
    used: float
    perplexity: float

    def row(self) -> dict[str, float]:
        """Rounded, for a report."""
        return {
            "purity": round(self.purity, 4),
            "mutual_information": round(self.mutual, 4),
            "phone_error_percent": round(100 * self.phone_error.rate, 2),
            "pitch_explained": round(self.pitch, 4),
            "rows_used": round(self.used, 4),
            "perplexity": round(self.perplexity, 1),
        }


def content_features(encoder: ContentEncoder, audio: Floats) -> Floats:
    """float32 [T] at 16 kHz -> hidden [F, H]; 80 samples of silence follow, so that F = T // 320."""
    padded = np.pad(audio, (0, WINDOW - HOP))
    with torch.inference_mode():
        hidden: Floats = encoder.hidden(torch.from_numpy(padded)[None])[0].float().numpy()
    return hidden


def collect_pairs(
    encoder: ContentEncoder,
    corpus: Corpus,
    clips: Iterator[Clip],
    alignments: Mapping[str, Alignment],
    pitch: Mapping[str, Floats],
    frames: int,
) -> Pairs:
    """Pairs of aligned clips, until there are so many."""
    features, labels, octaves, count = [], [], [], 0
    for clip in clips:
        if clip.id not in alignments:
            continue
        pairs = as_pairs(content_features(encoder, corpus.heard(clip)))
        features.append(pairs.astype(np.float32))
        labels.append(pair_labels(alignments[clip.id], len(pairs)))
        octaves.append(pair_pitch(pitch.get(clip.id), len(pairs)))
        count += len(pairs)
        if count >= frames:
            break
    if not features:
        raise ConfigurationError("no aligned clip to cluster", remedy="timbre pretrain corpus")
    return Pairs(np.concatenate(features), np.concatenate(labels), np.concatenate(octaves))


def as_pairs(hidden: Floats) -> Floats:
    """[F, H] -> [F // 2, 2H]: what a convolution of length 2 and stride 2 sees."""
    count = len(hidden) // CODE_FRAMES
    return hidden[: count * CODE_FRAMES].reshape(count, -1)


def pair_labels(alignment: Alignment, count: int) -> npt.NDArray[np.int64]:
    """The class in the middle of each pair (20 + 12.5 - 10 ms into it), UNKNOWN past the end. int64 [count]."""
    first_s = (WINDOW + HOP) / 2 / RATE_HZ
    return alignment.frame_labels(count, CODE_FRAMES * HOP / RATE_HZ, first_s).astype(np.int64)


def pair_pitch(track: Floats | None, count: int) -> Floats:
    """Relative pitch of pairs from a track of F0 in Hz (see Pairs.pitch), nan without one. float32 [count]."""
    if track is None or not (track > 0).any():
        return np.full(count, np.nan, dtype=np.float32)
    relative = np.where(track > 0, np.log2(np.maximum(track, 1.0) / np.median(track[track > 0])), 0.0)
    padded = np.zeros(2 * count, dtype=np.float32)
    padded[: min(len(relative), 2 * count)] = np.clip(relative, -1, 1)[: 2 * count]
    pairs: Floats = padded.reshape(-1, 2).mean(1)
    return pairs


def with_ridge(matrix: npt.NDArray[np.float64], share: float) -> npt.NDArray[np.float64]:
    """A square matrix with that share of its mean diagonal added to the diagonal, so that it can be inverted."""
    ridged: npt.NDArray[np.float64] = matrix + share * np.trace(matrix) / len(matrix) * np.eye(len(matrix))
    return ridged


def discriminants(pairs: Pairs, width: int, pitch_scale: float) -> tuple[Floats, Floats]:
    """Projection [width + 1, 2H] and mean [2H]: ``width`` discriminant directions, then pitch times pitch_scale.

    Within-class scatter becomes the unit matrix. Directions with little between-class scatter against it are left out
    by
    ``width``.
    """
    known = pairs.labels != UNKNOWN
    features, labels = pairs.features[known].astype(np.float64), pairs.labels[known]
    mean = features.mean(0)
    counts = np.bincount(labels, minlength=len(CLASSES))
    sums = np.zeros((len(CLASSES), features.shape[1]))
    np.add.at(sums, labels, features)
    present = counts >= 20
    means = sums[present] / counts[present, None]
    total_scatter = np.cov(features.T, bias=True)
    # Square roots of the counts: frequent classes, silence above all, would otherwise rule the between-class scatter.
    weights = np.sqrt(counts[present])
    weights /= weights.sum()
    centred = means - weights @ means
    between = (centred * weights[:, None]).T @ centred
    true_between = ((means - mean) * (counts[present] / counts[present].sum())[:, None]).T @ (means - mean)
    within = total_scatter - true_between
    within = with_ridge(within, 0.01)
    values, vectors = np.linalg.eigh(within)
    whiten = vectors / np.sqrt(np.maximum(values, 1e-9 * values[-1]))
    _, directions = np.linalg.eigh(whiten.T @ between @ whiten)
    projection = (whiten @ directions[:, ::-1][:, :width]).T
    voiced = np.isfinite(pairs.pitch)
    row = np.zeros((1, features.shape[1]))
    if voiced.any() and pitch_scale:
        centred_features = pairs.features[voiced].astype(np.float64) - mean
        gram = with_ridge(centred_features.T @ centred_features, 0.01)
        row = pitch_scale * np.linalg.solve(gram, centred_features.T @ pairs.pitch[voiced].astype(np.float64))[None]
    return np.concatenate([projection, row]).astype(np.float32), mean.astype(np.float32)


class Quantizer:
    """ssl_proj and codebook of a base. weight [H, H, 2] and bias [H] of the convolution; rows of width H."""

    def __init__(self, weight: Tensor, bias: Tensor, quantizer: ResidualQuantizer) -> None:
        self.weight, self.bias, self.quantizer = weight, bias, quantizer

    @classmethod
    def fit(
        cls, pairs: Pairs, hidden: int, rows: int, rounds: int, width: int, pitch_scale: float, seed: int
    ) -> Quantizer:
        """Projection by discriminants, then k-means over the projected pairs."""
        projection, mean = discriminants(pairs, min(width, hidden - 1), pitch_scale)
        weight = torch.zeros(hidden, hidden, CODE_FRAMES)
        weight[: len(projection)] = torch.from_numpy(projection).reshape(-1, CODE_FRAMES, hidden).transpose(1, 2)
        bias = torch.zeros(hidden)
        bias[: len(projection)] = torch.from_numpy(-projection @ mean)
        points = torch.zeros(len(pairs.features), hidden)
        points[:, : len(projection)] = torch.from_numpy((pairs.features - mean) @ projection.T)
        quantizer = ResidualQuantizer(hidden, rows)
        book = quantizer.codebooks()[0]
        generator = torch.Generator().manual_seed(seed)
        book.start(points, generator)
        for number in range(rounds):
            # Decay 0 makes the moving average the mean: one round of Lloyd's algorithm. The last rounds reseed nothing.
            book.observe(points, decay=0.0, dead_below=3.0 if number < rounds - 3 else 0.5, generator=generator)
        return cls(weight, bias, quantizer)

    @property
    def rows(self) -> int:
        """Size of the codebook."""
        return int(self.quantizer.codebooks()[0].embed.shape[0])

    def codes(self, hidden: Floats) -> npt.NDArray[np.int16]:
        """hidden [F, H] -> int16 [F // 2]."""
        if len(hidden) < CODE_FRAMES:
            return np.zeros(0, dtype=np.int16)
        with torch.inference_mode():
            features = torch.nn.functional.conv1d(
                torch.from_numpy(hidden).T[None], self.weight, self.bias, stride=CODE_FRAMES
            )
            return self.quantizer.encode(features)[0, 0].numpy().astype(np.int16)

    def state(self) -> dict[str, Tensor]:
        """Under the names of the acoustic model: ssl_proj.*, quantizer.*."""
        tensors = {f"quantizer.{name}": value for name, value in self.quantizer.state_dict().items()}
        return {"ssl_proj.weight": self.weight, "ssl_proj.bias": self.bias, **tensors}

    def save(self, folder: Path) -> Path:
        """Write quantizer.safetensors."""
        from safetensors.torch import save

        folder.mkdir(parents=True, exist_ok=True)
        path = folder / QUANTIZER_FILE
        write_bytes(path, save({name: value.contiguous() for name, value in self.state().items()}))
        return path

    @classmethod
    def load(cls, folder: Path) -> Quantizer:
        """Read quantizer.safetensors. ConfigurationError when it is absent."""
        from safetensors.torch import load_file

        path = folder / QUANTIZER_FILE
        if not path.is_file():
            raise ConfigurationError(f"{path}: not found", remedy="timbre pretrain quantizer")
        state = load_file(path)
        rows, width = state["quantizer.vq.layers.0._codebook.embed"].shape
        quantizer = ResidualQuantizer(width, rows)
        quantizer.load_state_dict(
            {name.removeprefix("quantizer."): value for name, value in state.items() if name.startswith("quantizer.")}
        )
        return cls(state["ssl_proj.weight"], state["ssl_proj.bias"], quantizer)


def code_quality(
    codes: list[npt.NDArray[np.int16]], labels: list[npt.NDArray[np.int64]], pitch: list[Floats], rows: int
) -> CodeQuality:
    """Quality of codes against the labels of the same pairs, clip by clip.

    The table code -> phone is that of these clips.
    """
    joint = np.zeros((rows, len(CLASSES)))
    for one, label in zip(codes, labels, strict=True):
        known = label != UNKNOWN
        np.add.at(joint, (one[known], label[known]), 1)
    share = joint / joint.sum()
    row, column = share.sum(1, keepdims=True), share.sum(0, keepdims=True)
    inside = share > 0
    information = float((share[inside] * np.log(share[inside] / (row @ column)[inside])).sum())
    entropy = -float((column[column > 0] * np.log(column[column > 0])).sum())
    given = np.log((joint + 0.1) / (joint + 0.1).sum(1, keepdims=True)).astype(np.float32)
    errors = []
    for one, label in zip(codes, labels, strict=True):
        known = label != UNKNOWN
        if known.any():
            path = smooth_path(given[one[known]], CODE_CHANGE_COST)
            errors.append(edit_counts(_merged(label[known]), _merged(path)))
    used = row[:, 0]
    return CodeQuality(
        purity=float(joint.max(1).sum() / joint.sum()),
        mutual=information / entropy,
        phone_error=total(errors),
        pitch=_explained(np.concatenate(codes), np.concatenate(pitch), rows),
        used=float((used > 0).mean()),
        perplexity=float(np.exp(-(used[used > 0] * np.log(used[used > 0])).sum())),
    )


def _merged(classes: npt.NDArray[np.int64]) -> list[int]:
    changes = np.flatnonzero(np.diff(classes, prepend=-2))
    return [int(item) for item in classes[changes] if item not in (SILENCE, BLANK)]


def _explained(codes: npt.NDArray[np.int16], pitch: Floats, rows: int) -> float:
    known = np.isfinite(pitch) & (pitch != 0)
    if not known.any():
        return 0.0
    codes, pitch = codes[known], pitch[known]
    counts = np.maximum(np.bincount(codes, minlength=rows), 1)
    means = np.bincount(codes, weights=pitch, minlength=rows) / counts
    return float(1 - np.mean((pitch - means[codes]) ** 2) / np.var(pitch))


def codes_path(corpus: Corpus, part: str) -> Path:
    """Where the codes of a part lie."""
    return corpus.folder / f"{part}.codes.npz"


def write_codes(
    encoder: ContentEncoder, quantizer: Quantizer, corpus: Corpus, part: str, report: Callable[[str], None]
) -> Path:
    """Codes of every clip of a part to ``<part>.codes.npz``: one int16 array [T // 640] a clip id, 25 codes a
    second."""
    clips = [clip for clip in corpus.clips if clip.part == part]
    rows = {}
    for number, clip in enumerate(clips, start=1):
        rows[clip.id] = quantizer.codes(content_features(encoder, corpus.heard(clip)))
        if number % 500 == 0:
            report(f"{part}: codes of {number} of {len(clips)} clips")
    buffer = io.BytesIO()
    np.savez(buffer, **rows)
    path = codes_path(corpus, part)
    write_bytes(path, buffer.getvalue())
    return path


def write_all_codes(
    encoder: ContentEncoder, quantizer: Quantizer, corpus: Corpus, report: Callable[[str], None]
) -> dict[str, str]:
    """Codes of all parts; returns their paths, as `announce` names them."""
    return {
        f"codes of {part}": str(write_codes(encoder, quantizer, corpus, part, report)) for part in sorted(corpus.parts)
    }


def announce(work: Path, paths: Mapping[str, str]) -> None:
    """Write READY_CODES: codes are final for this version of the content encoder."""
    write_bytes(work / "READY_CODES", json.dumps(dict(paths), indent=1).encode() + b"\n")
