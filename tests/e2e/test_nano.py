"""The base that speaks, from a push over another speaker's push to the revert: version and speaker are checked."""

from __future__ import annotations

import re

import pytest

from benchmarks import nano_push

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.usefixtures("gitlab")]


def test_a_revert_brings_the_speaker_back(capsys: pytest.CaptureFixture[str]) -> None:
    code = nano_push.main(["--clips", "10", "--sentences", "3"])
    printed = capsys.readouterr().out
    assert code == 0, printed
    versions = re.findall(r"spoken, (ada@[0-9a-f]{12}), jobs: (.+)", printed)
    assert len(versions) == 3, printed
    assert versions[0][0] == versions[2][0] != versions[1][0], printed
    assert versions[2][1] == "publish ada", printed
    likeness = re.findall(r"GE2E to \w+ ([\d.]+), to \w+ ([\d.]+);", printed)
    assert len(likeness) == 3, printed
    assert all(float(own) > float(other) for own, other in likeness), printed
