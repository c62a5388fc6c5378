"""Bad voice folders, one fault each, with answers: python -m tests.pipeline.voice.bad_inputs > docs/bad-inputs.md"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from benchmarks.stage_one import run_stage_one
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.waveform import Samples, Waveform
from timbre.core.errors import InputError
from timbre.pipeline.voice.folder import open_voice

ROOT = Path(__file__).parents[3]
RATE_HZ = 16_000
# Three sentences are enough to show a fault, and quick; without one of them too little would remain.
SMALL = {"min_effective_s": 8.0, "held_out_min": 1}
FIRST = "wavs/0001.wav"


@dataclass(frozen=True)
class Case:
    """name: for the table. spoil: makes the good folder bad. answer: part of what must be said. recipe: overrides.

    listen: the fault shows only in the sound; the others are found before a sample is decoded.
    """

    name: str
    spoil: Callable[[Path], None]
    answer: str
    recipe: dict[str, Any] = field(default_factory=dict)
    listen: bool = False


@lru_cache(maxsize=16)
def clip(voice: str, number: int) -> Waveform:
    """A recording of a sample voice at 16 kHz."""
    return resample(read(ROOT / "voices" / voice / "wavs" / f"{number:04d}.flac"), RATE_HZ)


def texts(voice: str) -> list[str]:
    """Texts of a sample voice."""
    lines = (ROOT / "voices" / voice / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [line.split("|")[1] for line in lines]


def good_folder(folder: Path, count: int = 3) -> Path:
    """A folder that passes: the first recordings of the sample voice awb as WAV."""
    (folder / "wavs").mkdir(parents=True)
    rows = ["file|text"]
    for number in range(1, count + 1):
        put(folder, f"wavs/{number:04d}.wav", clip("awb", number).samples)
        rows.append(f"wavs/{number:04d}.wav|{texts('awb')[number - 1]}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "voice.yaml").write_text(
        "language: en\nbase: nano\nconsent:\n  kind: synthetic\n  rights: free to use\n", encoding="utf-8"
    )
    return folder


def put(folder: Path, file: str, samples: Samples, rate_hz: int = RATE_HZ, subtype: str = "PCM_16") -> None:
    """Writes a sound as it is, faults included."""
    sf.write(str(folder / file), samples, rate_hz, subtype=subtype)


def _yaml(text: str) -> Callable[[Path], None]:
    return lambda folder: _write(folder / "voice.yaml", text.encode())


def _consent(text: str) -> Callable[[Path], None]:
    return _yaml(f"language: en\nconsent:\n{text}")


def _table(data: bytes) -> Callable[[Path], None]:
    return lambda folder: _write(folder / "metadata.csv", data)


def _row(row: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        with (folder / "metadata.csv").open("a", encoding="utf-8") as stream:
            stream.write(row + "\n")

    return spoil


def _replace(old: str, new: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "metadata.csv"
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    return spoil


def _bytes(data: bytes, file: str = FIRST) -> Callable[[Path], None]:
    return lambda folder: _write(folder / file, data)


def _sound(change: Callable[[Samples], Samples], **options: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        put(folder, FIRST, change(clip("awb", 1).samples), **options)

    return spoil


def _every(change: Callable[[Samples], Samples]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for number in (1, 2, 3):
            put(folder, f"wavs/{number:04d}.wav", change(clip("awb", number).samples))

    return spoil


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _remove(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


def _link(file: str, target: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / file).symlink_to(target)

    return spoil


def _directory(folder: Path) -> None:
    (folder / FIRST).unlink()
    (folder / FIRST).mkdir()


def _truncated(suffix: str, share: float) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        whole = folder / f"wavs/whole{suffix}"
        sf.write(str(whole), clip("awb", 1).samples, RATE_HZ)
        data = whole.read_bytes()
        whole.unlink()
        _remove(FIRST)(folder)
        _write(folder / f"wavs/0001{suffix}", data[: int(len(data) * share)])
        _replace(FIRST, f"wavs/0001{suffix}")(folder)

    return spoil


def _bomb(folder: Path) -> None:
    """Two hours of nothing, and a little speech, in a small file."""
    with sf.SoundFile(str(folder / "wavs/bomb.flac"), "w", RATE_HZ, 1) as stream:
        stream.write(clip("awb", 1).samples)
        for _ in range(120):
            stream.write(np.zeros(60 * RATE_HZ, dtype=np.float32))
    _row("wavs/bomb.flac|A very long story indeed.")(folder)


def _twice(folder: Path) -> None:
    shutil.copy(folder / FIRST, folder / "wavs/again.wav")
    _row(f"wavs/again.wav|{texts('awb')[0]}")(folder)


def _recoded(folder: Path) -> None:
    put(folder, "wavs/again.wav", clip("awb", 1).samples * np.float32(0.7), subtype="PCM_24")
    _row(f"wavs/again.wav|{texts('awb')[0]}")(folder)


def _other_person(folder: Path) -> None:
    put(folder, "wavs/other.wav", clip("wren", 1).samples)
    _row(f"wavs/other.wav|{texts('wren')[0]}")(folder)


def _statement(samples: Callable[[], Samples]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        _consent("  kind: recorded\n  statement: consent.wav\n  rights: tests\n")(folder)
        put(folder, "consent.wav", samples())

    return spoil


def _bad_statement(folder: Path) -> None:
    _consent("  kind: recorded\n  statement: consent.wav\n")(folder)
    _write(folder / "consent.wav", b"I agree.")


def melody(count: int) -> Samples:
    """Chords of steady notes, as a keyboard plays them."""
    random = np.random.default_rng(0)
    out = np.zeros(count, dtype=np.float64)
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    for start in range(0, count - len(time), len(time)):
        for step in random.choice((0, 2, 4, 5, 7, 9, 11, 12), 3, replace=False):
            for partial in range(1, 6):
                tone = np.sin(2 * np.pi * 261.6 * 2 ** (step / 12) * partial * time) * np.exp(-2 * time)
                out[start : start + len(time)] += tone / partial**1.5
    return (0.3 * out / np.abs(out).max()).astype(np.float32)


def noisy(samples: Samples, level: float) -> Samples:
    """With Gaussian noise of that RMS."""
    hiss = np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
    return np.clip(samples + np.float32(level) * hiss, -1, 1)


def echoing(samples: Samples, seconds: float) -> Samples:
    """In a large bare room: noise that decays by 60 dB in that time, as response."""
    count = int(seconds * RATE_HZ)
    decay = 10 ** (-3 * np.arange(count) / count)
    room = np.random.default_rng(0).standard_normal(count) * decay
    wet = np.convolve(samples, room)
    return (0.5 * wet / np.abs(wet).max()).astype(np.float32)


def telephone(samples: Samples) -> Samples:
    """What 8 kHz leaves, brought back to 16 kHz."""
    return resample(resample(Waveform(samples, RATE_HZ), 8_000), RATE_HZ).samples


def _nan(value: float) -> Callable[[Samples], Samples]:
    def change(samples: Samples) -> Samples:
        spoilt = samples.copy()
        spoilt[len(spoilt) // 2] = value
        return spoilt

    return change


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
_BOMB_YAML = "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: [*b, *b, *b, *b]\n"
CASES = (
    Case("voice.yaml missing", _remove("voice.yaml"), "voice.yaml: missing"),
    Case("voice.yaml empty", _yaml(""), "voice.yaml: nothing"),
    Case("voice.yaml a list", _yaml("- a\n- b\n"), "voice.yaml: a list"),
    Case("voice.yaml not YAML", _yaml("language: [en\n"), "valid YAML"),
    Case("voice.yaml in UTF-16", lambda f: _write(f / "voice.yaml", "language: en".encode("utf-16")), "not UTF-8"),
    Case("voice.yaml of 70 kB", _yaml("language: en\n#" + "x" * 70_000), "at most 65536"),
    Case("voice.yaml nested 20,000 deep", _yaml("a: " + "[" * 20_000), "deep nesting"),
    Case("YAML tag that runs code", _yaml("language: !!python/object/apply:os.system [id]\n"), "YAML tag"),
    Case("YAML alias bomb", _yaml(_BOMB_YAML), "YAML alias"),
    Case("key given twice", _yaml("language: en\nlanguage: zh\n"), "key `language` twice"),
    Case("unknown key", _yaml("languge: en\nconsent: {kind: synthetic, rights: x}\n"), "did you mean `language`?"),
    Case("no language", _yaml("consent: {kind: synthetic, rights: x}\n"), "language: missing"),
    Case("language en-US", _yaml("language: en-US\n"), "did you mean `en`?"),
    Case("base with a path", _yaml("language: en\nbase: ../../etc\n"), "base: '../../etc'"),
    Case("review: maybe", _yaml("language: en\nreview: maybe\n"), "review: 'maybe'"),
    Case("unknown recipe key", _yaml("language: en\nrecipe: {finetune: {rnk: 4}}\n"), "did you mean `rank`?"),
    Case("recipe value out of range", _yaml("language: en\nrecipe: {finetune: {rank: 100000}}\n"), "1 to 256"),
    Case(
        "recipe of the operator", _yaml("language: en\nrecipe: {validate: {min_snr_db: 0}}\n"), "that a voice may set"
    ),
    Case("recipe value NaN", _yaml("language: en\nrecipe: {finetune: {alpha: .nan}}\n"), "a finite number"),
    Case("no consent", _yaml("language: en\n"), "consent: missing"),
    Case("unknown kind of consent", _consent("  kind: recordet\n"), "did you mean `recorded`?"),
    Case("recorded without statement", _consent("  kind: recorded\n"), "consent.statement: missing"),
    Case("synthetic without rights", _consent("  kind: synthetic\n"), "consent.rights: missing"),
    Case(
        "statement outside the folder", _consent("  kind: recorded\n  statement: ../consent.wav\n"), "inside the voice"
    ),
    Case("statement absent", _consent("  kind: recorded\n  statement: consent.wav\n"), "'consent.wav' does not exist"),
    Case("statement is text", _bad_statement, "not readable as sound", listen=True),
    Case(
        "statement too short",
        _statement(lambda: clip("awb", 1).samples[:16_000]),
        "of speech; expected at least 2 s",
        listen=True,
    ),
    Case(
        "statement by somebody else",
        _statement(lambda: clip("wren", 2).samples),
        "spoken by somebody else",
        listen=True,
    ),
    Case("metadata.csv missing", _remove("metadata.csv"), "metadata.csv: missing"),
    Case("metadata.csv empty", _table(b""), "`file|text`"),
    Case("metadata.csv with commas", _table(b"file,text\nwavs/0001.wav,Hello\n"), "make the first line"),
    Case("metadata.csv without rows", _table(b"file|text\n"), "no row"),
    Case("metadata.csv in GBK", _table("file|text\nwavs/0001.wav|你好".encode("gbk")), "line 2: not UTF-8"),
    Case("metadata.csv with NUL bytes", _table(b"file|text\nwavs/0001.wav|a\x00b\n"), "NUL bytes"),
    Case("metadata.csv a Git LFS pointer", _table(LFS), "metadata.csv: a Git LFS pointer"),
    Case("metadata.csv a symbolic link", _link("metadata.csv", "/etc/hostname"), "is a symbolic link"),
    Case("a million rows", _table(b"file|text\n" + b"wavs/0001.wav|x\n" * 1_000_000), "1000000 rows"),
    Case("row with three columns", _row("wavs/0001.wav|Hello|there"), "3 columns"),
    Case("row with one column", _row("wavs/0001.wav"), "1 column"),
    Case("row given twice", _row("wavs/0001.wav|Hello there."), "again, first in line 2"),
    Case("same name in capitals", _row("wavs/0001.WAV|Hello there."), "again, first in line 2"),
    Case("row without file", _row("wavs/none.wav|Hello there."), "'wavs/none.wav' does not exist"),
    Case("row without text", _replace(f"|{texts('awb')[0]}", "|"), "no text"),
    Case("text of marks only", _replace(f"|{texts('awb')[0]}", "|...!"), "no letter and no digit"),
    Case("Chinese text in an English voice", _replace(f"|{texts('awb')[0]}", "|今天天气很好。"), "not Latin letters"),
    Case("invisible characters in a text", _replace("The harbour", "The\u202e harbour"), "RIGHT-TO-LEFT"),
    Case(
        "unknown language in a row", _table(b"file|text|language\nwavs/0001.wav|Hi there.|eng\n"), "did you mean `en`?"
    ),
    Case("lexicon with wrong lines", _bytes(b"Nguyen W IH9\nTimbre\nTimbre T AE1 M B ER0\n", "lexicon.txt"), "line 2"),
    Case("lexicon in GBK", _bytes("重庆 chong2 qing4\n".encode("gbk"), "lexicon.txt"), "line 1: not UTF-8"),
    Case("lexicon a symbolic link", _link("lexicon.txt", "/etc/hostname"), "lexicon.txt: 'lexicon.txt' is a symbolic"),
    Case("lexicon of 2 MB", _bytes(b"# x\n" * 500_000, "lexicon.txt"), "lexicon.txt: 2000000 bytes"),
    Case("path out of the folder", _row("../../secret.wav|Hello there."), "a path inside the voice folder"),
    Case("absolute path", _row("/etc/passwd|Hello there."), "a relative path"),
    Case("Windows path", _row("wavs\\0001.wav|Hello there."), "forward slashes"),
    Case("shell command in a name", _row("wavs/$(reboot).wav|Hello there."), "a name without '$'"),
    Case("semicolon in a name", _row("wavs/a;b.wav|Hello there."), "a name without ';'"),
    Case("option as a name", _row("-rf.wav|Hello there."), "names that begin and end"),
    Case("device name of Windows", _row("wavs/con.wav|Hello there."), "portable file name"),
    Case("recording is a symbolic link", _link(FIRST, "/etc/hostname"), "is a symbolic link"),
    Case("stray symbolic link", _link("wavs/x", "/etc"), "wavs/x: a symbolic link"),
    Case("directory named .wav", _directory, "is a directory"),
    Case("recording without a row", lambda f: _twice_unlisted(f, "wavs/left.wav"), "in no row of metadata.csv"),
    Case("recording as .m4a", lambda f: _twice_unlisted(f, "wavs/left.m4a"), "in no row of metadata.csv"),
    Case("recording of 0 bytes", _bytes(b""), "0 bytes"),
    Case("recording a Git LFS pointer", _bytes(LFS), "git lfs pull"),
    Case("text named .wav", _bytes(b"this is not sound at all" * 20), "not readable as sound", listen=True),
    Case(
        "random bytes named .mp3",
        lambda f: _random_mp3(f),
        "not readable as sound",
        {"min_effective_s": 9.0},
        listen=True,
    ),
    Case("truncated WAV", _truncated(".wav", 0.6), "truncated", listen=True),
    Case("truncated FLAC", _truncated(".flac", 0.6), "0001.flac", listen=True),
    Case("truncated OGG", _truncated(".ogg", 0.6), "truncated", listen=True),
    Case("WAV with a header only", _sound(lambda s: s[:0]), "no samples", listen=True),
    Case("NaN sample", _sound(_nan(float("nan")), subtype="FLOAT"), "NaN or infinite sample", listen=True),
    Case("infinite sample", _sound(_nan(float("inf")), subtype="FLOAT"), "NaN or infinite sample", listen=True),
    Case("silence", _sound(np.zeros_like), "silent", listen=True),
    Case("4 kHz", _sound(lambda s: s[::4], rate_hz=4_000), "rate 4000 Hz", listen=True),
    Case("two hours in a small file", _bomb, "7213 s of sound by their headers", listen=True),
    Case("clipped", _sound(lambda s: np.clip(6 * s, -0.9, 0.9)), "are clipped", listen=True),
    Case("far too soft", _sound(lambda s: s * np.float32(0.004), subtype="PCM_24"), "dBFS", listen=True),
    Case("telephone sound", _sound(telephone), "upsampled", listen=True),
    Case("music behind the voice", _sound(lambda s: s + melody(len(s))), "sounds like music", listen=True),
    Case("drowned in noise", _sound(lambda s: noisy(s, 0.08)), "SNR", listen=True),
    Case("noise alone", _sound(lambda s: noisy(np.zeros_like(s), 0.05)), "0001.wav", listen=True),
    Case("large bare room", _every(lambda s: echoing(s, 2.0)), "reverberation", listen=True),
    Case(
        "another text", _replace(texts("awb")[0], "Yes. " + "And so on and on. " * 12), "letters a second", listen=True
    ),
    Case("the same file twice", _twice, "the same file as", {"min_effective_s": 9.0}, listen=True),
    Case("the same recording twice", _recoded, "the same recording as", {"min_effective_s": 9.0}, listen=True),
    Case("another person's sentence", _other_person, "other.wav", {"min_effective_s": 9.0}, listen=True),
    Case("too little speech", lambda f: None, "of usable speech", {"min_effective_s": 60.0}, listen=True),
    Case("too few slices", lambda f: None, "slices", {"held_out_min": 5}, listen=True),
)


def _twice_unlisted(folder: Path, file: str) -> None:
    shutil.copy(folder / FIRST, folder / file)


def _random_mp3(folder: Path) -> None:
    _write(folder / "wavs/noise.mp3", np.random.default_rng(0).bytes(20_000))
    _row("wavs/noise.mp3|Hello there.")(folder)


def answers(case: Case, work: Path) -> list[str]:
    """Everything that stage 1 says to the spoilt folder."""
    with tempfile.TemporaryDirectory(dir=work) as place:
        folder = good_folder(Path(place) / "ada")
        case.spoil(folder)
        if not case.listen:
            return [str(problem) for problem in open_voice(folder).problems]
        before = _listing(folder)
        try:
            outcome = run_stage_one(folder, Path(place), recipe=SMALL | case.recipe)
        except InputError as error:
            return [str(error)]
        if _listing(folder) != before:
            raise AssertionError(f"{case.name}: the voice folder was written to")
        report = json.loads((outcome.report / "validation.json").read_text(encoding="utf-8"))
        if len(report["problems"]) != len(outcome.problems):
            raise AssertionError(f"{case.name}: the report and the error differ")
        return [str(problem) for problem in outcome.problems]


def _listing(folder: Path) -> list[tuple[str, int]]:
    return sorted((path.relative_to(folder).as_posix(), path.lstat().st_size) for path in folder.rglob("*"))


def rows() -> Iterator[str]:
    """The lines of docs/bad-inputs.md."""
    yield "# Bad input"
    yield ""
    yield f"{len(CASES)} voice folders with one fault each, and what `timbre validate` answers to it (exit code 10, all"
    yield "problems of a folder in one run, nothing written outside `.timbre/`). Made by"
    yield "`python -m tests.pipeline.voice.bad_inputs > docs/bad-inputs.md`; a test holds the table to the program."
    yield ""
    yield "| input | answer | what to do |"
    yield "|---|---|---|"
    with tempfile.TemporaryDirectory() as work:
        for case in CASES:
            said = answers(case, Path(work))
            fitting = next((line for line in said if case.answer in line), f"(missing) {said}")
            found, _, remedy = fitting.partition("\n  -> ")
            more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
            yield f"| {case.name} | {_cell(found)}{more} | {_cell(remedy)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    for row in rows():
        print(row)
