"""The listening page: one file, every sound inside, refusals and failures in words."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from benchmarks.listening_page import (
    LEVEL_DBFS,
    Speaking,
    adapters_of,
    page,
    player,
    prompt_and_sentences,
    speaker_table,
)
from tests.conftest import ROOT
from timbre.audio.waveform import Waveform
from timbre.core.errors import InputError
from timbre.evaluation.metrics.signal import active_level_dbfs
from timbre.evaluation.reports.sound import sound
from timbre.inference.engine import Engine
from timbre.inference.request import SpeechRequest
from timbre.inference.voice import Voice
from timbre.pipeline.voice.folder import open_voice

RATE_HZ = 24_000


class Loud:
    """An engine that says a tone, refuses one text, and fails at another."""

    def __init__(self, refused: str, failed: str) -> None:
        self._refused, self._failed = refused, failed

    def speak(self, request: SpeechRequest, voice: object) -> object:
        if request.text == self._refused:
            raise InputError("text: no word <b>in</b> it", "write one")
        wave = Waveform((0.9 * np.sin(np.arange(RATE_HZ) * 0.1)).astype(np.float32), RATE_HZ)
        failures = ("cut off",) if request.text == self._failed else ()
        return SimpleNamespace(wave=wave, sentences=(SimpleNamespace(failures=failures),))


def test_everything_lies_inside_and_what_failed_is_said() -> None:
    voice = open_voice(ROOT / "voices" / "kathleen")
    prompt, sentences = prompt_and_sentences(voice, 3)
    assert prompt not in sentences
    assert len(sentences) == 3
    engine = cast(Engine, Loud(sentences[0].text, sentences[1].text))
    columns = [Speaking("old", engine, cast(Voice, None)), Speaking("new", engine, cast(Voice, None))]
    lines: list[str] = []
    text = page([speaker_table(voice, columns, sentences, lines.append)], ["new: base nano, digest 0123"])
    assert len(re.findall("<audio ", text)) == 3 + 2 * 2
    assert text.count("refused: text: no word &lt;b&gt;in&lt;/b&gt; it") == 2
    assert text.count("failed: cut off") == 2
    assert voice.consent.rights.split(",")[0] in text
    assert set(re.findall(r'(?:src|href)="([a-z]+):', text)) == {"data"}
    assert len(lines) == 6


def test_sounds_are_brought_to_one_level() -> None:
    tone = np.sin(np.arange(RATE_HZ) * 0.1).astype(np.float32)
    for scale in (0.9, 0.05):
        found = sound_of(player(Waveform(scale * tone, RATE_HZ)))
        assert active_level_dbfs(found, 16_000) == pytest.approx(LEVEL_DBFS, abs=0.5)
    assert not np.any(sound_of(player(Waveform(0 * tone, RATE_HZ))))


def sound_of(address: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    import base64

    found = sound(base64.b64decode(address.partition(",")[2]))
    assert found is not None
    return found.samples


def test_adapters_name_their_voice(tmp_path: Path) -> None:
    assert adapters_of([f"ada={tmp_path}"]) == {"ada": tmp_path}
    with pytest.raises(InputError, match="VOICE=FOLDER"):
        adapters_of(["ada"])
