"""A skip that is not on the list fails a run with CI=true, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import LIST, Skip, allowed_reasons, unexpected

ROOT = Path(__file__).resolve().parents[1]
TEST = """
import pytest

@pytest.mark.skip(reason={reason!r})
def test_one():
    assert False
"""


def test_only_listed_reasons_are_allowed() -> None:
    allowed = allowed_reasons("# a remark\n^no GPU here$\n\nbeside the checkout$\n")
    skips = [Skip("a", "no GPU here"), Skip("b", "groovy is missing"), Skip("c", "no vectors beside the checkout")]
    assert unexpected(skips, allowed) == [Skip("b", "groovy is missing")]


def test_the_list_allows_no_missing_program() -> None:
    allowed = allowed_reasons(LIST.read_text("utf-8"))
    skips = [Skip("x", f"{name} is not installed") for name in ("groovy", "buildah", "chromium", "nginx", "rsync")]
    assert unexpected(skips, allowed) == skips


@pytest.mark.parametrize(
    ("ci", "reason", "code"),
    [
        ("true", "no program for this", 1),
        ("", "no program for this", 0),
        ("true", "no vectors beside the checkout", 0),
    ],
)
def test_a_run_with_a_skip(tmp_path: Path, ci: str, reason: str, code: int) -> None:
    (tmp_path / "test_skipped.py").write_text(TEST.format(reason=reason))
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_sessionfinish, pytest_terminal_summary\n")
    environment = {**os.environ, "CI": ci, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "1 skipped" in done.stdout
    assert ("skipped without leave" in done.stdout) == (code == 1)
