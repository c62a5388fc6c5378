"""Fixtures that many rooms share: the generated base pico and its export, made once a session."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.exports import kept_export
from tests.skips import LIST, Skip, allowed_reasons, unexpected

ROOT = Path(__file__).parents[1]
# What a CI engine says about its own job, and what somebody set for the command: neither is about these tests.
FOREIGN = re.compile(
    r"CI$|CI_|GITLAB|GITHUB_|JENKINS|BUILD_|CHANGE_|BRANCH_|GIT_(?!CONFIG|SSL)|TIMBRE_(?!BASES|GUIDE|IMAGES|SHARED|SCREENSHOTS)"
)


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> Iterator[None]:
    """Tests decide what the environment says, and reach their own servers past any proxy."""
    with pytest.MonkeyPatch.context() as patched:
        for name in filter(FOREIGN.match, list(os.environ)):
            patched.delenv(name)
        for name in ("no_proxy", "NO_PROXY"):
            patched.setenv(name, "127.0.0.1,localhost", prepend=",")
        yield


@pytest.fixture(scope="session")
def pico_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a generated base with tiny random networks."""
    from timbre.gptsovits.files.pico import make_pico

    folder = tmp_path_factory.mktemp("bases") / "pico"
    make_pico(folder)
    return folder


@pytest.fixture(scope="session")
def pico_export(pico_base: Path) -> Path:
    """Folder of pico's exported graphs, kept between sessions as long as nothing that makes them changes."""
    from timbre.core.base import read_base

    return kept_export(read_base(pico_base))


@pytest.fixture
def make_voice(pico_export: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a voice package for pico: make_voice(name, seed, adapted=...) -> its folder."""
    from tests.inference.pico_voice import write_voice

    def make(name: str = "ada", seed: int = 0, *, t2s: bool = True, sovits: bool = True) -> Path:
        return write_voice(tmp_path / name, pico_export, np.random.default_rng(seed), t2s=t2s, sovits=sovits)

    return make


def _skips(config: pytest.Config) -> list[Skip]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return [Skip(report.nodeid, str(report.longrepr[2]).removeprefix("Skipped: ")) for report in reports]


def _forbidden(config: pytest.Config) -> list[Skip]:
    """Skips that fail this run: none on a person's machine, and none on a worker, which reports to its controller."""
    if os.environ.get("CI") != "true" or hasattr(config, "workerinput"):
        return []
    return unexpected(_skips(config), allowed_reasons(LIST.read_text(encoding="utf-8")))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With CI=true a test that was skipped without leave makes the run red."""
    if _forbidden(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how many tests were skipped, and which of them fail the run."""
    forbidden = _forbidden(config)
    refused = f", {len(forbidden)} skipped without leave" if forbidden else ""
    terminalreporter.write_line(f"skips: {len(_skips(config))}{refused}")
    for skip in forbidden:
        terminalreporter.write_line(f"  {skip.test}: {skip.reason}")
