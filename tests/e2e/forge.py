"""A Git server with CI on one machine: a bare repository whose post-receive hook runs the pushed pipeline.

The stand-in for GitLab has no queue of its own: a push waits for its pipeline, unless the forge holds it back.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.e2e import gitlab_tool
from tests.e2e.gitlab_tool import ROOT, Pipeline
from timbre.registry.address import RegistryAddress
from timbre.registry.open import open_registry
from timbre.registry.registry import Registry

ZERO = "0" * 40
MAKEFILE = """lint:
	@echo linted
test:
	@mkdir -p .timbre && echo '<testsuites/>' > .timbre/tests.xml && echo tested
site:
	@mkdir -p $(SITE) && echo documentation > $(SITE)/index.html
"""
_IGNORED = ".timbre/\n.gitlab-ci-local/\npublic/\n"


@dataclass(frozen=True)
class Pushed:
    """One line that the hook was given, waiting for its pipeline or done."""

    older: str
    newer: str
    number: int


@dataclass(frozen=True)
class Forge:
    """root: holds server.git, desk (where a person works), runs/<n> (checkouts of pipelines) and registry."""

    root: Path

    @property
    def desk(self) -> Path:
        return self.root / "desk"

    @property
    def address(self) -> str:
        return str(self.root / "registry")

    @property
    def registry(self) -> Registry:
        return open_registry(RegistryAddress(self.address, os.environ))

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def version(self, voice: str = "ada", alias: str = "production") -> str | None:
        """What the alias points to."""
        state = self.registry.alias(voice, alias)
        return state.version if state else None

    def versions(self, voice: str = "ada") -> list[str]:
        return [manifest.version for manifest in self.registry.versions(voice)]

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.desk), *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=git_environment())
        return done.stdout.strip()

    def record(self, variant: Path, voice: str = "ada", **settings: object) -> None:
        """Puts the recordings of a variant into voices/<voice>; settings: keys of voice.yaml."""
        folder = self.desk / "voices" / voice
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(variant, folder)
        if settings:
            path = folder / "voice.yaml"
            path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text(encoding="utf-8")) | settings), "utf-8")

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.head

    def push(self, hold: bool = False) -> Pipeline | None:
        """Pushes; the pipeline that the hook ran, or None when it is held back for `run_held`."""
        environment = {**git_environment(), "TIMBRE_TEST_HOLD": "1" if hold else ""}
        before = len(self.pushed())
        subprocess.run(
            ["git", "-C", str(self.desk), "push", "-q", "origin", "main"],
            check=True, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        pushed = self.pushed()[before:]
        assert len(pushed) == 1, "the hook saw one push"
        return None if hold else self.pipeline(pushed[0])

    def pushed(self) -> list[Pushed]:
        """All pushes so far, oldest first."""
        path = self.root / "pushes.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [Pushed(**json.loads(line)) for line in lines]

    def pipeline(self, pushed: Pushed) -> Pipeline:
        """How the pipeline of a push went."""
        folder = self.root / "runs" / str(pushed.number) / "checkout"
        log = (folder.parent / "log.txt").read_text(encoding="utf-8")
        code, _, text = log.partition("\n")
        return gitlab_tool.read_log(int(code), text, folder)

    def run_held(self, pushed: Pushed, **variables: str) -> Pipeline:
        """Runs the pipeline of a push that was held back. variables: what else the CI engine says about it."""
        run_pipeline(self.root, pushed, variables)
        return self.pipeline(pushed)


def new_forge(root: Path, base: Path, seed: Path | None, recipe: Path = ROOT / "recipes" / "ci.yaml") -> Forge:
    """A server and a desk with that base and our real CI files, pushed once without a voice.

    seed: a registry whose stage cache and exported base are taken over (no voice of it is), as the operator's
    `timbre base publish` and earlier pipelines leave them.
    """
    forge = Forge(root)
    root.mkdir(parents=True, exist_ok=True)
    if seed is not None:
        for part in ("blobs", "bases", "stages"):
            if (seed / part).is_dir():
                shutil.copytree(seed / part, root / "registry" / part)
    server = root / "server.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(server)], check=True, env=git_environment())
    hook = server / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    command = shlex.join([sys.executable, "-m", "tests.e2e.forge", str(root)])
    hook.write_text(f"#!/bin/sh\ncd {shlex.quote(str(ROOT))}\nexec {command}\n", encoding="utf-8")
    hook.chmod(0o755)
    subprocess.run(["git", "clone", "-q", str(server), str(forge.desk)], check=True, capture_output=True)
    forge.git("config", "user.name", "Bob")
    forge.git("config", "user.email", "bob@example.org")
    forge.git("checkout", "-q", "-B", "main")
    shutil.copytree(base, forge.desk / "bases" / base.name)
    (forge.desk / "recipes").mkdir()
    shutil.copyfile(recipe, forge.desk / "recipes" / "default.yaml")
    shutil.copyfile(ROOT / ".gitlab-ci.yml", forge.desk / ".gitlab-ci.yml")
    shutil.copytree(ROOT / "ci", forge.desk / "ci")
    (forge.desk / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    (forge.desk / ".gitignore").write_text(_IGNORED, encoding="utf-8")
    forge.commit("The house without a voice")
    # The first push of a repository is not what these tests are about.
    subprocess.run(
        ["git", "-C", str(forge.desk), "push", "-q", "origin", "main"],
        check=True, env={**git_environment(), "TIMBRE_TEST_SKIP": "1"}, capture_output=True,
    )  # fmt: skip
    return forge


def run_pipeline(root: Path, pushed: Pushed, more: Mapping[str, str] | None = None) -> int:
    """Clones what was pushed into a folder of its own and runs its pipeline, as a runner that was never here before."""
    folder = root / "runs" / str(pushed.number) / "checkout"
    folder.parent.mkdir(parents=True, exist_ok=True)
    git = ["git", "-C", str(folder)]
    environment = git_environment()
    subprocess.run(["git", "clone", "-q", str(root / "server.git"), str(folder)], check=True, env=environment)
    for command in (
        ["config", "user.name", "Bob"],
        ["config", "user.email", "bob@example.org"],
        ["checkout", "-q", "-B", "main", pushed.newer],
        # `rules: changes` of gitlab-ci-local compares with the default branch of origin: that is what was before.
        ["update-ref", "refs/remotes/origin/main", pushed.older],
    ):
        subprocess.run([*git, *command], check=True, env=environment, capture_output=True)
    variables = {"CI_COMMIT_BEFORE_SHA": pushed.older, **(more or {})}
    found = gitlab_tool.run(folder, str(root / "registry"), variables=variables)
    (folder.parent / "log.txt").write_text(f"{found.exit_code}\n{found.log}", encoding="utf-8")
    return found.exit_code


def git_environment() -> dict[str, str]:
    """Without GIT_DIR and the quarantine of a hook, which would turn every git command to the bare repository."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def _post_receive(root: Path) -> None:
    """The hook: one pipeline for each branch that was pushed; never refuses a push."""
    path = root / "pushes.jsonl"
    for line in sys.stdin:
        older, newer, _reference = line.split()
        if set(newer) == {"0"} or os.environ.get("TIMBRE_TEST_SKIP"):
            continue
        number = len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0
        pushed = Pushed(older, newer, number)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(vars(pushed)) + "\n")
        if not os.environ.get("TIMBRE_TEST_HOLD"):
            run_pipeline(root, pushed)


if __name__ == "__main__":
    _post_receive(Path(sys.argv[1]))
