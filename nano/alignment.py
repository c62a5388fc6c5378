"""Forced alignment of real English speech with its text by pocketsphinx: which recogniser class sounds when.

The acoustic model comes in pocketsphinx's package. Words that its dictionary lacks are added with the pronunciation
that `text` gives, so that no clip is lost to a name. The result goes to ``<part>.alignment.jsonl`` of the corpus
folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from timbre.core.atomic import write_text
from timbre.nano.corpus import Clip, Corpus, to_int16
from timbre.text.english_words import pronounce
from timbre.text.recognition import CLASSES, SILENCE

if TYPE_CHECKING:
    from pocketsphinx import Decoder

ALIGNER_FRAME_S = 0.01
LONGEST_PHONE_S = 0.8
"""A speech sound longer than this means that reader and text went separate ways."""

UNKNOWN = -1
"""Frame label where nothing is known; ignored by the loss."""


@dataclass(frozen=True)
class Alignment:
    """Recogniser classes of one clip and the time at which each ends. The first begins at 0."""

    id: str
    phones: tuple[str, ...]
    ends_s: tuple[float, ...]

    def frame_labels(self, frames: int, frame_s: float = 0.02, first_centre_s: float = 0.0125) -> npt.NDArray[np.int16]:
        """Class id at the centre of each frame, int16 [frames]; UNKNOWN past the end.

        The default is the geometry of the content encoder: frames every 20 ms, each seeing 25 ms (its first centre at
        12.5).
        """
        names = {name: index for index, name in enumerate(CLASSES)}
        classes = np.array([*(names[phone] for phone in self.phones), UNKNOWN], dtype=np.int16)
        centres = first_centre_s + frame_s * np.arange(frames)
        return classes[np.searchsorted(np.asarray(self.ends_s), centres, side="right")]

    def spoken(self) -> tuple[int, ...]:
        """Class ids without silences."""
        return tuple(CLASSES.index(phone) for phone in self.phones if phone != CLASSES[SILENCE])


def words_of(text: str) -> list[str]:
    """Lower-case words of a transcript, without marks; apostrophes stay inside words."""
    found = re.findall(r"[a-z]+(?:'[a-z]+)*'?", text.lower().replace("’", "'"))
    return [word if word.endswith("s'") else word.rstrip("'") for word in found]


class EnglishAligner:
    """pocketsphinx in forced-alignment mode, one for each process."""

    def __init__(self) -> None:
        import pocketsphinx

        model = Path(pocketsphinx.get_model_path()) / "en-us"
        # bestpath: its word lattice shifts the last word's end, and the phone pass then fails on one clip in four.
        self._decoder: Decoder = pocketsphinx.Decoder(
            hmm=str(model / "en-us"), dict=str(model / "cmudict-en-us.dict"), lm=None, loglevel="FATAL", bestpath=False
        )

    def align(self, id: str, samples: npt.NDArray[np.int16], text: str) -> Alignment | None:
        """Alignment of int16 [T] at 16 kHz, or None when text and speech do not fit."""
        words = words_of(text)
        spelling = {word: " ".join(phone.rstrip("012") for phone in pronounce(word)) for word in words}
        entries = self.phone_ends(samples, words, spelling)
        return None if entries is None else _checked(id, entries)

    def phone_ends(
        self, samples: npt.NDArray[np.int16], words: Sequence[str], spelling: Mapping[str, str]
    ) -> list[tuple[str, float]] | None:
        """pocketsphinx's phones ("SIL" for silence) and the seconds at which they end.

        spelling: ARPAbet phones of words that the aligner's dictionary may lack. None when words and speech do not fit.
        """
        if not words:
            return None
        for word in words:
            if self._decoder.lookup_word(word) is None:
                self._decoder.add_word(word, spelling[word], True)
        data = samples.tobytes()
        try:
            self._decoder.set_align_text(" ".join(words))
            self._run(data)
            if self._decoder.hyp() is None:
                return None
            self._decoder.set_alignment()
            self._run(data)
            phones = self._decoder.get_alignment().phones()
        except RuntimeError:
            return None
        return [(entry.name, round((entry.start + entry.duration) * ALIGNER_FRAME_S, 3)) for entry in phones]

    def _run(self, data: bytes) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(data, full_utt=True)
        self._decoder.end_utt()


def _checked(id: str, entries: Iterable[tuple[str, float]]) -> Alignment | None:
    """Merge silences; None if a phone is implausibly long."""
    phones: list[str] = []
    ends: list[float] = []
    for name, end_s in entries:
        phone = name if name in CLASSES else CLASSES[SILENCE]
        if phone != CLASSES[SILENCE] and end_s - (ends[-1] if ends else 0.0) > LONGEST_PHONE_S:
            return None
        if phones and phones[-1] == phone == CLASSES[SILENCE]:
            ends[-1] = end_s
        else:
            phones.append(phone)
            ends.append(end_s)
    return Alignment(id, tuple(phones), tuple(ends)) if len(phones) > 1 else None


def _align_share(folder: Path, part: str, share: Sequence[Clip]) -> list[Alignment]:
    from timbre.nano.mandarin_alignment import MandarinAligner

    corpus = Corpus.open(folder, [part])
    english, mandarin = EnglishAligner(), MandarinAligner()
    found = []
    for clip in share:
        aligner = mandarin if clip.language == "zh" else english
        found.append(aligner.align(clip.id, to_int16(corpus.heard(clip)), clip.text))
    return [alignment for alignment in found if alignment is not None]


def align_part(folder: Path, part: str = "real", workers: int = 1) -> tuple[int, int]:
    """Align the clips of a part and write its alignment file. Returns (aligned, tried)."""
    corpus = Corpus.open(folder, [part])
    shares = [corpus.clips[index :: workers * 4] for index in range(workers * 4)]
    with ProcessPoolExecutor(workers) as pool:
        parts = list(pool.map(_align_share, [folder] * len(shares), [part] * len(shares), shares))
    alignments = [alignment for share in parts for alignment in share]
    write_alignments(folder, part, alignments)
    return len(alignments), len(corpus.clips)


def write_alignments(folder: Path, part: str, alignments: Iterable[Alignment]) -> None:
    """Write ``<part>.alignment.jsonl``, sorted by clip id."""
    rows = [
        json.dumps({"id": item.id, "phones": item.phones, "ends_s": item.ends_s})
        for item in sorted(alignments, key=lambda item: item.id)
    ]
    write_text(folder / f"{part}.alignment.jsonl", "\n".join(rows) + "\n")


def read_alignments(folder: Path, part: str) -> dict[str, Alignment]:
    """Alignments of a part by clip id; empty when it has none."""
    path = folder / f"{part}.alignment.jsonl"
    if not path.is_file():
        return {}
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {row["id"]: Alignment(row["id"], tuple(row["phones"]), tuple(row["ends_s"])) for row in rows}
