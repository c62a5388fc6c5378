"""validation.json and its Markdown summary: what was found, what was done to every recording, and why."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from timbre.core.problems import Problem
from timbre.core.table import Table
from timbre.inference.speaker_groups import Speakers
from timbre.pipeline.stages.table import VALIDATION_FILE
from timbre.pipeline.stages.validate.checks import Findings
from timbre.pipeline.stages.validate.cleaning import DenoiseDecision
from timbre.pipeline.stages.validate.consent import Statement
from timbre.pipeline.stages.validate.survey import ClipSurvey

SCHEMA = 1
MARKDOWN_FILE = "validation.md"


@dataclass(frozen=True)
class Slice:
    """One slice as the next stages find it."""

    id: str
    """Five digits, from 00001 over the whole voice; names the slice in later stages and reports."""
    file: str
    """Relative to the stage's output, at the rate of the base."""
    file_16k: str
    """Relative to the stage's output, at 16 kHz; the same file if the rates agree."""
    text: str
    """What is said in it, as metadata.csv writes it."""
    language: str
    """Of the recording it was cut from."""
    duration_s: float
    """After long pauses were shortened."""
    speech_s: float
    """Seconds of speech in it."""
    clip: str
    """Recording that it was cut from."""
    start_s: float
    """Start in that recording."""
    end_s: float
    """End in that recording."""
    gain_db: float
    """Gain applied."""
    limited_db: float
    """Largest reduction by the limiter."""
    prompt: bool
    """Whether it may condition synthesis (3 to 10 s)."""
    held_out: bool = False
    """Whether it is kept for evaluation and never trained on."""


@dataclass(frozen=True, eq=False)
class ClipReport:
    """One recording: its measurements and what stage 1 did with it."""

    file: str
    """As in metadata.csv, relative to the voice folder."""
    text: str
    """As in metadata.csv."""
    sha256: str
    """Of the file's bytes, 64 hex digits; equal ones are reported as the same file."""
    survey: ClipSurvey | None
    """None when the file does not decode."""
    denoise: DenoiseDecision | None = None
    """None when no slice came out of it."""
    slices: int = 0
    """How many were cut from it; 0 when it was left out."""
    dropped_s: float = 0.0
    """Speech without a slice, in seconds; not counted as usable."""
    notes: tuple[str, ...] = ()
    """Why parts were dropped or kept long, for people."""


@dataclass(frozen=True, eq=False)
class Validation:
    """Everything that stage 1 found out about a voice."""

    voice: str
    """Name of the folder."""
    language: str
    """As voice.yaml names it; empty when it names none."""
    base: str
    """Name of the base, as voice.yaml gives it."""
    rate_hz: int
    """Of that base, and so of the slices."""
    consent_kind: str
    """`consent.kind` of voice.yaml."""
    denoiser: str
    """Name; empty when no clip needed one."""
    effective_s: float
    """Usable speech of all clips, without what was left out."""
    reverberation_s: float | None
    """Estimate over all clips together; None when they hold too few decays."""
    passing_noise_db: float | None
    """Voice over what a denoiser took out of the pauses, of the median piece; None when too few were listened to."""
    findings: Findings
    """What decides: any problem refuses the voice."""
    clips: Sequence[ClipReport]
    """One a recording, in the order of metadata.csv."""
    slices: Sequence[Slice]
    """Without those of recordings that were left out."""
    speakers: Speakers | None
    """None with fewer than two slices long enough to embed."""
    statement: Statement | None
    """None for consent without a recording, or when the recording cannot be read."""

    @property
    def passed(self) -> bool:
        """True when nothing has to be changed."""
        return not self.findings.problems

    def facts(self) -> dict[str, Any]:
        """The few figures for stage.json and the run's summary."""
        return {
            "passed": self.passed,
            "clips": len(self.clips),
            "slices": len(self.slices),
            "held_out": sum(piece.held_out for piece in self.slices),
            "effective_s": round(self.effective_s, 2),
            "denoised_clips": sum(bool(clip.denoise and clip.denoise.applied) for clip in self.clips),
            "denoiser": self.denoiser,
            "problems": len(self.findings.problems),
            "remarks": len(self.findings.remarks),
        }

    def plain(self) -> dict[str, Any]:
        """The content of validation.json."""
        durations = [piece.duration_s for piece in self.slices]
        edges = (0, 1, 3, 5, 7, 10, 15)
        histogram = {
            f"{low} to {high} s": sum(low <= d < high for d in durations) for low, high in itertools.pairwise(edges)
        }
        return {
            "schema": SCHEMA,
            "voice": self.voice,
            "language": self.language,
            "base": self.base,
            "rate_hz": self.rate_hz,
            **self.facts(),
            "reverberation_s": _rounded(self.reverberation_s),
            "passing_noise_db": _rounded(self.passing_noise_db),
            "problems": [asdict(problem) for problem in self.findings.problems],
            "remarks": [asdict(remark) for remark in self.findings.remarks],
            "consent": {"kind": self.consent_kind, "statement": asdict(self.statement) if self.statement else None},
            "speakers": None
            if self.speakers is None
            else {
                "group_similarity": _rounded(self.speakers.groups),
                "least_similarity": _rounded(float(self.speakers.similarity.min())),
            },
            "slice_lengths": histogram,
            "clips": [_clip(clip) for clip in self.clips],
            "slices": [{key: _rounded(value) for key, value in asdict(piece).items()} for piece in self.slices],
        }

    def markdown(self) -> str:
        """A summary for people: verdict, what to do, what was done."""
        facts = self.facts()
        verdict = "passed" if self.passed else f"refused, {facts['problems']} to correct"
        lines = [
            f"# Validation of `{self.voice}`: {verdict}",
            "",
            f"{self.effective_s:.1f} s of usable speech in {facts['clips']} clips, {facts['slices']} slices, "
            f"{facts['held_out']} of them held out for evaluation. Base `{self.base}`, {self.rate_hz} Hz.",
            "",
        ]
        lines += _problem_table("To correct", self.findings.problems) + _problem_table("Remarks", self.findings.remarks)
        lines += [
            "## Clips",
            "",
            Table(_CLIP_HEAD, [_clip_cells(clip) for clip in self.clips]).markdown(),
        ]
        if self.reverberation_s is not None:
            lines += ["", f"Reverberation over all clips: {self.reverberation_s:.2f} s (estimate)."]
        if self.speakers is not None:
            similar = float(self.speakers.similarity.min())
            lines += [f"Least similarity of a slice to the others: {similar:.2f} (GE2E)."]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> None:
        """Writes both files into an existing folder."""
        text = json.dumps(self.plain(), ensure_ascii=False, indent=1, allow_nan=False)
        (folder / VALIDATION_FILE).write_text(text + "\n", encoding="utf-8")
        (folder / MARKDOWN_FILE).write_text(self.markdown(), encoding="utf-8")


def _clip(clip: ClipReport) -> dict[str, Any]:
    plain: dict[str, Any] = {"file": clip.file, "text": clip.text, "sha256": clip.sha256}
    if clip.survey is not None:
        heard = clip.survey
        names = (
            "format",
            "rate_hz",
            "channels",
            "duration_s",
            "speech_s",
            "peak",
            "dc_offset",
            "clipped_share",
            "bandwidth_hz",
            "level_dbfs",
            "snr_db",
            "music_share",
        )
        plain |= {name: _rounded(getattr(heard, name)) for name in names}
    if clip.denoise is not None:
        plain["denoise"] = {key: _rounded(value) for key, value in asdict(clip.denoise).items()}
    return plain | {"slices": clip.slices, "dropped_s": _rounded(clip.dropped_s), "notes": list(clip.notes)}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value


def _problem_table(title: str, problems: Sequence[Problem]) -> list[str]:
    if not problems:
        return []
    table = Table(
        ("where", "found", "expected", "what to do"), [(p.where, p.value, p.limit, p.remedy) for p in problems]
    )
    return [f"## {title}", "", table.markdown(), ""]


_CLIP_HEAD = ("clip", "s", "speech s", "level dBFS", "SNR dB", "band edge kHz", "denoised", "slices", "notes")


def _clip_cells(clip: ClipReport) -> tuple[str, ...]:
    notes = "; ".join(clip.notes)
    if clip.survey is None:
        return (clip.file, *[""] * 7, f"not decoded {notes}")
    heard = clip.survey
    denoise = "-"
    if clip.denoise is not None:
        denoise = f"{clip.denoise.denoiser}: {clip.denoise.reason}" if clip.denoise.applied else clip.denoise.reason
    return (
        clip.file,
        f"{heard.duration_s:.1f}",
        f"{heard.speech_s:.1f}",
        f"{heard.level_dbfs:.0f}",
        f"{heard.snr_db:.0f}",
        f"{heard.bandwidth_hz / 1000:.1f}",
        denoise,
        str(clip.slices),
        notes,
    )
