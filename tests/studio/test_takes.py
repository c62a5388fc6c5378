"""Takes: stored as they end, judged at once, replaced, deleted, brought back, mended after a crash, withdrawn."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from tests.studio.running import ROOT, VOICE, Studio, recording, sentence, start, wav
from timbre.core.base import read_base
from timbre.inference.engine import Engine
from timbre.inference.voice import Voice
from timbre.pipeline.bases.exported import exports_folder
from timbre.pipeline.release.zero_shot import zero_shot
from timbre.pipeline.voice.folder import open_voice
from timbre.studio.book import Book

RNG = np.random.default_rng(0)


def tone(hz: float = 220.0) -> bytes:
    return wav((0.3 * np.sin(np.arange(48_000) * hz * 2 * np.pi / 24_000)).astype(np.float32))


def rows(folder: Path) -> list[str]:
    return (folder / "metadata.csv").read_text("utf-8").splitlines()[1:]


def take_of(view: Any, key: str) -> Any:
    return next(line["take"] for line in view["lines"] if line["id"] == key)


def kinds(take: Any) -> set[str]:
    return {problem["kind"] for problem in take["problems"]}


def script(folder: Path, texts: list[str]) -> None:
    """The lines of a voice that has none recorded."""
    lines = "\n".join(f"wavs/{number:04d}.flac|{text}" for number, text in enumerate(texts, 1))
    (folder / "metadata.csv").write_text(f"file|text\n{lines}\n", encoding="utf-8")


def test_a_new_voice_has_its_sentence_and_its_lines(ada: Studio) -> None:
    view = ada.call("GET", "/api/voices/ada").json
    assert "Ada Example" in view["consent"]["text"]
    assert "announcements of Example School" in view["consent"]["text"]
    assert len(view["lines"]) == 26
    assert view["lines"][0]["take"] is None
    assert (view["progress"]["good"] == 0 and view["next"] == view["lines"][0]["id"]) or view["next"]
    assert open_voice(ada.voice).consent.rights == VOICE["purpose"]
    assert ada.call("POST", "/api/voices", VOICE).status == 409
    for key in VOICE:
        assert ada.call("POST", "/api/voices", {**VOICE, "name": "bob", key: ""}).code == "field"


def test_good_takes_are_counted_and_the_other_person_is_named(ada: Studio) -> None:
    script(ada.voice, [sentence("awb", 1), sentence("awb", 2), sentence("wren", 2)])
    for number in (1, 2):
        view = ada.call("PUT", f"/api/voices/ada/takes/{number:04d}", recording("awb", number)).json
        take = take_of(view, f"{number:04d}")
        assert take["good"], take
    assert view["progress"]["good"] == 2
    assert view["progress"]["speech_s"] > 3
    assert view["progress"]["heard"]
    other = ada.call("PUT", "/api/voices/ada/takes/0003", recording("wren", 2)).json
    assert "speaker" in kinds(take_of(other, "0003"))
    assert other["progress"]["good"] == 2
    # What was found is kept: a studio that starts again judges nothing twice.
    again = start(ada.root)
    again.enter()
    view = again.call("GET", "/api/voices/ada").json
    assert view["waiting"] == []
    assert view["progress"]["good"] == 2
    again.server.should_exit = True


def test_faults_are_named_at_once(ada: Studio) -> None:
    wave, rate_hz = sf.read(io.BytesIO(recording("awb", 1)), dtype="float32")
    script(ada.voice, [sentence("awb", 1), sentence("awb", 5)])
    faults = {
        "noise": wave + RNG.normal(0, 0.1, len(wave)).astype(np.float32),
        "clipped": np.clip(10 * wave, -0.95, 0.95),
        "soft": wave * 0.02,
    }
    for kind, samples in faults.items():
        view = ada.call("PUT", "/api/voices/ada/takes/0001", wav(np.clip(samples, -1, 1), rate_hz)).json
        assert kind in kinds(take_of(view, "0001")), kind
    view = ada.call("PUT", "/api/voices/ada/takes/0002", wav(wave, rate_hz)).json
    assert "words" in kinds(take_of(view, "0002"))
    assert take_of(view, "0002")["missed"]


def test_a_take_is_kept_sample_by_sample_and_can_be_heard(ada: Studio) -> None:
    sent = wav(RNG.uniform(-0.5, 0.5, 24_000).astype(np.float32))
    view = ada.call("PUT", "/api/voices/ada/takes/0003", sent).json
    assert take_of(view, "0003")["file"] == "wavs/0003.flac"
    stored, _ = sf.read(ada.voice / "wavs/0003.flac", dtype="int16")
    assert np.array_equal(stored, sf.read(io.BytesIO(sent), dtype="int16")[0])
    heard = ada.call("GET", "/api/voices/ada/takes/0003")
    assert heard.body == (ada.voice / "wavs/0003.flac").read_bytes()
    assert heard.headers["content-type"] == "audio/flac"


@pytest.mark.parametrize("body", [b"", b"RIFF", b"\x00" * 5000, wav(np.zeros(100, np.float32))])
def test_what_is_no_recording_changes_nothing(ada: Studio, body: bytes) -> None:
    ada.call("PUT", "/api/voices/ada/takes/0001", tone())
    before = (ada.voice / "wavs/0001.flac").read_bytes()
    assert ada.call("PUT", "/api/voices/ada/takes/0001", body).status == 400
    assert (ada.voice / "wavs/0001.flac").read_bytes() == before


def test_deleted_and_replaced_takes_come_back(ada: Studio) -> None:
    for hz in (220.0, 330.0, 440.0):
        ada.call("PUT", "/api/voices/ada/takes/0002", tone(hz))
    stored = (ada.voice / "wavs/0002.flac").read_bytes()
    view = ada.call("DELETE", "/api/voices/ada/takes/0002").json
    assert take_of(view, "0002") is None
    assert rows(ada.voice) == []
    assert not (ada.voice / "wavs/0002.flac").exists()
    assert next(line for line in view["lines"] if line["id"] == "0002")["deleted"] == 3
    view = ada.call("POST", "/api/voices/ada/takes/0002/back").json
    assert (ada.voice / "wavs/0002.flac").read_bytes() == stored
    assert len(rows(ada.voice)) == 1
    seen = {stored}
    for _ in range(2):
        ada.call("POST", "/api/voices/ada/takes/0002/back")
        seen.add((ada.voice / "wavs/0002.flac").read_bytes())
    assert len(seen) == 3, "every earlier take can be reached"
    assert ada.call("POST", "/api/voices/ada/takes/0009/back").code == "nothing-deleted"
    assert ada.call("DELETE", "/api/voices/ada/takes/0009").code == "no-take"


def test_what_the_studio_keeps_for_itself_is_no_part_of_the_voice(ada: Studio) -> None:
    ada.call("PUT", "/api/voices/ada/takes/0001", tone())
    ada.call("DELETE", "/api/voices/ada/takes/0001")
    assert (ada.voice / ".studio" / ".gitignore").read_text() == "*\n"
    ada.call("PUT", "/api/voices/ada/takes/0001", tone())
    ada.call("PUT", "/api/voices/ada/consent", tone())
    assert [str(problem) for problem in open_voice(ada.voice).problems] == []


def test_a_full_disk_loses_nothing(ada: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    ada.call("PUT", "/api/voices/ada/takes/0001", tone())
    before = (ada.voice / "wavs/0001.flac").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for path in ("takes/0001", "takes/0002", "consent"):
        answer = ada.call("PUT", f"/api/voices/ada/{path}", tone(440))
        assert (answer.status, answer.code) == (507, "disk-full")
    monkeypatch.undo()
    assert (ada.voice / "wavs/0001.flac").read_bytes() == before
    assert len(rows(ada.voice)) == 1
    assert not [path for path in ada.voice.rglob(".*.*") if path.is_file() and path.name != ".gitkeep"], "no remains"
    assert ada.call("PUT", "/api/voices/ada/takes/0002", tone(440)).status == 200


def test_whichever_write_finds_the_disk_full_the_earlier_take_stays(
    ada: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada.call("PUT", "/api/voices/ada/takes/0001", tone())
    path = ada.voice / "wavs/0001.flac"
    before, real = path.read_bytes(), os.fsync
    for first in range(1, 20):
        writes: list[int] = []

        def full(handle: int, first: int = first, writes: list[int] = writes) -> None:
            writes.append(handle)
            if len(writes) >= first:
                raise OSError(28, "No space left on device")
            real(handle)

        monkeypatch.setattr(os, "fsync", full)
        answer = ada.call("PUT", "/api/voices/ada/takes/0001", tone(440))
        monkeypatch.undo()
        if path.read_bytes() != before:
            break
        assert (answer.status, answer.code) == (507, "disk-full"), first
    assert first > 1, "the take was replaced although nothing could be written"
    assert sf.read(path)[0].shape == (48_000,), "the new take is whole"


def test_a_damaged_or_foreign_judgement_is_made_again(ada: Studio) -> None:
    ada.call("PUT", "/api/voices/ada/takes/0001", tone())
    ada.call("PUT", "/api/voices/ada/consent", tone())
    before = ada.call("GET", "/api/voices/ada").json
    assert before["consent"]["recorded"]
    assert before["consent"]["problems"]
    kept = ada.voice / ".studio/judged/statement.json"
    good = kept.read_bytes()
    stored = json.loads(good)
    foreign: list[Any] = [[], {}, {**stored, "mood": "calm"}, {**stored, "takes": None}, {**stored, "problems": None}]
    for damaged in (good[: len(good) // 2], b"", b"\xff\x00", *(json.dumps(item).encode() for item in foreign)):
        kept.write_bytes(damaged)
        answer = ada.call("GET", "/api/voices/ada")
        assert answer.status == 200, damaged
        assert answer.json["consent"] == before["consent"], damaged
        assert kept.read_bytes() == good, damaged
        (ada.voice / ".studio/judged/0001.json").write_bytes(damaged)
        assert ada.call("GET", "/api/voices/ada").json["waiting"] == ["0001"], damaged


def test_a_crash_between_recording_and_row_is_mended(ada: Studio) -> None:
    for key in ("0001", "0002"):
        ada.call("PUT", f"/api/voices/ada/takes/{key}", tone())
    listed = (ada.voice / "metadata.csv").read_bytes()
    (ada.voice / "metadata.csv").write_text("file|text\n" + rows(ada.voice)[0] + "\n", encoding="utf-8")
    unfinished = [ada.voice / "wavs/.0003.abcd1234.flac", ada.voice / ".studio/takes/.0003.abcd1234.json"]
    unfinished += [ada.voice / "wavs/.0003.flac.kept0000", ada.voice / ".metadata.abcd1234.csv"]
    for path in unfinished:
        path.write_bytes(b"half")
    book = Book(ada.root / "voices", "ada")
    assert (ada.voice / "metadata.csv").read_bytes() == listed
    assert not [path for path in unfinished if path.exists()]
    assert [line.id for line in book.lines() if line.file] == ["0001", "0002"]


def test_a_crash_within_a_deletion_is_mended(ada: Studio) -> None:
    ada.call("PUT", "/api/voices/ada/takes/0001", tone())
    data = (ada.voice / "wavs/0001.flac").read_bytes()
    ada.call("DELETE", "/api/voices/ada/takes/0001")
    (ada.voice / "wavs/0001.flac").write_bytes(data)
    book = Book(ada.root / "voices", "ada")
    assert not (ada.voice / "wavs/0001.flac").exists()
    assert open_voice(ada.voice).clips == ()
    book.bring_back("0001")
    assert (ada.voice / "wavs/0001.flac").read_bytes() == data


def test_a_list_that_cannot_be_read_is_not_replaced(ada: Studio) -> None:
    (ada.voice / "metadata.csv").write_text("file,text\nwavs/a.wav,Hello\n", encoding="utf-8")
    before = (ada.voice / "metadata.csv").read_bytes()
    assert ada.call("PUT", "/api/voices/ada/takes/0001", tone()).code == "list"
    assert (ada.voice / "metadata.csv").read_bytes() == before


def test_withdrawn_consent_leaves_no_recording(ada: Studio) -> None:
    for key in ("0001", "0002", "0003"):
        ada.call("PUT", f"/api/voices/ada/takes/{key}", tone())
    ada.call("DELETE", "/api/voices/ada/takes/0002")
    ada.call("PUT", "/api/voices/ada/consent", tone())
    (ada.root / ".timbre/work/ada/validate").mkdir(parents=True)
    (ada.root / ".timbre/work/ada/validate/00001.wav").write_bytes(b"a slice of the check")
    assert ada.call("DELETE", "/api/voices/ada/consent", {"voice": "bob"}).status == 400
    assert len(list(ada.voice.rglob("*.flac"))) == 4
    answer = ada.call("DELETE", "/api/voices/ada/consent", {"voice": "ada"})
    assert answer.status == 200
    assert answer.json["removed"] == 3
    assert list(ada.voice.rglob("*.flac")) == []
    assert rows(ada.voice) == []
    # An embedding of the speaker is as personal as a recording.
    assert {path.name for path in (ada.voice / ".studio").rglob("*.json")} == {"speaker.json", "lines.json"}
    assert not (ada.root / ".timbre/work/ada").exists()
    assert ada.call("POST", "/api/voices/ada/takes/0002/back").code == "nothing-deleted"


def test_two_tabs_see_each_other(ada: Studio) -> None:
    revision = ada.call("GET", "/api/voices/ada").json["revision"]
    assert ada.call("GET", f"/api/voices/ada?since={revision}").status == 204
    ada.call("PUT", "/api/voices/ada/takes/0001", tone())
    seen = ada.call("GET", f"/api/voices/ada?since={revision}")
    assert seen.status == 200
    assert take_of(seen.json, "0001") is not None


def test_silence_noise_and_a_muted_microphone_are_told_apart(studio: Studio) -> None:
    count = 3 * 24_000
    hum = np.sin(np.arange(count) * 50 * 2 * np.pi / 24_000)
    for samples, verdict, advice in (
        (RNG.normal(0, 0.0008, count), "quiet", []),
        (RNG.normal(0, 0.006, count), "usable", ["hiss"]),
        (RNG.normal(0, 0.05, count), "loud", ["hiss"]),
        (0.05 * hum + RNG.normal(0, 0.001, count), "loud", ["hum"]),
        (np.zeros(count), "loud", ["muted"]),
    ):
        found = studio.call("POST", "/api/quiet", wav(samples.astype(np.float32))).json
        assert (found["verdict"], found["advice"]) == (verdict, advice)
    spoken = studio.call("POST", "/api/quiet", recording("awb", 1)).json
    assert spoken["advice"] == ["spoken"]


def test_a_dropped_archive_becomes_a_voice(studio: Studio, tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for number in (1, 2):
            packed.writestr(f"clips/{number}.wav", recording("awb", number))
        packed.writestr("list.csv", "".join(f"{number}.wav|{sentence('awb', number)}\n" for number in (1, 2)))
    number = studio.call("POST", "/api/imports").json["number"]
    assert studio.call("PUT", f"/api/imports/{number}/file?name=x.exe", b"MZ").code == "no-such-kind"
    assert studio.call("PUT", f"/api/imports/{number}/file?name=..%2F..%2Fvoice.zip", archive.getvalue()).status == 204
    form = {"name": "bob", "language": "en", "base": "nano"}
    assert studio.call("POST", f"/api/imports/{number}", {**form, "name": "../bob"}).status == 409
    made = studio.call("POST", f"/api/imports/{number}", form)
    assert made.status == 201
    assert made.json["rows"] == 2
    assert len(made.json["waiting"]) == 2
    assert not list((studio.root / ".timbre" / "studio" / "imports").iterdir())
    judged = studio.call("POST", f"/api/voices/bob/takes/{made.json['waiting'][0]}/judge").json
    assert judged["progress"]["good"] == 1
    assert len(judged["waiting"]) == 1
    told = studio.call("POST", "/api/voices/bob/rights", {"speaker": "Bob", "purpose": 'tests "only"'}).json
    assert told["consent"]["purpose"] == 'tests "only"'
    assert "Bob" in told["consent"]["text"]
    # A line of an import that is recorded again keeps its place; the file of another kind goes.
    key = made.json["lines"][0]["id"]
    again = studio.call("PUT", f"/api/voices/bob/takes/{key}", recording("awb", 1)).json
    assert take_of(again, key)["file"] == f"wavs/{key}.flac"
    assert len(list((studio.root / "voices/bob/wavs").glob("0001*"))) == 1


def test_dropped_files_and_their_list_become_a_voice(studio: Studio) -> None:
    number = studio.call("POST", "/api/imports").json["number"]
    studio.call("PUT", f"/api/imports/{number}/file?name=set/a.wav", recording("awb", 1))
    studio.call("PUT", f"/api/imports/{number}/file?name=set/list.txt", f"a.wav|{sentence('awb', 1)}\n".encode())
    made = studio.call("POST", f"/api/imports/{number}", {"name": "cleo", "language": "en", "base": "nano"})
    assert made.status == 201
    assert made.json["rows"] == 1


def test_existing_voices_open_as_they_are(studio: Studio) -> None:
    shutil.copytree(ROOT / "voices" / "awb", studio.root / "voices" / "awb")
    before = {path: path.read_bytes() for path in (studio.root / "voices/awb").rglob("*") if path.is_file()}
    view = studio.call("GET", "/api/voices/awb").json
    assert sum(line["take"] is not None for line in view["lines"]) == len(rows(studio.root / "voices/awb"))
    assert {path: path.read_bytes() for path in before} == before


def test_every_kind_of_problem_has_words_in_both_languages() -> None:
    """Every finding of stage 1 names its kind, and the page has words for it: none is left in English."""
    words = (ROOT / "studio/page/words.js").read_text("utf-8")
    found: set[str] = set()
    for source in sorted((ROOT / "pipeline/stages/validate").glob("*.py")):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            name = (
                called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
            )
            least = {"refuse": 5, "reject": 5, "remark": 5, "tell": 5, "_doubt": 4, "Problem": 5}.get(name)
            if least is None or not isinstance(node, ast.Call):
                continue
            where = f"{source.name}:{node.lineno}"
            assert len(node.args) >= least, f"{where}: a finding without a kind"
            kind = node.args[least - 1]
            if isinstance(kind, ast.Constant):
                assert kind.value, where
                found.add(str(kind.value))
    assert len(found) >= 28
    for kind in found:
        assert len(re.findall(rf"^      {kind}: \"", words, re.M)) == 2, kind


def test_a_preview_speaks_before_any_training(
    tmp_path: Path, pico_base: Path, pico_export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled_by: list[Engine | None] = []

    def listening(*given: Any) -> Voice:
        settled_by.append(given[-1])
        return zero_shot(*given)

    monkeypatch.setattr("timbre.studio.preview.zero_shot", listening)
    shutil.copytree(pico_base, tmp_path / "bases" / "pico")
    shutil.copytree(pico_export, exports_folder(tmp_path) / read_base(pico_base).digest)
    running = start(tmp_path)
    running.enter()
    running.call("POST", "/api/voices", {**VOICE, "base": "pico"})
    text = {"text": "Good morning."}
    assert running.call("POST", "/api/voices/ada/preview", text).code == "no-good-take"
    assert running.call("POST", "/api/voices/ada/preview", {"text": "x" * 201}).code == "preview-text"
    script(running.voice, [sentence("awb", 1)])
    assert take_of(running.call("PUT", "/api/voices/ada/takes/0001", recording("awb", 1)).json, "0001")["good"]
    answer = running.call("POST", "/api/voices/ada/preview", text)
    assert answer.status == 200, answer.body
    samples, rate_hz = sf.read(io.BytesIO(answer.body))
    assert 0.2 < len(samples) / rate_hz < 20
    assert np.abs(samples).max() > 0
    assert [type(engine) for engine in settled_by] == [Engine], "pace and level are those of the take"
    running.server.should_exit = True
