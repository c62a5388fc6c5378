"""Every line of a text file spoken into a file of its own, with a journal from which a stopped run resumes.

lines -> <folder>/0001.wav ... -> <folder>/lines.jsonl, one object a file, appended when the file is complete

A file whose entry names the same request and version is not spoken again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from timbre.core.atomic import write_text
from timbre.core.errors import InputError
from timbre.inference.captions import FORMATS
from timbre.inference.request import Speech, SpeechRequest
from timbre.pipeline.release.journal import journal, sound_key
from timbre.pipeline.release.speaking import Speaking, save

RECORD = "lines.jsonl"
_MOST_BYTES = 16 << 20


@dataclass(frozen=True)
class Line:
    """A line to speak."""

    number: int
    """In its file, from 1."""
    text: str
    """Without white space at its ends, never empty."""


@dataclass(frozen=True)
class SpokenLine:
    """Journal entry of a line."""

    number: int
    """In the text file, from 1."""
    file: str
    """Name in the folder."""
    text: str
    """As it was spoken; the journal shows it beside the file."""
    seconds: float
    """Length of the sound."""
    key: str
    """See journal.sound_key."""
    failures: tuple[str, ...] = ()
    """Reasons of sentences that missed the limits."""


@dataclass(frozen=True)
class SpokenLines:
    """What speaking a file of lines gave."""

    lines: tuple[SpokenLine, ...]
    """Those that have a file now, also from an earlier run; in order."""
    failed: tuple[int, ...]
    """Numbers of lines that could not be spoken."""

    @property
    def seconds(self) -> float:
        """Of all files together."""
        return sum(line.seconds for line in self.lines)


def read_lines(path: Path) -> list[Line]:
    """Lines with text, numbered as in the file. Raises InputError for what is no UTF-8 text of at most 16 MiB."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", "name a text file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start})", "save the text as UTF-8") from error
    if len(data) > _MOST_BYTES:
        raise InputError(f"{path}: more than {_MOST_BYTES} bytes", "split the file")
    lines = [Line(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise InputError(f"{path}: has no line with text", "write one text a line")
    return lines


def check_folder(folder: Path) -> None:
    """Raises InputError when something else than a folder is there."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file", "name a folder; each line becomes a file in it")


def captions(speech: Speech, form: str) -> str:
    """Times of a speech as text. form: a key of inference.captions.FORMATS."""
    return FORMATS[form](speech.times)


def speak_lines(
    speaking: Speaking,
    lines: Sequence[Line],
    folder: Path,
    request: SpeechRequest,
    timestamps: str,
    say: Callable[[str], None],
) -> SpokenLines:
    """Speaks lines into files of a folder.

    request: all but the text. timestamps: a key of captions.FORMATS, or "". say: takes one line of progress.

    A line that cannot be spoken is reported and passed over. Raises OSError when a file cannot be written.
    """
    width = max(4, len(str(lines[-1].number)))
    spoken: list[SpokenLine] = []
    failed: list[int] = []
    with journal(folder / RECORD, SpokenLine) as record:
        for line in lines:
            path = folder / f"{line.number:0{width}}.wav"
            own = replace(request, text=line.text)
            key = sound_key(speaking, own, timestamps)
            known = record.find(path.name, key)
            if known is not None and all(file.is_file() for file in _files(path, timestamps)):
                spoken.append(known)
                continue
            try:
                found = _speak(speaking, line, path, own, timestamps, key)
            except InputError as error:
                failed.append(line.number)
                say(f"line {line.number}: {error}")
                continue
            spoken.append(found)
            record.add(found)
            say(f"line {line.number}: {found.seconds:.1f} s" + "".join(f"; {reason}" for reason in found.failures))
    return SpokenLines(tuple(spoken), tuple(failed))


def _files(path: Path, timestamps: str) -> tuple[Path, ...]:
    return (path, path.with_suffix(f".{timestamps}")) if timestamps else (path,)


def _speak(speaking: Speaking, line: Line, path: Path, request: SpeechRequest, timestamps: str, key: str) -> SpokenLine:
    speech = speaking.say(request).speech
    save(path, speech.wave)
    if timestamps:
        write_text(path.with_suffix(f".{timestamps}"), captions(speech, timestamps))
    failures = tuple(reason for sentence in speech.sentences for reason in sentence.failures)
    return SpokenLine(line.number, path.name, line.text, round(speech.wave.duration_s, 3), key, failures)
