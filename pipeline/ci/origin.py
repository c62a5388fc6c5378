"""Who asked for a run and why, from CI variables or, on a workstation, from Git."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from timbre.core.printable import printable
from timbre.pipeline.ci.branch import merge_request, why_not_publish
from timbre.pipeline.ci.git import Repository
from timbre.registry.actor import CLAIMED, Actor

# In order of precedence: GitLab, GitHub and Gitea Actions, Jenkins.
_COMMIT = ("CI_COMMIT_SHA", "GITHUB_SHA", "GIT_COMMIT")
_AUTHOR = ("CI_COMMIT_AUTHOR", "GITHUB_ACTOR", "CHANGE_AUTHOR_DISPLAY_NAME")
_REF = ("CI_COMMIT_REF_NAME", "GITHUB_REF_NAME", "GIT_BRANCH")
_JOB = ("CI_JOB_URL", "BUILD_URL")
UNKNOWN_PERSON = "unknown"


@dataclass(frozen=True)
class Origin:
    """Who asked for this run and why; recorded by publish, part of no key. Empty strings where unknown."""

    commit: str = ""
    """Full SHA of the commit that is built; orders versions when the alias moves."""
    author: str = ""
    """"Name <address>", as Git writes it; shown in the history of the alias."""
    ref: str = ""
    """Branch or tag."""
    job_url: str = ""
    """Page of the CI job."""
    merge_request: str = ""
    """Number of the merge request that this run looks at."""
    why_not: str = ""
    """Why this run publishes nothing, in words: a merge request, another branch than the default one, or a branch that
    nobody names. Such a run is not trusted: it may read what trusted runs made, and writes nothing that they read.
    """
    actor: str = ""
    """Person or job that the signed identity of the job names."""
    proof: str = CLAIMED
    """What shows that `actor` is true, as registry/actor.py words it."""

    def __post_init__(self) -> None:
        if self.merge_request and not self.why_not:
            object.__setattr__(self, "why_not", f"merge request {self.merge_request}")


def origin_of(environment: Mapping[str, str], root: Path) -> Origin:
    """The origin by the environment of a CI job; commit and author by Git where the job does not say."""
    head = Repository(root).head()
    commit = _first(environment, _COMMIT) or (head.hash if head else "")
    author = _first(environment, _AUTHOR) or (head.author if head and head.hash == commit else "")
    job = _first(environment, _JOB) or _github_job(environment)
    return Origin(
        commit, author, _first(environment, _REF), job, merge_request(environment), why_not_publish(environment)
    )


def actor_of(origin: Origin) -> Actor:
    """Who a run acts for: the signed identity of its job, else the commit's author, whom nothing shows."""
    if origin.actor:
        return Actor(origin.actor, origin.commit or None, origin.proof)
    return Actor(origin.author or UNKNOWN_PERSON, origin.commit or None)


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return printable(next((environment[name] for name in names if environment.get(name)), ""))


def _github_job(environment: Mapping[str, str]) -> str:
    parts = [environment.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}" if all(parts) else ""
