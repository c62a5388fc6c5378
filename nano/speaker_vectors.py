"""GE2E vector of every clip of a corpus, cached (``<part>.ge2e.npz``)."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

from timbre.core.atomic import write_bytes
from timbre.core.errors import InputError
from timbre.gptsovits.encoders.ge2e import EMBEDDING_SIZE, load_ge2e
from timbre.nano.corpus import CONTENT_RATE_HZ, RATE_HZ, Corpus, resampled

Floats = npt.NDArray[np.float32]
LONGEST_SAMPLES = 4 * CONTENT_RATE_HZ
"""A vector of the first four seconds is nearly as good as one of the whole clip, and cheaper."""


class SpeakerVectors:
    """Unit vectors [256] by clip id; a silent clip has zeros."""

    def __init__(self, vectors: dict[str, Floats]) -> None:
        self._vectors = vectors

    def __getitem__(self, identity: str) -> Floats:
        """The vector [256] of a clip id."""
        return self._vectors[identity]

    @classmethod
    def of(cls, corpus: Corpus, batch: int = 16) -> SpeakerVectors:
        """Read the cached vectors; compute and store those of a part without them."""
        vectors: dict[str, Floats] = {}
        for part in corpus.parts:
            clips = [clip for clip in corpus.clips if clip.part == part]
            path = corpus.folder / f"{part}.ge2e.npz"
            # A part that was written again makes its vectors stale.
            if not path.is_file() or path.stat().st_mtime < (corpus.folder / f"{part}.jsonl").stat().st_mtime:
                encoder = load_ge2e()
                rows = np.zeros((len(clips), EMBEDDING_SIZE), np.float16)
                for begin in range(0, len(clips), batch):
                    longest = LONGEST_SAMPLES * RATE_HZ // CONTENT_RATE_HZ
                    waves = [
                        resampled(corpus.waveform(clip)[:longest], RATE_HZ, CONTENT_RATE_HZ)
                        for clip in clips[begin : begin + batch]
                    ]
                    try:
                        rows[begin : begin + len(waves)] = encoder.embed_many(waves)
                    except InputError:
                        for offset, wave in enumerate(waves):
                            if np.any(wave):
                                rows[begin + offset] = encoder.embed(wave)
                buffer = io.BytesIO()
                np.savez(buffer, vectors=rows)
                write_bytes(path, buffer.getvalue())
            with np.load(path) as stored:
                table = stored["vectors"].astype(np.float32)
            vectors |= {clip.id: table[index] for index, clip in enumerate(clips)}
        return cls(vectors)
