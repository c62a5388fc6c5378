"""Phone errors on recordings, as `timbre pretrain phone-error` counts them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from timbre.nano import phone_error
from timbre.nano.content_network import ContentEncoder
from timbre.nano.corpus import SpeechFile
from timbre.text.frontend import phonemize
from timbre.text.recognition import BLANK, CLASSES, spoken_class_ids


def test_a_clip_is_heard_in_the_language_of_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """English sounds are likelier throughout; the text is Mandarin."""
    scores = np.full((60, len(CLASSES)), -12.0, np.float32)
    scores[:, BLANK] = 0.0
    for text, language, chance in (("Two one", "en", 6.0), ("太晚了。", "zh", 4.0)):
        phones = spoken_class_ids(phonemize(text, language).phones)
        for place, phone in enumerate(phones):
            middle = round((place + 0.5) * 60 / len(phones))
            scores[middle - 2 : middle + 2, phone] = chance
    monkeypatch.setattr(phone_error, "read_audio", lambda path, rate: np.zeros(16_000, np.float32))
    monkeypatch.setattr(phone_error, "heads", lambda encoder, audio: (scores, scores))
    file = SpeechFile("aishell/eval/1.ogg", "A", "zh", "太晚了。", 1.2)
    ctc, frame = phone_error.measure_files(cast(ContentEncoder, None), Path("speech"), [file])
    assert ctc.errors == 0
    assert frame.errors > 0, "the frame head is not asked in a language"
