"""Whisper as a listener: words in English, toned syllables in Mandarin. The extra `whisper` (faster-whisper).

wave, text -> what is heard -> edits; the model by its name on the Hub or by a folder (CTranslate2)
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.digests import digest_file
from timbre.core.errors import ConfigurationError
from timbre.text.edit_distance import EditCounts, edit_counts
from timbre.text.english_normalize import normalize as read_english
from timbre.text.mandarin_normalize import normalize as read_mandarin

EXTRA = "whisper"
AUTO, OFF = "auto", "off"
USUAL = "base"
"""The model of AUTO: the multilingual base model, in the cache of the Hub's client."""
LANGUAGES = ("en", "zh")
MODEL_FILE = "model.bin"
_RATE_HZ = 16_000
_MANDARIN_PROMPT = "以下是普通话的句子。"
"""Keeps the answer in simplified characters with marks."""


def installed() -> bool:
    """Whether faster-whisper is installed here."""
    return find_spec("faster_whisper") is not None


def find_model(name: str) -> Path | None:
    """Folder of the model that the setting names, as far as this machine has it: nothing is downloaded. None for OFF,
    and for AUTO where it is not there.

    name: AUTO, OFF, a folder with model.bin, or a name that faster-whisper knows on the Hub. Raises ConfigurationError
    for a requested model that is not here.
    """
    return _model_of(name, fetch=False)


def fetch_model(name: str) -> Path | None:
    """As find_model, but downloads a model that is requested by name and missing; never for AUTO."""
    return _model_of(name, fetch=name != AUTO)


def _model_of(name: str, fetch: bool) -> Path | None:
    if name == OFF or (name == AUTO and not installed()):
        return None
    if not installed():
        raise ConfigurationError(
            f"evaluate.listener: {name!r} needs faster-whisper, which is not installed", "pip install 'timbre[whisper]'"
        )
    folder = Path(name).expanduser()
    if (folder / MODEL_FILE).is_file():
        return folder
    from faster_whisper.utils import download_model

    try:
        return Path(download_model(USUAL if name == AUTO else name, local_files_only=not fetch))
    except Exception as error:  # the Hub's client, its cache and the network each raise classes of their own
        if name == AUTO:
            return None
        missing = "no model has that name" if fetch else "no model of that name was downloaded yet"
        raise ConfigurationError(
            f"evaluate.listener: {name!r} is no folder with {MODEL_FILE}, and {missing} ({error})",
            "give a folder, or one of tiny, base, small, medium, large-v3; or write off",
        ) from error


class Whisper:
    """A loaded model: beam search at temperature 0, so that every run returns the same text."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        from faster_whisper import WhisperModel

        self.digest = digest_file(folder / MODEL_FILE)
        self._model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)

    def transcribe(self, wave: Waveform, language: str) -> str:
        """What is said, as text."""
        segments, _ = self._model.transcribe(
            resample(wave, _RATE_HZ).samples.astype(np.float32), language=language, beam_size=5, temperature=0.0,
            condition_on_previous_text=False, without_timestamps=True,
            initial_prompt=_MANDARIN_PROMPT if language == "zh" else None,
        )  # fmt: skip
        return " ".join(segment.text.strip() for segment in segments)

    def errors(self, wave: Waveform, text: str, language: str) -> EditCounts:
        """Edits between the units of the text and of what is heard."""
        return edit_counts(units(text, language), units(self.transcribe(wave, language), language))


def units(text: str, language: str, *, tones: bool = True) -> list[str]:
    """What errors are counted over: lower-case words, numbers as words; of Mandarin the pinyin of every character,
    since a recogniser chooses among characters that sound alike. tones: with them.
    """
    if language == "en":
        normalized = read_english(text.replace("’", "'"))[0]
        return re.findall(r"[a-z]+", normalized.lower().replace("'", ""))
    from pypinyin import Style, lazy_pinyin

    style = Style.TONE3 if tones else Style.NORMAL
    found: list[str] = []
    for piece in re.findall(r"[A-Za-z]+|[^A-Za-z]+", text):
        if piece[0].isascii() and piece[0].isalpha():
            found.append(piece.lower())
            continue
        characters = "".join(re.findall(r"[\u4e00-\u9fff]", read_mandarin(piece)[0]))
        found += lazy_pinyin(characters, style=style, neutral_tone_with_five=True)
    return found
