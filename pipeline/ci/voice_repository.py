"""A repository that holds voices only: CI files, recipe, owners; code and bases come from the package."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from timbre.core.errors import InputError
from timbre.pipeline.voice.lfs import lfs_rules

FORGES = ("gitlab", "jenkins")
_CODE_STAGE = re.compile(r"\n *// Not by `changeset`.*?\n(?= *stage\('voices'\))", re.S)
_GITLAB = """\
# Timbre in GitLab CI. What a job does is in the command `timbre`, never here.
workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    # Every push to the default branch changes different voices: a newer push must not cancel older pipelines.
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
      auto_cancel:
        on_new_commit: none

stages: [plan, voices, after]

# The same files as a versioned component, where a project of your GitLab offers it:
#   include:
#     - component: $CI_SERVER_FQDN/GROUP/timbre/voices@1.0
include:
  - local: ci/gitlab/voices.yml
    inputs:
      image: {image}
  - local: ci/gitlab/pages.yml
    inputs:
      image: {image}
"""
_README = """\
# Voices

Each folder below `voices/` is a voice: recordings, what they say, and the consent of the speaker. A push trains,
measures and publishes it; a revert brings the old version back; deleting the folder takes the voice out of service.

```sh
timbre voices new ada --language en     # settings and a script to read
timbre validate ada                     # what stage 1 says, before you push
git add voices/ada && git commit -m "Add voice ada" && git push
```

1. Set the CI variable `TIMBRE_REGISTRY` to the registry that all runners and servers reach.
2. Protect the default branch, and let owners (CODEOWNERS) approve merge requests. Only the protected branch publishes.
3. Let merge requests run on their own runners with a read-only registry.
"""
_OWNERS = """\
# Who must approve a change. Put names of people or groups of your forge here.
/voices/            @voice-owners
/recipes/           @voice-operators
/.gitlab-ci.yml     @voice-operators
/ci/                @voice-operators
/Jenkinsfile        @voice-operators
/CODEOWNERS         @voice-operators
"""
_IGNORED = ".timbre/\nout/\npublic/\n"


@dataclass(frozen=True)
class VoiceRepository:
    """What was written."""

    root: Path
    """The repository."""
    files: tuple[str, ...]
    """Relative to root, in the order of their names."""


def make_repository(root: Path, forge: str, image: str, lfs: bool) -> VoiceRepository:
    """Write the files of a repository of voices below root, which may exist.

    forge: one of FORGES. image: container image of the jobs. Raises InputError for files that exist:
    nothing is overwritten.
    """
    if forge not in FORGES:
        raise InputError(f"forge {forge!r}: expected one of {', '.join(FORGES)}", "use for example: --ci gitlab")
    files = _files(forge, image, lfs)
    there = [name for name in files if os.path.lexists(root / name)]
    if there:
        raise InputError(f"{root}: {', '.join(there)} exist already", "choose an empty folder, or remove them")
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return VoiceRepository(root, tuple(sorted(files)))


def _files(forge: str, image: str, lfs: bool) -> Mapping[str, str]:
    package = resources.files("timbre")
    files = {
        "README.md": _README,
        "CODEOWNERS": _OWNERS,
        ".gitignore": _IGNORED,
        "recipes/default.yaml": _text(package / "recipes" / "default.yaml"),
        "voices/.gitkeep": "",
    }
    # A checkout on Windows must have the bytes that a checkout on Linux has: keys of stages are digests of files.
    rules = ["* text=auto eol=lf"]
    if lfs:
        rules += lfs_rules("voices")
    files[".gitattributes"] = "\n".join(rules) + "\n"
    if forge == "jenkins":
        return files | {"Jenkinsfile": without_code_stage(_text(package / "Jenkinsfile"))}
    files[".gitlab-ci.yml"] = _GITLAB.replace("{image}", image)
    for name in ("voices.yml", "pages.yml"):
        files[f"ci/gitlab/{name}"] = _text(package / "ci" / "gitlab" / name)
    return files


def without_code_stage(jenkinsfile: str) -> str:
    """The Jenkinsfile without lint and tests of this project's code. Raises ValueError where there is no such stage."""
    text, count = _CODE_STAGE.subn("\n", jenkinsfile)
    if count != 1:
        raise ValueError("the Jenkinsfile has no stage of code")
    return text


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
