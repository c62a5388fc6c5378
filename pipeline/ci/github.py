"""Voices on GitHub Actions, and on Gitea and Forgejo, which read the same files.

table of stages -> the workflow, written once and kept in the repository
jobs of a push -> lines for $GITHUB_OUTPUT, from which the workflow makes a job for each voice
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from timbre.pipeline.ci.jobs import APPROVE, COLUMNS, Job
from timbre.pipeline.engine.failures import MAX_RETRIES, RETRIED_EXIT_CODES

FILE = ".github/workflows/voices.yml"
_STEPS = tuple(name for name in COLUMNS if name != APPROVE)
_SUMMARY_BYTES = 1_000_000
"""GitHub refuses a summary of a step above 1 MiB."""
_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN")


class _Dumper(yaml.SafeDumper):
    """Scripts as blocks of lines, as people write them."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


@dataclass(frozen=True)
class GithubSettings:
    """What the operator decides."""

    image: str = ""
    """Container image of the jobs; empty for none."""
    tag: str = ""
    """Label of the runners."""
    gpu_tag: str = ""
    """Label of the GPU runners."""
    keep_days: int = 30
    """How long reports are kept."""


def workflow(settings: GithubSettings) -> str:
    """The YAML of FILE. It changes only with the table of stages and with the settings, never with a push."""
    document = {
        "name": "voices",
        # YAML 1.1 would read a bare `on` as true: the dumper quotes it, and the server takes both.
        "on": {
            "push": {"paths": ["voices/**"]},
            "pull_request": {"paths": ["voices/**"]},
            "workflow_dispatch": {
                "inputs": {
                    "approve": {"description": "Voice whose version waits for a review", "type": "string"},
                    "retrain": {"description": "Retrain every voice", "type": "boolean"},
                }
            },
        },
        "permissions": {"contents": "read"},
        "env": {"TIMBRE_REGISTRY": _expression("vars.TIMBRE_REGISTRY")}
        | {name: _expression(f"secrets.{name}") for name in _SECRETS},
        "jobs": {"plan": _plan(settings), "voices": _voices(settings), APPROVE: _approve(settings)},
    }
    head = (
        "# Written by `timbre ci --format github` from the table of stages; write it again after an upgrade.\n"
        "# The variable TIMBRE_REGISTRY and the secrets are those of the repository; see docs/github.md.\n"
    )
    return head + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


def outputs(jobs: Sequence[Job]) -> str:
    """One line for $GITHUB_OUTPUT: voices=[{voice, number, commands: {stage: command}, minutes}, ...]. number: names
    its artifact, which takes fewer characters than a folder may have.
    """
    voices: dict[str, dict[str, Any]] = {}
    for job in jobs:
        entry = voices.setdefault(job.voice, {"voice": job.voice, "number": len(voices), "commands": {}, "minutes": 0})
        if job.manual:
            continue
        entry["commands"][job.stage] = job.command
        entry["minutes"] += job.limit_min * (1 + job.retries)
    # ASCII with escapes: the name of a folder cannot end the line and begin an output of its own.
    return f"voices={json.dumps(list(voices.values()), separators=(',', ':'))}\n"


def _plan(settings: GithubSettings) -> dict[str, Any]:
    command = 'timbre ci --format matrix ${RETRAIN:+--all --retrain} >> "$GITHUB_OUTPUT"'
    return _job(settings, settings.tag) | {
        "if": _expression("!inputs.approve"),
        "timeout-minutes": 15,
        "outputs": {"voices": _expression("steps.plan.outputs.voices")},
        "steps": [
            _checkout(),
            {
                "id": "plan",
                "shell": "bash",
                "env": {"RETRAIN": _expression("inputs.retrain && 'yes' || ''")},
                "run": command,
            },
        ],
    }


def _voices(settings: GithubSettings) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [_checkout()]
    steps += [_stage(name) for name in _STEPS]
    steps.append({"name": "summary", "if": _expression("always()"), "shell": "bash", "run": _summary()})
    steps.append(
        {
            "name": "reports",
            "if": _expression("always()"),
            "uses": "actions/upload-artifact@v4",
            "with": {
                "name": _expression("format('reports-{0}', matrix.voice.number)"),
                "path": ".timbre/reports/",
                "include-hidden-files": True,
                "if-no-files-found": "ignore",
                "retention-days": settings.keep_days,
            },
        }
    )
    return (
        _job(settings, settings.gpu_tag or settings.tag)
        | _identified()
        | {
            "name": _expression("matrix.voice.voice"),
            "needs": "plan",
            "if": _expression("needs.plan.outputs.voices && needs.plan.outputs.voices != '[]'"),
            "timeout-minutes": _expression("matrix.voice.minutes"),
            # A voice is never trained twice at a time, and a job that moves an alias is never cut off.
            "concurrency": {
                "group": _expression("format('timbre-{0}-{1}', github.ref, matrix.voice.voice)"),
                "cancel-in-progress": False,
            },
            "strategy": {
                "fail-fast": False,
                "matrix": {"voice": _expression("fromJSON(needs.plan.outputs.voices)")},
            },
            "steps": steps,
        }
    )


def _approve(settings: GithubSettings) -> dict[str, Any]:
    """By the person who starts the workflow, as the server names them; a protected environment names no one."""
    return (
        _job(settings, settings.tag)
        | _identified()
        | {
            "if": _expression("inputs.approve"),
            "timeout-minutes": 15,
            "steps": [
                _checkout(),
                {
                    "shell": "bash",
                    "env": {"VOICE": _expression("inputs.approve")},
                    "run": 'timbre promote --approve -- "$VOICE"',
                },
            ],
        }
    )


def _job(settings: GithubSettings, label: str) -> dict[str, Any]:
    runner: dict[str, Any] = {"runs-on": label or "ubuntu-latest"}
    return runner | ({"container": settings.image} if settings.image else {})


def _checkout() -> dict[str, Any]:
    # The commit before the push has to be there, and the order of commits decides what may be promoted.
    return {"uses": "actions/checkout@v4", "with": {"fetch-depth": 0, "lfs": True, "persist-credentials": False}}


def _stage(name: str) -> dict[str, Any]:
    """A step that runs only where the plan has a command for it. The command comes in a variable, quoted by the plan:
    nothing that a push can write becomes part of the script.
    """
    command = f"matrix.voice.commands.{name}"
    codes = "|".join(map(str, RETRIED_EXIT_CODES))
    lines = [
        f"for attempt in $(seq {MAX_RETRIES + 1}); do",
        '  code=0; bash -c "$COMMAND" || code=$?',
        f'  case "$code" in {codes}) echo "exit code $code, attempt $attempt";; *) exit "$code";; esac',
        "done",
        'exit "$code"',
    ]
    return {
        "name": name,
        "if": _expression(command),
        "shell": "bash",
        "env": {"COMMAND": _expression(command)},
        "run": "\n".join(lines) + "\n",
    }


def _summary() -> str:
    lines = [
        "shopt -s nullglob",
        "pages=(.timbre/reports/*/*/*.md)",
        "[ ${#pages[@]} -gt 0 ] || exit 0",
        # A summary that is cut off is no failure of the job.
        f'{{ cat "${{pages[@]}}" || true; }} | head -c {_SUMMARY_BYTES} >> "$GITHUB_STEP_SUMMARY"',
    ]
    return "\n".join(lines) + "\n"


def _identified() -> dict[str, Any]:
    """Of jobs that write the registry: their server may sign who they are (identity.py fetches the token). Permissions
    of a job replace those of the workflow.
    """
    return {"permissions": {"contents": "read", "id-token": "write"}}


def _expression(text: str) -> str:
    return "${{ " + text + " }}"
