"""How far a voice's two adapters and its pace may go without costing words: tried, heard, chosen.

voice, the same half way through training, held-out sentences -> each pair of strengths spoken -> phone errors, words
lost and likeness -> the likest of those that say as much as the base does -> the same nearer to the recordings' pace

Strength is a factor on the update of every layer: 0 is the base, 1 the adapter as it was trained. Pace is part of a
voice too: spoken three times as fast, a slow reader is not recognised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from timbre.audio.level import apply_gain
from timbre.audio.waveform import Waveform
from timbre.evaluation.metrics.catalogue import misheard_allowance
from timbre.evaluation.metrics.signal import active_level_dbfs
from timbre.evaluation.metrics.speaker import relative_similarity
from timbre.evaluation.metrics.words import words_wrong
from timbre.evaluation.rendition import Recording, Renderer, Sentence
from timbre.inference.engine import Engine
from timbre.inference.recogniser import Recogniser
from timbre.inference.speaker import SpeakerEncoder
from timbre.inference.t2s_slots import NO_LORA, Lora
from timbre.inference.voice import MOST_GAIN, Voice
from timbre.text.edit_distance import edit_counts
from timbre.text.recognition import spoken_class_ids

PAIRS: tuple[tuple[float, float], ...] = (
    (0.0, 0.0), (1.0, 1.0), (0.5, 1.0), (0.0, 1.0), (0.5, 0.5), (0.0, 0.5), (0.25, 0.25), (0.0, 0.25),
)  # fmt: skip
"""(text to semantic, acoustic). The first is the base."""
EARLY_PAIRS: tuple[tuple[float, float], ...] = ((1.0, 1.0), (0.5, 1.0))
"""The same of the adapters half way."""
_MISHEARD = {"phone_error_rate": "phones", "word_error_rate": "words"}
_SEEDS = (1, 2)
SAME_LIKENESS = 0.01
LIKE_ENOUGH = 0.93
"""Likeness beyond this is not paid for with words. Stage 4 measures other sentences: it lies above the goal of 0.9."""
SAME_ERRORS = 0.03
"""Of phones and words together, over a few sentences: less than that is chance."""
SLOWEST, FASTEST = 2.0, 0.8
"""Most and least seconds of a voice to each second of the base's pace: of twice as many, recognisers lose words."""
SAME_PACE = 0.08
"""Share of the pace that no listener notices."""
_SHARES = (0.5, 0.75, 1.0)


@dataclass(frozen=True)
class StrengthTrial:
    """One pair of strengths and what was measured with it."""

    t2s: float
    """Strength of the text-to-semantic adapter; 1: as trained."""
    acoustic: float
    """Strength of the acoustic adapter; 1: as trained."""
    error_rate: float
    """Phone errors over phones."""
    likeness: float
    """1: as the speaker's own recordings are alike."""
    word_error_rate: float = 0.0
    """Words lost over words."""
    early: bool = False
    """Whether it used the adapters half way through training."""
    pace: float = 1.0
    """Spoken seconds over those that the pace of the recordings lets expect."""
    stretch: float = 1.0
    """Seconds to each second of the base's own pace (inference/pace.py)."""
    level_dbfs: float | None = None
    """Active level; None where nothing was spoken. Likeness is measured at the level of the recordings."""

    @property
    def title(self) -> str:
        """The pair in words, and its pace if it was changed."""
        drawn_out = f" x{self.stretch:.2f}" if self.stretch != 1.0 else ""
        return f"{self.t2s:g}, {self.acoustic:g}{' early' * self.early}{drawn_out}"

    @property
    def errors(self) -> float:
        """Phones and words misheard, as one figure to be least."""
        return self.error_rate + self.word_error_rate

    @property
    def as_trained(self) -> bool:
        """Whether these are the adapters at the end of training, at their full strength."""
        return (self.t2s, self.acoustic, self.early) == (1.0, 1.0, False)

    def says_as_much(self, base: StrengthTrial, most_rise: float, recorded: Mapping[str, float]) -> bool:
        """Whether neither phones nor words are lost beyond most_rise and what the recordings explain."""
        rates = {
            "phone_error_rate": (self.error_rate, base.error_rate),
            "word_error_rate": (self.word_error_rate, base.word_error_rate),
        }
        return all(
            own <= theirs + most_rise + misheard_allowance(name, recorded.get(name), theirs)
            for name, (own, theirs) in rates.items()
        )


@dataclass(frozen=True)
class TradeOff:
    """The strengths that were tried, and the kept ones."""

    chosen: int
    """Index of the kept one in `tried`; tried[0] is the base."""
    reason: str
    """Why it was chosen, in words."""
    tried: tuple[StrengthTrial, ...]
    """In the order of PAIRS, then of EARLY_PAIRS, then some of them at other paces."""
    recorded: Mapping[str, float] = field(default_factory=dict)
    """What the recogniser mishears of the recordings: metric -> rate."""
    recorded_dbfs: float | None = None
    """Active level of the recordings."""

    @property
    def best(self) -> StrengthTrial:
        return self.tried[self.chosen]

    @property
    def gain(self) -> float:
        """Factor that makes the kept pair as loud as the recordings."""
        spoken = self.best.level_dbfs
        if spoken is None or self.recorded_dbfs is None:
            return 1.0
        gain = 10 ** ((self.recorded_dbfs - spoken) / 20)
        return round(min(max(gain, 1 / MOST_GAIN), MOST_GAIN), 4)

    def plain(self) -> dict[str, Any]:
        """Its part of training.json."""
        return {**asdict(self), "tried": [asdict(item) for item in self.tried]}


def choose(tried: Sequence[StrengthTrial], most_rise: float, recorded: Mapping[str, float] | None = None) -> TradeOff:
    """Of those whose errors of phones and of words are at most the base's plus most_rise (the base itself always is
    one): the ones with the fewest errors, of phones and words, among the likest, which differ by less than a listener
    hears or are alike enough; and of those that chance may have put behind them the likest.

    recorded: of evaluation/recorded.py's `misheard_of`; where the recogniser mishears the owner, so it may the voice.
    """
    base, owner = tried[0], dict(recorded or {})
    able = [index for index, item in enumerate(tried) if item.says_as_much(base, most_rise, owner)]

    most = min(LIKE_ENOUGH, max(tried[index].likeness for index in able))
    alike = [index for index in able if tried[index].likeness > most - SAME_LIKENESS]
    fewest = min(tried[index].errors for index in alike)
    clear = [index for index in alike if tried[index].errors <= fewest + SAME_ERRORS]
    chosen = min(
        clear, key=lambda index: (-tried[index].likeness, tried[index].errors, tried[index].t2s + tried[index].acoustic)
    )
    best = tried[chosen]
    reason = (
        f"fewest errors among the likest of {len(able)} of {len(tried)} pairs that say as much as the base: "
        f"phone errors {best.error_rate:.1%} (base {base.error_rate:.1%}, at most {most_rise:.1%} more), words lost "
        f"{best.word_error_rate:.1%} (base {base.word_error_rate:.1%}), likeness {best.likeness:.3f} "
        f"(base {base.likeness:.3f}){', checkpoint half way' * best.early}{_pace_of(best)}"
    )
    if owner:
        shown = " and ".join(f"{owner[name]:.1%} of {what}" for name, what in _MISHEARD.items() if name in owner)
        reason += f"; of the recordings {shown} are misheard"
    return TradeOff(chosen, reason, tuple(tried), owner)


def _pace_of(trial: StrengthTrial) -> str:
    if trial.stretch == 1.0:
        return ""
    return f", drawn out {trial.stretch:.2f} times, to {trial.pace:.2f} of the owner's time"


def paces_towards(pace: float) -> tuple[float, ...]:
    """Stretches to try for a voice that takes `pace` times the seconds of its owner: some shares of the way, in
    octaves, within FASTEST and SLOWEST; none for a voice whose pace is its owner's.
    """
    wanted = min(max(1.0 / pace, FASTEST), SLOWEST)
    return () if abs(wanted - 1.0) <= SAME_PACE else tuple(round(wanted**share, 3) for share in _SHARES)


class Trials:
    """Speaks held-out sentences with a voice's adapters at given strengths and paces, and hears them."""

    def __init__(
        self,
        engine: Engine,
        recogniser: Recogniser,
        voice: Voice,
        recordings: Sequence[Recording],
        count: int,
        heard: Callable[[str], None] = lambda line: None,
        early: Voice | None = None,
    ) -> None:
        """recordings: at least two; the sentences of `count` of them are spoken. early: the voice half way."""
        self._renderer, self._recogniser, self._report = Renderer(engine), recogniser, heard
        self._encoder = SpeakerEncoder(engine.base, threads=engine.settings.threads)
        self._real = self._encoder.embed_many([item.wave for item in recordings])
        self.level_dbfs = mean_level_dbfs([item.wave for item in recordings])
        self._sentences = [Sentence(item.id, item.text, "held-out", item.language) for item in recordings[:count]]
        self._voice, self._early = voice, early

    def strengths(self) -> list[StrengthTrial]:
        """Every pair of PAIRS, and of EARLY_PAIRS where there is a voice half way."""
        found = [self._trial(*pair, early=False) for pair in PAIRS]
        return found + [self._trial(*pair, early=True) for pair in EARLY_PAIRS if self._early is not None]

    def paces(self, tried: Sequence[StrengthTrial], able: StrengthTrial) -> list[StrengthTrial]:
        """The pair that the words allow, and the likest one, nearer to the owner's pace: slower speech has room for
        more of the adapter.
        """
        likest = max(tried, key=lambda trial: trial.likeness)
        return [
            self._trial(pair.t2s, pair.acoustic, early=pair.early, stretch=stretch)
            for pair in dict.fromkeys((able, likest))
            for stretch in paces_towards(pair.pace)
        ]

    def _trial(self, t2s: float, acoustic: float, *, early: bool, stretch: float = 1.0) -> StrengthTrial:
        whose = self._early if early else self._voice
        assert whose is not None
        speaker = scaled(whose, t2s, acoustic, stretch)
        wrong = phones = lost = words = 0
        seconds = expected = 0.0
        waves = []
        for sentence in self._sentences:
            for seed in _SEEDS:
                spoken = self._renderer.speak(sentence, seed, speaker)
                if spoken.wave is None or not np.any(spoken.wave.samples):
                    # Not a word was said.
                    wrong, phones = wrong + len(spoken.phones), phones + len(spoken.phones)
                    lost, words = lost + len(spoken.words), words + len(spoken.words)
                    continue
                seconds, expected = seconds + spoken.wave.duration_s, expected + spoken.expected_s
                said = self._recogniser.hear(spoken.wave, spoken.phones)
                counts = edit_counts(spoken_class_ids(spoken.phones), said)
                wrong, phones = wrong + counts.errors, phones + counts.length
                lost, words = lost + words_wrong([word for _, word in spoken.words], said), words + len(spoken.words)
                waves.append(spoken.wave)
        level, likeness = None, 0.0
        if waves:
            level = mean_level_dbfs(waves)
            vectors = self._encoder.embed_many([apply_gain(wave, self.level_dbfs - level) for wave in waves])
            likeness = float(relative_similarity(vectors, self._real).mean())
        rates = round(wrong / max(1, phones), 4), round(likeness, 4), round(lost / max(1, words), 4)
        pace = round(seconds / expected, 4) if expected else 1.0
        found = StrengthTrial(t2s, acoustic, *rates, early, pace, stretch, None if level is None else round(level, 2))
        losses = f"phone errors {rates[0]:.1%}, words lost {rates[2]:.1%}"
        self._report(f"strengths {found.title}: {losses}, likeness {rates[1]:.3f}")
        return found


def mean_level_dbfs(waves: Sequence[Waveform]) -> float:
    """Active level over all of them: mean of their powers."""
    levels = np.array([active_level_dbfs(wave.samples, wave.rate_hz) for wave in waves])
    return float(10 * np.log10(np.mean(10 ** (levels / 10))))


def scaled(voice: Voice, t2s: float, acoustic: float, stretch: float = 1.0) -> Voice:
    """The voice with weaker adapters, at a pace. Its name says so, since decoders are kept by name."""
    lora = Lora({name: (down, np.float32(t2s) * up) for name, (down, up) in voice.t2s.tensors.items()})
    deltas = {name: replace(delta, scale=acoustic * delta.scale) for name, delta in voice.acoustic.items()}
    return replace(
        voice,
        name=f"{voice.name}-{t2s:g}-{acoustic:g}",
        prompt=replace(voice.prompt, pace=replace(voice.prompt.pace, stretch=stretch)),
        t2s=lora if t2s else NO_LORA,
        acoustic=deltas if acoustic else {},
    )
