"""Alignments: which recogniser class sounds when. A part of a corpus has them in its ``<part>.alignment.jsonl``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from timbre.core.atomic import write_text
from timbre.text.recognition import CLASSES, SILENCE

LONGEST_PHONE_S = 0.8
"""A speech sound longer than this means that reader and text went separate ways."""

UNKNOWN = -1
"""Frame label where nothing is known; ignored by the loss."""


@dataclass(frozen=True)
class Alignment:
    """Recogniser classes of one clip, silences included, and when each sounds."""

    id: str
    """Of the clip."""
    phones: tuple[str, ...]
    """Names, as in CLASSES."""
    ends_s: tuple[float, ...]
    """One a phone, rising; the first phone begins at 0."""

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
