"""What the studio keeps for itself never reaches Git, whatever was written first: an embedding is personal data."""

from __future__ import annotations

from pathlib import Path

from tests.git_command import git
from timbre.studio.files import VoiceFiles


def test_git_does_not_see_a_judgement_of_a_voice_that_was_only_opened(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    files = VoiceFiles(tmp_path / "voices", "ada")
    files.write("voice.yaml", b"language: en\n")
    files.write(".studio/judged/0001.json", b"{}")
    assert files.read(".studio/judged/0001.json") == b"{}"
    assert git(tmp_path, "ls-files", "--others", "--exclude-standard") == "voices/ada/voice.yaml"
