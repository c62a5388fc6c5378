"""The corpus cache: every training clip at 24 kHz in a few memory-mapped files.

Layout of a corpus folder (default ``.timbre/pretrain/corpus``). It is made of *parts* (``real``,
``teacher``, ``voices``, ``flite``, ``espeak``), each of which is complete or absent, and can be added later without
touching the others::

    real.i16              all clips of the part one behind the other, int16 little endian, 24 kHz mono
    real.jsonl            one JSON object a clip: {"id", "path", "speaker", "language", "text", "seconds", "split",
                          "offset", "samples"}; offset and samples count int16 values in real.i16.  Written last.
    real.alignment.jsonl  (optional, see alignment.py) {"id", "phones": [...], "ends_s": [...]}: recogniser classes
                          and the time at which each ends; the first begins at 0

``split`` is ``train`` or ``dev`` (about 2 % of the training clips, for curves only). Clips of an ``eval/`` folder and
of the speakers in ``unseen-speakers.txt`` are refused, by `check_allowed`, when a part is written *and* when it is
read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from timbre.core.atomic import write_text
from timbre.core.errors import ConfigurationError, InputError

RATE_HZ = 24_000
CONTENT_RATE_HZ = 16_000
"""What the content encoder hears; the cache is resampled on the way to it."""

CORPORA = ("ljspeech", "vctk", "aishell", "speechocean762", "kathleen")
FIRST_HELD_OUT_OF_KATHLEEN = "arctic_b0480"
VOICES = "librispeech-speakers"
HELD_OUT_SYNTHETIC = frozenset({"awb", "awb_time"})
"""Flite voices that stand for new users: never trained on."""

DEV_EVERY = 50


@dataclass(frozen=True)
class SpeechFile:
    """One line of a corpus's metadata.csv."""

    path: str
    """Relative to the speech folder; its first component is the corpus."""
    speaker: str
    """Unique over all corpora."""
    language: str
    """"en" or "zh"."""
    text: str
    """What is said."""
    seconds: float
    """As metadata.csv states it."""


@dataclass(frozen=True)
class Clip:
    """One clip of the cache."""

    id: str
    """Unique over all parts; names its alignment."""
    path: str
    """Of the file it was read from, relative to the speech folder; made up where it was synthesised."""
    speaker: str
    """Unique over all corpora."""
    language: str
    """"en" or "zh"."""
    text: str
    """What is said."""
    seconds: float
    """Of the audio as it is stored."""
    split: str
    """"train", or "dev" for curves."""
    offset: int
    """First int16 value in the part's `.i16` file."""
    samples: int
    """Number of int16 values, at 24 kHz."""
    part: str = ""
    """Name of the part; not in its manifest, set when it is read."""


def read_metadata(speech: Path, corpus: str) -> list[SpeechFile]:
    """Lines of ``speech/corpus/metadata.csv``. InputError names a line with the wrong number of fields."""
    path = speech / corpus / "metadata.csv"
    if not path.is_file():
        raise ConfigurationError(f"{path}: not found", remedy="point --speech at the folder that holds the corpora")
    lines = path.read_text(encoding="utf-8").splitlines()
    files = []
    for number, line in enumerate(lines[1:], start=2):
        fields = line.split("|")
        if len(fields) == 6 and corpus == VOICES:
            del fields[5:]
        if len(fields) != 5:
            raise InputError(
                f"{path}:{number}: {len(fields)} fields, 5 wanted", remedy="write file|speaker|language|text|seconds"
            )
        files.append(SpeechFile(f"{corpus}/{fields[0]}", fields[1], fields[2], fields[3], float(fields[4])))
    return files


def unseen_speakers(speech: Path) -> frozenset[str]:
    """Speakers that no base may be trained on.

    ConfigurationError when the list is absent: better stop than train on them.
    """
    path = speech / "unseen-speakers.txt"
    if not path.is_file():
        raise ConfigurationError(f"{path}: not found", remedy="restore the list of held-out speakers")
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return frozenset(line for line in lines if line and not line.startswith("#"))


def check_allowed(path: str, speaker: str, unseen: frozenset[str]) -> None:
    """ConfigurationError if a clip may not be trained on: an eval clip, an unseen speaker, a held-out synthetic
    voice."""
    if is_evaluation(path):
        raise ConfigurationError(
            f"{path}: an eval clip in the training corpus", remedy="delete the corpus cache and build it again"
        )
    if speaker in unseen:
        raise ConfigurationError(
            f"{path}: speaker {speaker} is held out for tests", remedy="delete the corpus cache and build it again"
        )
    if speaker.removeprefix("flite_") in HELD_OUT_SYNTHETIC:
        raise ConfigurationError(
            f"{path}: voice {speaker} is held out for tests", remedy="generate with slt, rms or kal16"
        )


def is_evaluation(path: str) -> bool:
    """Whether a clip is kept for evaluation: an ``eval/`` folder, or the last sentences of Kathleen."""
    file = Path(path)
    kathleen = file.parts[:1] == ("kathleen",) and file.stem >= FIRST_HELD_OUT_OF_KATHLEEN
    return "eval" in file.parts or kathleen


def training_files(speech: Path) -> list[SpeechFile]:
    """Every clip of the real corpora that may be trained on, in a fixed order."""
    unseen = unseen_speakers(speech)
    files = []
    for corpus in CORPORA:
        for file in read_metadata(speech, corpus):
            if not is_evaluation(file.path) and file.speaker not in unseen:
                check_allowed(file.path, file.speaker, unseen)
                files.append(file)
    return files


def evaluation_files(speech: Path, corpora: Iterable[str] = ("ljspeech", "vctk")) -> list[SpeechFile]:
    """The eval clips of known speakers (unseen sentences)."""
    return [file for corpus in corpora for file in read_metadata(speech, corpus) if is_evaluation(file.path)]


def read_audio(path: Path, rate_hz: int = RATE_HZ) -> npt.NDArray[np.float32]:
    """Decode, mix to mono, resample. Returns float32 [T] at rate_hz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return np.ascontiguousarray(resampled(mono, rate, rate_hz), dtype=np.float32)


def resampled(samples: npt.NDArray[np.float32], rate_hz: int, to_hz: int) -> npt.NDArray[np.float32]:
    """float32 [T] at rate_hz -> float32 [T * to_hz / rate_hz]."""
    if rate_hz == to_hz:
        return samples
    try:
        import soxr
    except ImportError:  # not on every machine that trains: the whole clip through its spectrum
        size = round(samples.size * to_hz / rate_hz)
        spectrum = np.fft.rfft(samples)
        kept = np.zeros(size // 2 + 1, spectrum.dtype)
        count = min(kept.size, spectrum.size)
        kept[:count] = spectrum[:count]
        return (np.fft.irfft(kept, size) * (size / max(1, samples.size))).astype(np.float32)
    changed: npt.NDArray[np.float32] = soxr.resample(samples, rate_hz, to_hz, quality="HQ")
    return changed


def to_int16(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """float32 [T] in -1..1 to int16 [T], clipped."""
    rounded: npt.NDArray[np.int16] = np.clip(np.rint(samples * 32767.0), -32768, 32767).astype("<i2")
    return rounded


class PartWriter:
    """Writes one part: append clips, then `close`. The manifest appears last, so that a part is whole or absent."""

    def __init__(self, folder: Path, part: str, unseen: frozenset[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._part, self._unseen = folder, part, unseen
        self._partial = folder / f"{part}.i16.partial"
        self._audio = self._partial.open("wb")
        self._rows: list[str] = []
        self._offset = 0

    def add(self, id: str, path: str, speaker: str, language: str, text: str, audio: npt.NDArray[np.int16]) -> None:
        """Append one clip, int16 [T] at 24 kHz. ConfigurationError if it may not be trained on."""
        check_allowed(path, speaker, self._unseen)
        split = "dev" if len(self._rows) % DEV_EVERY == DEV_EVERY - 1 else "train"
        clip = Clip(id, path, speaker, language, text, round(audio.size / RATE_HZ, 3), split, self._offset, audio.size)
        row = asdict(clip)
        del row["part"]
        self._rows.append(json.dumps(row, ensure_ascii=False))
        self._audio.write(audio.astype("<i2").tobytes())
        self._offset += audio.size

    def close(self) -> int:
        """Make the part visible. Returns its number of clips."""
        self._audio.close()
        self._partial.replace(self._folder / f"{self._part}.i16")
        write_text(self._folder / f"{self._part}.jsonl", "\n".join(self._rows) + "\n")
        return len(self._rows)


def build_real(speech: Path, folder: Path) -> int:
    """Decode the real corpora into the part ``real``. Returns the number of clips."""
    writer = PartWriter(folder, "real", unseen_speakers(speech))
    for file in training_files(speech):
        identity = file.path.rsplit(".", 1)[0]
        audio = to_int16(read_audio(speech / file.path))
        writer.add(identity, file.path, file.speaker, file.language, file.text, audio)
    return writer.close()


def build_voices(speech: Path, folder: Path) -> int:
    """Decode the many speakers without transcripts into the part ``voices``; their test speakers stay out."""
    writer = PartWriter(folder, "voices", unseen_speakers(speech))
    held_out = {
        line.split("|")[0]
        for line in (speech / VOICES / "metadata.csv").read_text(encoding="utf-8").splitlines()
        if line.endswith("|test-other")
    }
    for file in read_metadata(speech, VOICES):
        if file.path.partition("/")[2] not in held_out:
            audio = to_int16(read_audio(speech / file.path))
            writer.add(file.path.rsplit(".", 1)[0], file.path, file.speaker, file.language, "", audio)
    return writer.close()


class Corpus:
    """Read access to the parts of a corpus folder."""

    def __init__(self, folder: Path, clips: list[Clip]) -> None:
        self.folder = folder
        self.clips = clips
        self._maps: dict[str, npt.NDArray[np.int16]] = {}

    @classmethod
    def open(cls, folder: Path, parts: Iterable[str] | None = None, unseen: frozenset[str] = frozenset()) -> Corpus:
        """Open the named parts, or all that are there. ConfigurationError: absent part, or a clip that is held out."""
        found = sorted(path.name.removesuffix(".jsonl") for path in folder.glob("*.jsonl") if path.name.count(".") == 1)
        wanted = found if parts is None else list(parts)
        if not wanted or not set(wanted) <= set(found):
            raise ConfigurationError(
                f"{folder}: parts {wanted or '(any)'} wanted, {found or 'none'} there", remedy="timbre pretrain corpus"
            )
        clips = []
        for part in wanted:
            for line in (folder / f"{part}.jsonl").read_text(encoding="utf-8").splitlines():
                clip = Clip(**json.loads(line), part=part)
                check_allowed(clip.path, clip.speaker, unseen)
                clips.append(clip)
        return cls(folder, clips)

    def samples(self, clip: Clip) -> npt.NDArray[np.int16]:
        """int16 [T], a view into the memory-mapped part."""
        if clip.part not in self._maps:
            self._maps[clip.part] = np.memmap(self.folder / f"{clip.part}.i16", dtype="<i2", mode="r")
        return self._maps[clip.part][clip.offset : clip.offset + clip.samples]

    def waveform(self, clip: Clip) -> npt.NDArray[np.float32]:
        """float32 [T] in -1..1."""
        return self.samples(clip).astype(np.float32) / 32768.0

    def heard(self, clip: Clip) -> npt.NDArray[np.float32]:
        """float32 [T] at the content encoder's rate."""
        return resampled(self.waveform(clip), RATE_HZ, CONTENT_RATE_HZ)

    @property
    def parts(self) -> list[str]:
        """Names of the parts that its clips are of, sorted."""
        return sorted({clip.part for clip in self.clips})

    def select(self, split: str | None = None, language: str | None = None) -> Iterator[Clip]:
        """Clips of a split and language, in manifest order."""
        for clip in self.clips:
            if (split is None or clip.split == split) and (language is None or clip.language == language):
                yield clip

    def hours(self) -> Mapping[str, float]:
        """Hours of audio a part."""
        hours: dict[str, float] = {}
        for clip in self.clips:
            hours[clip.part] = hours.get(clip.part, 0.0) + clip.seconds / 3600
        return hours
