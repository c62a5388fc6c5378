"""espeak-ng through its library: audio together with the moment at which every phone begins.

text -> callback of the library with audio and phone events -> Utterance

Its voices are formant synthesis; some sixty variants change formants, pitch and breath, which is what makes them
useful: one sentence from many throats. Only rhotic accents of English are used, so that phones and spelling agree.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache

import numpy as np
import numpy.typing as npt
import soxr
from pypinyin import Style, lazy_pinyin

from timbre.core.errors import ConfigurationError
from timbre.nano.alignment import Alignment
from timbre.nano.corpus import RATE_HZ, to_int16
from timbre.nano.mandarin_syllables import spoken_classes, syllables
from timbre.text.recognition import CLASSES, SILENCE

SILENCE_NAME = CLASSES[SILENCE]
ENGLISH_VOICES = ("en-us", "en-us", "en-gb-scotland")
MANDARIN_VOICE = "cmn-latn-pinyin"
VARIANTS = (
    "", "f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "Alex", "Alicia", "Andrea",
    "Andy", "Annie", "Denis", "Diogo", "Gene", "Hugo", "Jacky", "Lee", "Marco", "Mario", "Michael", "Mike", "adam",
    "anika", "antonio", "belinda", "benjamin", "boris", "david", "ed", "edward", "grandma", "grandpa", "gustave",
    "iven", "john", "linda", "marcelo", "max", "michel", "miguel", "pablo", "paul", "pedro", "quincy", "rob",
    "robert", "sandro", "shelby", "steph", "travis", "victor", "zac",
)  # fmt: skip

ENGLISH_PHONES = {
    "a": "AE", "aa": "AE", "a#": "AH", "A:": "AA", "A@": "AA R", "0": "AA", "O:": "AO", "O2": "AO", "O@": "AO R",
    "o@": "AO R", "E": "EH", "e@": "EH R", "@": "AH", "@2": "AH", "@5": "AH", "@-": "AH", "@L": "AH L", "V": "AH",
    "VR": "ER", "3": "ER", "3:": "ER", "IR": "ER", "I": "IH", "I2": "IH", "I#": "IH", "i": "IY", "i:": "IY",
    "i@": "IY AH", "i@3": "IH R", "U": "UH", "U@": "UH R", "u:": "UW", "eI": "EY", "aI": "AY", "aI2": "AY",
    "aI@": "AY ER", "aI3": "AY ER", "aU": "AW", "oU": "OW", "OI": "OY", "p": "P", "b": "B", "t": "T", "t2": "T",
    "t#": "T", "?": "T", "d": "D", "k": "K", "g": "G", "tS": "CH", "dZ": "JH", "f": "F", "v": "V", "T": "TH",
    "D": "DH", "s": "S", "z": "Z", "S": "SH", "Z": "ZH", "h": "HH", "m": "M", "n": "N", "n-": "N", "N": "NG",
    "l": "L", "r": "R", "r-": "R", "j": "Y", "w": "W", "w#": "W",
}  # fmt: skip

PAUSES = frozenset({"_", "_:", "_!", "_|"})
JOINED = frozenset({";"})
"""Marks of palatalisation: they belong to the phone before."""

LONGEST_CLOSURE_S = 0.08
"""A gap before a syllable up to this long is the closure of its stop, not a pause."""

_EVENT_PHONEME = 7
_SYNCHRONOUS_RETRIEVAL = 2
_PHONEME_EVENTS = 1
_UTF8 = 1


class _Identifier(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identifier),
    )


class Espeak:
    """The library, opened once a process. ConfigurationError when it is not installed."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1")
        except OSError:
            raise ConfigurationError("espeak-ng is not installed", remedy="apt-get install espeak-ng") from None
        self._rate_hz = int(self._library.espeak_Initialize(_SYNCHRONOUS_RETRIEVAL, 0, None, _PHONEME_EVENTS))
        self._audio: list[bytes] = []
        self._events: list[tuple[float, str]] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self._callback = kind(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if samples and count:
            self._audio.append(ctypes.string_at(samples, 2 * count))
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == _EVENT_PHONEME:
                self._events.append((event.audio_position_ms / 1000, event.id.string.decode(errors="replace")))
            index += 1
        return 0

    def speak(
        self, text: str, voice: str, words_a_minute: int = 165, pitch: int = 50
    ) -> tuple[npt.NDArray[np.int16], list[tuple[float, str]], float]:
        """int16 [T] at 16 kHz, (begin in seconds, espeak phone) of each phone, and the length in seconds."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ConfigurationError(f"espeak-ng has no voice {voice!r}", remedy="apt-get install espeak-ng")
        self._library.espeak_SetParameter(1, words_a_minute, 0)
        self._library.espeak_SetParameter(3, pitch, 0)
        self._audio, self._events = [], []
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 0, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        audio = np.frombuffer(b"".join(self._audio), dtype="<i2").astype(np.float32) / 32768
        resampled = soxr.resample(audio, self._rate_hz, RATE_HZ, quality="HQ")
        return to_int16(resampled), self._events, audio.size / self._rate_hz


@cache
def espeak() -> Espeak:
    """The one instance of a process: the library keeps global state."""
    return Espeak()


def english_alignment(id: str, events: list[tuple[float, str]], length_s: float) -> Alignment | None:
    """Alignment from espeak's phones; None when one of them has no class (a foreign word)."""
    phones: list[str] = []
    ends: list[float] = []
    for index, (begin, name) in enumerate(events):
        end = events[index + 1][0] if index + 1 < len(events) else length_s
        if name in JOINED and phones:
            ends[-1] = end
            continue
        if name not in PAUSES and name not in ENGLISH_PHONES:
            return None
        parts = [SILENCE_NAME] if name in PAUSES else ENGLISH_PHONES[name].split()
        for number, part in enumerate(parts, start=1):
            _append(phones, ends, part, begin + (end - begin) * number / len(parts))
    return Alignment(id, tuple(phones), tuple(ends)) if phones else None


def mandarin_alignment(
    id: str, groups: list[tuple[str, ...]], events: list[tuple[float, str]], length_s: float
) -> Alignment | None:
    """Alignment of syllables, which espeak parts with a mark; None when the counts differ.

    The first sound of a syllable that has several is its initial; a syllable of one sound is cut after a third.
    """
    phones: list[str] = []
    ends: list[float] = []
    spans: list[list[tuple[float, float]]] = [[]]
    pauses: list[tuple[int, float]] = []
    for index, (begin, name) in enumerate(events):
        end = events[index + 1][0] if index + 1 < len(events) else length_s
        if name not in PAUSES:
            spans[-1].append((begin, end))
        else:
            if spans[-1]:
                spans.append([])
            pauses.append((len(spans) - 1, end))
    spans = [span for span in spans if span]
    if len(spans) != len(groups):
        return None
    for number, (group, span) in enumerate(zip(groups, spans, strict=True)):
        begin, end = span[0][0], span[-1][1]
        for position, until in pauses:
            if position == number and begin - (ends[-1] if ends else 0.0) > LONGEST_CLOSURE_S and until <= begin + 1e-6:
                _append(phones, ends, SILENCE_NAME, begin)
                break
        if len(group) == 2:
            _append(phones, ends, group[0], span[0][1] if len(span) > 1 else begin + (end - begin) / 3)
        _append(phones, ends, group[-1], end)
    _append(phones, ends, SILENCE_NAME, length_s)
    return Alignment(id, tuple(phones), tuple(ends))


def _append(phones: list[str], ends: list[float], phone: str, end: float) -> None:
    """Add a phone; two silences, or two equal phones of espeak's own splitting, are one."""
    if ends and end <= ends[-1]:
        return
    if phones and phones[-1] == phone and phone in (SILENCE_NAME, "R"):
        ends[-1] = round(end, 4)
    else:
        phones.append(phone)
        ends.append(round(end, 4))


def pinyin_of(text: str) -> tuple[str, list[tuple[str, ...]]] | None:
    """(pinyin with tone numbers for espeak, syllables as classes) of a Mandarin sentence; None with foreign words."""
    try:
        groups = syllables(spoken_classes(text))
    except ValueError:
        return None
    spoken = [item for item in lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True) if item[:1].isalpha()]
    return (" ".join(spoken) + ".", groups) if len(spoken) == len(groups) else None
