"""Stage 1. Measures every recording, cuts and cleans what can be used, or refuses a folder with all its problems.

VoiceFolder -> surveys -> slices -> speakers, consent, amount -> validation.json (+ .md), slices/
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from timbre.audio.denoise import Denoiser
from timbre.audio.reader import UndecodableError, write
from timbre.audio.room import reverberation_s
from timbre.audio.waveform import Samples, Waveform
from timbre.core.digests import digest_file
from timbre.core.errors import InputError
from timbre.core.problems import problems_error
from timbre.core.recipe import Recipe, ValidateRecipe
from timbre.inference.speaker_groups import Speakers, Vectors, compare
from timbre.pipeline.stages.table import StageContext
from timbre.pipeline.stages.validate.checks import (
    Findings,
    check_amount,
    check_languages,
    check_noise,
    check_pace,
    check_room,
    check_sound,
    check_speakers,
    same_recordings,
)
from timbre.pipeline.stages.validate.cleaning import (
    ANALYSIS_RATE_HZ,
    Cleaner,
    Copies,
    DenoisePolicy,
    gain_db,
    make_copies,
    probe_spans,
    read_spans,
)
from timbre.pipeline.stages.validate.code_quality import FILE as CODE_QUALITY
from timbre.pipeline.stages.validate.code_quality import JENKINS_FILE, code_quality, findings, warnings_ng
from timbre.pipeline.stages.validate.consent import Statement, StatementCheck
from timbre.pipeline.stages.validate.denoisers import choose_denoiser
from timbre.pipeline.stages.validate.hearing import Hearing, unheard_remark
from timbre.pipeline.stages.validate.held_out import choose_held_out
from timbre.pipeline.stages.validate.leaving_out import settle_rejected
from timbre.pipeline.stages.validate.listening import Listener, listener_for
from timbre.pipeline.stages.validate.passing_noise import PassingNoise
from timbre.pipeline.stages.validate.pieces import inside, speech_in, speech_level
from timbre.pipeline.stages.validate.report import ClipReport, Slice, Validation
from timbre.pipeline.stages.validate.slicing import Cut, Limits, Plan, plan_slices, shorten_pauses
from timbre.pipeline.stages.validate.speakers import MIN_SPEECH_S, SpeakerEncoder
from timbre.pipeline.stages.validate.survey import ClipSurvey, seconds_by_headers, survey_clip, undecodable
from timbre.pipeline.voice.folder import Clip, VoiceFolder
from timbre.pipeline.voice.metadata import FILE as METADATA
from timbre.text.lexicon import load as load_lexicon

SLICES = "slices"
SLICES_16K = "slices_16k"
_MIN_SLICES = 2
_EMBED_TOGETHER = 8
_MIN_HELD_OUT_S = 2.0
_MOST_TABLE_BYTES = 4 << 20


class ValidateStage:
    """Stage 1 of the table in pipeline/stages/table.py."""

    version = 7

    def machine(self, recipe: Recipe, bases: Path, weights_root: Path) -> Mapping[str, str]:
        """Its denoiser: other packages here make other slices."""
        return {"denoiser": choose_denoiser(recipe.validate.denoise, bases, weights_root).identity}

    def run(self, context: StageContext) -> Mapping[str, Any]:
        """Writes slices/, slices_16k/ and validation.json; the report also when the voice is refused.

        Raises InputError with every problem of the folder, ConfigurationError when a denoiser that the recipe asks for
        is not there.
        """
        folder = context.voice
        result = _Run(context, folder, context.section(ValidateRecipe)).validate()
        result.write(context.report)
        found = findings(folder.name, result.findings.problems, result.findings.remarks, _table(folder.path))
        (context.report / CODE_QUALITY).write_text(code_quality(found), encoding="utf-8")
        (context.report / JENKINS_FILE).write_text(warnings_ng(found), encoding="utf-8")
        result.write(context.output)
        if not result.passed:
            raise problems_error(result.findings.problems, f"voice {folder.name}")
        return result.facts()


def _table(folder: Path) -> str:
    """metadata.csv as far as it can be read: findings name its rows."""
    try:
        return (folder / METADATA).read_bytes()[:_MOST_TABLE_BYTES].decode("utf-8", errors="replace")
    except OSError:
        return ""


@dataclass
class _Run:
    """The work on one folder; fields that grow are what the report is made of."""

    context: StageContext
    folder: VoiceFolder
    recipe: ValidateRecipe
    found: Findings = field(default_factory=Findings)
    encoder: SpeakerEncoder = field(default_factory=SpeakerEncoder)
    reports: list[ClipReport] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    vectors: list[Vectors] = field(default_factory=list)
    embedded: list[Slice] = field(default_factory=list)
    waiting: list[tuple[Slice, Samples]] = field(default_factory=list)
    decoded_s: float = 0.0
    passing: PassingNoise = field(default_factory=PassingNoise)

    @cached_property
    def listener(self) -> Listener | None:
        """The recogniser that hears the recordings, where one is there."""
        return listener_for(self.context.base)

    @cached_property
    def hearing(self) -> Hearing:
        """What was heard in the slices so far."""
        try:
            lexicon = load_lexicon(self.folder.path)
        except InputError:
            # Its lines are among the problems of the folder already.
            lexicon = {}
        return Hearing(self.listener, lexicon)

    def validate(self) -> Validation:
        self.found.problems += self.folder.problems
        spoken, base = [clip.language for clip in self.folder.clips], self.context.base
        check_languages(base.name, spoken, self.folder.language, base.languages, self.found)
        cleaner = Cleaner(DenoisePolicy.of(self.recipe), self._denoiser)
        (self.context.output / SLICES).mkdir()
        if self.context.base.rate_hz != ANALYSIS_RATE_HZ:
            (self.context.output / SLICES_16K).mkdir()
        clips = () if self._is_too_much() else self.folder.clips
        with self.context.progress.task("validate", total=len(clips), unit="clips") as task:
            for clip in clips:
                self.context.cancel.check()
                task.note(clip.file)
                self.reports.append(self._clip(clip, cleaner))
                task.advance()
        self.passing.check(self.found)
        self._embed(rest=True)
        self._compare_clips()
        self._compare_texts()
        rings = self._room()
        speakers = self._speakers()
        statement = self._statement(speakers)
        speech_s = {r.file: r.survey.speech_s - r.dropped_s for r in self.reports if r.survey}
        self._leave_out(speech_s)
        # A refused clip is in the sum all the same: its replacement counts, so do not ask for more recordings.
        effective = sum(speech_s.values())
        if self.reports or not self.found.problems:
            recorded = sum(r.survey.duration_s - r.dropped_s for r in self.reports if r.survey and r.file in speech_s)
            check_amount(effective, self.recipe, self.found, recorded)
        self._hold_out()
        denoiser = cleaner.denoiser.name if any(r.denoise and r.denoise.denoiser for r in self.reports) else ""
        return Validation(
            self.folder.name,
            self.folder.language,
            self.folder.base,
            self.context.base.rate_hz,
            self.folder.consent.kind,
            denoiser,
            effective,
            rings,
            self.passing.ratio_db,
            self.found,
            self.reports,
            self.slices,
            speakers,
            statement,
        )

    def _clip(self, clip: Clip, cleaner: Cleaner) -> ClipReport:
        """Measures one recording and, if there is something to use in it, writes its slices."""
        sha256 = digest_file(clip.path)
        try:
            most_s = min(self.recipe.max_clip_s, max(1.0, self.recipe.max_total_s - self.decoded_s))
            heard = survey_clip(clip.path, most_s, self.recipe.vad_aggressiveness, self.context.cancel)
        except UndecodableError as error:
            self.found.rejected.append((clip.file, undecodable(clip.file, clip.path.name, error)))
            return ClipReport(clip.file, clip.text, sha256, None)
        self.decoded_s += heard.duration_s
        check_sound(clip.file, heard, self.recipe, self.context.base.rate_hz, self.found)
        plan = plan_slices(heard.duration_s, heard.activity, clip.text, self._limits())
        if not heard.speech_s:
            limit = "speech"
            self.found.reject(clip.file, "no speech found", limit, "record it again or delete the row", "silent")
            return ClipReport(clip.file, clip.text, sha256, heard, notes=plan.notes)
        for note in plan.notes:
            self.found.remark(
                clip.file,
                note,
                f"slices of {self.recipe.slice_min_s:g} to {self.recipe.slice_max_s:g} s",
                "record sentences of 3 to 10 s, one file and one row each",
                "length",
            )
        if not plan.cuts:
            return ClipReport(clip.file, clip.text, sha256, heard, dropped_s=plan.dropped_s, notes=plan.notes)
        probes = list(read_spans(clip.path, probe_spans(plan.cuts))) if self._may_denoise(heard) else []
        decision = cleaner.decide(heard.snr_db, probes)
        check_noise(clip.file, heard, decision, self.recipe, self.found)
        level = heard.level_dbfs
        if decision.applied:
            level = speech_level([cleaner.denoise(piece) for piece in probes], level)
        self.passing.hear(len(self.reports), len(self.folder.clips), clip.path, plan.cuts, cleaner)
        self._write_slices(clip, heard, plan, cleaner if decision.applied else None, level)
        return ClipReport(clip.file, clip.text, sha256, heard, decision, len(plan.cuts), plan.dropped_s, plan.notes)

    def _may_denoise(self, heard: ClipSurvey) -> bool:
        mode = self.recipe.denoise
        return mode != "off" and (mode != "auto" or heard.snr_db < self.recipe.denoise_below_snr_db)

    def _write_slices(
        self, clip: Clip, heard: ClipSurvey, plan: Plan, cleaner: Cleaner | None, level_dbfs: float
    ) -> None:
        gain = gain_db(level_dbfs, self.recipe.loudness_target_dbfs)
        rate_hz = self.context.base.rate_hz
        for cut, wave in zip(plan.cuts, read_spans(clip.path, [(c.start_s, c.end_s) for c in plan.cuts]), strict=True):
            self.context.cancel.check()
            clean = cleaner.denoise(wave) if cleaner is not None else wave
            copies = self._copies(clean, heard, cut, level_dbfs)
            name = f"{len(self.slices) + 1:05d}.wav"
            file_16k = f"{SLICES_16K}/{name}" if rate_hz != ANALYSIS_RATE_HZ else f"{SLICES}/{name}"
            write(self.context.output / SLICES / name, copies.base)
            if rate_hz != ANALYSIS_RATE_HZ:
                write(self.context.output / file_16k, copies.analysis)
            duration = copies.base.duration_s
            piece = Slice(
                id=name.removesuffix(".wav"),
                file=f"{SLICES}/{name}",
                file_16k=file_16k,
                text=cut.text,
                language=clip.language,
                duration_s=duration,
                speech_s=speech_in(heard, cut),
                clip=clip.file,
                start_s=cut.start_s,
                end_s=cut.end_s,
                gain_db=gain,
                limited_db=copies.reduction_db,
                prompt=self.recipe.slice_min_s <= duration <= self.recipe.slice_max_s,
            )
            self.slices.append(piece)
            if piece.speech_s >= MIN_SPEECH_S:
                # To the speaker encoder a denoiser makes another person of the same one.
                as_recorded = copies if cleaner is None else self._copies(wave, heard, cut, heard.level_dbfs)
                self.waiting.append((piece, as_recorded.analysis.samples))
            if self.recipe.check_transcripts:
                self.hearing.add(clip.file, cut.text, clip.language, copies.analysis.samples)
            self._embed()

    def _copies(self, wave: Waveform, heard: ClipSurvey, cut: Cut, level_dbfs: float) -> Copies:
        pauses = inside(heard.activity.runs(False), cut)
        tight = Waveform(shorten_pauses(wave.samples, wave.rate_hz, pauses, self.recipe.max_pause_s), wave.rate_hz)
        gain = gain_db(level_dbfs, self.recipe.loudness_target_dbfs)
        return make_copies(tight, gain, self.context.base.rate_hz, self.recipe.limiter_ceiling_dbfs)

    def _embed(self, rest: bool = False) -> None:
        """Embeds the waiting slices a few at a time, so that they need not all be held."""
        if len(self.waiting) >= _EMBED_TOGETHER or (rest and self.waiting):
            self.vectors.append(self.encoder.embed([samples for _, samples in self.waiting]))
            self.embedded += [piece for piece, _ in self.waiting]
            self.waiting.clear()

    def _compare_clips(self) -> None:
        heard = [(report, report.survey) for report in self.reports if report.survey is not None]
        files = [report.file for report, _ in heard]
        for file, earlier, identical in same_recordings(files, [r.sha256 for r, _ in heard], [s for _, s in heard]):
            value = f"the same {'file' if identical else 'recording'} as {earlier}"
            self.found.reject(file, value, "no duplicate recordings", "delete one of the files and its row", "twice")
        spoken = [(report, survey) for report, survey in heard if survey.speech_s > 0]
        check_pace(
            [r.file for r, _ in spoken],
            [r.text for r, _ in spoken],
            [s.speech_s for _, s in spoken],
            self.recipe,
            self.found,
        )

    def _compare_texts(self) -> None:
        if not self.recipe.check_transcripts:
            return
        verdict = self.hearing.verdict([clip.file for clip in self.folder.clips])
        self.found.problems += verdict.problems
        self.found.rejected += verdict.rejected
        self.found.remarks += verdict.remarks
        heard_by = f"base {self.listener.base.name}" if self.listener is not None else ""
        if (remark := unheard_remark(verdict.unheard, heard_by)) is not None:
            self.found.remarks.append(remark)

    def _is_too_much(self) -> bool:
        """Before a sample is decoded: small files may unpack into days of sound."""
        total = seconds_by_headers(clip.path for clip in self.folder.clips)
        if total > self.recipe.max_total_s:
            value, limit = f"{total:.0f} s of sound by their headers", f"at most {self.recipe.max_total_s:g} s"
            remedy = "keep the best recordings, one to five minutes are enough"
            self.found.refuse("all clips", value, limit, remedy, "much")
        return total > self.recipe.max_total_s

    def _leave_out(self, speech_s: dict[str, float]) -> None:
        """Takes bad recordings out of slices and sums where enough remain without them."""
        counts = Counter(piece.clip for piece in self.slices)
        files = [clip.file for clip in self.folder.clips]
        for file in settle_rejected(self.found, files, speech_s, counts, self.recipe):
            speech_s.pop(file, None)
            for piece in self.slices:
                if piece.clip == file:
                    for name in {piece.file, piece.file_16k}:
                        (self.context.output / name).unlink()
            self.slices = [piece for piece in self.slices if piece.clip != file]

    def _room(self) -> float | None:
        levels = [report.survey.room_levels_db for report in self.reports if report.survey is not None]
        rings = reverberation_s(np.concatenate(levels)) if levels else None
        check_room(rings, self.recipe, self.found)
        return rings

    def _speakers(self) -> Speakers | None:
        # Drowned or clipped speech sounds like nobody; it is judged already.
        bad = {file for file, _ in self.found.rejected}
        kept = [i for i, piece in enumerate(self.embedded) if piece.clip not in bad]
        kept = kept if len(kept) >= _MIN_SLICES else list(range(len(self.embedded)))
        if len(kept) < _MIN_SLICES:
            return None
        speakers = compare(np.concatenate(self.vectors)[kept], self.recipe.min_group_similarity)
        files, seconds = [self.embedded[i].clip for i in kept], [self.embedded[i].speech_s for i in kept]
        surveys = {report.file: report.survey.snr_db for report in self.reports if report.survey is not None}
        noise = [surveys[file] for file in files] if all(file in surveys for file in files) else []
        check_speakers(files, seconds, speakers, self.recipe, self.found, noise)
        return speakers

    def _statement(self, speakers: Speakers | None) -> Statement | None:
        path = self.folder.statement
        named = f"voice.yaml: consent.statement ({self.folder.consent.statement})"
        if path is None or any(
            problem.where.startswith("voice.yaml: consent.statement") for problem in self.found.problems
        ):
            return None
        voice = speakers.voice if speakers is not None else None
        check = StatementCheck(
            named, path, self.folder.language, self.folder.consent.approved_by, self.recipe, self.encoder,
            self.listener, voice,
        )  # fmt: skip
        return check.run(self.found)

    def _hold_out(self) -> None:
        texts, lengths = [piece.text for piece in self.slices], [piece.duration_s for piece in self.slices]
        self._allow_longer_prompts()
        prompts = [piece.prompt for piece in self.slices]
        share, least = self.recipe.held_out_share, self.recipe.held_out_min
        kept = choose_held_out(texts, lengths, share, least, _MIN_HELD_OUT_S, prompts)
        self.slices = [dataclasses.replace(piece, held_out=i in kept) for i, piece in enumerate(self.slices)]
        training = [piece for piece in self.slices if not piece.held_out]
        if not self.slices or self.found.problems:
            return
        if len(kept) < self.recipe.held_out_min or not any(piece.prompt for piece in training):
            value = f"{len(self.slices)} slices, {len(kept)} of them held out"
            limit = f"{self.recipe.held_out_min} held out, and one of 3 to 10 s to train on"
            self.found.refuse(
                "all clips", value, limit, "record more sentences of 3 to 10 s, one file and one row each", "lines"
            )

    def _allow_longer_prompts(self) -> None:
        """Where every sentence is a little longer than a prompt should be, a little longer prompts have to do."""
        if any(piece.prompt for piece in self.slices):
            return
        longer = [piece for piece in self.slices if self.recipe.slice_min_s <= piece.duration_s]
        if longer:
            value = f"no slice of {self.recipe.slice_min_s:g} to {self.recipe.slice_max_s:g} s; longer ones are prompts"
            limit = "one sentence of 3 to 10 s"
            self.found.remark("all clips", value, limit, "record a few sentences of 3 to 10 s as well", "length")
            self.slices = [dataclasses.replace(piece, prompt=piece in longer) for piece in self.slices]

    def _limits(self) -> Limits:
        given = self.recipe
        return Limits(given.slice_min_s, given.slice_max_s, given.whole_clip_max_s, given.clip_min_s, given.max_pause_s)

    def _denoiser(self) -> Denoiser:
        """The one that the recipe names, or the best that this machine has."""
        return choose_denoiser(self.recipe.denoise, self.context.root / "bases", self.context.base.weights_root).make()
