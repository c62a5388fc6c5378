"""What a CI engine says about the push that it runs for: from which commit to which, and whether it may publish.

environment of GitLab CI, Jenkins, GitHub or Gitea Actions -> Push
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from timbre.core.errors import ConfigurationError
from timbre.pipeline.ci.branch import DEFAULT_BRANCH, event_of, on_actions, on_jenkins, why_not_publish
from timbre.pipeline.ci.git import DEEPEN, ZERO, Repository


@dataclass(frozen=True)
class Push:
    """The push that a pipeline runs for."""

    older: str
    """What the changes are counted from (all zeros: every voice)."""
    newer: str
    """What was pushed."""
    publishes: bool
    """False for merge requests and for branches other than the default one: there everything is tried and nothing
    reaches the registry's aliases."""
    why_not: str = ""
    """In words, when it does not."""


def push_of(environment: Mapping[str, str], repository: Repository) -> Push:
    """The push that this job was started for; outside CI, the last commit.

    Raises ConfigurationError in a shallow clone: neither the changed voices nor the order of commits can be known.
    """
    if repository.shallow:
        raise ConfigurationError(
            f"{repository.path}: this is a shallow clone; it does not hold the commit before the push",
            DEEPEN,
        )
    why_not = why_not_publish(environment)
    if environment.get("GITLAB_CI"):
        return _gitlab(environment, repository, why_not)
    if on_jenkins(environment):
        return _jenkins(environment, repository, why_not)
    if on_actions(environment):
        return _actions(environment, repository, why_not)
    return Push(repository.resolve("HEAD~1") or ZERO, "HEAD", not why_not, why_not)


def _gitlab(environment: Mapping[str, str], repository: Repository, why_not: str) -> Push:
    newer = environment.get("CI_COMMIT_SHA") or "HEAD"
    if environment.get("CI_MERGE_REQUEST_IID"):
        older = environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA", "")
        return Push(older or ZERO, newer, False, why_not)
    # Empty or zero: a new branch, a scheduled pipeline, one that a person started.
    older = environment.get("CI_COMMIT_BEFORE_SHA", "") or ZERO
    return _branch(older, newer, environment.get("CI_DEFAULT_BRANCH", ""), repository, why_not)


def _jenkins(environment: Mapping[str, str], repository: Repository, why_not: str) -> Push:
    newer = environment.get("GIT_COMMIT") or "HEAD"
    number, target = environment.get("CHANGE_ID", ""), environment.get("CHANGE_TARGET", "")
    if number:
        return Push(repository.fork_point(f"origin/{target}", newer) or ZERO, newer, False, why_not)
    # The last build that went well, not the last one: a voice whose build failed is looked at again.
    older = environment.get("GIT_PREVIOUS_SUCCESSFUL_COMMIT", "") or ZERO
    return _branch(older, newer, environment.get(DEFAULT_BRANCH, ""), repository, why_not)


def _actions(environment: Mapping[str, str], repository: Repository, why_not: str) -> Push:
    """GitHub Actions, and Gitea's and Forgejo's, which set the same variables."""
    newer, event = environment.get("GITHUB_SHA") or "HEAD", environment.get("GITHUB_EVENT_NAME", "")
    if event.startswith("pull_request") or event == "merge_group":
        target = environment.get("GITHUB_BASE_REF", "")
        older = (repository.fork_point(f"origin/{target}", newer) if target else None) or ZERO
        return Push(older, newer, False, why_not)
    payload = event_of(environment)
    about = payload.get("repository")
    default = str(about.get("default_branch", "")) if isinstance(about, dict) else environment.get(DEFAULT_BRANCH, "")
    return _branch(str(payload.get("before") or ZERO), newer, default, repository, why_not)


def _branch(older: str, newer: str, default: str, repository: Repository, why_not: str) -> Push:
    if why_not and not older.strip("0"):
        older = (repository.fork_point(f"origin/{default}", newer) if default else None) or ZERO
    return Push(older, newer, not why_not, why_not)
