"""The jobs of a plan, in no CI engine's words: what each needs, keeps, locks, and may be retried on.

Plan -> Job, Job, ...; pipeline/ci/gitlab.py and the Jenkinsfile put them into their engine's words.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from timbre.core.digests import digest_value
from timbre.pipeline.ci.plan import Action, Plan, PlannedVoice
from timbre.pipeline.engine.failures import MAX_RETRIES, RETRIED_EXIT_CODES
from timbre.pipeline.stages.table import STAGES, StageRow

# Beside the stages of the table: a person's approval, and a voice whose folder is gone.
APPROVE, RETIRE = "approve", "retire"
COLUMNS: tuple[str, ...] = (*(row.name for row in STAGES), APPROVE, RETIRE)
_PUBLISH = STAGES[-1]
_SHORT_MIN = 15


@dataclass(frozen=True)
class Job:
    """A job of the generated pipeline."""

    name: str
    """Stage and voice, unique in the pipeline; `needs` refers to it."""
    voice: str
    """Name of its folder, also one that no voice can have."""
    stage: str
    """Column of the pipeline's picture (COLUMNS)."""
    command: str
    """One call of `timbre`, quoted for a POSIX shell."""
    needs: tuple[str, ...] = ()
    """Names of jobs that must have ended well."""
    keeps: tuple[str, ...] = ()
    """Files and folders to keep, also of a failed job; the four reports below are among them."""
    junit: str = ""
    """Path of the JUnit report; empty for none."""
    metrics: str = ""
    """Path of GitLab's metrics report; empty for none."""
    code_quality: str = ""
    """Path of GitLab's code quality report; empty for none."""
    warnings: str = ""
    """Path of the report for Jenkins' plugin warnings-ng; empty for none."""
    resumes: str = ""
    """Folder that a second attempt goes on from."""
    gpu: bool = False
    """Where to run."""
    limit_min: int = _SHORT_MIN
    """minutes."""
    exclusive: str = ""
    """Name of the lock that only one job holds at a time; "" for none."""
    environment: str = ""
    """What is deployed to."""
    interruptible: bool = True
    """Whether a newer push may end it."""
    manual: bool = False
    """Waits for a person."""
    retries: int = MAX_RETRIES
    """Attempts after the first."""
    retried_exit_codes: tuple[int, ...] = RETRIED_EXIT_CODES
    """Exit codes after which there is another attempt: failures of the machine."""


def jobs_of(plan: Plan) -> tuple[Job, ...]:
    """All jobs, voice by voice, each after those that it needs. Raises ValueError for needs that cannot be met."""
    jobs = tuple(job for voice in plan.voices for job in _voice_jobs(voice, plan))
    check_needs({job.name: job.needs for job in jobs})
    return jobs


def check_needs(needs: Mapping[str, Sequence[str]]) -> None:
    """Raises ValueError that names a job which needs itself in a circle, or one that is not there.

    gitlab-ci-local runs for ever on a circle, and a circle or an unknown name makes GitLab refuse the whole pipeline.
    """
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise ValueError(f"jobs need each other in a circle: {' -> '.join((*path[path.index(name) :], name))}")
        if name not in needs:
            raise ValueError(f"job {path[-1]!r} needs {name!r}, which does not exist")
        if name not in done:
            for before in needs[name]:
                visit(before, (*path, name))
            done.add(name)

    for name in needs:
        visit(name, ())


def as_plain(plan: Plan, jobs: Sequence[Job]) -> dict[str, Any]:
    """For --format json: what the Jenkinsfile reads."""
    return {
        "schema": 1,
        "from": plan.push.older,
        "to": plan.push.newer,
        "publishes": plan.push.publishes,
        "why_not": plan.push.why_not,
        "note": plan.note,
        "code": plan.code,
        "stages": list(COLUMNS),
        "voices": [
            {
                "voice": voice.voice,
                "action": str(voice.action),
                "why": voice.why,
                "review": voice.review,
                "jobs": [asdict(job) for job in jobs if job.voice == voice.voice],
            }
            for voice in plan.voices
        ],
    }


def _voice_jobs(voice: PlannedVoice, plan: Plan) -> Iterator[Job]:
    label = voice.voice if voice.named else _label(voice.voice)
    if voice.action is Action.RETIRE:
        yield _deploying(label, voice.voice, RETIRE, _call("retire", voice.voice))
        return
    rows: Sequence[StageRow] = STAGES if voice.action is Action.BUILD else (_PUBLISH,)
    if not voice.named:
        rows = STAGES[:1]
    before: tuple[str, ...] = ()
    for row in rows:
        if row is _PUBLISH:
            if not plan.push.publishes and voice.action is Action.BUILD:
                return
            command = _call(row.name, voice.voice, *(("--retrain",) if plan.retrain else ()))
            yield _deploying(label, voice.voice, row.name, command, before, row.limit_min)
        else:
            yield _stage_job(label, voice, row, before)
        before = (_name(row.name, label),)
    if voice.review and plan.push.publishes:
        command = _call("promote", voice.voice, "--approve")
        yield _deploying(label, voice.voice, APPROVE, command, before, manual=True)


def _stage_job(label: str, voice: PlannedVoice, row: StageRow, needs: tuple[str, ...]) -> Job:
    reports = f".timbre/reports/{label}/{row.name}/"
    return Job(
        name=_name(row.name, label),
        voice=voice.voice,
        stage=row.name,
        command=_call(row.name, voice.voice),
        needs=needs,
        keeps=(reports,),
        junit=reports + row.junit if row.junit else "",
        metrics=reports + row.metrics if row.metrics else "",
        code_quality=reports + row.code_quality if row.code_quality else "",
        warnings=reports + row.warnings if row.warnings else "",
        resumes=f".timbre/work/{label}/{row.name}/" if row.gpu else "",
        gpu=row.gpu,
        limit_min=row.limit_min + (round(voice.training_min) if row.gpu else 0),
        # Two trainings of one voice: the second finds what the first made.
        exclusive=f"timbre-{row.name}-{label}" if row.gpu else "",
    )


def _deploying(
    label: str,
    voice: str,
    stage: str,
    command: str,
    needs: tuple[str, ...] = (),
    limit_min: int = _SHORT_MIN,
    manual: bool = False,
) -> Job:
    """A job that moves an alias: one at a time for each voice, and never cut off half-way."""
    return Job(
        name=_name(stage, label),
        voice=voice,
        stage=stage,
        command=command,
        needs=needs,
        keeps=(".timbre/reports/" + label + "/",) if stage == _PUBLISH.name else (),
        limit_min=limit_min,
        exclusive=f"timbre-publish-{label}",
        # GitLab's environments take ASCII only.
        environment=f"voices/{label if label.isascii() else _label(label)}",
        interruptible=False,
        manual=manual,
    )


def _name(stage: str, label: str) -> str:
    return f"{stage} {label}"


def _call(*words: str) -> str:
    """A command line; the name of a folder comes from a push and may hold anything."""
    return shlex.join(("timbre", *words))


def _label(folder: str) -> str:
    """A harmless name for a folder that cannot be a voice; distinct for distinct folders."""
    return re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")[:40] + "-" + digest_value(folder)[:6]
