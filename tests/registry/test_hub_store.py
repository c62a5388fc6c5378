"""The Hub store: the real client against a stub of ours that compares parents and can fail."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import yaml

from tests.registry.conftest import make_files, make_manifest
from tests.registry.hub_server import Fault, HubServer
from tests.registry.store_behaviour import StoreBehaviour
from timbre.core.errors import ConfigurationError, InfrastructureError, TimbreError
from timbre.registry.address import RegistryAddress
from timbre.registry.registry import Actor, Registry
from timbre.registry.store_at import open_store
from timbre.registry.stores.hub import HubStore

REPOSITORY = "example-org/voices"


def open_hub(hub: HubServer, **options: str) -> HubStore:
    more = "".join(f"&{name}={value}" for name, value in options.items())
    store = open_store(RegistryAddress(f"hf://{REPOSITORY}?endpoint={hub.url}{more}", os.environ))
    assert isinstance(store, HubStore)
    return store


@pytest.fixture
def store(hub: HubServer) -> HubStore:
    return open_hub(hub, attempts="50")


class TestHubStore(StoreBehaviour):
    writers = 4
    rounds = 3


@pytest.mark.slow
@pytest.mark.timeout(1800)
class TestHubStoreAtLength(StoreBehaviour):
    writers = 16
    rounds = 50


def test_reading_creates_nothing_and_the_repository_is_private(hub: HubServer, store: HubStore) -> None:
    assert store.get("a") is None
    assert list(store.list("")) == []
    assert not hub.repositories
    store.put_if_absent("a", b"1")
    assert hub.repositories[REPOSITORY].private
    assert open_hub(hub, visibility="public").get("a").data == b"1"  # type: ignore[union-attr]


def test_a_version_is_one_commit_with_a_tag_and_a_card(hub: HubServer, store: HubStore) -> None:
    registry = Registry(store)
    manifest = registry.publish(make_manifest(), make_files(), actor=Actor("ada"))
    repository = hub.repositories[REPOSITORY]
    assert repository.titles == [f"Publish ada@{manifest.version}"]
    assert repository.tags == {f"ada-{manifest.version}": repository.head}
    card = repository.commits[repository.head]["README.md"].decode()
    about = yaml.safe_load(card.split("---")[1])
    metrics = about["model-index"][0]["results"][0]["metrics"]
    assert about["language"] == ["en"]
    assert about["pipeline_tag"] == "text-to-speech"
    assert [(item["type"], item["value"]) for item in metrics] == [("stoi", 0.9)]
    assert registry.promote("ada", manifest.version, actor=Actor("ada")).moved
    assert registry.resolve("ada").version == manifest.version
    assert registry.read_file(manifest, "prompt.bin") == b"prompt shared by all"
    assert "README.md" not in list(store.list(""))


def test_of_two_publishers_of_one_version_the_first_is_kept(hub: HubServer, store: HubStore) -> None:
    registry, other = Registry(store), Registry(open_hub(hub))
    first = registry.publish(make_manifest(), make_files(), actor=Actor("ada"))
    second = other.publish(make_manifest(), make_files("other"), actor=Actor("ben"))
    assert second == first == registry.manifest("ada", first.version)


@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_failures_that_pass_are_waited_for(hub: HubServer, status: int) -> None:
    waits: list[float] = []
    store = open_hub(hub)
    store._sleep = waits.append
    store.put_if_absent("first", b"1")
    for pattern in ("GET .*/revision/", "POST .*/commit/", "HEAD .*/resolve/"):
        hub.faults.append(Fault(pattern, status, headers={"Retry-After": "7"} if status == 429 else {}))
    assert store.put_if_absent("a", b"1")
    assert store.get("a").data == b"1"
    assert not any(fault.times for fault in hub.faults)
    assert status != 429 or sum(wait >= 7 for wait in waits) >= 2


def test_a_lost_answer_to_a_commit_is_recognised(hub: HubServer, store: HubStore) -> None:
    store.put_if_absent("alias", b"1")
    tag = store.get("alias").tag  # type: ignore[union-attr]
    hub.faults.append(Fault("POST .*/commit/", 0, after=True))
    new = store.replace_if("alias", b"2", tag)
    assert new == store.get("alias").tag  # type: ignore[union-attr]
    hub.faults.append(Fault("POST .*/commit/", 500, after=True))
    assert store.put_if_absent("b", b"2") is True
    hub.faults.append(Fault("POST .*/commit/", 0, after=True))
    assert store.delete("b") is True
    assert store.get("b") is None
    assert len(hub.repositories[REPOSITORY].titles) == 4


@pytest.mark.parametrize(
    ("status", "kind", "remedy"),
    [
        (401, ConfigurationError, "HF_TOKEN"),
        (403, ConfigurationError, "HF_TOKEN"),
        (409, InfrastructureError, "again"),
        (412, InfrastructureError, "again"),
        (429, InfrastructureError, "limits requests"),
        (500, InfrastructureError, "check the network"),
        (0, InfrastructureError, "check the network"),
    ],
)
def test_failures_that_stay_are_explained(hub: HubServer, status: int, kind: type[TimbreError], remedy: str) -> None:
    store = open_hub(hub, attempts="2")
    store._sleep = lambda _: None
    store.put_if_absent("alias", b"1")
    tag = store.get("alias").tag  # type: ignore[union-attr]
    hub.faults.append(Fault("POST .*/commit/", status, times=1000, headers={"Retry-After": "900"}))
    calls: list[Callable[[], object]] = [
        lambda: store.put_if_absent("b", b"1"),
        lambda: store.replace_if("alias", b"2", tag),
        lambda: store.delete("alias"),
    ]
    for call in calls:
        with pytest.raises(kind, match=REPOSITORY) as caught:
            call()
        assert remedy in caught.value.remedy
        assert "hf_right" not in str(caught.value)
    hub.faults.clear()
    assert store.get("alias").data == b"1"
    assert store.get("b") is None


def test_a_wrong_token_is_the_operators_business(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    open_hub(hub).put_if_absent("a", b"1")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    for call in (
        lambda: open_hub(hub).get("a"),
        lambda: list(open_hub(hub).list("")),
        lambda: open_hub(hub).delete("a"),
    ):
        with pytest.raises(ConfigurationError, match="401") as caught:
            call()
        assert "hf_wrong" not in str(caught.value)


@pytest.mark.parametrize("address", ["hf://owner", "hf://", "hf://a:b@c/d", "hf://a/b/c", "hf://a/b?private=yes"])
def test_addresses_that_name_no_repository(address: str) -> None:
    with pytest.raises(ConfigurationError, match="address"):
        open_store(RegistryAddress(address, os.environ))
