"""The corpus as one small file, for training on another machine.

corpus folder + speech folder -> zip of Ogg Vorbis and tables -> the same two folders elsewhere, with fewer clips

It includes everything that would need further libraries: alignments, pitch tracks, speaker vectors and phones as
tables, noise and eval clips at the rate of the corpus. Reading needs numpy and soundfile.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from timbre.core.atomic import replacing, write_bytes
from timbre.core.errors import ConfigurationError, InputError
from timbre.nano.corpus import (
    RATE_HZ,
    Clip,
    Corpus,
    PartWriter,
    evaluation_files,
    read_audio,
    to_int16,
    unseen_speakers,
)

LIMIT_BYTES = 25_000_000
BLOCK = 1 << 16
TABLES = ("f0", "ge2e")
EVALUATION_CLIPS = 6
NOISES = 20


@dataclass(frozen=True)
class Share:
    """How much is taken from one corpus."""

    corpus: str
    """First component of a clip's path."""
    hours: float
    """Most that is taken; all of a smaller corpus."""


SHARES = (
    Share("ljspeech", 0.75), Share("vctk", 0.4), Share("speechocean762", 0.3), Share("aishell", 0.15),
    Share("flite", 0.1),
)  # fmt: skip
"""1.7 hours: at 25 kbit/s some 19 MB."""


def choose(corpus: Corpus, shares: Sequence[Share], seed: int = 0) -> list[Clip]:
    """Clips of each share, drawn over all its speakers, in manifest order."""
    random = np.random.default_rng(seed)
    chosen: set[str] = set()
    for share in shares:
        clips = [clip for clip in corpus.clips if clip.path.partition("/")[0] == share.corpus]
        seconds = 0.0
        for index in random.permutation(len(clips)):
            if seconds >= share.hours * 3600:
                break
            chosen.add(clips[index].id)
            seconds += clips[index].seconds
    return [clip for clip in corpus.clips if clip.id in chosen]


def pack_corpus(
    corpus: Corpus, speech: Path, target: Path, shares: Sequence[Share] = SHARES, quality: float = 0.0
) -> int:
    """Write the packed file. Returns its bytes; ConfigurationError when they are above LIMIT_BYTES.

    quality: of Vorbis, 0..1 (0 is about 25 kbit/s at 16 kHz).
    """
    clips = choose(corpus, shares)
    with replacing(target) as partial:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            for part in sorted({clip.part for clip in clips}):
                _pack_part(archive, corpus, [clip for clip in clips if clip.part == part], part, quality)
            _pack_speech(archive, speech)
        size = partial.stat().st_size
        if size > LIMIT_BYTES:
            raise ConfigurationError(
                f"{target}: {size / 1e6:.1f} MB, the limit is {LIMIT_BYTES / 1e6:.0f} MB",
                remedy="lower the hours or the quality",
            )
    return size


def _pack_part(archive: zipfile.ZipFile, corpus: Corpus, clips: list[Clip], part: str, quality: float) -> None:
    audio = np.concatenate([corpus.samples(clip) for clip in clips])
    archive.writestr(f"corpus/{part}.ogg", encode(audio, quality))
    rows, offset = [], 0
    for clip in clips:
        row = asdict(clip) | {"offset": offset}
        del row["part"]
        rows.append(json.dumps(row, ensure_ascii=False))
        offset += clip.samples
    _write(archive, f"corpus/{part}.jsonl", "\n".join(rows) + "\n")
    wanted = {clip.id for clip in clips}
    alignment = corpus.folder / f"{part}.alignment.jsonl"
    if alignment.is_file():
        lines = alignment.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if json.loads(line)["id"] in wanted]
        _write(archive, f"corpus/{part}.alignment.jsonl", "\n".join(kept) + "\n")
    every = [clip.id for clip in corpus.clips if clip.part == part]
    positions = [index for index, identity in enumerate(every) if identity in wanted]
    for table in TABLES:
        path = corpus.folder / f"{part}.{table}.npz"
        if path.is_file():
            with np.load(path) as stored:
                columns = {name: stored[name] for name in stored.files}
            _save(archive, f"corpus/{part}.{table}.npz", _rows(columns, positions))
    path = corpus.folder / f"{part}.phones.npz"
    if path.is_file():
        with np.load(path) as stored:
            _save(archive, f"corpus/{part}.phones.npz", {id: stored[id] for id in stored.files if id in wanted})


def write_phones(corpus: Corpus) -> None:
    """Write ``<part>.phones.npz``: ids of the v2 table by clip id, for machines without the text front end's data."""
    # It needs torch, which a machine that packs or reads need not have.
    from timbre.nano.speech_stages import corpus_phones

    phones = corpus_phones(corpus)
    for part in corpus.parts:
        path = corpus.folder / f"{part}.phones.npz"
        if not path.is_file():
            buffer = io.BytesIO()
            clips = [clip for clip in corpus.clips if clip.part == part and clip.id in phones]
            np.savez(buffer, **{clip.id: phones[clip.id] for clip in clips})
            write_bytes(path, buffer.getvalue())


def _rows(table: dict[str, npt.NDArray[np.generic]], positions: list[int]) -> dict[str, npt.NDArray[np.generic]]:
    """The rows of some clips of a table in manifest order: one row a clip, or flat values with lengths."""
    if "lengths" not in table:
        return {name: values[positions] for name, values in table.items()}
    lengths = np.asarray(table["lengths"], dtype=np.int64)
    ends = np.cumsum(lengths)
    result: dict[str, npt.NDArray[np.generic]] = {"lengths": lengths[positions]}
    for name, values in table.items():
        if name != "lengths":
            result[name] = np.concatenate([values[ends[index] - lengths[index] : ends[index]] for index in positions])
    return result


def _pack_speech(archive: zipfile.ZipFile, speech: Path) -> None:
    """A small speech folder: the list of unseen speakers, some eval clips, noise and rooms, all at 16 kHz."""
    _write(archive, "speech/unseen-speakers.txt", (speech / "unseen-speakers.txt").read_text(encoding="utf-8"))
    for corpus in ("ljspeech", "vctk"):
        lines = ["file|speaker|language|text|seconds"]
        for file in evaluation_files(speech, (corpus,))[:EVALUATION_CLIPS]:
            name = str(Path(file.path).relative_to(corpus).with_suffix(".flac"))
            lines.append(f"{name}|{file.speaker}|{file.language}|{file.text}|{file.seconds}")
            _sound(archive, f"speech/{corpus}/{name}", to_int16(read_audio(speech / file.path)))
        _write(archive, f"speech/{corpus}/metadata.csv", "\n".join(lines) + "\n")
    noises = sorted(path for path in (speech / "noise").rglob("*.*") if path.suffix in (".ogg", ".flac"))
    for path in noises[:: max(1, len(noises) // NOISES)]:
        archive.writestr(f"speech/noise/{path.stem}.ogg", encode(to_int16(read_audio(path)), 0.1))
    for path in sorted((speech / "rir").glob("*.flac")):
        _sound(archive, f"speech/rir/{path.name}", to_int16(read_audio(path)))


def encode(audio: npt.NDArray[np.int16], quality: float) -> bytes:
    """int16 [T] at 16 kHz -> Ogg Vorbis. In blocks: libsndfile overflows its stack on hours at once."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", RATE_HZ, 1, format="OGG", subtype="VORBIS", compression_level=1.0 - quality
    ) as sound:
        for start in range(0, audio.size, BLOCK):
            sound.write(audio[start : start + BLOCK])
    return buffer.getvalue()


def _sound(archive: zipfile.ZipFile, name: str, audio: npt.NDArray[np.int16]) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, audio, RATE_HZ, format="FLAC", subtype="PCM_16")
    archive.writestr(name, buffer.getvalue())


def _write(archive: zipfile.ZipFile, name: str, text: str) -> None:
    archive.writestr(zipfile.ZipInfo(name), text.encode("utf-8"), zipfile.ZIP_DEFLATED)


def _save(archive: zipfile.ZipFile, name: str, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    archive.writestr(name, buffer.getvalue())


def unpack_corpus(source: Path, work: Path, speech: Path) -> Corpus:
    """Write ``work/corpus`` and the speech folder of a packed file, unless they exist. InputError: not a packed file.

    Every clip is checked again against the list of unseen speakers.
    """
    folder = work / "corpus"
    try:
        archive = zipfile.ZipFile(source)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{source}: no packed corpus: {error}", remedy="timbre pretrain pack-corpus") from error
    with archive:
        names = archive.namelist()
        for name in (name for name in names if name.startswith("speech/")):
            _place(archive, name, speech / name.removeprefix("speech/"))
        unseen = unseen_speakers(speech)
        for part in sorted(Path(name).stem for name in names if name.startswith("corpus/") and name.endswith(".ogg")):
            if not (folder / f"{part}.jsonl").is_file():
                _unpack_part(archive, folder, part, unseen)
            for name in names:
                if name.startswith(f"corpus/{part}.") and name.endswith((".npz", ".alignment.jsonl")):
                    _place(archive, name, folder / name.removeprefix("corpus/"))
    return Corpus.open(folder, unseen=unseen)


def _unpack_part(archive: zipfile.ZipFile, folder: Path, part: str, unseen: frozenset[str]) -> None:
    with soundfile.SoundFile(io.BytesIO(archive.read(f"corpus/{part}.ogg"))) as sound:
        audio = to_int16(np.asarray(sound.read(dtype="float32"), dtype=np.float32))
    writer = PartWriter(folder, part, unseen)
    for line in archive.read(f"corpus/{part}.jsonl").decode("utf-8").splitlines():
        row = json.loads(line)
        samples = audio[row["offset"] : row["offset"] + row["samples"]]
        if samples.size != row["samples"]:
            message = f"{part}: clip {row['id']} has {samples.size} samples of {row['samples']}"
            raise InputError(message, remedy="timbre pretrain pack-corpus")
        writer.add(row["id"], row["path"], row["speaker"], row["language"], row["text"], samples)
    writer.close()


def _place(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive.read(name))
