"""After the push: stages as they pass, red gates with the takes behind them, versions and who may move them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.release.publish_stages import YAML, Repo, make_repo
from tests.studio.running import PERSON, Studio, start
from timbre.core.redaction import Redactor
from timbre.evaluation.measurements import Group, Measurements, Sample
from timbre.pipeline.engine.run_log import RunLog, run_area
from timbre.pipeline.engine.run_samples import worst_clips
from timbre.pipeline.engine.voice_runs import run_voice
from timbre.pipeline.release.run_view import RunView
from timbre.registry.actor import Actor
from timbre.registry.address import RegistryAddress
from timbre.registry.run_records import RunStore, runs_of
from timbre.studio import following
from timbre.studio.book import Line
from timbre.studio.following import Suspect, suspects
from timbre.studio.judging import TakeReport

BOB = Actor("Bob <bob@example.org>")
GATE = {"title": "Speaker", "metric": "speaker_similarity", "protocol": "tts", "direction": "higher", "passed": False}


@pytest.fixture
def repo(tmp_path: Path, pico_base: Path, pico_export: Path) -> Repo:
    return make_repo(tmp_path, pico_base, pico_export)


def go(repo: Repo, until: str = "", **origin: str) -> None:
    engine = repo.engine(**origin)
    log = RunLog(RunStore(repo.registry.store, run_area(engine.origin)), Redactor())
    run_voice(engine, "ada", until, False, None, runs=log)


@pytest.fixture
def pushed(repo: Repo) -> Iterator[Studio]:
    """Two versions, the newer one in production, before a studio."""
    go(repo)
    repo.record("two")
    go(repo)
    yield from studio_of(repo)


def studio_of(repo: Repo, person: Actor = PERSON, **variables: str) -> Iterator[Studio]:
    running = start(repo.root, registry=RegistryAddress(repo.address, variables), person=person)
    running.enter()
    yield running
    running.server.should_exit = True


def follow(studio: Studio) -> Any:
    answer = studio.call("GET", "/api/voices/ada/follow")
    assert answer.status == 200, answer.body
    assert answer.json["problems"] == []
    return answer.json


def policy(repo: Repo, text: str) -> str:
    path = repo.root / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_versions_stand_side_by_side_and_move_as_by_the_command(pushed: Studio, repo: Repo) -> None:
    found = follow(pushed)
    new, old = found["versions"]
    assert (new["production"], new["newest"], old["production"], old["promote"]) == (True, True, False, True)
    assert found["rollback"] == old["version"]
    both = {item["path"]: item["text"] for item in new["samples"]}
    assert both == {item["path"]: item["text"] for item in old["samples"]} != {}
    assert all(text.startswith("Text ") for text in both.values())
    path = next(iter(both))
    heard = [pushed.call("GET", f"/api/voices/ada/versions/{item['version']}/{path}").body for item in (new, old)]
    assert heard[0] != heard[1]
    rolled = pushed.call("POST", "/api/voices/ada/rollback", {"version": old["version"]})
    assert rolled.status == 200, rolled.body
    assert repo.production == old["version"]
    back = {item["version"]: item for item in rolled.json["versions"]}
    assert back[old["version"]]["production"]
    assert back[new["version"]]["promote"]
    last = repo.registry.history("ada")[-1]
    assert (last.actor, last.reason) == (PERSON.name, "in Timbre Studio")
    # A pipeline leaves it there, as after `timbre rollback`.
    go(repo)
    assert repo.production == old["version"]
    assert pushed.call("POST", "/api/voices/ada/promote", {"version": new["version"]}).status == 200
    assert repo.production == new["version"]
    assert pushed.call("POST", "/api/voices/ada/promote", {"version": new["version"]}).code == "not-moved"
    assert pushed.call("POST", "/api/voices/ada/promote", {"version": "../../etc"}).status == 409
    assert pushed.call("POST", "/api/voices/ada/promote", {"version": "0" * 12}).status == 409


def test_whom_the_policy_does_not_name_is_offered_nothing_and_refused(pushed: Studio, repo: Repo) -> None:
    rules = policy(repo, "promote: ['claimed:bob@example.org']\n")
    for studio in studio_of(repo, PERSON, TIMBRE_POLICY=rules):
        found = follow(studio)
        old = found["versions"][1]["version"]
        assert found["rollback"] is None
        assert [(item["promote"], item["why"]) for item in found["versions"]] == [
            (False, "current"), (False, "not-allowed"),
        ]  # fmt: skip
        for path in ("promote", "rollback"):
            refused = studio.call("POST", f"/api/voices/ada/{path}", {"version": old})
            assert refused.status == 409
            assert "may not promote" in refused.json["error"]["message"]
    for studio in studio_of(repo, BOB, TIMBRE_POLICY=rules):
        assert follow(studio)["rollback"] == old
        assert studio.call("POST", "/api/voices/ada/rollback", {"version": old}).status == 200
    assert repo.production == old


def test_a_review_is_given_by_another_person_than_the_author(repo: Repo) -> None:
    go(repo)
    first = repo.production
    repo.record("two", YAML + "review: required\n")
    go(repo)
    assert repo.production == first
    rules = policy(repo, "four_eyes: true\napprove: ['claimed:*']\n")
    for studio in studio_of(repo, Actor("Ada <ada@example.org>"), TIMBRE_POLICY=rules):
        waiting = follow(studio)["versions"][0]
        assert (waiting["promote"], waiting["approve"], waiting["why"]) == (False, False, "review")
        body = {"version": waiting["version"], "approve": True}
        assert studio.call("POST", "/api/voices/ada/promote", body).status == 409
        assert repo.production == first
    for studio in studio_of(repo, BOB, TIMBRE_POLICY=rules):
        assert follow(studio)["versions"][0]["approve"]
        assert studio.call("POST", "/api/voices/ada/promote", {"version": waiting["version"]}).code == "not-moved"
        assert studio.call("POST", "/api/voices/ada/promote", body).status == 200
    assert repo.production == waiting["version"]
    assert repo.registry.history("ada")[-1].approved_by == BOB.name


def test_a_red_run_shows_its_gates_and_stages(repo: Repo) -> None:
    (repo.root / "red").touch()
    go(repo)
    for studio in studio_of(repo):
        run = follow(studio)["runs"][0]
        assert run["state"] == "red"
        assert [stage["state"] for stage in run["stages"]] == ["passed", "passed", "passed", "failed", "waiting"]
        (gate,) = run["gates"]
        assert (gate["title"]["en"], gate["value"], gate["limit"], gate["takes"]) == ("Sample peak", -1.0, 0.0, [])
        assert gate["advice"]["en"] != gate["advice"]["zh"]


def test_stages_pass_one_after_the_other_while_jobs_of_ci_run(repo: Repo) -> None:
    seen = []
    for until in ("validate", "extract"):
        go(repo, until)
        RunStore(repo.registry.store).begin("ada", f"2099-01-01T00:00:0{len(seen)}.000000+00:00", {"commit": repo.head})
        records = runs_of(repo.registry.store, "ada")
        now = replace(records[-1], about={**records[-1].about, "state": "running"})
        found = following.stages(RunView(now), records)
        seen.append([stage["state"] for stage in found])
    assert seen == [
        ["passed", "running", "waiting", "waiting", "waiting"],
        ["passed", "passed", "running", "waiting", "waiting"],
    ]


def report(**more: Any) -> TakeReport:
    values = {"sha256": "", "text": "", "good": True, "duration_s": 3.0, "speech_s": 2.0, "level_dbfs": -20.0,
              "snr_db": 30.0, "problems": (), "remarks": (), "missed": (), "similarity": 0.9, "vector": ()}  # fmt: skip
    return TakeReport(**{**values, **more})


def test_takes_behind_a_gate_are_those_it_judged_worst_then_the_weakest() -> None:
    takes = [
        (Line(f"000{n}", "x", "en", f"wavs/000{n}.flac", 0), report(similarity=0.9 - n / 100, snr_db=20.0 + n))
        for n in range(1, 6)
    ]
    clips = ["wavs/0002.flac", "wavs/gone.flac"]
    assert suspects({**GATE, "clips": clips}, takes) == [
        Suspect("0002", "heard"), Suspect("0005", "speaker"), Suspect("0004", "speaker"),
    ]  # fmt: skip
    assert [item.line for item in suspects({**GATE, "metric": "stoi"}, takes)] == ["0001", "0002", "0003"]
    assert suspects({**GATE, "metric": "word_error_rate"}, takes) == [], "every word of every take was heard"
    assert suspects({**GATE, "metric": "memorisation"}, takes) == []
    # What the record of a merge request says may be invented.
    assert suspects({**GATE, "metric": "memorisation", "clips": {"a": 1}}, takes) == []


def test_a_red_gate_names_the_recordings_it_judged_worst(tmp_path: Path) -> None:
    def sample(key: str, value: float | None, seed: int = 1) -> Sample:
        known = {} if value is None else {"speaker_similarity": value}
        return Sample(key, "t", "held-out", seed, "", known, {} if known else {"speaker_similarity": "silent"})

    spoken = (
        sample("1", 0.9),
        sample("2", 0.4),
        sample("2", 0.8, 2),
        sample("3", None),
        sample("4", 0.6),
        sample("fixed", 0.1),
    )
    Measurements("ada", "pico", "", "fp32", "1", Group((), spoken), Group((), ()), {}, {}).write(tmp_path)
    slices = [{"id": str(n), "clip": f"wavs/{n}.flac"} for n in range(1, 5)]
    (tmp_path / "validation.json").write_text(json.dumps({"slices": slices}), encoding="utf-8")
    gates = {"a": GATE, "b": {**GATE, "passed": True}, "c": {**GATE, "metric": "memorisation", "protocol": "copy"}}
    assert worst_clips(tmp_path, tmp_path, gates) == {"a": ["wavs/3.flac", "wavs/2.flac", "wavs/4.flac"]}
    assert worst_clips(tmp_path, tmp_path / "none", gates) == {}
