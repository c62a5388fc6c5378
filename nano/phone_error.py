"""Phone error rate of the content encoder on eval clips: recognised phones against those of the text.

eval clip -> hidden -> head -> collapsed classes -> edit distance to the phones of its transcript

The CTC head is the recogniser that is shipped, decoded as inference does. The frame head is reported beside it, decoded
by a Viterbi search over its own frame scores in which every change of class costs something.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from timbre.inference.phone_search import collapse
from timbre.inference.recogniser import errors_of
from timbre.nano.content_network import ContentEncoder
from timbre.nano.corpus import CONTENT_RATE_HZ, SpeechFile, evaluation_files, read_audio
from timbre.text.edit_distance import EditCounts, edit_counts, total
from timbre.text.frontend import phonemize
from timbre.text.recognition import spoken_class_ids

Scores = npt.NDArray[np.float32]
CHANGE_COST = 4.0
"""Nats that a change of class costs in the search over frame scores; tuned on dev clips."""


@dataclass(frozen=True)
class PhoneError:
    """Error counts of the two heads over the clips of one corpus."""

    corpus: str
    """Folder below the speech folder."""
    clips: int
    """Number of eval clips."""
    ctc: EditCounts
    """Of the head that is shipped."""
    frame: EditCounts
    """Of the head that is used in training only."""

    def row(self) -> dict[str, str | int | float]:
        """For a table or JSON; rates in per cent."""
        return {
            "corpus": self.corpus,
            "clips": self.clips,
            "phones": self.ctc.length,
            "ctc_percent": round(100 * self.ctc.rate, 2),
            "frame_percent": round(100 * self.frame.rate, 2),
        }


def smooth_path(log_probabilities: npt.NDArray[np.float32], change_cost: float = CHANGE_COST) -> npt.NDArray[np.int64]:
    """Best class a frame when every change costs ``change_cost``: [T, K] -> [T].

    With equal costs the best predecessor is either the class itself or the best class of all, so a frame takes O(K).
    """
    frames, classes = log_probabilities.shape
    score = log_probabilities[0].copy()
    back = np.empty((frames, classes), dtype=np.int32)
    own = np.arange(classes)
    for frame in range(1, frames):
        best = int(score.argmax())
        stay = score >= score[best] - change_cost
        back[frame] = np.where(stay, own, best)
        score = np.where(stay, score, score[best] - change_cost) + log_probabilities[frame]
    path = np.empty(frames, dtype=np.int64)
    path[-1] = int(score.argmax())
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = back[frame, path[frame]]
    return path


def heads(encoder: ContentEncoder, audio: Scores) -> tuple[Scores, Scores]:
    """Frame log probabilities and CTC scores of one clip: float32 [T] at 16 kHz -> [F, K] twice."""
    with torch.inference_mode():
        frame, ctc, _ = encoder(torch.from_numpy(audio)[None])
    return frame[0].float().log_softmax(-1).numpy(), ctc[0].float().numpy()


def heard_by_frames(log_probabilities: npt.NDArray[np.float32]) -> list[int]:
    """Classes without blank and silence along the smooth path."""
    path = smooth_path(log_probabilities)
    scores = np.zeros_like(log_probabilities)
    scores[np.arange(path.size), path] = 1.0
    return collapse(scores)


def measure_files(encoder: ContentEncoder, speech: Path, files: Sequence[SpeechFile]) -> tuple[EditCounts, EditCounts]:
    """(CTC head, frame head) over files of the speech folder."""
    by_ctc, by_frame = [], []
    for file in files:
        phonemes = phonemize(file.text, file.language)
        frame, ctc = heads(encoder, read_audio(speech / file.path, CONTENT_RATE_HZ))
        by_ctc.append(errors_of(ctc, phonemes))
        by_frame.append(edit_counts(spoken_class_ids(phonemes.phones), heard_by_frames(frame)))
    return total(by_ctc), total(by_frame)


def measure(
    encoder: ContentEncoder, speech: Path, corpora: Iterable[str] = ("ljspeech", "vctk", "aishell")
) -> list[PhoneError]:
    """One entry a corpus over its eval clips (unseen sentences of known speakers)."""
    results = []
    for corpus in corpora:
        files = evaluation_files(speech, (corpus,))
        ctc, frame = measure_files(encoder, speech, files)
        results.append(PhoneError(corpus, len(files), ctc, frame))
    return results
