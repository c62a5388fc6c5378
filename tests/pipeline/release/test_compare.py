"""`timbre compare`: two versions, a version and a run, what is certain, and a page for ears."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from tests.evaluation.test_gates import gate_lines, gates_of, measured
from tests.evaluation.test_paired import result
from tests.evaluation.test_report_page import Chinese
from tests.registry.conftest import make_files, make_manifest
from timbre.cli.main import timbre
from timbre.core.errors import InputError
from timbre.evaluation.gates import decide
from timbre.evaluation.measurements import FILE, Group, Measurements
from timbre.evaluation.reports.curves import compared_curves
from timbre.evaluation.reports.machine import gate_fields
from timbre.pipeline.release.compared import Side, find_side
from timbre.pipeline.release.comparison import Comparison, compare
from timbre.registry.address import RegistryAddress
from timbre.registry.open import open_registry
from timbre.registry.registry import Actor, Registry
from timbre.registry.run_records import RunStore

CI = Actor("ci", "c1")


def spread(values: Measurements) -> Measurements:
    """Every sentence as difficult as it is in each version, and spoken into the package's folder."""
    tts = tuple(
        dataclasses.replace(
            item, text=f"Text <{index}>.", file=f"samples/{index}.wav",
            values={**item.values, "dnsmos": item.values["dnsmos"] + index / 10},
        )
        for index, item in enumerate(values.adapted.tts)
    )  # fmt: skip
    return dataclasses.replace(values, adapted=Group(values.adapted.copy, tts))


def publish(
    registry: Registry, folder: Path, content: str, values: Measurements, rank: int, promote: bool = True
) -> str:
    folder.mkdir()
    values.write(folder)
    verdicts = decide(gates_of(folder, gate_lines()), values)
    gates = {item.gate.name: gate_fields(item, values) for item in verdicts.verdicts}
    history = [
        {"step": step, "training": {"total": 9 / step + rank}, "held_out": {"total": 10 / step + rank}}
        for step in (1, 20, 40)
    ]
    network = {"best_step": 20, "steps": 40, "history": history}
    training = {"recipe": {"rank": rank, "batch": 4}, "training_slices": 12, "networks": {"t2s": network}}
    soundfile.write(folder / "tone.wav", 0.1 * np.sin(np.arange(2400) * rank / 20), 24_000)
    tone = (folder / "tone.wav").read_bytes()
    files = {**make_files(content), FILE: (folder / FILE).read_bytes(), "training.json": json.dumps(training).encode(),
             "samples/0.wav": tone, "samples/1.wav": tone}  # fmt: skip
    manifest = dataclasses.replace(make_manifest(content=content), gates=gates)
    registry.publish(manifest, files, actor=CI)
    if promote:
        registry.promote("ada", manifest.version, actor=CI, by_hand=True)
    return manifest.version


@pytest.fixture
def two(tmp_path: Path) -> tuple[Registry, str, str]:
    """Two versions of ada: the second hears better, and is otherwise equal."""
    registry = open_registry(RegistryAddress(str(tmp_path / "registry"), {}))
    old = publish(registry, tmp_path / "old", "one", spread(measured()), 8)
    new = publish(registry, tmp_path / "new", "second", spread(measured({"dnsmos": measured_mos() + 0.2})), 16)
    return registry, old, new


def measured_mos() -> float:
    return measured().adapted.tts[0].values["dnsmos"]


def sides(two: tuple[Registry, str, str], tmp_path: Path, a: str, b: str) -> Comparison:
    found = [find_side(item, two[0], None, tmp_path / f"kept-{index}") for index, item in enumerate((a, b))]
    return compare(*found)


def test_two_versions_differ_where_they_do(two: tuple[Registry, str, str], tmp_path: Path) -> None:
    _, old, new = two
    found = sides(two, tmp_path, f"ada@{old}", "ada")
    assert (found.a.name, found.b.name) == (f"ada@{old}", f"ada@{new}")
    rows = {row.name: row for row in found.gates}
    assert list(rows)[:2] == ["speaker_similarity_tts", "word_error_rate_tts"], "the most important gates come first"
    assert {name: row.better for name, row in rows.items() if row.better} == {"dnsmos_copy": "b"}
    change = rows["dnsmos_copy"].change
    assert change is not None
    assert change.paired
    assert change.mean == pytest.approx(0.2)
    facts = {fact.name: (fact.a, fact.b) for fact in found.facts if not fact.same}
    assert facts["rank"] == ("8", "16")
    assert "batch" not in facts
    assert "training slices" not in facts
    assert found.shared_texts == 6
    assert (found.only_a, found.only_b) == (0, 0)
    assert [pair.text for pair in found.pairs] == ["Text <0>.", "Text <1>."], "those whose sound both have kept"


def test_both_trainings_are_drawn_on_one_scale(two: tuple[Registry, str, str], tmp_path: Path) -> None:
    found = sides(two, tmp_path, f"ada@{two[1]}", "ada")
    curves = compared_curves(found.a.training, found.b.training)
    assert [title[0] for title, _ in curves] == [
        "Words and rhythm (text to semantic): training", "Words and rhythm (text to semantic): held out",
    ]  # fmt: skip
    for _, chart in curves:
        heights = [
            [float(point.partition(",")[2]) for point in line.split()]
            for line in re.findall(r'polyline points="([^"]+)"', chart)
        ]
        assert len(heights) == 2, "a line for A and one for B"
        assert all(a > b for a, b in zip(*heights, strict=True)), "B's losses are higher by 8, on the same axis"
    assert all(str(chart) in page_of(found) for _, chart in curves)
    assert len(compared_curves(found.a.training, {})) == 2, "of a run only A's training is known"
    assert compared_curves({}, {"networks": 3}) == []


def test_other_sentences_are_said_to_be_others(two: tuple[Registry, str, str], tmp_path: Path) -> None:
    registry, old, _ = two
    values = spread(measured())
    tts = tuple(dataclasses.replace(item, id=f"x{item.id}", text="Other.") for item in values.adapted.tts)
    third = publish(
        registry,
        tmp_path / "third",
        "the third",
        dataclasses.replace(values, adapted=Group(values.adapted.copy, tts)),
        8,
    )
    found = sides(two, tmp_path, f"ada@{old}", f"ada@{third}")
    changes = [row.change for row in found.gates if row.change is not None and row.protocol == "tts"]
    assert changes
    assert not any(change.paired for change in changes)
    assert found.shared_texts == 0
    assert (found.only_a, found.only_b) == (6, 6)
    assert found.pairs == []


def test_a_version_and_a_run(two: tuple[Registry, str, str], tmp_path: Path) -> None:
    registry = two[0]
    runs = RunStore(registry.store)
    gate = {"title": "STOI", "metric": "stoi", "protocol": "copy", "value": 0.5, "passed": False, "limit": 0.85}
    number = runs.begin("ada", "2026-11-28T10:00:00.000000+00:00", {})
    runs.finish("ada", number, {"state": "red", "commit": "abc", "base": "pico", "gates": {"stoi_copy": gate}}, {})
    refused = runs.begin("ada", "2026-11-28T11:00:00.000000+00:00", {})
    runs.finish("ada", refused, {"state": "refused", "commit": "def", "error": "no <words>"}, {})
    found = sides(two, tmp_path, "ada", f"ada@{number}")
    row = next(row for row in found.gates if row.name == "stoi_copy")
    assert found.b.name == f"ada@{number}"
    assert row.b["value"] == 0.5
    assert row.change is None
    assert any("no single sentences are known" in note for note in found.notes())
    with pytest.raises(InputError, match="refused, so it has no verdicts"):
        find_side("ada@run", registry, None, tmp_path / "x")
    with pytest.raises(InputError, match="no such run; the last are"):
        find_side("ada@2020-01-01T", registry, None, tmp_path / "x")
    for wrong in ("", "@x", "ada@", "ada@here"):
        with pytest.raises(InputError):
            find_side(wrong, registry, None, tmp_path / "x")


def page_of(found: Comparison) -> str:
    from timbre.pipeline.release.comparison_page import comparison_page

    return comparison_page(found)


def test_the_page_is_whole_chinese_and_takes_hostile_texts(two: tuple[Registry, str, str], tmp_path: Path) -> None:
    page = page_of(sides(two, tmp_path, f"ada@{two[1]}", "ada"))
    seen = Chinese(page)
    assert not seen._open
    names = {"A", "B", "ada", "English", "Text", "p", "PESQ", "STOI", "DNSMOS", "DistillMOS", "Whisper"}
    names |= {"Hz", "MOS", "LQO", "dBFS", "st"}
    assert seen.english(names) == []
    assert "Text <" not in page
    assert page.count("data:audio/flac") == 4
    (data,) = re.findall(r'id="test">(.*?)</script>', page)
    assert json.loads(data)["pairs"][0]["text"] == "Text <0>."


def test_the_command_prints_and_pools(two: tuple[Registry, str, str], tmp_path: Path, monkeypatch: Any) -> None:
    registry, old, new = two
    monkeypatch.chdir(tmp_path)
    address = registry.store.url.removeprefix("file://")
    call = ["compare", f"ada@{old}", "ada", "--registry", address]
    shown = CliRunner().invoke(timbre, call)
    assert shown.exit_code == 0, shown.output
    assert "recipe: rank" in shown.output
    assert "6 sentences spoken by both" in shown.output
    heard = [str(result(tmp_path / name, "bbbb", f"ada@{old}", f"ada@{new}")) for name in ("eve", "bob")]
    options = [part for path in heard for part in ("--listened", path)]
    plain = CliRunner().invoke(timbre, [*call, "--json", "--html", "page/compare.html", *options])
    data = json.loads(plain.output)
    assert data["listening"] == {"listeners": ["eve", "bob"], "prefer_a": 0, "prefer_b": 8, "undecided": 0,
                                 "p": pytest.approx(2 / 256)}  # fmt: skip
    assert Path("page/compare.html").is_file()
    assert len(data["samples"]) == 2
    marked = CliRunner().invoke(timbre, [*call, "--markdown"])
    assert "| gate | mode |" in marked.output
    wrong = CliRunner().invoke(timbre, [*call, "--listened", str(result(tmp_path / "w", "a", "eve@1", "ada@1"))])
    assert isinstance(wrong.exception, InputError)


def test_what_was_measured_here(tmp_path: Path) -> None:
    from timbre.pipeline.engine.workspace import Workspace

    workspace = Workspace(tmp_path)
    (tmp_path / "voices" / "ada").mkdir(parents=True)
    address = RegistryAddress(str(tmp_path / "r"), {})
    with pytest.raises(InputError, match="stage 4 has measured nothing here"):
        find_side("ada@here", open_registry(address), workspace, tmp_path / "x")
    for key, started, mos in (("old", "2026-11-27", 2.0), ("new", "2026-11-28", 3.0)):
        folder = workspace.work("ada", "evaluate") / key
        folder.mkdir(parents=True)
        measured({"dnsmos": mos}).write(folder)
        record = {"schema": 1, "key": key * 20, "started": started, "inputs": {"finetune": "k"}}
        (folder / "stage.json").write_text(json.dumps(record), encoding="utf-8")
    trained = workspace.work("ada", "finetune") / "k"
    trained.mkdir(parents=True)
    (trained / "training.json").write_text('{"recipe": {"rank": 4}}', encoding="utf-8")
    found: Side = find_side("ada@here", open_registry(address), workspace, tmp_path / "x")
    assert found.measured is not None
    assert found.measured.adapted.tts[0].values["dnsmos"] == 3.0
    assert found.recipe == {"rank": 4}
