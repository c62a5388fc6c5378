"""Limits of the recipe against what was measured. A Problem refuses the voice; a remark is for a person to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from timbre.core.problems import Problem
from timbre.core.recipe import ValidateRecipe
from timbre.inference.speaker_groups import Speakers, least_likeness
from timbre.pipeline.stages.validate.cleaning import DROWNED_OPINION, DenoiseDecision
from timbre.pipeline.stages.validate.speakers import MIN_SPEECH_S
from timbre.pipeline.stages.validate.survey import ClipSurvey
from timbre.text.scripts import spoken_weight, survey

_ORIGINAL = "use the original recording, at 24 kHz or more"
_QUIET_ROOM = "record in a quiet room, close to the microphone"
_LOUD_RATIO = 1.5
# Loudness-normalised speech has as much, and nobody hears it.
_CLIPPED_REMARK_SHARE = 0.001
# Recordings have pauses: what is long enough on the clock may hold this share of speech.
_SPOKEN_SHARE = 0.7
_ODD_PACE = 2.2
_MIN_PACE_CLIPS = 5
# Slices of one speaker this little above the limit are rare: worth an ear, not a refusal.
_ODD_MARGIN = 0.05
_MIN_GROUP_S = 5.0
# Of 8 speakers with noise at 12 dB in half of their recordings, 14 of 16 groups are above this; of 112 pairs of two
# speakers, one of them with that noise, 1 is.
_NOISY_GROUP = 0.70
_NOISIER_DB = 6.0
# Two quiet rooms may differ by more; what sounds different there is no noise.
_QUIET_DB = 20.0
# Groups that are 0.70 alike have slices whose mean cosine is 0.58, by how little a group's slices are its centre.
_NOISY_ALLOWANCE = 0.17
_SAME_ENVELOPE = 0.995
_SAME_LENGTH_S = 0.06
# A file whose band ends this far below half its rate was made at a lower rate.
_UPSAMPLED_SHARE = 0.6


@dataclass
class Findings:
    """What the checks of one voice found."""

    problems: list[Problem] = field(default_factory=list)
    """Each of them refuses the voice; in the order of finding."""
    remarks: list[Problem] = field(default_factory=list)
    """The voice passes with them; in the order of finding."""
    rejected: list[tuple[str, Problem]] = field(default_factory=list)
    """File and what is wrong with it, until leaving_out.py decides about it."""

    def reject(self, file: str, value: str, limit: str, remedy: str, kind: str = "") -> None:
        """This recording cannot be used. Whether the voice passes without it is decided when all are known."""
        self.rejected.append((file, Problem(file, value, limit, remedy, kind)))

    def refuse(self, where: str, value: str, limit: str, remedy: str, kind: str = "") -> None:
        """The voice cannot pass like this."""
        self.problems.append(Problem(where, value, limit, remedy, kind))

    def remark(self, where: str, value: str, limit: str, remedy: str, kind: str = "") -> None:
        """It passes, but it may sound better."""
        self.remarks.append(Problem(where, value, limit, remedy, kind))


def check_languages(
    base: str, spoken: Sequence[str], voice_language: str, languages: Sequence[str], found: Findings
) -> None:
    """Refuses a voice in a language that its base cannot speak: no adapter teaches it one.

    spoken: language of every clip, "" where it is not known. languages: those of the base; none where nobody knows.
    """
    missing = sorted({language for language in (voice_language, *spoken) if language} - set(languages))
    if languages and missing:
        found.refuse(
            "voice.yaml: language" if voice_language in missing else "metadata.csv: language",
            ", ".join(missing),
            f"{', '.join(languages)}, what the base {base} was trained to speak",
            "choose a base that speaks it: timbre base list",
            "language",
        )


def check_sound(file: str, clip: ClipSurvey, recipe: ValidateRecipe, base_rate_hz: int, found: Findings) -> None:
    """Rate, level, clipping, offset, bandwidth and music of one clip."""
    if clip.rate_hz < recipe.min_rate_hz:
        limit = f"at least {recipe.min_rate_hz} Hz"
        found.refuse(file, f"rate {clip.rate_hz} Hz", limit, _ORIGINAL, "rate")
    if clip.clipped_share > recipe.max_clipped_share:
        limit = f"at most {recipe.max_clipped_share:.2%}"
        found.reject(
            file,
            f"{clip.clipped_share:.2%} of the samples are clipped",
            limit,
            "lower the recording level until no peak clips, then record again",
            "clipped",
        )
    elif clip.clipped_share > _CLIPPED_REMARK_SHARE:
        value = f"{clip.clipped_share:.2%} of the samples are clipped"
        found.remark(
            file,
            value,
            f"at most {_CLIPPED_REMARK_SHARE:.1%}",
            "record with the microphone turned down a little",
            "clipped",
        )
    elif clip.peak > _LOUD_RATIO:
        found.remark(
            file, f"samples up to {clip.peak:.1f} times full scale", "at most 1", "export it at a lower level", "loud"
        )
    if clip.level_dbfs < recipe.min_level_dbfs:
        found.reject(
            file,
            f"speech at {clip.level_dbfs:.0f} dBFS",
            f"at least {recipe.min_level_dbfs:g} dBFS",
            "record closer to the microphone, or raise the recording level",
            "soft",
        )
    if abs(clip.dc_offset) > recipe.max_dc_offset:
        found.remark(
            file,
            f"DC offset {clip.dc_offset:+.3f}, taken out",
            f"at most {recipe.max_dc_offset:g}",
            "nothing to do; another sound card or cable would leave none",
            "offset",
        )
    if clip.music_share > recipe.max_music_share:
        found.reject(
            file,
            f"{clip.music_share:.0%} sounds like music",
            f"at most {recipe.max_music_share:.0%}",
            "record the voice alone, without music behind it",
            "music",
        )
    _check_bandwidth(file, clip, recipe, base_rate_hz, found)


def _check_bandwidth(file: str, clip: ClipSurvey, recipe: ValidateRecipe, base_rate_hz: int, found: Findings) -> None:
    """Sound that a file's rate promises but does not hold is refused; an honest low rate is only remarked on."""
    edge, half = clip.bandwidth_hz, clip.rate_hz / 2
    shown = f"band ends at {edge / 1000:.1f} kHz in a file of {clip.rate_hz} Hz"
    if edge < recipe.min_bandwidth_hz and edge < _UPSAMPLED_SHARE * half:
        found.reject(
            file,
            f"{shown}: upsampled, or recorded by telephone",
            f"at least {recipe.min_bandwidth_hz / 1000:g} kHz",
            _ORIGINAL,
            "telephone",
        )
    elif edge < recipe.min_bandwidth_hz:
        found.remark(
            file,
            f"{shown}: the voice would sound like a telephone",
            f"at least {recipe.min_bandwidth_hz / 1000:g} kHz",
            "record at 24 kHz or more",
            "telephone",
        )
    elif edge < 0.8 * min(half, base_rate_hz / 2):
        found.remark(
            file,
            shown,
            f"{min(half, base_rate_hz / 2) / 1000:g} kHz, the base's limit",
            "record at the base's rate or more, without MP3",
            "dull",
        )


def check_noise(
    file: str, clip: ClipSurvey, decision: DenoiseDecision, recipe: ValidateRecipe, found: Findings
) -> None:
    """Noise, after the decision about the denoiser: what was cleaned may start noisier, but not drowned."""
    least = recipe.min_snr_before_denoise_db if decision.applied else recipe.min_snr_db
    what = f"SNR {clip.snr_db:.0f} dB" + (f" before {decision.denoiser}" if decision.applied else "")
    if clip.snr_db < least:
        found.reject(file, what, f"at least {least:g} dB", _QUIET_ROOM, "noise")
    elif decision.before is not None and decision.drowned:
        value, limit = f"DNSMOS {decision.before.overall:.2f} as recorded", f"at least {DROWNED_OPINION:g}"
        found.reject(file, value, limit, _QUIET_ROOM, "noise")
    last = decision.after if decision.applied else decision.before
    if last is not None and last.overall < recipe.dnsmos_warn_below:
        found.remark(
            file,
            f"DNSMOS {last.overall:.2f}",
            f"at least {recipe.dnsmos_warn_below:g}",
            "record in a quieter, less reverberant room",
            "noise",
        )


def check_pace(
    files: Sequence[str], texts: Sequence[str], speech_s: Sequence[float], recipe: ValidateRecipe, found: Findings
) -> None:
    """Does the text fit the time? Against fixed limits of human speech, and against the voice's own median pace."""
    for file, text, seconds in zip(files, texts, speech_s, strict=True):
        if seconds <= 0:
            continue
        pace, low, high, unit = _pace(text, seconds, recipe)
        if not low <= pace <= high:
            remedy = "the text does not match the recording: correct metadata.csv"
            found.reject(file, f"{pace:.1f} {unit} a second for {text[:30]!r}", f"{low:g} to {high:g}", remedy, "pace")
    weights = np.array(
        [
            spoken_weight(text) / seconds if seconds > 0 else np.nan
            for text, seconds in zip(texts, speech_s, strict=True)
        ]
    )
    if np.count_nonzero(np.isfinite(weights)) < _MIN_PACE_CLIPS:
        return
    median = float(np.nanmedian(weights))
    for file, text, weight in zip(files, texts, weights, strict=True):
        ratio = weight / median if median > 0 else 1.0
        if np.isfinite(ratio) and not 1 / _ODD_PACE <= ratio <= _ODD_PACE and len(text) > 8:
            found.remark(
                file,
                f"read {ratio:.1f} times as fast as the others",
                f"{1 / _ODD_PACE:.1f} to {_ODD_PACE:g}",
                f"check by ear that it says {text[:30]!r}",
                "pace",
            )


def _pace(text: str, seconds: float, recipe: ValidateRecipe) -> tuple[float, float, float, str]:
    counts = survey(text)
    if counts.syllabic > counts.latin:
        # A digit is read as a character or so.
        pace = (counts.syllabic + counts.digits + counts.latin / 3) / seconds
        return pace, recipe.min_cjk_characters_per_s, recipe.max_cjk_characters_per_s, "characters"
    pace = (counts.letters + 3 * counts.syllabic + 4 * counts.digits) / seconds
    return pace, recipe.min_characters_per_s, recipe.max_characters_per_s, "letters"


def check_room(reverberation_s: float | None, recipe: ValidateRecipe, found: Findings) -> None:
    """Reverberation over all clips together."""
    if reverberation_s is not None and reverberation_s > recipe.max_reverberation_s:
        found.refuse(
            "all clips",
            f"reverberation of {reverberation_s:.1f} s",
            f"at most {recipe.max_reverberation_s:g} s",
            "record in a furnished room, near curtains or clothes, closer to the microphone",
            "room",
        )


def check_speakers(
    files: Sequence[str],
    speech_s: Sequence[float],
    speakers: Speakers,
    recipe: ValidateRecipe,
    found: Findings,
    snr_db: Sequence[float] = (),
) -> None:
    """One person? files, speech_s, snr_db: of each slice that was embedded and of its recording."""
    remedy = "keep one speaker per folder: remove the recordings of the other person"
    # So little speech gives embeddings too uncertain to tell a person by; single slices are still looked at below.
    noisy = _noisier(speakers, snr_db, found)
    if not noisy and speakers.smaller and sum(speech_s[i] for i in speakers.smaller) >= _MIN_GROUP_S:
        names = sorted({files[i] for i in speakers.smaller})
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        found.refuse(
            "all clips",
            f"two speakers (similarity {speakers.groups:.2f}); the other one in: {shown}",
            f"at least {recipe.min_group_similarity:g}",
            remedy,
            "speakers",
        )
        return
    for index, (file, seconds, similarity) in enumerate(zip(files, speech_s, speakers.similarity, strict=True)):
        others = len(speakers.voice) - (index not in speakers.smaller)
        settled = least_likeness(recipe.min_speaker_similarity, others)
        least = settled - (_NOISY_ALLOWANCE if index in noisy else 0.0)
        if similarity < least and seconds >= MIN_SPEECH_S:
            found.reject(
                file,
                f"another speaker? similarity {similarity:.2f} to the other slices",
                f"at least {least:.2g}",
                remedy,
                "speaker",
            )
        elif similarity < least + _ODD_MARGIN and seconds >= MIN_SPEECH_S and index not in noisy:
            found.remark(
                file,
                f"sounds unlike the other slices: similarity {similarity:.2f}",
                f"at least {least + _ODD_MARGIN:.2g}",
                "check by ear that it is the same person in the same room",
                "unlike",
            )


def check_take_speaker(file: str, similarity: float, takes: int, recipe: ValidateRecipe, found: Findings) -> None:
    """A single take against the takes before it. similarity: its likeness to them, so many `takes`."""
    least = least_likeness(recipe.min_speaker_similarity, takes)
    if similarity < least:
        value = f"another speaker? similarity {similarity:.2f} to the takes before"
        found.refuse(
            file,
            value,
            f"at least {least:.2g}",
            "let the same person record it again, with the same microphone",
            "speaker",
        )
    elif similarity < least + _ODD_MARGIN:
        value, limit = (
            f"sounds unlike the takes before: similarity {similarity:.2f}",
            f"at least {least + _ODD_MARGIN:.2g}",
        )
        found.remark(file, value, limit, "sit as you did before, as far from the same microphone", "unlike")


def _noisier(speakers: Speakers, snr_db: Sequence[float], found: Findings) -> tuple[int, ...]:
    """Indices of the smaller group if noise explains that it sounds different; says so."""
    smaller = speakers.smaller
    if not smaller or not snr_db or speakers.groups < _NOISY_GROUP:
        return ()
    there = float(np.median([snr_db[i] for i in smaller]))
    others = float(np.median([snr for i, snr in enumerate(snr_db) if i not in smaller]))
    # The smaller group by count may be the clean one.
    if abs(others - there) < _NOISIER_DB or min(there, others) >= _QUIET_DB:
        return ()
    found.remark(
        "all clips",
        f"recordings of {min(there, others):.0f} dB SNR among others of {max(there, others):.0f} dB sound different "
        f"(similarity {speakers.groups:.2f})",
        "one room and one distance from the microphone for all",
        "record the noisy ones again; if another person speaks in them, take them out",
        "noise",
    )
    return smaller


def check_amount(effective_s: float, recipe: ValidateRecipe, found: Findings, recorded_s: float = 0.0) -> None:
    """Seconds of usable speech of the whole voice; recorded_s: of the usable recordings with their pauses."""
    if effective_s < recipe.min_effective_s:
        if recorded_s >= recipe.min_effective_s and effective_s >= _SPOKEN_SHARE * recipe.min_effective_s:
            value = f"{effective_s:.0f} s of speech in {recorded_s:.0f} s of recordings"
            limit = f"{recipe.min_effective_s:g} s of speech for a good voice"
            found.remark("all clips", value, limit, "a few more sentences make it better", "nearly")
            return
        missing = recipe.min_effective_s - effective_s
        found.refuse(
            "all clips",
            f"{effective_s:.1f} s of usable speech",
            f"at least {recipe.min_effective_s:g} s",
            f"record about {max(1.0, missing * 1.3):.0f} s more",
            "little",
        )
    elif effective_s > recipe.max_effective_s:
        found.refuse(
            "all clips",
            f"{effective_s:.0f} s of speech",
            f"at most {recipe.max_effective_s:g} s",
            "keep the best one to five minutes, or raise validate.max_effective_s",
            "much",
        )
    elif effective_s > recipe.enough_effective_s:
        value, limit = f"{effective_s:.0f} s of speech", f"{recipe.enough_effective_s:g} s, more is not needed"
        remedy = "nothing to do: training takes a little longer, the voice is as good"
        found.remark("all clips", value, limit, remedy, "enough")


def same_recordings(
    files: Sequence[str], digests: Sequence[str], surveys: Sequence[ClipSurvey]
) -> Iterator[tuple[str, str, bool]]:
    """(file, earlier file, identical bytes) of clips that hold the same sound, by digest or by envelope."""
    first: dict[str, int] = {}
    copies: set[int] = set()
    for index, digest in enumerate(digests):
        if (earlier := first.setdefault(digest, index)) != index:
            copies.add(index)
            yield files[index], files[earlier], True
    order = sorted((i for i in range(len(files)) if i not in copies), key=lambda i: surveys[i].duration_s)
    for place, index in enumerate(order):
        for other in order[place + 1 :]:
            if surveys[other].duration_s - surveys[index].duration_s > _SAME_LENGTH_S:
                break
            if _alike(surveys[index], surveys[other]):
                later, earlier = max(index, other), min(index, other)
                yield files[later], files[earlier], False


def _alike(one: ClipSurvey, two: ClipSurvey) -> bool:
    # Envelopes of loud frames: silence before or after says nothing.
    count = min(len(one.activity.levels_dbfs), len(two.activity.levels_dbfs))
    if count < 20:
        return False
    first = np.maximum(one.activity.levels_dbfs[:count], one.level_dbfs - 30)
    second = np.maximum(two.activity.levels_dbfs[:count], two.level_dbfs - 30)
    if first.std() < 1e-6 or second.std() < 1e-6:
        return False
    return float(np.corrcoef(first, second)[0, 1]) > _SAME_ENVELOPE
