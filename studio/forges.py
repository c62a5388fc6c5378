"""GitLab, GitHub and Gitea: opens a merge request for a branch, and says how its jobs stand. Three verbs of their APIs.

remote address + settings -> Forge -> merge request, states of jobs
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from timbre.core.errors import ConfigurationError
from timbre.core.printable import printable
from timbre.pipeline.ci.forge_call import forge_call

TOKEN, KIND, ADDRESS = "TIMBRE_FORGE_TOKEN", "TIMBRE_FORGE", "TIMBRE_FORGE_URL"
KINDS = ("gitlab", "github", "gitea")
_KNOWN = {"github.com": "github", "gitlab.com": "gitlab", "codeberg.org": "gitea"}
_STATES = {
    "passed": ("success", "passed", "neutral"),
    "failed": ("failed", "failure", "error", "timed_out", "action_required", "startup_failure"),
    "running": ("running", "in_progress"),
    "skipped": ("skipped", "canceled", "cancelled", "stale"),
    "manual": ("manual",),
}


@dataclass(frozen=True)
class Request:
    """A merge request."""

    url: str
    """Address of its page."""
    number: int
    """Number on the forge; 0 if only the form to open one is linked."""


@dataclass(frozen=True)
class ForgeJob:
    """The pipeline of a merge request, as the forge shows it."""

    name: str
    """As the forge names it, printable, at most 100 characters."""
    state: str
    """Waiting, running, passed, failed, skipped or manual."""
    url: str
    """Address of its page; "" for none."""


@dataclass(frozen=True)
class Forge:
    """The server that hosts the repository."""

    kind: str
    """One of KINDS; "" if unknown."""
    web: str
    """Page of the repository."""
    token: str
    """Never shown; empty for none."""

    @property
    def project(self) -> str:
        """group/name."""
        return urlsplit(self.web).path.strip("/")

    def link(self, branch: str, target: str) -> str:
        """Page on which a person opens the merge request; "" where there is none."""
        if self.kind == "gitlab":
            wanted = {"merge_request[source_branch]": branch, "merge_request[target_branch]": target}
            return f"{self.web}/-/merge_requests/new?{urlencode(wanted)}"
        if self.kind == "github":
            return f"{self.web}/compare/{quote(target)}...{quote(branch)}?expand=1"
        return f"{self.web}/compare/{quote(target)}...{quote(branch)}" if self.kind == "gitea" else ""

    def open(self, branch: str, target: str, title: str, text: str) -> Request:
        """The merge request of the branch: the open one, else a new one; without a token the link to open it by hand.

        Raises ConfigurationError for a refusal, InfrastructureError for a forge that does not answer.
        """
        if not self.token or not self.kind:
            return Request(self.link(branch, target), 0)
        if found := self._existing(branch):
            return found
        if self.kind == "gitlab":
            body = {
                "source_branch": branch, "target_branch": target, "title": title, "description": text,
                "remove_source_branch": True,
            }  # fmt: skip
            made = self._call("POST", f"/projects/{quote(self.project, safe='')}/merge_requests", body)
            return Request(str(made["web_url"]), int(made["iid"]))
        body = {"head": branch, "base": target, "title": title, "body": text}
        made = self._call("POST", f"/repos/{self.project}/pulls", body)
        return Request(str(made["html_url"]), int(made["number"]))

    def jobs(self, commit: str) -> list[ForgeJob]:
        """Jobs of a commit, as the forge lists them; none without a token."""
        if not self.token or not self.kind:
            return []
        if self.kind == "gitlab":
            path = f"/projects/{quote(self.project, safe='')}/repository/commits/{commit}/statuses?per_page=100"
            return [_job(item["name"], item["status"], item.get("target_url")) for item in self._call("GET", path)]
        if self.kind == "github":
            found = self._call("GET", f"/repos/{self.project}/commits/{commit}/check-runs?per_page=100")
            return [
                _job(item["name"], item.get("conclusion") or item["status"], item.get("html_url"))
                for item in found["check_runs"]
            ]
        found = self._call("GET", f"/repos/{self.project}/commits/{commit}/status")
        # Gitea names the state of one job "status"; the whole answer's is "state".
        return [
            _job(item["context"], item.get("status") or item["state"], item.get("target_url"))
            for item in found.get("statuses") or []
        ]

    def _existing(self, branch: str) -> Request | None:
        if self.kind == "gitlab":
            wanted = urlencode({"source_branch": branch, "state": "opened"})
            found = self._call("GET", f"/projects/{quote(self.project, safe='')}/merge_requests?{wanted}")
            return next((Request(str(item["web_url"]), int(item["iid"])) for item in found), None)
        owner = self.project.partition("/")[0]
        wanted = urlencode({"state": "open", "head": f"{owner}:{branch}", "limit": 50})
        found = self._call("GET", f"/repos/{self.project}/pulls?{wanted}")
        # Gitea ignores `head`: look again.
        return next(
            (Request(str(item["html_url"]), int(item["number"])) for item in found if item["head"]["ref"] == branch),
            None,
        )

    @property
    def _api(self) -> str:
        parts = urlsplit(self.web)
        root = f"{parts.scheme}://{parts.netloc}"
        if self.kind == "gitlab":
            return f"{root}/api/v4"
        if self.kind == "github":
            return "https://api.github.com" if parts.netloc == "github.com" else f"{root}/api/v3"
        return f"{root}/api/v1"

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        name, value = (
            ("PRIVATE-TOKEN", self.token) if self.kind == "gitlab" else ("Authorization", f"token {self.token}")
        )
        return forge_call(method, self._api + path, {name: value}, (TOKEN, ADDRESS), body)


def forge_of(remote: str, environment: Mapping[str, str]) -> Forge:
    """The forge behind a remote's address; what the address does not tell comes from the environment.

    Raises ConfigurationError for a kind that is none.
    """
    web = environment.get(ADDRESS, "").rstrip("/") or _web(remote)
    kind = environment.get(KIND, "").strip().lower()
    if kind and kind not in KINDS:
        raise ConfigurationError(f"{KIND}={kind!r}: expected one of {', '.join(KINDS)}", "correct it, or leave it out")
    host = urlsplit(web).hostname or ""
    guess = next((name for name in KINDS if name in host.split(".")), "gitea" if "forgejo" in host else "")
    return Forge(kind or _KNOWN.get(host, guess), web, environment.get(TOKEN, "").strip())


def _web(remote: str) -> str:
    """https://host/group/name of git@host:group/name.git, ssh://git@host:22/group/name and https addresses."""
    if found := re.fullmatch(r"(?:[^@/\s]+@)?([\w.-]+):(?!/)(\S+?)(?:\.git)?/?", remote):
        return f"https://{found[1]}/{found[2]}"
    parts = urlsplit(remote)
    if parts.scheme in ("ssh", "git+ssh") and parts.hostname:
        return f"https://{parts.hostname}{parts.path.removesuffix('/').removesuffix('.git')}"
    if parts.scheme in ("https", "http") and parts.hostname:
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}{parts.path.removesuffix('/').removesuffix('.git')}"
    return ""


def _job(name: Any, state: Any, url: Any) -> ForgeJob:
    found = next((ours for ours, theirs in _STATES.items() if str(state) in theirs), "waiting")
    link = str(url) if str(url or "").startswith(("https://", "http://")) else ""
    return ForgeJob(printable(str(name))[:100], found, link)
