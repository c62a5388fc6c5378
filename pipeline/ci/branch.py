"""Whether a run may publish: only that of a push to the default branch, where the CI server names both branches.

environment of a CI job -> why it may not, or nothing

Unknown counts as "no": a job without a known branch or default branch publishes nothing and says which variable to set.
On a person's machine, where no CI server speaks, the operator's policy decides alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from timbre.core.json_file import read_object
from timbre.core.printable import printable

DEFAULT_BRANCH = "TIMBRE_DEFAULT_BRANCH"
_HEADS = "refs/heads/"


def why_not_publish(environment: Mapping[str, str]) -> str:
    """Why this run publishes nothing, in words; empty when it may."""
    number = merge_request(environment)
    if number:
        return f"merge request {printable(number)}"
    if environment.get("GITLAB_CI"):
        return _compared(environment.get("CI_COMMIT_BRANCH", ""), environment.get("CI_DEFAULT_BRANCH", ""))
    if on_actions(environment):
        # What the event says comes first: the server writes it, and neither push nor settings can.
        default = _default_by_event(environment) or environment.get(DEFAULT_BRANCH, "")
        return _compared(_branch_of_actions(environment), default)
    if on_jenkins(environment):
        branch = environment.get("BRANCH_NAME", "") or environment.get("GIT_BRANCH", "").removeprefix("origin/")
        primary = branch if environment.get("BRANCH_IS_PRIMARY") == "true" else ""
        return _compared(branch, environment.get(DEFAULT_BRANCH, primary))
    if environment.get("CI", "").lower() not in ("", "0", "false"):
        return "a CI server that this program does not know, so nothing says which branch this is"
    return ""


def merge_request(environment: Mapping[str, str]) -> str:
    """Its number, or "".

    GitLab and Jenkins give it; GitHub and Gitea name the event and put "12/merge" into the ref.
    """
    number = environment.get("CI_MERGE_REQUEST_IID") or environment.get("CHANGE_ID") or ""
    event = environment.get("GITHUB_EVENT_NAME", "")
    if not number and (event.startswith("pull_request") or event == "merge_group"):
        number = environment.get("GITHUB_REF_NAME", "").partition("/")[0] or "?"
    return number


def on_actions(environment: Mapping[str, str]) -> bool:
    """GitHub, Gitea or Forgejo Actions."""
    return bool(environment.get("GITHUB_ACTIONS") or environment.get("GITEA_ACTIONS"))


def on_jenkins(environment: Mapping[str, str]) -> bool:
    """A build of Jenkins."""
    return bool(environment.get("JENKINS_URL") or environment.get("JENKINS_HOME"))


def _compared(branch: str, default: str) -> str:
    if not branch:
        return "no branch is named (a tag, a detached commit, or a job that does not say)"
    if not default:
        return f"branch {printable(branch)}, and nothing says which one is the default branch: set {DEFAULT_BRANCH}"
    return "" if branch == default else f"branch {printable(branch)}, and only {printable(default)} publishes"


def event_of(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Content of the event file that the server writes; empty where there is none (act, old runners)."""
    path = environment.get("GITHUB_EVENT_PATH", "")
    return read_object(Path(path)) if path else {}


def _branch_of_actions(environment: Mapping[str, str]) -> str:
    reference = environment.get("GITHUB_REF", "")
    if reference:
        return reference.removeprefix(_HEADS) if reference.startswith(_HEADS) else ""
    return environment.get("GITHUB_REF_NAME", "") if environment.get("GITHUB_REF_TYPE", "branch") == "branch" else ""


def _default_by_event(environment: Mapping[str, str]) -> str:
    about = event_of(environment).get("repository")
    return str(about.get("default_branch") or "") if isinstance(about, dict) else ""
