"""Who asked for a run and why, from CI variables or, on a workstation, from Git."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from timbre.core.printable import printable
from timbre.pipeline.ci.branch import merge_request, why_not_publish
from timbre.pipeline.ci.git import Repository
from timbre.pipeline.stages.table import Origin

# In order of precedence: GitLab, GitHub and Gitea Actions, Jenkins.
_COMMIT = ("CI_COMMIT_SHA", "GITHUB_SHA", "GIT_COMMIT")
_AUTHOR = ("CI_COMMIT_AUTHOR", "GITHUB_ACTOR", "CHANGE_AUTHOR_DISPLAY_NAME")
_REF = ("CI_COMMIT_REF_NAME", "GITHUB_REF_NAME", "GIT_BRANCH")
_JOB = ("CI_JOB_URL", "BUILD_URL")


def origin_of(environment: Mapping[str, str], root: Path) -> Origin:
    """The origin by the environment of a CI job; commit and author by Git where the job does not say."""
    head = Repository(root).head()
    commit = _first(environment, _COMMIT) or (head.hash if head else "")
    author = _first(environment, _AUTHOR) or (head.author if head and head.hash == commit else "")
    job = _first(environment, _JOB) or _github_job(environment)
    return Origin(
        commit, author, _first(environment, _REF), job, merge_request(environment), why_not_publish(environment)
    )


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return printable(next((environment[name] for name in names if environment.get(name)), ""))


def _github_job(environment: Mapping[str, str]) -> str:
    parts = [environment.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}" if all(parts) else ""
