"""F0 tracks of a corpus, cached beside it."""

from __future__ import annotations

import io

import numpy as np

from timbre.core.atomic import write_bytes
from timbre.nano.corpus import Corpus
from timbre.training.pitch import Floats, track


class PitchTracks:
    """F0 of every clip of a corpus, cached as one array a part (``<part>.f0.npz``)."""

    def __init__(self, tracks: dict[str, Floats]) -> None:
        self._tracks = tracks

    def __getitem__(self, identity: str) -> Floats:
        """F0 [frames] of a clip id, Hz, 0 where unvoiced."""
        return self._tracks[identity]

    @classmethod
    def of(cls, corpus: Corpus) -> PitchTracks:
        """Read the cached tracks; compute and store those of a part without them."""
        tracks: dict[str, Floats] = {}
        for part in corpus.parts:
            clips = [clip for clip in corpus.clips if clip.part == part]
            path = corpus.folder / f"{part}.f0.npz"
            # A part that was written again makes its tracks stale.
            if not path.is_file() or path.stat().st_mtime < (corpus.folder / f"{part}.jsonl").stat().st_mtime:
                rows = [track(corpus.waveform(clip)) for clip in clips]
                buffer = io.BytesIO()
                np.savez(buffer, f0=np.concatenate(rows).astype(np.float16), lengths=np.array([len(r) for r in rows]))
                write_bytes(path, buffer.getvalue())
            with np.load(path) as stored:
                flat, lengths = stored["f0"].astype(np.float32), stored["lengths"]
            starts = np.concatenate([[0], np.cumsum(lengths)])
            for index, clip in enumerate(clips):
                tracks[clip.id] = flat[starts[index] : starts[index + 1]]
        return cls(tracks)
