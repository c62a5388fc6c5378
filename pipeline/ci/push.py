"""What a CI engine says about the push that it runs for: from which commit to which, and whether it may publish.

environment of GitLab CI or Jenkins -> Push
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from timbre.core.errors import ConfigurationError
from timbre.pipeline.ci.git import ZERO, Repository


@dataclass(frozen=True)
class Push:
    """older: what the changes are counted from (all zeros: every voice); newer: what was pushed.

    publishes: False for merge requests and for branches other than the default one: there everything is tried and
    nothing reaches the registry's aliases. why_not: in words, when it does not.
    """

    older: str
    newer: str
    publishes: bool
    why_not: str = ""


def push_of(environment: Mapping[str, str], repository: Repository) -> Push:
    """The push that this job was started for; outside CI, the last commit.

    Raises ConfigurationError in a shallow clone: neither the changed voices nor the order of commits can be known.
    """
    if repository.shallow:
        raise ConfigurationError(
            f"{repository.path}: this is a shallow clone; it does not hold the commit before the push",
            "fetch the whole history (GitLab: GIT_DEPTH: 0; Jenkins: no shallow clone; git fetch --unshallow)",
        )
    if environment.get("GITLAB_CI"):
        return _gitlab(environment, repository)
    if environment.get("JENKINS_URL") or environment.get("JENKINS_HOME"):
        return _jenkins(environment, repository)
    return Push(repository.resolve("HEAD~1") or ZERO, "HEAD", True)


def _gitlab(environment: Mapping[str, str], repository: Repository) -> Push:
    newer = environment.get("CI_COMMIT_SHA") or "HEAD"
    number = environment.get("CI_MERGE_REQUEST_IID", "")
    if number:
        older = environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA", "")
        return Push(older or ZERO, newer, False, f"merge request {number}")
    # Empty or zero: a new branch, a scheduled pipeline, one that a person started.
    older = environment.get("CI_COMMIT_BEFORE_SHA", "") or ZERO
    branch, default = environment.get("CI_COMMIT_BRANCH", ""), environment.get("CI_DEFAULT_BRANCH", "")
    return _branch(older, newer, branch, default, repository)


def _jenkins(environment: Mapping[str, str], repository: Repository) -> Push:
    newer = environment.get("GIT_COMMIT") or "HEAD"
    number, target = environment.get("CHANGE_ID", ""), environment.get("CHANGE_TARGET", "")
    if number:
        return Push(repository.fork_point(f"origin/{target}", newer) or ZERO, newer, False, f"change request {number}")
    # The last build that went well, not the last one: a voice whose build failed is looked at again.
    older = environment.get("GIT_PREVIOUS_SUCCESSFUL_COMMIT", "") or ZERO
    branch = environment.get("BRANCH_NAME", "")
    default = branch if not branch or environment.get("BRANCH_IS_PRIMARY") == "true" else ""
    return _branch(older, newer, branch, environment.get("TIMBRE_DEFAULT_BRANCH", default), repository)


def _branch(older: str, newer: str, branch: str, default: str, repository: Repository) -> Push:
    if branch == default:
        return Push(older, newer, True)
    if not older.strip("0"):
        older = (repository.fork_point(f"origin/{default}", newer) if default else None) or ZERO
    return Push(older, newer, False, f"branch {branch or '(none)'}, and only {default or 'the default one'} publishes")
