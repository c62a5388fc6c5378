"""Texts for recordings that came without: the part `voices` becomes something that a recogniser can learn from.

clip -> Whisper -> text -> phones -> alignment by the content encoder -> text and alignment, or neither

Two hundred strangers of twelve seconds each teach the content encoder more about unknown voices than hours of one
reader. A text that the content encoder cannot lay on its recording is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from timbre.audio.waveform import Waveform
from timbre.core.atomic import write_text
from timbre.evaluation.whisper import Whisper, find_model
from timbre.nano.alignment import Alignment, write_alignments
from timbre.nano.content_network import ContentEncoder
from timbre.nano.corpus import CONTENT_RATE_HZ, Clip, Corpus
from timbre.nano.forced_alignment import align_scores, frame_scores
from timbre.nano.semantic_data import phone_ids
from timbre.nano.training_loop import Report

PART = "voices"
Listener = Callable[[Corpus, Clip], str]
"""What is said in a clip, as text; empty where nothing is understood."""


def transcribe(encoder: ContentEncoder, folder: Path, listener: Listener, report: Report) -> int:
    """Give texts and alignments to the clips of `voices` that have none. Returns how many have them afterwards.

    folder: of the corpus. Both files are replaced at the end, so an interrupted run changes nothing.
    """
    corpus = Corpus.open(folder, [PART])
    texts: dict[str, str] = {}
    alignments: list[Alignment] = []
    for number, clip in enumerate(corpus.clips, start=1):
        text = clip.text or listener(corpus, clip)
        alignment = _aligned(encoder, corpus, clip, text)
        if alignment is not None:
            texts[clip.id] = text
            alignments.append(alignment)
        if number % 50 == 0:
            report(f"{PART}: {len(alignments)} of {number} clips have texts")
    rows = []
    for line in (folder / f"{PART}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rows.append(json.dumps(row | {"text": texts.get(row["id"], "")}, ensure_ascii=False))
    write_alignments(folder, PART, alignments)
    write_text(folder / f"{PART}.jsonl", "\n".join(rows) + "\n")
    report(f"{PART}: {len(alignments)} of {len(rows)} clips have texts")
    return len(alignments)


def by_whisper(folder: Path) -> Listener:
    """Whisper as the listener. folder: of a CTranslate2 model. ConfigurationError where there is none."""
    found = find_model(str(folder))
    assert found is not None, "a folder is neither auto nor off"
    whisper = Whisper(found)
    return lambda corpus, clip: whisper.transcribe(Waveform(corpus.heard(clip), CONTENT_RATE_HZ), clip.language)


def _aligned(encoder: ContentEncoder, corpus: Corpus, clip: Clip, text: str) -> Alignment | None:
    phones = phone_ids(text, clip.language) if text else None
    if phones is None:
        return None
    audio = corpus.heard(clip)
    return align_scores(clip.id, frame_scores(encoder, audio), phones.tolist(), audio=audio)
