"""A first listen before any training: a sentence spoken by the base, with the best take as its prompt."""

from __future__ import annotations

import io
import threading

import soundfile as sf

from timbre.audio.waveform import within_full_scale
from timbre.core.progress import SilentProgress
from timbre.inference.engine import Engine
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.pipeline.bases.exported import exported_base
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.release.zero_shot import MAX_S, zero_shot
from timbre.registry.address import RegistryAddress
from timbre.studio.book import Book
from timbre.studio.errors import StudioError
from timbre.studio.judging import Judges

_LEAST_S = 2.5
_BEST_S = 6.0
_MOST_CHARACTERS = 200


class Previews:
    """Speaks one sentence at a time; the base's graphs are opened for it and closed again. exports: the workspace that
    keeps exported bases.
    """

    def __init__(self, workspace: Workspace, exports: Workspace, registry: RegistryAddress, judges: Judges) -> None:
        self._workspace = workspace
        self._exports = exports
        self._registry = registry
        self._judges = judges
        self._lock = threading.Lock()

    def speak(self, book: Book, text: str) -> bytes:
        """WAV of the text. Raises StudioError without a good take, and for too long a text."""
        if not text.strip() or len(text) > _MOST_CHARACTERS:
            message = f"a text of {len(text)} characters, expected 1 to {_MOST_CHARACTERS}"
            raise StudioError(400, "preview-text", message, "write one sentence", limit=_MOST_CHARACTERS)
        reports = [(line, self._judges.known(book, line)) for line in book.lines()]
        good = [
            (abs(report.duration_s - _BEST_S), line.file, line)
            for line, report in reports
            if report and report.good and _LEAST_S <= report.duration_s <= MAX_S
        ]
        if not good:
            raise StudioError(409, "no-good-take", "no good take of 3 to 10 s yet", "record some lines first")
        settings = book.settings()
        _, file, said = min(good, key=lambda item: item[:2])
        with self._lock:
            base = self._workspace.load_base(settings.base)
            self._exports.make_private()
            exported = exported_base(base, self._exports.root, self._registry, progress=SilentProgress())
            with Engine(exported) as engine:
                path = book.files.path(file)
                voice = zero_shot(exported, book.name, path, said.language, said.text, engine)
                speech = engine.speak(SpeechRequest(text, sampling=Sampling(seed=0)), voice)
        out = io.BytesIO()
        samples = within_full_scale(speech.wave.samples)
        sf.write(out, samples, speech.wave.rate_hz, format="WAV", subtype="PCM_16")
        return out.getvalue()
