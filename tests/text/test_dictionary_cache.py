"""jieba's dictionary is never read from a folder that every user of the machine may write."""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = "from timbre.text.mandarin_words import words_of; print(words_of('今天天气很好'))"


def test_no_dictionary_is_read_from_the_temporary_folder(tmp_path: Path) -> None:
    """Its cache is read with marshal, which runs what it finds."""
    planted = tmp_path / "jieba.cache"
    planted.write_bytes(marshal.dumps(({"今天天": 99, "气很": 99}, 198)))
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[('今天', 't'), ('天气', 'n'), ('很好', 'd')]"
    assert [path.name for path in tmp_path.iterdir()] == ["jieba.cache"]
