"""Pipelines never undo what a person did to an alias, and follow the recordings as soon as these change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.registry.conftest import make_files, make_manifest
from timbre.registry.aliases import Alias
from timbre.registry.names import alias_key
from timbre.registry.registry import Actor, Promotion, Registry
from timbre.registry.verification import audit, verify

GRACE = Actor("grace")


class History:
    """Commits c1, c2, ... in a line; every commit's recordings are a version, made once and found again later."""

    def __init__(self, registry: Registry) -> None:
        self.registry, self.count = registry, 0
        self.versions: dict[str, str] = {}

    def push(self, content: str, alias: str = "production") -> Promotion:
        """A commit with these recordings, and its pipeline."""
        self.count += 1
        return self.pipeline(content, self.count, alias)

    def pipeline(self, content: str, commit: int, alias: str = "production") -> Promotion:
        """The pipeline of these recordings at commit c<commit>."""
        actor = Actor("ci", f"c{commit}")
        if content not in self.versions:
            self.publish(content, commit)
        return self.registry.promote(
            "ada", self.versions[content], actor=actor, alias=alias, is_ancestor=self.is_ancestor
        )

    def publish(self, content: str, commit: int) -> None:
        manifest = make_manifest(content=content, commit=f"c{commit}")
        self.versions[content] = manifest.version
        self.registry.publish(manifest, make_files(content), actor=Actor("ci", f"c{commit}"))

    def promote(self, content: str, place: int | None = None) -> Promotion:
        """A person's; place: the commit it stands for, by default the alias's own."""
        current = self.registry.alias("ada")
        commit = f"c{place}" if place else current.commit if current else None
        actor = Actor("grace", commit)
        return self.registry.promote("ada", self.versions[content], actor=actor, by_hand=True, approved_by="grace")

    def rollback(self, to: str | None = None) -> Alias:
        return self.registry.rollback("ada", actor=GRACE, to=self.versions[to] if to else None, reason="hiss")

    def is_ancestor(self, earlier: str, later: str) -> bool:
        return int(earlier[1:]) <= int(later[1:])

    @property
    def speaks(self) -> str:
        state = self.registry.alias("ada")
        return next(content for content, version in self.versions.items() if state and version == state.version)


@pytest.fixture
def three(registry: Registry) -> History:
    """Three recordings, each promoted by its pipeline; the third is in production."""
    history = History(registry)
    for content in ("one", "two", "three"):
        assert history.push(content).moved
    return history


def test_two_rollbacks_hold_what_both_left(three: History) -> None:
    three.rollback()
    three.rollback(to="one")
    for content in ("three", "two"):
        held = three.push(content)
        assert not held.moved
        assert three.speaks == "one"
        assert "grace rolled it back from" in held.reason
        assert "(hiss)" in held.reason
        assert f"timbre promote ada {three.versions[content]}" in held.reason


def test_a_promotion_by_hand_holds_what_it_left(three: History) -> None:
    assert three.promote("one").moved
    held = three.push("three")
    assert not held.moved
    assert three.speaks == "one"
    assert "grace took it back from" in held.reason


@pytest.mark.parametrize("step", ["two rollbacks", "a promotion"])
def test_new_recordings_and_reverts_are_promoted_as_usual(three: History, step: str) -> None:
    three.push("zero")
    three.push("three")
    if step == "two rollbacks":
        three.rollback(to="two")
        three.rollback(to="one")
    else:
        three.promote("one")
    assert not three.push("three").moved
    assert three.push("zero").moved, "a revert to what nobody took back"
    assert three.speaks == "zero", "a revert to what nobody took back"
    assert three.push("three").moved, "the recordings have changed since"
    assert three.speaks == "three", "the recordings have changed since"
    assert three.push("four").moved
    assert three.push("one").moved


def test_a_revert_to_what_a_person_chose_counts_as_changed_recordings(three: History) -> None:
    three.rollback(to="one")
    assert three.push("one").moved, "it represents the newer commit now"
    assert three.push("three").moved
    assert three.speaks == "three"


def test_a_person_lifts_what_a_person_held(three: History) -> None:
    three.rollback()
    three.promote("three")
    assert three.push("three").moved
    three.rollback()
    three.promote("three")
    assert three.push("two").moved, "brought back: what was tried in between is not held"
    assert three.speaks == "two", "brought back: what was tried in between is not held"
    three.rollback(to="one")
    three.rollback(to="three")
    three.promote("one")
    assert not three.push("two").moved
    assert not three.push("three").moved


def test_a_review_is_no_step_back(registry: Registry) -> None:
    """Every version is approved by hand; a revert brings the one before back, also when the reviewer had no clone."""
    history = History(registry)
    for number, content in enumerate(("one", "two", "three"), 1):
        history.count = number
        history.publish(content, number)
        assert history.promote(content, place=None if content == "three" else number).moved
    assert history.push("two").moved
    assert history.speaks == "two"
    assert history.push("one").moved
    assert history.speaks == "one"


def test_a_late_version_chosen_by_hand_stays(registry: Registry) -> None:
    history = History(registry)
    for content in ("one", "two"):
        history.push(content)
    history.publish("late", 1)
    assert history.promote("late").moved
    assert not history.push("two").moved
    assert history.speaks == "late"


def test_a_deleted_folder_ends_what_was_held(three: History) -> None:
    three.rollback()
    assert three.registry.retire("ada", actor=Actor("ci", "c4"), is_ancestor=three.is_ancestor).moved
    three.count = 4
    assert three.push("three").moved
    assert three.speaks == "three"


def test_every_alias_has_its_own_history(three: History) -> None:
    for content in ("two", "three"):
        three.push(content, "beta")
    three.rollback()
    assert three.push("three", "beta").moved
    assert not three.push("three").moved
    three.registry.rollback("ada", actor=GRACE, alias="beta", to=three.versions["one"])
    assert "--alias beta" in three.push("three", "beta").reason


@pytest.mark.parametrize("step", ["a rollback", "a promotion"])
def test_a_person_who_is_faster_than_a_pipeline_is_not_undone(
    three: History, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The person moves the alias after the pipeline has read it and before it writes."""
    original: Callable[..., str | None] = three.registry.store.replace_if
    other = Registry(three.registry.store)

    def slow(key: str, data: bytes, tag: str) -> str | None:
        monkeypatch.setattr(three.registry.store, "replace_if", original)
        if step == "a rollback":
            other.rollback("ada", actor=GRACE, to=three.versions["one"])
        else:
            other.promote("ada", three.versions["one"], actor=Actor("grace", "c3"), by_hand=True)
        return original(key, data, tag)

    monkeypatch.setattr(three.registry.store, "replace_if", slow)
    assert not three.push("three").moved
    assert three.speaks == "one"
    assert audit(three.registry, "ada") == []
    assert verify(three.registry) == []


def test_a_damaged_version_holds_nobody_up(three: History, tmp_path: Path) -> None:
    three.promote("one")
    path = tmp_path / "registry" / "voices" / "ada" / "versions" / f"{three.versions['one']}.json"
    path.write_text("{}", encoding="utf-8")
    assert not three.push("three").moved
    assert three.push("four").moved


def test_records_without_the_mark_can_be_read(three: History) -> None:
    """Those of before, and a pipeline's: programs that do not know the mark must read them."""
    stored = three.registry.store.get(alias_key("ada", "production"))
    assert stored is not None
    assert "by_hand" not in json.loads(stored.data)
    three.promote("one")
    state = three.registry.alias("ada")
    assert state is not None
    assert state.by_hand
    assert three.registry.history("ada")[-1].by_hand
