"""When words and sounds are heard: from codes that stand for phones, and by the voice's pace where they do not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from timbre.inference.captions import as_json, cues, srt, vtt
from timbre.inference.engine import Engine
from timbre.inference.pace import Pace
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.timing import BY_CODES, BY_PACE, SentenceTime, sentence_time
from timbre.inference.voice import load_voice
from timbre.text.frontend import phonemize
from timbre.text.pauses import finished
from timbre.text.phone_codes import UNIT_OF, tone_of
from timbre.text.recognition import SILENCE, class_of

RATE_HZ = 1000
CODE_S = 0.04
PACE = Pace(0.08)
SILENT = UNIT_OF[SILENCE, 0]


def spoken(text: str, language: str, lengths: Callable[[int], int]) -> tuple[list[int], list[tuple[str, int, int]]]:
    """Codes of a text whose n-th sound lasts lengths(n) codes, 5 at marks; and each sound as (symbol, from, to)."""
    codes = [2 * SILENT] + [2 * SILENT + 1] * 2
    truth: list[tuple[str, int, int]] = []
    for phone in finished(phonemize(text, language)).phones:
        kind = class_of(phone)
        if kind is None:
            continue
        if kind == SILENCE:
            codes += [2 * SILENT] + [2 * SILENT + 1] * 4
            continue
        unit, count = UNIT_OF[kind, tone_of(phone)], lengths(len(truth))
        truth.append((phone, len(codes), len(codes) + count))
        codes += [2 * unit] + [2 * unit + 1] * (count - 1)
    return codes, truth


def timed(text: str, language: str, codes: list[int], speed: float = 1.0, *, exact: bool = True) -> SentenceTime:
    wave = np.full(round(len(codes) * CODE_S / speed * RATE_HZ), 0.1, np.float32)
    phonemes = finished(phonemize(text, language))
    return sentence_time(text, phonemes, codes, wave, rate_hz=RATE_HZ, pace=PACE, codes_are_phones=exact)


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("Good morning, 21 people", "en", ["Good", "morning", "twenty-one", "people"]),
        ("今天好。", "zh", ["今", "天", "好"]),
        ("我用Python写。", "zh", ["我", "用", "Python", "写"]),
    ],
)
@pytest.mark.parametrize("speed", [1.0, 1.6])
def test_codes_say_when_each_sound_begins(text: str, language: str, words: list[str], speed: float) -> None:
    codes, truth = spoken(text, language, lambda place: 1 + place % 4)
    found = timed(text, language, codes, speed)
    assert found.method == BY_CODES
    assert [word.text for word in found.words] == words
    sounds = [sound for word in found.words for sound in word.sounds]
    assert [sound.symbol for sound in sounds] == [symbol for symbol, _, _ in truth]
    for sound, (_, first, last) in zip(sounds, truth, strict=True):
        assert (sound.start_s, sound.end_s) == pytest.approx((first * CODE_S / speed, last * CODE_S / speed), abs=2e-3)


def test_codes_of_another_text_are_not_believed() -> None:
    codes, _ = spoken("Good evening", "en", lambda _: 2)
    assert timed("Good morning", "en", codes).method == BY_PACE
    codes, _ = spoken("Good morning", "en", lambda _: 2)
    assert timed("Good morning", "en", codes[:-8]).method == BY_PACE  # cut off inside the last word
    assert timed("Good morning", "en", codes, exact=False).method == BY_PACE


def test_an_estimate_keeps_order_and_stays_inside_what_is_heard() -> None:
    wave = np.concatenate([np.zeros(300), np.full(1400, 0.2), np.zeros(300)]).astype(np.float32)
    text = "One, two and three."
    found = sentence_time(
        text, finished(phonemize(text, "en")), [], wave, rate_hz=RATE_HZ, pace=PACE, codes_are_phones=False
    )
    edges = [edge for word in found.words for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert edges[0] == pytest.approx(0.3, abs=0.011)
    assert edges[-1] == pytest.approx(1.7, abs=0.011)
    assert found.words[1].start_s - found.words[0].end_s > PACE.weak_s / 2  # the comma


def test_the_engine_times_streams_and_whole_answers_alike(pico_export: Path, make_voice: Callable[..., Path]) -> None:
    request = SpeechRequest("Good morning, everybody. How are you all today?", sampling=Sampling(seed=3), check=False)
    with Engine(pico_export) as engine:
        voice = load_voice(make_voice(), engine.base, name="ada", version="1")
        whole = engine.speak(request, voice)
        stream = engine.stream(request, voice)
        seconds = sum(piece.duration_s for piece in stream)
    assert len(whole.times) == 2 == len(stream.times)
    assert seconds == pytest.approx(whole.wave.duration_s, abs=0.01)
    for time, streamed in zip(whole.times, stream.times, strict=True):
        assert (streamed.text, streamed.start_s, streamed.end_s) == (time.text, time.start_s, time.end_s)
        assert [word.text for word in streamed.words] == [word.text for word in time.words]
        assert time.method == BY_PACE
    assert whole.times[1].start_s == pytest.approx(whole.times[0].end_s + request.pause_s)
    assert whole.times[1].end_s == pytest.approx(whole.wave.duration_s)
    assert all(word.start_s >= whole.times[1].start_s for word in whole.times[1].words)


LONG = (
    "When the wind had turned to the north, and the boats were all drawn up on the sand, the old man lit his pipe, "
    "sat down upon the wall & told us how, many <years> ago --> it began."
)


def test_subtitles_hold_the_text_in_short_cues() -> None:
    codes, _ = spoken(LONG, "en", lambda _: 2)
    times = [timed(LONG, "en", codes), timed("Yes.", "en", spoken("Yes.", "en", lambda _: 3)[0]).moved(3661.5)]
    found = cues(times)
    assert all(len(cue.text) <= 84 for cue in found)
    assert "".join("".join(cue.text.split()) for cue in found) == "".join((LONG + "Yes.").split())
    edges = [edge for cue in found for edge in (cue.start_s, cue.end_s)]
    assert edges == sorted(edges)
    first = times[0].words
    assert found[0].start_s == first[0].start_s
    assert found[0].end_s in {word.end_s for word in first}
    text = srt(times)
    assert re.findall(r"^\d+$", text, re.MULTILINE) == [str(number) for number in range(1, len(found) + 1)]
    assert text.count("-->") == len(found)
    assert "01:01:01,6" in text
    web = vtt(times)
    assert web.startswith("WEBVTT\n\n")
    assert web.count("-->") == len(found)
    assert "&amp; told" in web
    assert "&lt;years&gt;" in web
    plain = json.loads(as_json(times))["sentences"]
    assert [word["text"] for word in plain[1]["words"]] == ["Yes"]
    assert plain[1]["words"][0]["phones"][0]["symbol"] == "Y"
