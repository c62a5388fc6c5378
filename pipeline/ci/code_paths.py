"""Whether a push changes code, so that lint and tests run: the paths that count, and how they are matched.

paths of changed files -> whether one of them is code. ci/gitlab/code.yml holds the same list, for its rules are decided
before any job runs; a test holds the two together. The Jenkinsfile asks the plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# In GitLab's words: `**/` any folders or none, `*` within a name, `{a,b}` either.
CODE_PATHS: tuple[str, ...] = (
    "**/*.py",
    "{recipes,bases,tests}/**/*",
    "{cli,evaluation,serving,studio,text,training}/**/*",
    "{Makefile,pyproject.toml,constraints.txt,compose.yaml}",
    "{.gitlab-ci.yml,Jenkinsfile,Dockerfile,.dockerignore,.hadolint.yaml}",
    "{ci,deploy,docker}/**/*",
    "**/*.md",
)
_PARTS = re.compile(r"(?P<folders>\*\*/)|(?P<name>\*)|(?P<either>\{[^{}]*\})|(?P<plain>[^*{]+)")


def changes_code(paths: Iterable[str]) -> bool:
    """Whether one of the paths, relative to the repository's root, counts as code."""
    return any(_CODE.fullmatch(path) for path in paths)


def _expression(pattern: str) -> str:
    """A pattern as a regular expression. Raises ValueError for what neither this nor the list knows."""
    written, end = "", 0
    for part in _PARTS.finditer(pattern):
        if part.start() != end:
            break
        end = part.end()
        if part["folders"]:
            written += "(?:.*/)?"
        elif part["name"]:
            written += "[^/]*"
        elif part["either"]:
            written += f"(?:{'|'.join(map(re.escape, part['either'][1:-1].split(',')))})"
        else:
            written += re.escape(part["plain"])
    if end != len(pattern):
        raise ValueError(f"{pattern!r}: a brace that is not closed")
    return written


_CODE = re.compile("|".join(f"(?:{_expression(pattern)})" for pattern in CODE_PATHS), re.DOTALL)
