"""The packed corpus: small, complete for the stages, and as strict about held-out clips as the corpus itself."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.nano.speech_folder import write_speech
from timbre.core.errors import ConfigurationError, InputError
from timbre.nano import packed
from timbre.nano.alignment import Alignment, read_alignments, write_alignments
from timbre.nano.corpus import Corpus, build_real, evaluation_files
from timbre.nano.packed import Share, choose, pack_corpus, unpack_corpus

SHARES = (Share("ljspeech", 6 / 3600), Share("speechocean762", 1.0))


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    folder = write_speech(tmp_path / "speech")
    for name in ("noise/rain/a.flac", "rir/room.flac"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        import soundfile

        soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(24_000), 24_000)
    return folder


@pytest.fixture
def corpus(speech: Path, tmp_path: Path) -> Corpus:
    folder = tmp_path / "work" / "corpus"
    build_real(speech, folder)
    clips = Corpus.open(folder).clips
    write_alignments(folder, "real", [Alignment(clip.id, ("AA",), (clip.seconds,)) for clip in clips])
    lengths = np.arange(1, len(clips) + 1)
    np.savez(folder / "real.f0.npz", f0=np.repeat(lengths, lengths).astype(np.float16), lengths=lengths)
    np.savez(folder / "real.ge2e.npz", vectors=np.arange(len(clips))[:, None] * np.ones((1, 4)))
    np.savez(folder / "real.phones.npz", **{clip.id: np.full(3, index) for index, clip in enumerate(clips)})
    return Corpus.open(folder)


def test_a_share_is_drawn_from_its_corpus(corpus: Corpus) -> None:
    clips = choose(corpus, SHARES)
    seconds = sum(clip.seconds for clip in clips if clip.path.startswith("ljspeech"))
    assert 6 <= seconds < 8.6
    assert {clip.path.partition("/")[0] for clip in clips} == {"ljspeech", "speechocean762"}
    assert clips == choose(corpus, SHARES)
    assert clips == [clip for clip in corpus.clips if clip in clips]


def test_what_is_packed_comes_out_again(corpus: Corpus, speech: Path, tmp_path: Path) -> None:
    size = pack_corpus(corpus, speech, tmp_path / "corpus.pack", SHARES)
    assert size == (tmp_path / "corpus.pack").stat().st_size < 500_000
    there = unpack_corpus(tmp_path / "corpus.pack", tmp_path / "there", tmp_path / "there" / "speech")
    chosen = choose(corpus, SHARES)
    assert [clip.id for clip in there.clips] == [clip.id for clip in chosen]
    positions = [index for index, clip in enumerate(corpus.clips) if clip in chosen]
    for clip, original in zip(there.clips, chosen, strict=True):
        wave, before = there.waveform(clip), corpus.waveform(original)
        assert wave.size == before.size
        assert np.corrcoef(wave, before)[0, 1] > 0.9
    assert set(read_alignments(there.folder, "real")) == {clip.id for clip in chosen}
    with np.load(there.folder / "real.f0.npz") as table:
        assert table["lengths"].tolist() == [index + 1 for index in positions]
        assert table["f0"].tolist() == [index + 1 for index in positions for _ in range(index + 1)]
    with np.load(there.folder / "real.ge2e.npz") as table:
        assert table["vectors"][:, 0].tolist() == positions
    with np.load(there.folder / "real.phones.npz") as table:
        assert {name: int(table[name][0]) for name in table.files} == {
            clip.id: index for clip, index in zip(chosen, positions, strict=True)
        }
    assert len(evaluation_files(tmp_path / "there" / "speech")) == 1
    assert (tmp_path / "there" / "speech" / "noise" / "a.ogg").is_file()


def test_a_packed_clip_of_an_unseen_speaker_is_refused(corpus: Corpus, speech: Path, tmp_path: Path) -> None:
    pack_corpus(corpus, speech, tmp_path / "corpus.pack", SHARES)
    with zipfile.ZipFile(tmp_path / "corpus.pack") as archive, zipfile.ZipFile(tmp_path / "bad.pack", "w") as changed:
        for name in archive.namelist():
            data = archive.read(name)
            if name == "corpus/real.jsonl":
                rows = [json.loads(line) for line in data.decode().splitlines()]
                rows[0]["speaker"] = "S2"
                data = "\n".join(map(json.dumps, rows)).encode()
            changed.writestr(name, data)
    with pytest.raises(ConfigurationError, match="S2"):
        unpack_corpus(tmp_path / "bad.pack", tmp_path / "there", tmp_path / "there" / "speech")


def test_too_large_is_refused(corpus: Corpus, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "LIMIT_BYTES", 1000)
    with pytest.raises(ConfigurationError, match="limit"):
        pack_corpus(corpus, speech, tmp_path / "corpus.pack", SHARES)
    assert not list(tmp_path.glob("*.pack*"))


def test_no_packed_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no packed corpus"):
        unpack_corpus(tmp_path / "nothing", tmp_path, tmp_path)
