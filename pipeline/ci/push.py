"""What a CI engine says about the push that it runs for: from which commit to which, and whether it may publish.

environment of GitLab CI, Jenkins, GitHub or Gitea Actions -> Push
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timbre.core.errors import ConfigurationError
from timbre.core.printable import printable
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
    if environment.get("GITHUB_ACTIONS") or environment.get("GITEA_ACTIONS"):
        return _actions(environment, repository)
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


def _actions(environment: Mapping[str, str], repository: Repository) -> Push:
    """GitHub Actions, and Gitea's and Forgejo's, which set the same variables."""
    newer, event = environment.get("GITHUB_SHA") or "HEAD", environment.get("GITHUB_EVENT_NAME", "")
    told = _event(environment.get("GITHUB_EVENT_PATH", ""))
    if event.startswith("pull_request") or event == "merge_group":
        target = environment.get("GITHUB_BASE_REF", "")
        number = environment.get("GITHUB_REF_NAME", "").partition("/")[0]
        older = (repository.fork_point(f"origin/{target}", newer) if target else None) or ZERO
        return Push(older, newer, False, f"pull request {printable(number) or '?'}")
    branch = environment.get("GITHUB_REF_NAME", "") if environment.get("GITHUB_REF_TYPE", "branch") == "branch" else ""
    about = told.get("repository")
    default = str(about.get("default_branch", "")) if isinstance(about, dict) else ""
    # Without the event's file (act, old runners) the operator names the branch; nobody else may publish.
    default = default or environment.get("TIMBRE_DEFAULT_BRANCH", "")
    older = str(told.get("before") or ZERO)
    if not default:
        return Push(older, newer, False, "the event does not name the default branch; set TIMBRE_DEFAULT_BRANCH")
    return _branch(older, newer, branch, default, repository)


def _event(path: str) -> Mapping[str, Any]:
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _branch(older: str, newer: str, branch: str, default: str, repository: Repository) -> Push:
    if branch == default:
        return Push(older, newer, True)
    if not older.strip("0"):
        older = (repository.fork_point(f"origin/{default}", newer) if default else None) or ZERO
    return Push(
        older,
        newer,
        False,
        f"branch {printable(branch) or '(none)'}, and only {default or 'the default one'} publishes",
    )
