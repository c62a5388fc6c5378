"""A base that speaks like one recording, before anything is trained: a first listen, not what a voice will be.

recording, its words -> inference/reference.py -> inference/settling.py -> Voice without an adapter
"""

from __future__ import annotations

from pathlib import Path

from timbre.audio.reader import read
from timbre.inference.engine import Engine
from timbre.inference.exported_base import ExportedBase
from timbre.inference.reference import ReferenceEncoder, prepare
from timbre.inference.settling import settled
from timbre.inference.t2s_slots import NO_LORA
from timbre.inference.voice import Voice
from timbre.text.frontend import phonemize
from timbre.text.pauses import finished

MAX_S = 12.0


def zero_shot(
    exported: ExportedBase, name: str, recording: Path, language: str, text: str = "", engine: Engine | None = None
) -> Voice:
    """The base with one recording of a speaker as its prompt. text: what is said in it; "" where nobody knows, which
    will do for a base that does not continue its prompt. engine: of the base; it speaks a sentence, and the voice takes
    over pace and level of its recording (inference/settling.py); None: it keeps those of the base.

    Raises InputError for a recording without speech and for a text that is missing or cannot be spoken,
    ConfigurationError for a base whose condition needs a speaker encoder that was not exported.
    """
    encoder = ReferenceEncoder(exported)
    phonemes = finished(phonemize(text, language, {}, exported.languages)) if text else None
    found = prepare(read(recording, MAX_S))
    prompt = encoder.prompt(found, language, phonemes)
    if engine is not None:
        prompt = settled(engine, prompt, found, text)
    return Voice(name, "zero-shot", exported.digest, prompt, NO_LORA, {})
