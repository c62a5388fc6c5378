"""A voice of one recording at its owner's pace and level: the base speaks with it once, and what it does is measured.

prompt, recording -> sentences in that voice -> seconds a sound and level of both -> stretch, gain -> prompt

Readers take .9 to 1.5 times the seconds of nano, and what it speaks lies 0 to 4 dB below recordings. Without a
training there is nothing to hear a trade-off on, so a voice is drawn out no further than cost no words in any of three
speakers that read slowly; stage 3 goes further where it hears that it may (evaluation/strengths.py).
"""

from __future__ import annotations

from dataclasses import replace

from timbre.audio.level import active_level_dbfs
from timbre.audio.resample import resample
from timbre.audio.vad import Activity, detect
from timbre.audio.waveform import Waveform
from timbre.inference.engine import Engine
from timbre.inference.pace import Pace
from timbre.inference.reference import HEARING_HZ, Reference
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.t2s_slots import NO_LORA
from timbre.inference.voice import MOST_GAIN, Prompt, Voice
from timbre.text.frontend import phonemize
from timbre.text.pauses import count_pauses, finished

SLOWEST, FASTEST = 1.4, 0.9
"""Most and least seconds to each second of the base's own pace."""
SAME_PACE = 0.15
"""Share by which two readings of one speaker differ."""
_TEXTS = {
    "en": "The evening was quiet, and we sat by the window until the lamps were lit. "
    "Please bring a warm coat and something to eat, since the walk back takes more than an hour.",
    "zh": "傍晚很安静，我们一直坐在窗边，看着路灯一盏一盏亮起来。请带一件厚外套和一些吃的，因为走回来要一个多小时。",
}
_LONGEST_TEXT = 200
_FEWEST_SOUNDS = 12
_SEED = 1


def settled(engine: Engine, prompt: Prompt, recording: Reference, text: str = "") -> Prompt:
    """The prompt with pace and gain, of an engine of its base. text: what is said in the recording; "" where nobody
    knows: its sounds are then counted by the base's recogniser.

    The pace changes only on bases whose codes stand for phones, and nothing does for a language without sentences to
    try, or where nothing was spoken. Raises what Engine.speak raises.
    """
    said = text if 0 < len(text) <= _LONGEST_TEXT else _TEXTS.get(prompt.language, "")
    if not said:
        return prompt
    plain = replace(prompt, pace=replace(prompt.pace, stretch=1.0), gain=1.0)
    voice = Voice("settling", "recording", engine.base.digest, plain, NO_LORA, {})
    request = SpeechRequest(said, language=prompt.language, sampling=Sampling(seed=_SEED), check=False)
    spoken = detect(resample(engine.speak(request, voice).wave, HEARING_HZ).samples)
    if not spoken.speech.any():
        return prompt
    gain = 10 ** ((_level_dbfs(recording.activity) - _level_dbfs(spoken)) / 20)
    found = replace(plain, gain=min(max(gain, 1 / MOST_GAIN), MOST_GAIN))
    if not engine.base.speaking.follow_text:
        return found
    return replace(found, pace=_pace(engine, plain, recording, text, spoken.speech_s / _sounds(said, engine, plain)))


def _pace(engine: Engine, prompt: Prompt, recording: Reference, text: str, own_s: float) -> Pace:
    """own_s: seconds a sound of the base in this voice."""
    sounds = _sounds(text, engine, prompt) if text else _heard(engine, recording)
    if sounds < _FEWEST_SOUNDS:
        return prompt.pace
    ratio = recording.speech_s / sounds / own_s
    stretch = 1.0 if abs(ratio - 1.0) <= SAME_PACE else min(max(ratio, FASTEST), SLOWEST)
    # The guards expect what this voice takes, not its owner.
    return replace(prompt.pace, phone_s=own_s * stretch, stretch=stretch)


def _sounds(text: str, engine: Engine, prompt: Prompt) -> int:
    phonemes = finished(phonemize(text, prompt.language, {}, engine.base.languages))
    return max(1, count_pauses(phonemes.phones).sounding)


def _heard(engine: Engine, recording: Reference) -> int:
    if engine.recogniser is None:
        return 0
    return len(engine.recogniser.hear(Waveform(recording.heard, HEARING_HZ)))


def _level_dbfs(activity: Activity) -> float:
    return active_level_dbfs(activity.levels_dbfs, activity.speech)
