"""The jobs of a push as a GitLab child pipeline.

Job, Job, ... -> YAML of stages, needs, locks, retries and artefacts
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import yaml

from timbre.pipeline.ci.identity import TOKEN
from timbre.pipeline.ci.jobs import COLUMNS, RETIRE, Job

# Faults of runners; never a failed script (their exit codes decide). The second is a spot machine that was taken away,
# the third a registry of images that did not answer: GitLab split both off the first.
RUNNER_FAULTS = (
    "runner_system_failure",
    "runner_interrupted",
    "runner_external_dependency_failure",
    "stuck_or_timeout_failure",
    "scheduler_failure",
    "stale_schedule",
)
NOTHING = "no voice"
# Who may download reports: they hold recordings of the speaker.
_REPORT_READERS = "developer"


@dataclass(frozen=True)
class GitlabSettings:
    """What the operator decides."""

    image: str = ""
    """For executors that use one."""
    tag: str = ""
    """Tag of runners for jobs without a GPU; empty for any runner."""
    gpu_tag: str = "gpu"
    """Tag of runners for jobs with a GPU; empty for any runner."""
    keep: str = "30 days"
    """How long reports are kept."""
    id_audience: str = ""
    """Of the signed identity (id_tokens) of jobs that write the registry, "" for none."""


def child_pipeline(jobs: Sequence[Job], settings: GitlabSettings, note: str = "") -> str:
    """The YAML. Without jobs one that only says so, since GitLab refuses a pipeline without jobs."""
    document: dict[str, Any] = {
        # Without rules a child of a merge request's pipeline would be taken for one of a branch, and have no jobs.
        "workflow": {"rules": [{"if": '$CI_PIPELINE_SOURCE == "parent_pipeline"'}]},
        "variables": {"GIT_DEPTH": "0"},
    }
    if settings.image:
        document["default"] = {"image": settings.image}
    if not jobs:
        document["stages"] = ["nothing"]
        document[NOTHING] = {"stage": "nothing", "script": [_echo(note or "this push changes no voice")]}
    else:
        used = {job.stage for job in jobs}
        document["stages"] = [name for name in COLUMNS if name in used]
        document |= {job.name: _job(job, settings) for job in jobs}
    head = "# Written by `timbre ci` from the table of stages and the voices of this push.\n"
    return head + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)


def _job(job: Job, settings: GitlabSettings) -> dict[str, Any]:
    written: dict[str, Any] = {
        "stage": job.stage,
        # Outputs come through the registry's stage cache: recordings must not outlive a withdrawn consent as artefacts.
        "needs": [{"job": name, "artifacts": False} for name in job.needs],
        "script": [job.command],
        "timeout": f"{job.limit_min} minutes",
        "interruptible": job.interruptible,
        "retry": {"max": job.retries, "when": list(RUNNER_FAULTS), "exit_codes": list(job.retried_exit_codes)},
    }
    tag = settings.gpu_tag if job.gpu else settings.tag
    if tag:
        written["tags"] = [tag]
    if job.exclusive:
        written["resource_group"] = job.exclusive
    if job.environment and settings.id_audience:
        written["id_tokens"] = {TOKEN: {"aud": settings.id_audience}}
    if job.environment:
        action = "stop" if job.stage == RETIRE else "start"
        written["environment"] = {"name": job.environment, "deployment_tier": "production", "action": action}
        if action == "start":
            # The voice's page of the dashboard on GitLab Pages.
            written["environment"]["url"] = f"$CI_PAGES_URL/{quote(job.voice)}.html"
    if job.manual:
        # Allowed to wait: the version is published and the pipeline is done; production moves when somebody agrees.
        written |= {"when": "manual", "allow_failure": True}
    if job.resumes:
        # Checkpoints of a training that was killed; `always`, for that is when they are needed.
        written["cache"] = {"key": f"timbre-{job.name}".replace(" ", "-"), "paths": [job.resumes], "when": "always"}
    if job.keeps:
        written["artifacts"] = _artifacts(job, settings)
    return written


def _artifacts(job: Job, settings: GitlabSettings) -> dict[str, Any]:
    kept: dict[str, Any] = {
        "when": "always",
        "access": _REPORT_READERS,
        "expire_in": settings.keep,
        "paths": list(job.keeps),
    }
    # A link in the merge request, from GitLab 12.5 on; names in plain ASCII only.
    if job.name.isascii():
        kept["expose_as"] = f"{job.name} report"
    # Code quality: from 13.2 on in every tier; metrics: a paid tier.
    reports = {"junit": job.junit, "metrics": job.metrics, "codequality": job.code_quality}
    if any(reports.values()):
        kept["reports"] = {name: path for name, path in reports.items() if path}
    return kept


def _echo(words: str) -> str:
    return f"echo {words!r}" if "'" not in words and "\n" not in words else "echo this push changes no voice"
