"""The operator's policy: who may, what a voice must fulfil, whose review counts. Every rule is seen to refuse."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from tests.registry.conftest import make_files, make_manifest
from timbre.core.errors import CheckFailedError, ConfigurationError, InputError
from timbre.registry.actor import Actor, same_person
from timbre.registry.address import RegistryAddress
from timbre.registry.errors import CorruptError
from timbre.registry.local_store import LocalStore
from timbre.registry.manifest import Manifest
from timbre.registry.open import open_registry
from timbre.registry.policy import KEY, Policy, matches, parse_policy, read_policy, store_policy, stored_policy
from timbre.registry.registry import Registry
from timbre.registry.revocation import revoke
from timbre.registry.rules import NotAllowedError, Rules
from timbre.registry.signing_keys import new_key

GITLAB = "https://gitlab.example.org"
PIPELINE = Actor("ada <ada@example.org>", "c1", f"{GITLAB} school/voices@main")
GRACE = Actor("grace <grace@example.org>", None, f"{GITLAB} school/voices@main")
TYPED = Actor("grace <grace@example.org>")
POLICY = {
    "publish": ["school/voices@main"],
    "promote": ["grace"],
    "approve": ["*@example.org"],
    "revoke": ["grace@example.org"],
}


def opened(folder: Path, policy: object = None, **more: str) -> Registry:
    folder.mkdir(exist_ok=True)
    environment = dict(more)
    if policy is not None:
        (folder / "policy.yaml").write_text(yaml.safe_dump(policy))
        environment["TIMBRE_POLICY"] = str(folder / "policy.yaml")
    return open_registry(RegistryAddress(str(folder / "registry"), environment))


def published(registry: Registry, content: str = "one", actor: Actor = PIPELINE, **more: bool) -> Manifest:
    return registry.publish(make_manifest(content=content, **more), make_files(content), actor=actor)


def test_without_a_policy_everybody_may(tmp_path: Path) -> None:
    registry = opened(tmp_path)
    manifest = published(registry, actor=TYPED)
    assert registry.promote("ada", manifest.version, actor=TYPED, by_hand=True, approved_by=TYPED.name).moved


def test_one_act_reads_the_policies_once_and_the_next_reads_them_again(tmp_path: Path) -> None:
    read: list[Policy] = []

    def policies() -> tuple[Policy, ...]:
        read.append(Policy(gates={}, review=("ada",), approve=("*",), bases=("pico",), consent=("synthetic",)))
        return (read[-1],)

    registry = Registry(LocalStore(tmp_path), policies=policies)
    manifest = published(registry)
    assert len(read) == 1
    assert registry.promote("ada", manifest.version, actor=GRACE, by_hand=True, approved_by=GRACE.name).moved
    assert len(read) == 2
    assert registry.rollback("ada", actor=GRACE, to=manifest.version).version == manifest.version
    assert len(read) == 3


def test_each_act_is_for_those_whom_the_policy_names(tmp_path: Path) -> None:
    registry = opened(tmp_path, POLICY)
    elsewhere = dataclasses.replace(PIPELINE, proof=f"{GITLAB} school/voices@fork")
    for actor in (elsewhere, TYPED, Actor("school/voices@main")):
        with pytest.raises(NotAllowedError, match="may not publish"):
            published(registry, actor=actor)
    one, two = published(registry), published(registry, "three")
    assert registry.promote("ada", one.version, actor=PIPELINE).moved
    for actor in (PIPELINE, TYPED):
        with pytest.raises(NotAllowedError, match="may not promote"):
            registry.promote("ada", two.version, actor=actor, by_hand=True)
        with pytest.raises(NotAllowedError, match="may not promote"):
            registry.rollback("ada", actor=actor, to=two.version)
        with pytest.raises(NotAllowedError, match="may not revoke"):
            revoke(registry, "ada", actor=actor, reason="no")
    with pytest.raises(NotAllowedError, match="may not publish"):
        registry.retire("ada", actor=elsewhere)
    assert registry.resolve("ada") == one, "nothing moved"
    assert registry.promote("ada", two.version, actor=GRACE, by_hand=True).moved
    assert registry.rollback("ada", actor=GRACE).version == one.version
    assert revoke(registry, "ada", actor=GRACE, reason="withdrawn").names == ("ada",)


def test_events_say_what_shows_the_actor(tmp_path: Path) -> None:
    registry = opened(tmp_path)
    manifest = published(registry)
    registry.promote("ada", manifest.version, actor=TYPED, by_hand=True)
    assert [(event.actor, event.proof) for event in registry.history("ada")] == [
        ("ada", PIPELINE.proof),
        (TYPED.name, "claimed"),
    ]


def test_the_policy_asks_for_a_review_that_the_folder_does_not(tmp_path: Path) -> None:
    registry = opened(tmp_path, {"review": ["ad*"], "four_eyes": True})
    manifest = published(registry)
    found = registry.promote("ada", manifest.version, actor=PIPELINE)
    assert not found.moved
    assert "waits for a review" in found.reason
    # An approval that a program only says there was: nobody's event shows it.
    assert registry.alias("ada") is None
    for actor, why in ((PIPELINE, "four eyes"), (TYPED, "may not approve")):
        with pytest.raises(NotAllowedError, match=why):
            registry.promote("ada", manifest.version, actor=actor, by_hand=True, approved_by=actor.name)
    assert registry.promote("ada", manifest.version, actor=GRACE, by_hand=True, approved_by=GRACE.name).moved
    other = published(registry, "three")
    with pytest.raises(CheckFailedError, match="needs a review"):
        registry.rollback("ada", actor=GRACE, to=other.version)
    registry.promote("ada", other.version, actor=GRACE, by_hand=True, approved_by=GRACE.name)
    assert registry.rollback("ada", actor=GRACE).version == manifest.version, "what was approved needs no second one"


def test_an_approval_of_before_the_policy_counts_only_when_it_would_now(tmp_path: Path) -> None:
    loose = opened(tmp_path)
    manifest = published(loose, review=True)
    assert loose.promote("ada", manifest.version, actor=TYPED, by_hand=True, approved_by=TYPED.name).moved
    other = published(loose, "three")
    loose.promote("ada", other.version, actor=PIPELINE)
    strict = opened(tmp_path, {"approve": ["grace"]})
    with pytest.raises(CheckFailedError, match="needs a review"):
        strict.rollback("ada", actor=GRACE, to=manifest.version)
    assert loose.rollback("ada", actor=GRACE, to=manifest.version).version == manifest.version


@pytest.mark.parametrize(
    ("policy", "error", "why"),
    [
        ({"consent": ["recorded"]}, InputError, "consent: kind is 'synthetic'"),
        ({"bases": ["nano"]}, InputError, "base is 'pico'"),
        ({"gates": {"stoi": {"at_least": 0.95}}}, CheckFailedError, "gate stoi is 0.9, below 0.95"),
        ({"gates": {"stoi": {"at_most": 0.5}}}, CheckFailedError, "gate stoi is 0.9, above 0.5"),
        ({"gates": {"pesq": {}}}, CheckFailedError, "gate pesq was not measured"),
    ],
)
def test_what_every_voice_must_fulfil(tmp_path: Path, policy: object, error: type[Exception], why: str) -> None:
    strict = opened(tmp_path, policy)
    with pytest.raises(error, match=why):
        published(strict)
    assert strict.voices() == []
    manifest = published(opened(tmp_path))
    for move in (strict.promote, lambda voice, version, actor: strict.rollback(voice, to=version, actor=actor)):
        with pytest.raises(error, match=why):
            move("ada", manifest.version, actor=PIPELINE)


@pytest.mark.parametrize("bound", ["at_least", "at_most"])
@pytest.mark.parametrize("value", [None, float("nan"), "0.9", True, [0.9]])
def test_a_value_that_is_no_number_reaches_no_bound(bound: str, value: object) -> None:
    policy = parse_policy({"gates": {"stoi": {bound: 0.5}}}, "policy.yaml")
    manifest = dataclasses.replace(make_manifest(), gates={"stoi": {"value": value, "passed": True}})
    with pytest.raises(CheckFailedError, match="gate stoi is"):
        Rules(lambda: (policy,)).check_version(manifest)


def test_the_stricter_of_the_file_and_the_registry_counts(tmp_path: Path) -> None:
    (tmp_path / "stored.yaml").write_text(yaml.safe_dump({"bases": ["nano"]}))
    store_policy(opened(tmp_path).store, tmp_path / "stored.yaml")
    with pytest.raises(InputError, match=r"policy\.json allows nano"):
        published(opened(tmp_path, POLICY))
    (tmp_path / "stored.yaml").write_text(yaml.safe_dump({"bases": ["pico"]}))
    store_policy(opened(tmp_path).store, tmp_path / "stored.yaml")
    with pytest.raises(NotAllowedError):
        published(opened(tmp_path, POLICY), actor=TYPED)
    assert published(opened(tmp_path, POLICY))


def test_a_policy_that_must_be_there_is_missed_and_a_forged_one_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"policy\.json is missing"):
        published(opened(tmp_path, TIMBRE_POLICY="registry"))
    with pytest.raises(ConfigurationError, match="no policy"):
        published(opened(tmp_path, TIMBRE_POLICY=str(tmp_path / "gone.yaml")))
    (tmp_path / "trusted").write_text(new_key(tmp_path / "key"))
    keys = {"TIMBRE_SIGNING_KEY": str(tmp_path / "key"), "TIMBRE_TRUSTED_KEYS": str(tmp_path / "trusted")}
    (tmp_path / "mine.yaml").write_text("publish: ['claimed:*']")
    store_policy(opened(tmp_path).store, tmp_path / "mine.yaml")
    with pytest.raises(CorruptError, match="not signed"):
        published(opened(tmp_path, **keys))
    opened(tmp_path).store.delete(KEY)
    store_policy(opened(tmp_path, **keys).store, tmp_path / "mine.yaml")
    with pytest.raises(NotAllowedError):
        published(opened(tmp_path, **keys))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("publsh: []", "did you mean `publish`"),
        ("publish: everybody", "a list of texts"),
        ("four_eyes: maybe", "true or false"),
        ("consent: [written]", "recorded"),
        ("gates: {pesq: {min: 1}}", "gates: pesq: unknown key `min`"),
        ("gates: {pesq: {min: 1}}", "known keys are: at_least, at_most"),
        ("gates: {pesq: {at_least: high}}", "a number"),
        ("identities: [{issuer: x}]", "keys"),
        ("- a", "keys: publish"),
        ("a: [", "no policy"),
        ("approve: [grace]\napprove: ['*']", "line 2: key `approve` twice"),
        ("gates: {pesq: {at_least: 3, at_least: 1}}", "line 1: key `at_least` twice"),
        ("approve: &all ['*']\nrevoke: *all", "line 2: YAML alias *all"),
    ],
)
def test_a_wrong_policy_names_the_line(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_policy(tmp_path / "policy.yaml")
    assert why in str(caught.value)


def test_a_policy_with_a_key_twice_is_not_stored(tmp_path: Path) -> None:
    store = opened(tmp_path).store
    (tmp_path / "policy.yaml").write_text("approve: [grace]\napprove: ['*']\n")
    with pytest.raises(ConfigurationError, match="key `approve` twice"):
        store_policy(store, tmp_path / "policy.yaml")
    assert store.get(KEY) is None
    (tmp_path / "policy.yaml").write_text("")
    assert store_policy(store, tmp_path / "policy.yaml").approve is None
    assert stored_policy(store) == Policy(where=f"{store.url}/{KEY}")


def test_patterns() -> None:
    assert matches("grace", GRACE)
    assert matches("GRACE@example.org", GRACE)
    assert matches("school/*@main", GRACE)
    assert not matches("grace", TYPED)
    assert not matches("*", TYPED)
    assert not matches("claimed:*", GRACE)
    assert matches("claimed:grace", TYPED)
    assert matches("claimed:*@example.org", TYPED)
    assert same_person(GRACE, Actor("G. Hopper <GRACE@example.org>"))
    assert same_person(GRACE, Actor("Grace"))
    assert not same_person(Actor(""), Actor(""))
    assert not same_person(GRACE, PIPELINE)
