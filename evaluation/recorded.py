"""The held-out recordings as speech is compared with: speaker vectors, melody, and the same metrics of themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timbre.audio.resample import resample
from timbre.core.errors import InputError
from timbre.evaluation.metrics.distilled import distilled_mos
from timbre.evaluation.metrics.errors import UnmeasurableError
from timbre.evaluation.metrics.perceptual import RATE_HZ, dnsmos
from timbre.evaluation.metrics.prosody import Semitones, semitones
from timbre.evaluation.metrics.signal import bandwidth_hz
from timbre.evaluation.metrics.speaker import real_to_real
from timbre.evaluation.metrics.tones import tone_errors, tones_to_judge
from timbre.evaluation.metrics.words import words_of, words_wrong
from timbre.evaluation.optional_judges import OptionalJudges
from timbre.evaluation.rendition import Recording
from timbre.inference.recogniser import Recogniser
from timbre.inference.speaker import SpeakerEncoder
from timbre.text.edit_distance import edit_counts
from timbre.text.frontend import phonemize
from timbre.text.lexicon import Lexicon
from timbre.text.recognition import LANGUAGES, spoken_class_ids

Vectors = NDArray[np.float32]
MIN_RECORDINGS = 2


@dataclass(frozen=True, eq=False)
class Recorded:
    """What is measured on the real recordings."""

    vectors: Vectors
    """Speaker vectors [N, 256] of the recordings."""
    semitones: Semitones
    """Their melody, all voiced frames together."""


def embed(held_out: Sequence[Recording], encoder: SpeakerEncoder) -> Recorded:
    """Raises InputError when there are fewer than two recordings."""
    if len(held_out) < MIN_RECORDINGS:
        raise InputError(
            f"evaluate: {len(held_out)} held-out recordings, at least {MIN_RECORDINGS} are needed",
            f"add recordings to the voice, or lower validate.held_out_min no further than {MIN_RECORDINGS}",
        )
    vectors = encoder.embed_many([item.wave for item in held_out])
    return Recorded(vectors, np.concatenate([semitones(item.wave) for item in held_out]))


def band_of(held_out: Sequence[Recording]) -> dict[str, float]:
    """Their mean bandwidth, which limits what a voice owes; {} when none can be measured."""
    return _mean("bandwidth_hz", held_out, lambda item: bandwidth_hz(item.wave.samples, item.wave.rate_hz))


def facts(
    held_out: Sequence[Recording],
    recorded: Recorded,
    recogniser: Recogniser | None,
    lexicon: Lexicon,
    others: OptionalJudges,
) -> dict[str, float]:
    """The metrics of the recordings themselves, read as the voice reads their texts; without those that cannot be."""
    found = {"speaker_similarity": real_to_real(recorded.vectors)} | band_of(held_out)
    measures: dict[str, Callable[[Recording], float]] = {
        "dnsmos": lambda item: dnsmos(resample(item.wave, RATE_HZ).samples).overall,
    }
    if others.mos:
        measures["distilled_mos"] = lambda item: distilled_mos(resample(item.wave, RATE_HZ).samples)
    if others.whisper_languages:
        measures["listener_error_rate"] = lambda item: others.word_errors(item.wave, item.text, item.language)
    for name, measure in measures.items():
        found |= _mean(name, held_out, measure)
    return found | misheard_of(held_out, recogniser, lexicon) | tones_of(held_out, recogniser, lexicon)


def misheard_of(held_out: Sequence[Recording], recogniser: Recogniser | None, lexicon: Lexicon) -> dict[str, float]:
    """Their phone and word error rates, over all of them; {} with no recogniser of their language."""
    heard = [item for item in held_out if item.language in LANGUAGES]
    if recogniser is None or not heard:
        return {}
    read = [phonemize(item.text, item.language, lexicon) for item in heard]
    said = [recogniser.hear(item.wave, text.phones) for item, text in zip(heard, read, strict=True)]
    counts = [edit_counts(spoken_class_ids(text.phones), some) for text, some in zip(read, said, strict=True)]
    found = {"phone_error_rate": sum(c.errors for c in counts) / max(1, sum(c.length for c in counts))}
    words = [words_of(text, lexicon) for text in read]
    if count := sum(map(len, words)):
        found["word_error_rate"] = sum(map(words_wrong, words, said)) / count
    return found


def tones_of(held_out: Sequence[Recording], recogniser: Recogniser | None, lexicon: Lexicon) -> dict[str, float]:
    """Their tone error rate, the mean over recordings; {} for other languages than Mandarin, or with no recogniser."""
    if recogniser is None:
        return {}
    read = [(item, phonemize(item.text, item.language, lexicon).phones) for item in held_out if item.language == "zh"]
    phones = {item.id: spoken for item, spoken in read if tones_to_judge(item.language, spoken)}
    toned = [item for item, _ in read if item.id in phones]

    def rate(item: Recording) -> float:
        return tone_errors(item.wave, recogniser.logits(item.wave), phones[item.id]).rate

    return _mean("tone_error_rate", toned, rate)


def _mean(name: str, held_out: Sequence[Recording], measure: Callable[[Recording], float]) -> dict[str, float]:
    values = []
    for item in held_out:
        try:
            values.append(measure(item))
        except UnmeasurableError:
            continue
    return {name: float(np.mean(values))} if values else {}
