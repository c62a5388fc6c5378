"""Synthetic speech with exact times of every phone: flite for English, espeak-ng for English and Mandarin.

text -> audio at 24 kHz + Alignment. Debian's packages ``flite`` and ``espeak-ng`` must be installed; they are needed
for pretraining only.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.nano.alignment import Alignment, write_alignments
from timbre.nano.corpus import PartWriter, read_audio, to_int16, unseen_speakers
from timbre.nano.espeak import (
    ENGLISH_VOICES,
    MANDARIN_VOICE,
    VARIANTS,
    english_alignment,
    espeak,
    mandarin_alignment,
    pinyin_of,
)
from timbre.text.recognition import ARPABET, CLASSES, SILENCE

FLITE_VOICES = ("slt", "rms", "kal16")
SILENCE_NAME = CLASSES[SILENCE]


@dataclass(frozen=True)
class Utterance:
    """Synthetic speech with its alignment."""

    speaker: str
    """Engine and voice: "flite_slt"."""
    language: str
    """"en" or "zh"."""
    text: str
    """What was to be said."""
    audio: npt.NDArray[np.int16]
    """[T] at 24 kHz."""
    alignment: Alignment
    """Times from the start of `audio`; names the clip."""


def speak_flite(id: str, voice: str, text: str, stretch: float = 1.0) -> Utterance:
    """One sentence by flite. stretch: durations times this. InfrastructureError when flite fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.3f}", "-psdur"]
        command += ["-t", text, "-o", str(path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        except FileNotFoundError:
            raise ConfigurationError("flite is not installed", remedy="apt-get install flite") from None
        except subprocess.SubprocessError as error:
            raise InfrastructureError(f"flite -voice {voice}: {error}", remedy="run the stage again") from error
        audio = to_int16(read_audio(path))
    return Utterance(f"flite_{voice}", "en", text, audio, flite_alignment(id, done.stdout))


def flite_alignment(id: str, segments: str) -> Alignment:
    """Alignment from the output of ``flite -psdur`` ("pau:0.152 w:0.286 ...")."""
    phones, ends = [], []
    for item in segments.split():
        name, _, end = item.rpartition(":")
        phones.append(_flite_class(name))
        ends.append(float(end))
    return Alignment(id, tuple(phones), tuple(ends))


def _flite_class(name: str) -> str:
    if name in ("pau", "brth", "h#"):
        return SILENCE_NAME
    phone = "AH" if name == "ax" else name.upper()
    if phone not in ARPABET:
        raise ValueError(f"flite phone {name!r} has no recogniser class")
    return phone


def _flite_share(job: tuple[int, str, Sequence[str], int]) -> list[Utterance]:
    first, voice, texts, seed = job
    random = np.random.default_rng((seed, first))
    return [
        speak_flite(f"flite_{voice}/{first + offset:05d}", voice, text, float(random.uniform(0.85, 1.25)))
        for offset, text in enumerate(texts)
    ]


def build_flite(
    speech: Path, folder: Path, sentences: Iterator[str], hours: float, seed: int = 0, workers: int = 1
) -> int:
    """Write the part ``flite``: so many hours, the voices taking turns. Returns its number of clips."""
    share = 20
    jobs = (
        (index * share, FLITE_VOICES[index % len(FLITE_VOICES)], [next(sentences) for _ in range(share)], seed)
        for index in range(1_000_000)
    )
    return _build(speech, folder, "flite", jobs, _flite_share, hours, workers)


def _espeak_share(job: tuple[int, str, Sequence[str], int]) -> list[Utterance]:
    first, language, texts, seed = job
    random = np.random.default_rng((seed, first))
    spoken = []
    for number, text in enumerate(texts, start=first):
        spoken.append(speak_espeak(f"espeak_{language}/{number:05d}", language, text, random))
    return [item for item in spoken if item is not None]


def speak_espeak(id: str, language: str, text: str, random: np.random.Generator) -> Utterance | None:
    """One sentence by espeak-ng in a random variant, pace and pitch; None when its phones have no classes."""
    variant = VARIANTS[random.integers(len(VARIANTS))]
    english = language == "en"
    base = ENGLISH_VOICES[random.integers(len(ENGLISH_VOICES))] if english else MANDARIN_VOICE
    read = (text, []) if english else pinyin_of(text)
    if read is None:
        return None
    voice = f"{base}+{variant}" if variant else base
    pace, pitch = int(random.integers(130, 210)), int(random.integers(25, 76))
    audio, events, length_s = espeak().speak(read[0], voice, pace, pitch)
    alignment = (
        english_alignment(id, events, length_s) if english else mandarin_alignment(id, read[1], events, length_s)
    )
    return None if alignment is None else Utterance(f"espeak_{voice}", language, text, audio, alignment)


def build_espeak(
    speech: Path,
    folder: Path,
    english: Iterator[str],
    mandarin: Iterator[str],
    hours: float,
    mandarin_share: float = 0.6,
    seed: int = 0,
    workers: int = 1,
) -> int:
    """Write the part ``espeak``: so many hours, mandarin_share of the sentences in Mandarin.

    Returns its number of clips.
    """
    share = 20
    random = np.random.default_rng(seed)
    languages = ("zh" if random.random() < mandarin_share else "en" for _ in range(1_000_000))
    jobs = (
        (index * share, language, [next(mandarin if language == "zh" else english) for _ in range(share)], seed)
        for index, language in enumerate(languages)
    )
    return _build(speech, folder, "espeak", jobs, _espeak_share, hours, workers)


def _build(
    speech: Path,
    folder: Path,
    part: str,
    jobs: Iterator[Any],
    work: Callable[[Any], list[Utterance]],
    hours: float,
    workers: int,
) -> int:
    """Run jobs in order until there are enough hours; write audio, manifest and alignments."""
    writer = PartWriter(folder, part, unseen_speakers(speech))
    alignments, seconds = [], 0.0
    with ProcessPoolExecutor(workers) as pool:
        while seconds < hours * 3600:
            for utterances in pool.map(work, [next(jobs) for _ in range(workers * 4)]):
                for item in utterances:
                    id = item.alignment.id
                    writer.add(id, f"{part}/{id}", item.speaker, item.language, item.text, item.audio)
                    alignments.append(item.alignment)
                    seconds += item.audio.size / 16_000
    write_alignments(folder, part, alignments)
    return writer.close()
