"""One voice through the engine: open its folder and base, run, and report the outcome to the webhook.

A voice whose source was published before is promoted and runs no stage (pipeline/release/known_source.py).
"""

from __future__ import annotations

import dataclasses

from timbre.core.base import Base
from timbre.core.errors import ConfigurationError, TimbreError
from timbre.pipeline.bases.absent import refuse_without_base
from timbre.pipeline.ci.git import Repository
from timbre.pipeline.ci.git_notes import note_heads
from timbre.pipeline.engine.alerts import Alert, Webhook
from timbre.pipeline.engine.engine import Engine, StageOutcome
from timbre.pipeline.engine.failures import explain
from timbre.pipeline.engine.run_log import RunLog
from timbre.pipeline.engine.run_report import VoiceRun
from timbre.pipeline.release.known_source import publish_known
from timbre.pipeline.release.promotion import promotion_alert
from timbre.pipeline.release.revocation import (
    refuse_by_policy,
    refuse_withdrawn,
    refuse_without_room,
    remove_local_work,
)
from timbre.pipeline.stages.table import STAGES
from timbre.pipeline.voice.folder import VoiceFolder, open_voice
from timbre.registry.errors import RevokedError
from timbre.registry.open import open_registry


def open_named(engine: Engine, name: str) -> tuple[VoiceFolder, Base]:
    """The folder and the base of a voice. Raises InputError or ConfigurationError."""
    voice = open_voice(engine.workspace.voice_path(name), engine.recipe)
    return voice, engine.workspace.load_base(voice.base)


def run_voice(
    engine: Engine,
    name: str,
    until: str,
    rebuild: bool,
    webhook: Webhook | None,
    retrain: bool = False,
    runs: RunLog | None = None,
) -> VoiceRun:
    """Runs a voice up to a stage.

    retrain: run the stages even for a source that was published before; what they made already is kept. runs: where the
    run leaves its record. Never raises but for an interruption by hand: the failure is in the result, so that other
    voices still run.
    """
    outcomes: list[StageOutcome] = []
    recordings = ""
    number = runs.begin(engine.workspace, engine.origin, name, until, engine.log) if runs is not None else ""

    def record(run: VoiceRun) -> VoiceRun:
        if runs is not None:
            runs.finish(engine.workspace, engine.origin, number, run, engine.log, recordings)
        return run

    def collect(outcome: StageOutcome) -> None:
        outcomes.append(outcome)
        engine.on_stage(outcome)
        # Consent may be withdrawn while a voice is worked on.
        refuse_withdrawn(engine.registry, name, recordings, engine.log)

    base_name = ""
    try:
        voice = open_voice(engine.workspace.voice_path(name), engine.recipe)
        base_name, recordings = voice.base, voice.recordings()
        refuse_withdrawn(engine.registry, name, recordings, engine.log)
        refuse_by_policy(engine.registry, voice, engine.log)
        try:
            base = engine.workspace.load_base(voice.base)
        except ConfigurationError as absent:
            refuse_without_base(dataclasses.replace(engine, on_stage=collect), voice, absent)
        whole = until in ("", STAGES[-1].name)
        known = publish_known(engine, voice) if whole and not rebuild and not retrain else None
        if known is not None:
            collect(known)
        else:
            # Of a CI server's jobs each runs one stage; by hand a single stage publishes nothing.
            if not engine.origin.why_not and (whole or engine.origin.job_url):
                refuse_without_room(engine.registry, name, engine.log)
            dataclasses.replace(engine, on_stage=collect).run(voice, base, until, rebuild)
        if engine.notes and whole and not engine.origin.why_not:
            note_heads(Repository(engine.workspace.root), open_registry(engine.registry), [name], engine.notes)
    except Exception as error:
        explained = explain(error)
        if not isinstance(explained, TimbreError):
            engine.log.error("a bug in timbre", exc_info=error, extra={"voice": name})
        if isinstance(explained, RevokedError):
            remove_local_work(engine.workspace, name)
        run = record(VoiceRun(name, base_name, outcomes, explained))
        if webhook is not None:
            webhook.send(failure_alert(engine, run), engine.log)
        return run
    except BaseException as stopped:
        # A second signal ends the process at once; the record still says so.
        record(VoiceRun(name, base_name, outcomes, explain(stopped)))
        raise
    run = record(VoiceRun(name, base_name, outcomes))
    if webhook is not None:
        _tell_promotion(engine, run, webhook)
    return run


def status_of(engine: Engine, name: str) -> VoiceRun:
    """What is done and what is not; a folder that cannot be opened is in the result."""
    try:
        voice, base = open_named(engine, name)
        return VoiceRun(name, voice.base, engine.status(voice, base))
    except Exception as error:
        return VoiceRun(name, "", [], explain(error))


def _tell_promotion(engine: Engine, run: VoiceRun, webhook: Webhook) -> None:
    facts = run.outcomes[-1].facts if run.outcomes else {}
    if not facts.get("promoted"):
        return
    try:
        state = open_registry(engine.registry).alias(run.voice, str(facts["alias"]))
    except TimbreError as error:
        engine.log.warning("promotion alert not sent", extra={"voice": run.voice, "reason": str(error)})
        return
    if state is not None:
        webhook.send(promotion_alert(state, engine.origin.job_url), engine.log)


def failure_alert(engine: Engine, run: VoiceRun) -> Alert:
    """The webhook message of a failure: voice, stage, reason, report."""
    stage = run.outcomes[-1].row.name if run.outcomes and run.outcomes[-1].error is not None else ""
    report = engine.workspace.report(run.voice, stage) if stage else None
    shown = str(report.relative_to(engine.workspace.root)) if report and report.is_dir() else ""
    fields = {
        "voice": run.voice,
        "stage": stage,
        "exit code": str(run.exit_code),
        "commit": engine.origin.commit[:12],
        "author": engine.origin.author,
        "job": engine.origin.job_url,
        "report": shown,
    }
    where = f"stage {stage}" if stage else "before the first stage"
    return Alert(f"timbre: voice {run.voice} failed ({where})", str(run.error), fields)
