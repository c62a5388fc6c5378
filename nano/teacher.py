"""Speech of a teacher with exact times of its tokens -> corpus part ``teacher`` with alignments in our own phones.

The teacher (Kokoro-82M) speaks espeak-ng's IPA, one character a token, and says how long each token lasts. The product
speaks what the text front end makes of a text. Both are laid beside each other by an edit distance over characters,
so that every phone of the front end gets the time of the tokens that stand for it.

text -> front end's phones ─┐
tokens with durations ──────┴-> spans: (phone, class that sounds, seconds)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from timbre.core.errors import InputError
from timbre.nano.alignment import Alignment, write_alignments
from timbre.nano.corpus import RATE_HZ, PartWriter, read_audio, to_int16, unseen_speakers
from timbre.text.frontend import phonemize
from timbre.text.recognition import ARPABET, CLASSES, SILENCE, class_of

PART = "teacher"
SETS = ("en", "zh", "short-en", "short-zh")
FRAME_S = 0.025
EDGE_S = 0.15
"""Silence that is left at both ends of a clip, as in recordings that stage 1 has cut."""

SILENT_SPACE_FRAMES = 5
"""A space of so many frames is a pause; a shorter one belongs to its neighbours."""

ENGLISH_IPA = {
    "AA": "ɑ", "AE": "æ", "AH": "ə", "AO": "ɔ", "AW": "W", "AY": "I", "B": "b", "CH": "ʧ", "D": "d", "DH": "ð",
    "EH": "ɛ", "ER": "ɜɹ", "EY": "A", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "ʤ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "O", "OY": "Y", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t",
    "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
MANDARIN_IPA = {
    "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k", "k": "kʰ", "h": "x",
    "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "r": "ɻ", "z": "ʦ", "c": "ʦʰ", "s": "s",
    "y": "j", "w": "w", "E": "e", "En": "ɛn", "a": "a", "ai": "ai", "an": "an", "ang": "aŋ", "ao": "au", "e": "ɤ",
    "ei": "ei", "en": "ən", "eng": "əŋ", "er": "ɚ", "i0": "ɨ", "i": "i", "ia": "ja", "ian": "jɛn", "iang": "jaŋ",
    "iao": "jau", "ie": "je", "in": "in", "ing": "iŋ", "iong": "jʊŋ", "ir": "ɨ", "iu": "jou", "o": "wo", "ong": "ʊŋ",
    "ou": "ou", "u": "u", "ua": "wa", "uai": "wai", "uan": "wan", "uang": "waŋ", "ui": "wei", "un": "wən", "uo": "wo",
    "v": "y", "van": "ɥɛn", "ve": "ɥe", "vn": "yn",
}  # fmt: skip
HEARD_CLASS = {ipa: phone for phone, ipa in ENGLISH_IPA.items() if len(ipa) == 1} | {
    "ʌ": "AH", "ᵊ": "AH", "ᵻ": "IH", "ɜ": "ER", "T": "T",
}  # fmt: skip
"""English class of a token, for places where the teacher says something else than the dictionary."""

QUIET_DB = -36.0
"""Below the clip's loudest 20 ms: nothing sounds any more. The last phone before a pause is given some of the pause."""

Floats = npt.NDArray[np.float32]
VOWELS = frozenset("ɑæəɔWIɛɜAɪiOYʊuʌᵊᵻaeoɤɨɚy")
GLIDES = frozenset("jwɥ")
ALIKE = (frozenset("əʌᵻɪᵊɜɛ"), frozenset("ɑɔaɜ"), frozenset("Ttd"), frozenset("iɪᵻj"), frozenset("uwʊ"),
         frozenset("yɥj"), frozenset("sz"), frozenset("ɛeə"))  # fmt: skip
MARKS = frozenset(".,?!;:”“")
STRESS = frozenset("ˈˌ")
TONES = frozenset("→↗↓↘")
SKIP = 0.9
WORST_COST = 0.35
"""Mean cost a token above which text and teacher went separate ways."""


@dataclass(frozen=True)
class Span:
    """A stretch of one token."""

    phone: int
    """Index into the front end's phones, -1 for a pause without a mark."""
    name: str
    """Class that sounds."""
    end_s: float
    """From the start of the clip; it begins where the one before ends."""


def substitution(expected: str, token: str) -> float:
    """Cost of a token where another was expected: 0 to 2."""
    if expected == token:
        return 0.0
    if any(expected in group and token in group for group in ALIKE):
        return 0.2
    loud = expected in VOWELS or expected in GLIDES, token in VOWELS or token in GLIDES
    return 0.6 if all(loud) else 1.2 if not any(loud) else 2.0


def matched(expected: Sequence[str], tokens: Sequence[str]) -> tuple[list[int], float]:
    """For each token the index of the expected character that it stands for, -1 for none; and the cost of it all."""
    rows, columns = len(expected), len(tokens)
    cost = np.full((rows + 1, columns + 1), np.inf)
    cost[:, 0] = SKIP * np.arange(rows + 1)
    cost[0] = SKIP * np.arange(columns + 1)
    for row in range(1, rows + 1):
        for column in range(1, columns + 1):
            cost[row, column] = min(
                cost[row - 1, column - 1] + substitution(expected[row - 1], tokens[column - 1]),
                cost[row - 1, column] + SKIP, cost[row, column - 1] + SKIP,
            )  # fmt: skip
    found = [-1] * columns
    row, column = rows, columns
    while row and column:
        paired = cost[row - 1, column - 1] + substitution(expected[row - 1], tokens[column - 1])
        if np.isclose(cost[row, column], paired):
            row, column = row - 1, column - 1
            found[column] = row
        elif np.isclose(cost[row, column], cost[row, column - 1] + SKIP):
            column -= 1
        else:
            row -= 1
    return found, float(cost[rows, columns])


def spans_of(phones: Sequence[str], tokens: str, frames: Sequence[int]) -> list[Span] | None:
    """Phones of the front end with the teacher's times; None when the two do not belong together.

    frames: of the silence before, of each token, of the silence after.
    """
    kinds = [class_of(phone) for phone in phones]
    expected: list[str] = []
    owners: list[int] = []
    for index, kind in enumerate(kinds):
        if kind is None:
            continue
        name = CLASSES[kind]
        characters = "." if kind == SILENCE else ENGLISH_IPA.get(name) or MANDARIN_IPA[name]
        expected.extend(characters)
        owners.extend([index] * len(characters))
    ends = np.cumsum(np.asarray(frames)) * FRAME_S
    # Stress, tones and short spaces have no sound of their own: their time goes to the sounds beside them.
    sounds = [i for i, token in enumerate(tokens) if token not in STRESS and token not in TONES and token != " "]
    if not sounds:
        return None
    found, cost = matched(expected, ["." if tokens[i] in MARKS else tokens[i] for i in sounds])
    if cost / len(sounds) > WORST_COST:
        return None
    pieces: list[tuple[int, str, float]] = [(-1, CLASSES[SILENCE], float(ends[0]))]
    match_of = dict(zip(sounds, found, strict=True))
    for index, token in enumerate(tokens):
        end = float(ends[index + 1])
        if index in match_of:
            pieces.append(_piece(match_of[index], token, expected, owners, phones, kinds, pieces[-1], end))
        elif token == " " and frames[index + 1] >= SILENT_SPACE_FRAMES and index and tokens[index - 1] not in MARKS:
            pieces.append((-1, CLASSES[SILENCE], end))
        elif token in TONES or not _sounding(pieces[-1]):
            pieces[-1] = (*pieces[-1][:2], end) if token in TONES or token == " " else pieces[-1]
        elif token == " ":
            pieces[-1] = (*pieces[-1][:2], (pieces[-1][2] + end) / 2)  # the next sound begins in the middle of it
    pieces.append((len(phones) - 1 if kinds[-1] == SILENCE else -1, CLASSES[SILENCE], float(ends[-1])))
    return _complete(_merged(pieces), phones, kinds)


def _sounding(piece: tuple[int, str, float]) -> bool:
    return piece[1] != CLASSES[SILENCE]


def _piece(
    match: int,
    token: str,
    expected: Sequence[str],
    owners: Sequence[int],
    phones: Sequence[str],
    kinds: Sequence[int | None],
    before: tuple[int, str, float],
    end: float,
) -> tuple[int, str, float]:
    if token in MARKS:
        owner = owners[match] if match >= 0 and expected[match] == "." else -1
        return owner, CLASSES[SILENCE], end
    if match < 0 or kinds[owners[match]] == SILENCE:
        if _sounding(before):
            return before[0], before[1], end  # a sound that the dictionary does not have prolongs the one before
        name = HEARD_CLASS.get(token)
        return (-1, name, end) if name else (before[0], before[1], end)
    owner = owners[match]
    kind = kinds[owner]
    assert kind is not None
    name = CLASSES[kind]
    if name in ARPABET and substitution(expected[match], token) >= 0.6 and len(ENGLISH_IPA[name]) == 1:
        name = HEARD_CLASS.get(token, name)
    return owner, name, end


def _merged(pieces: Iterable[tuple[int, str, float]]) -> list[tuple[int, str, float]]:
    """Neighbouring pieces of one phone, and neighbouring silences, become one."""
    merged: list[tuple[int, str, float]] = []
    for piece in pieces:
        silent = piece[1] == CLASSES[SILENCE]
        if merged and ((merged[-1][0] == piece[0] and piece[0] >= 0) or (silent and merged[-1][1] == piece[1])):
            owner = merged[-1][0] if merged[-1][0] >= 0 else piece[0]
            merged[-1] = (owner, merged[-1][1], piece[2])
        else:
            merged.append(piece)
    return merged


def _complete(
    pieces: Sequence[tuple[int, str, float]], phones: Sequence[str], kinds: Sequence[int | None]
) -> list[Span]:
    """A phone that no token stands for (y before i, a consonant that is swallowed) takes half of its neighbour."""
    present = {owner for owner, name, _ in pieces}
    missing = [index for index, kind in enumerate(kinds) if kind not in (None, SILENCE) and index not in present]
    spans: list[Span] = []
    begin = 0.0
    for owner, name, end in pieces:
        ahead = []
        while missing and owner >= 0 and missing[0] < owner and name != CLASSES[SILENCE]:
            ahead.append(missing.pop(0))
        share = (end - begin) / (len(ahead) + 1)
        for number, index in enumerate(ahead, start=1):
            kind = kinds[index]
            assert kind is not None
            spans.append(Span(index, CLASSES[kind], begin + number * share))
        spans.append(Span(owner, name, end))
        begin = end
    return spans


def settled(spans: Sequence[Span], audio: Floats) -> list[Span]:
    """Phones before a pause end where their sound does; the rest of their time belongs to the pause. audio: [T]."""
    step = RATE_HZ // 100
    levels = np.sqrt(np.mean(np.square(audio[: len(audio) // step * step].reshape(-1, step)), axis=1))
    levels = np.maximum(levels, np.append(levels[1:], 0.0))
    loud = levels > levels.max() * 10 ** (QUIET_DB / 20)
    result = list(spans)
    begin = 0.0
    for index, span in enumerate(spans[:-1]):
        if span.name != CLASSES[SILENCE] and spans[index + 1].name == CLASSES[SILENCE]:
            sounding = np.flatnonzero(loud[round(begin * 100) : round(span.end_s * 100) + 4])
            end = begin + (0.0 if not sounding.size else (sounding[-1] + 2) / 100)
            result[index] = Span(span.phone, span.name, min(max(end, begin + 0.04), spans[index + 1].end_s - 0.01))
        begin = span.end_s
    return result


def trimmed(spans: Sequence[Span]) -> tuple[list[Span], float, float]:
    """Spans whose outer silences last EDGE_S, and the seconds of the clip at which they begin and end."""
    last = spans[-1].end_s if spans[-1].name != CLASSES[SILENCE] else spans[-2].end_s
    first = spans[0].end_s if spans[0].name == CLASSES[SILENCE] else 0.0
    begin, end = max(0.0, first - EDGE_S), min(spans[-1].end_s, last + EDGE_S)
    kept = [Span(span.phone, span.name, min(span.end_s, end) - begin) for span in spans]
    return kept, begin, end


def build_teacher(speech: Path, folder: Path) -> tuple[int, int]:
    """Write the part ``teacher`` with its alignments. Returns (clips kept, clips there)."""
    writer = PartWriter(folder, PART, unseen_speakers(speech))
    alignments = []
    tried = 0
    for name in SETS:
        language = "zh" if name.endswith("zh") else "en"
        for line in (speech / "teacher" / name / "clips.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            tried += 1
            try:
                phones = phonemize(row["text"], language).phones
                spans = spans_of(phones, row["phonemes"], row["frames"])
            except InputError:
                continue
            if spans is None or len(spans) < 3:
                continue
            path = f"teacher/{name}/{row['id']}.ogg"
            audio = read_audio(speech / path)
            spans, begin, end = trimmed(settled(spans, audio))
            audio = audio[round(begin * RATE_HZ) : round(end * RATE_HZ)]
            identity = path.rsplit(".", 1)[0]
            speaker = "+".join(f"{voice}:{share:g}" for voice, share in row["voice"])
            writer.add(identity, path, speaker, language, row["text"], to_int16(audio))
            alignments.append(Alignment(
                identity, tuple(span.name for span in spans), tuple(round(span.end_s, 3) for span in spans)
            ))  # fmt: skip
    count = writer.close()
    write_alignments(folder, PART, alignments)
    return count, tried
