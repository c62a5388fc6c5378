"""The engine on the generated base: voices do not leak, batching changes nothing, bad input is named."""

from __future__ import annotations

import gc
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from timbre.audio.waveform import Waveform
from timbre.core.cancellation import Cancellation
from timbre.core.errors import InputError
from timbre.inference.acoustic import DecoderCache
from timbre.inference.engine import ATTEMPTS, Engine
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.errors import CancelledError, GraphError, TextError, VoiceError
from timbre.inference.exported_base import read_export
from timbre.inference.guards import SentenceLimits
from timbre.inference.pieces import pieces_of
from timbre.inference.recogniser import Recogniser
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampler, Sampling
from timbre.inference.scheduler import Job
from timbre.inference.session import open_session
from timbre.inference.t2s_slots import NO_LORA
from timbre.inference.voice import Prompt, Voice, load_voice
from timbre.text.recognition import BLANK, CLASSES
from timbre.text.symbols import ids_of

TEXT = "The quick brown fox jumps over the lazy dog."
# Random networks fail every rule about sounding like speech; the tests are about everything else.
ANYTHING = SentenceLimits(0.0, 100.0, 100.0, 10_000, -500.0)


@pytest.fixture(scope="module")
def engine(pico_export: Path) -> Iterator[Engine]:
    with Engine(pico_export, EngineSettings(limits=ANYTHING, voices=2)) as engine:
        yield engine


def request(text: str = TEXT, seed: int = 1, **options: object) -> SpeechRequest:
    return SpeechRequest(text, sampling=Sampling(seed=seed), **options)  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_audio_and_another_seed_another(
    engine: Engine, make_voice: Callable[..., Path]
) -> None:
    voice = load_voice(make_voice(), engine.base, name="ada")
    first, again, other = (engine.speak(request(seed=seed), voice) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.wave.samples, again.wave.samples)
    assert first.sentences[0].codes != other.sentences[0].codes
    assert first.wave.rate_hz == engine.base.rate_hz
    assert len(first.sentences[0].codes) * engine.base.samples_per_code == len(first.wave.samples)


@pytest.mark.parametrize("parts", [{"sovits": False}, {"t2s": False}, {}])
def test_every_part_of_an_adapter_is_heard(
    engine: Engine, make_voice: Callable[..., Path], parts: dict[str, bool]
) -> None:
    """A part that is silently ignored would speak with the base voice: the failure that hides best."""
    adapted = load_voice(make_voice("full", **parts), engine.base, name="full")
    plain = load_voice(make_voice("plain", t2s=False, sovits=False), engine.base, name="plain")
    one, two = engine.speak(request(), adapted), engine.speak(request(), plain)
    same_codes = one.sentences[0].codes == two.sentences[0].codes
    assert same_codes == (parts == {"t2s": False})
    if same_codes:
        assert np.abs(one.wave.samples - two.wave.samples).max() > 1e-4


def test_eight_voices_at_once_equal_single_runs(engine: Engine, make_voice: Callable[..., Path]) -> None:
    voices = [load_voice(make_voice(f"v{index}", index), engine.base, name=f"v{index}") for index in range(8)]
    alone = [engine.speak(request(seed=index), voice).wave.samples for index, voice in enumerate(voices)]
    together: dict[int, np.ndarray] = {}

    def speak(index: int) -> None:
        together[index] = engine.speak(request(seed=index), voices[index]).wave.samples

    threads = [threading.Thread(target=speak, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, wave in enumerate(alone):
        np.testing.assert_allclose(together[index], wave, atol=1e-6)
    assert len({wave.tobytes() for wave in alone}) == 8
    assert len(engine.decoders.held) <= 2


def test_streaming_gives_all_the_audio_and_starts_early(engine: Engine, make_voice: Callable[..., Path]) -> None:
    voice = load_voice(make_voice(), engine.base, name="ada")
    text = TEXT + " It then ran far away into the woods, where nobody could see it any more."
    whole = engine.speak(request(text, check=False), voice)
    pieces = list(engine.stream(request(text), voice))
    assert sum(len(piece.samples) for piece in pieces) == len(whole.wave.samples)
    # Seven codes and no more: twelve were there, five may still move.
    code = engine.base.samples_per_code
    assert len(pieces[0].samples) == pytest.approx(7 * code, abs=code)
    assert len(pieces[1].samples) > len(pieces[0].samples)
    joined = np.concatenate([piece.samples for piece in pieces])
    assert np.corrcoef(joined, whole.wave.samples)[0, 1] > 0.8


def test_speed_stretches_time(engine: Engine, make_voice: Callable[..., Path]) -> None:
    voice = load_voice(make_voice(), engine.base, name="ada")
    normal = engine.speak(request(), voice).wave.duration_s
    assert engine.speak(request(speed=2.0), voice).wave.duration_s == pytest.approx(normal / 2, rel=0.05)
    assert engine.speak(request(speed=0.5), voice).wave.duration_s == pytest.approx(normal * 2, rel=0.05)


def test_closing_a_stream_frees_its_slots(engine: Engine, make_voice: Callable[..., Path]) -> None:
    voice = load_voice(make_voice(), engine.base, name="ada")
    stream = engine.stream(request("One sentence here. " * 30), voice)
    next(stream)
    stream.close()
    assert engine.speak(request("Short."), voice).sentences
    for _ in range(1200):
        if engine.scheduler.depth == (0, 0):
            break
        threading.Event().wait(0.05)
    assert engine.scheduler.depth == (0, 0)


def test_a_failed_sentence_is_spoken_again(pico_export: Path, make_voice: Callable[..., Path]) -> None:
    strict = SentenceLimits(silence_dbfs=100.0)
    with Engine(pico_export, EngineSettings(limits=strict)) as engine:
        voice = load_voice(make_voice(), engine.base, name="ada")
        spoken = engine.speak(request(), voice).sentences[0]
        assert spoken.attempts == ATTEMPTS
        assert any("silent" in reason for reason in spoken.first_failures)
        assert engine.speak(request(check=False), voice).sentences[0].attempts == 1


class _Deaf(Recogniser):
    """Hears blanks only, and counts how often its graph would have run."""

    def __init__(self) -> None:
        self.runs = 0

    def logits(self, wave: Waveform) -> np.ndarray:  # type: ignore[type-arg]
        self.runs += 1
        scores = np.zeros((round(50 * wave.duration_s), len(CLASSES)), np.float32)
        scores[:, BLANK] = 9.0
        return scores


def test_a_doubtful_sentence_is_listened_to_once_an_attempt(pico_export: Path, make_voice: Callable[..., Path]) -> None:
    with Engine(pico_export) as engine:
        engine.recogniser = deaf = _Deaf()
        spoken = engine.speak(request(), load_voice(make_voice(), engine.base, name="ada")).sentences[0]
    assert spoken.error_rate == 1.0
    assert any("words missing" in reason for reason in spoken.failures)
    assert deaf.runs == spoken.attempts == ATTEMPTS


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("", "auto", "empty"),
        (" \n\t", "auto", "empty"),
        ("...!?", "auto", "nothing that can be spoken"),
        ("........", "auto", "nothing that can be spoken"),
        (", " * 40, "auto", "nothing that can be spoken"),
        ("。", "zh", "nothing that can be spoken"),
        ("😀", "auto", "nothing that can be spoken"),
        ("\x00\x01", "auto", "nothing that can be spoken"),
        ("Bonjour", "fr", "'fr'"),
    ],
)
def test_bad_texts_are_named(
    engine: Engine, make_voice: Callable[..., Path], text: str, language: str, words: str
) -> None:
    voice = load_voice(make_voice(), engine.base, name="ada")
    with pytest.raises(TextError, match=words) as caught:
        engine.speak(SpeechRequest(text, language=language), voice)
    assert caught.value.remedy


def test_texts_that_look_bad_are_spoken(engine: Engine, make_voice: Callable[..., Path]) -> None:
    voice = load_voice(make_voice(), engine.base, name="ada")
    for text in (
        "Hi 😀!",
        "a",
        "A.",
        "3",
        "啊",
        "红😀色",
        "Yes, " * 40,
        "1234567890" * 5,
        "Hello 世界 again.",
        "w" * 150,
        "tab\tnew\nline\x07bell",
    ):
        assert engine.speak(request(text), voice).wave.duration_s > 0.1


@pytest.mark.parametrize(
    "options",
    [{"speed": float("nan")}, {"speed": 0.0}, {"speed": 9.0}, {"pause_s": -1.0}, {"text": "x" * 10_001}],
)
def test_bad_options_are_named(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"speed|pause_s|characters"):
        SpeechRequest(**{"text": TEXT, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["top_k", "top_p", "temperature", "repetition_penalty", "seed"])
def test_bad_sampling_is_named(field: str) -> None:
    with pytest.raises(InputError, match=field):
        Sampling(**{field: -1})  # type: ignore[arg-type]
    if field not in ("top_k", "seed"):
        with pytest.raises(InputError, match=field):
            Sampling(**{field: float("nan")})  # type: ignore[arg-type]


def test_sampler_follows_its_rules() -> None:
    logits = np.zeros(10, np.float32)
    logits[3], logits[9] = 5.0, 9.0
    prompt = np.array([3])
    assert Sampler(Sampling(temperature=0, repetition_penalty=1), 10, 9, prompt).draw(logits, may_end=True) is None
    assert Sampler(Sampling(temperature=0, repetition_penalty=1), 10, 9, prompt).draw(logits, may_end=False) == 3
    logits[4] = 4.0
    assert Sampler(Sampling(temperature=0, repetition_penalty=2), 10, 9, prompt).draw(logits, may_end=False) == 4
    drawn = {
        Sampler(Sampling(top_k=2, seed=s, repetition_penalty=1), 10, 9, prompt).draw(logits, may_end=False)
        for s in range(50)
    }
    assert drawn == {3, 4}
    narrow = {
        Sampler(Sampling(top_p=0.5, seed=s, repetition_penalty=1), 10, 9, prompt).draw(logits, may_end=False)
        for s in range(50)
    }
    assert narrow == {3}


def test_a_cancelled_job_ends_with_its_own_error(engine: Engine) -> None:
    job = Job(np.arange(20), np.arange(5), Sampling(seed=0), min_codes=500, max_codes=500)
    job.cancel()
    engine.scheduler.submit(job)
    with pytest.raises(CancelledError):
        list(job.codes())
    with pytest.raises(ValueError, match="do not fit"):
        engine.scheduler.submit(Job(np.arange(20), np.arange(5), Sampling(), min_codes=1, max_codes=100_000))


def test_damaged_packages_are_refused_by_name(engine: Engine, make_voice: Callable[..., Path]) -> None:
    def broken(change: Callable[[Path], None], words: str) -> None:
        folder = make_voice(f"b{abs(hash(words)) % 10_000}")
        change(folder)
        with pytest.raises(VoiceError, match=words) as caught:
            load_voice(folder, engine.base, name="x")
        assert caught.value.remedy

    def package(**fields: object) -> Callable[[Path], None]:
        return lambda folder: (folder / "package.json").write_text(json.dumps(fields)) and None

    def prompt(**changes: np.ndarray) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            save_file({**load_file(folder / "prompt.safetensors"), **changes}, folder / "prompt.safetensors")

        return write

    broken(lambda f: (f / "prompt.safetensors").unlink(), "prompt.safetensors does not exist")
    broken(lambda f: (f / "prompt.safetensors").write_bytes(b"PK\x03\x04 a pickle"), "not a readable safetensors")
    broken(lambda f: (f / "prompt.json").write_text("[]"), "expected a JSON object")
    broken(lambda f: (f / "t2s" / "adapter_config.json").write_text('{"peft_type": "IA3"}'), "peft_type is 'IA3'")
    broken(lambda f: (f / "t2s" / "adapter_model.safetensors").unlink(), "adapter_model.safetensors does not exist")
    broken(package(schema_version=2), "schema version 2")
    broken(package(schema_version=1, base="other", base_digest="f" * 64), "made for base 'other'")
    broken(prompt(codes=np.array([99_999])), "codes: expected ids")
    broken(prompt(phones=np.array([-1])), "phones: expected ids")
    broken(prompt(condition=np.zeros(3, np.float32)), "condition has 3 values")
    broken(prompt(condition=np.full(engine.base.acoustic.condition, np.nan, np.float32)), "out of range")

    def transpose(folder: Path) -> None:
        path = folder / "t2s" / "adapter_model.safetensors"
        save_file({name: np.ascontiguousarray(tensor.T) for name, tensor in load_file(path).items()}, path)

    broken(transpose, "do not belong together|does not fit base")


def test_an_acoustic_adapter_for_other_layers_is_refused(engine: Engine, make_voice: Callable[..., Path]) -> None:
    folder = make_voice("odd")
    path = folder / "sovits" / "adapter_model.safetensors"
    tensors = {name.replace("dec.conv_pre", "dec.nothing"): tensor for name, tensor in load_file(path).items()}
    save_file(tensors, path)
    with pytest.raises(VoiceError, match=r"dec\.nothing"):
        engine.speak(request(), load_voice(folder, engine.base, name="odd"))


def test_a_changed_graph_is_found(pico_export: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "export"
    shutil.copytree(pico_export, copy)
    read_export(copy).verify()
    (copy / "prior.fp32.onnx").write_bytes((copy / "prior.fp32.onnx").read_bytes()[:-10])
    with pytest.raises(GraphError, match=r"prior\.fp32\.onnx was changed"):
        read_export(copy).verify()
    for version, remedy in ((1, "timbre base export"), (3, "upgrade")):
        (copy / "export.json").write_text(f'{{"schema_version": {version}}}')
        with pytest.raises(GraphError, match=f"schema version {version}") as caught:
            read_export(copy)
        assert remedy in caught.value.remedy
    with pytest.raises(GraphError, match="does not exist"):
        read_export(tmp_path)


def test_chunked_decoding_equals_decoding_at_once(engine: Engine) -> None:
    rng = np.random.default_rng(3)
    latent = rng.standard_normal((1, engine.base.acoustic.latent, 260)).astype(np.float32)
    condition = rng.standard_normal((1, engine.base.acoustic.condition, 1)).astype(np.float32)
    voice = Voice("x", "0", "", Prompt(np.zeros(1), np.zeros(1), "en", condition, np.zeros(1), 0.1), NO_LORA, {})
    generator = engine.decoders.get(voice).generator
    whole = generator.run(None, {"z": latent, "condition": condition})[0][0]
    tolerance = 1e-5 * float(np.abs(whole).max())
    np.testing.assert_allclose(pieces_of(engine.base, generator, condition).next(latent), whole, atol=tolerance)
    pieces = pieces_of(engine.base, generator, condition)
    parts = [pieces.next(latent, end) for end in (30, 31, 140, 260)]
    assert [len(part) // engine.base.hop for part in parts] == [30, 1, 109, 120]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=tolerance)


def test_the_base_says_how_to_speak_unless_the_request_does(
    pico_export: Path, make_voice: Callable[..., Path], tmp_path: Path
) -> None:
    def exported(**speaking: object) -> Path:
        folder = tmp_path / f"export-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for path in pico_export.iterdir():
            shutil.copyfile(path, folder / path.name)
        about = json.loads((pico_export / "export.json").read_text())
        (folder / "export.json").unlink()
        (folder / "export.json").write_text(json.dumps({**about, "speaking": {**about["speaking"], **speaking}}))
        return folder

    def codes(folder: Path, spoken: SpeechRequest) -> tuple[int, ...]:
        with Engine(folder, EngineSettings(limits=ANYTHING)) as engine:
            voice = load_voice(make_voice(f"v{len(list(tmp_path.iterdir()))}"), engine.base, name="ada")
            return engine.speak(spoken, voice).sentences[0].codes

    usual = codes(pico_export, request())
    assert usual == codes(pico_export, SpeechRequest(TEXT, sampling=Sampling(15, 1.0, 1.0, 1.35, seed=1)))
    greedy = exported(temperature=0.0)
    assert codes(greedy, request()) == codes(greedy, request(seed=2)) != usual
    assert codes(greedy, SpeechRequest(TEXT, sampling=Sampling(temperature=1.0, seed=1))) == usual
    alone = exported(prompt_codes=False)
    assert codes(alone, request()) == codes(pico_export, request(prompt_codes=False)) != usual
    assert codes(alone, request(prompt_codes=True)) == usual
    with pytest.raises(GraphError, match="temperature: 9 is not"):
        read_export(exported(temperature=9))


def test_a_voice_speaks_with_its_own_lexicon(engine: Engine, make_voice: Callable[..., Path]) -> None:
    folder = make_voice()
    (folder / "lexicon.txt").write_text("fox T IH1 M B ER0\n", encoding="utf-8")
    voice = load_voice(folder, engine.base, name="ada")
    own, usual = voice.lexicon["fox"], load_voice(make_voice("b"), engine.base, name="b")
    assert own == ("T", "IH1", "M", "B", "ER0")
    assert usual.lexicon == {}
    spoken = engine.speak(request("fox"), voice).sentences[0].phones
    assert spoken[:5] == tuple(ids_of(own))
    assert spoken != engine.speak(request("fox"), usual).sentences[0].phones
    asked = engine.speak(request("fox", lexicon={"fox": ("S", "OW1")}), voice).sentences[0].phones
    assert asked[:2] == tuple(ids_of(("S", "OW1")))
    (folder / "lexicon.txt").write_text("fox XX\n", encoding="utf-8")
    with pytest.raises(VoiceError, match=r"lexicon\.txt: line 1: 'XX'"):
        load_voice(folder, engine.base, name="ada")


def test_a_voice_is_merged_once_and_holds_nobody_else_up(
    pico_export: Path, make_voice: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = read_export(pico_export)
    decoders = DecoderCache(base, size=4)
    known, new = (load_voice(make_voice(name, seed), base, name=name) for seed, name in enumerate(("known", "new")))
    decoders.get(known)
    merge, started, go_on = DecoderCache._merge, threading.Event(), threading.Event()

    def slowly(self: DecoderCache, voice: Voice) -> object:
        started.set()
        assert go_on.wait(30)
        return merge(self, voice)

    monkeypatch.setattr(DecoderCache, "_merge", slowly)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(decoders.get(new))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert started.wait(30)
    assert decoders.get(known) is decoders.get(known), "would hang if it waited for the other voice"
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0] is found[1]
    assert decoders.loads == 2
    broken = replace(new, name="broken", acoustic={"dec.nothing.weight": next(iter(new.acoustic.values()))})
    for _ in range(2):
        with pytest.raises(VoiceError, match="nothing"):
            decoders.get(broken)


def test_merged_voices_are_bounded_by_bytes(pico_export: Path, make_voice: Callable[..., Path]) -> None:
    base = read_export(pico_export)
    voices = [load_voice(make_voice(f"v{seed}", seed), base, name=f"v{seed}") for seed in range(3)]
    each = DecoderCache(base).get(voices[0]).size_bytes
    assert 0 < each < sum(item.stat().st_size for item in map(base.graph, ("prior", "generator")))
    two = DecoderCache(base, size_bytes=2 * each)
    for voice in voices:
        two.get(voice)
    assert two.held == [voice.key for voice in voices[1:]]
    # One larger than the limit stays as long as it is the last that spoke.
    none = DecoderCache(base, size_bytes=1)
    assert none.get(voices[0]) is none.get(voices[0])
    none.get(voices[1])
    assert none.held == [voices[1].key]


def test_merged_weights_outlive_their_arrays(engine: Engine) -> None:
    """Where ONNX Runtime reads replaced initializers in place, freed arrays would be spoken with, without an error."""
    rng = np.random.default_rng(4)
    weights = load_file(engine.base.graph("weights"))
    name = next(name for name in sorted(weights) if name.startswith("dec.conv_pre.weight"))
    z = rng.standard_normal((1, engine.base.acoustic.latent, 30)).astype(np.float32)
    condition = rng.standard_normal((1, engine.base.acoustic.condition, 1)).astype(np.float32)

    def speak(session: object) -> np.ndarray:
        return session.run(None, {"z": z, "condition": condition})[0]  # type: ignore[attr-defined]

    path = engine.base.graph("generator")
    session = open_session(path, replaced={name: weights[name] * np.float32(1.5)})
    before = speak(session)
    gc.collect()
    noise = [np.full(weights[name].shape, 1e3, np.float32) for _ in range(200)]
    np.testing.assert_array_equal(speak(session), before)
    assert noise
    assert np.abs(before - speak(open_session(path))).max() > 1e-6


@pytest.mark.parametrize("how", ["speak", "stream"])
def test_a_cancelled_request_stops_and_frees_its_slots(
    engine: Engine, make_voice: Callable[..., Path], how: str
) -> None:
    voice = load_voice(make_voice(), engine.base, name="ada")
    cancel = Cancellation()
    cancel.cancel("the client went away")
    with pytest.raises(CancelledError, match="went away"):
        list(getattr(engine, how)(request(TEXT * 20), voice, cancel=cancel))
    deadline = time.monotonic() + 60
    while engine.scheduler.depth != (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert engine.scheduler.depth == (0, 0)
