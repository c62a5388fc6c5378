"""Batch jobs: spoken from a queue on disk, after a restart too, and nobody else's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.serving.running import FAST, Running, wait_until
from tests.serving.shelf_of_voices import Shelf
from tests.serving.test_speaking import decoded
from timbre.serving.batches import DAY_S, BatchStore, Outcome
from timbre.serving.errors import ApiError

ROUTE = "/v1/audio/batches"
TEXT = {"input": "Good morning.", "voice": "ada", "response_format": "wav", "seed": 1}
KEYS = ("k" * 20, "m" * 20)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def ended(live: Running, name: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    def status() -> str:
        return str(live.call("GET", f"{ROUTE}/{name}", headers=headers).json["status"])

    wait_until(lambda: status() in ("completed", "cancelled"), timeout_s=300)
    found: dict[str, Any] = live.call("GET", f"{ROUTE}/{name}", headers=headers).json
    return found


@pytest.fixture
def keyed(serve: Callable[..., Running], shelf: Shelf, tmp_path: Path) -> Running:
    shelf.publish("ada", 0)
    return serve(replace(FAST, batches=str(tmp_path / "batches"), api_keys=KEYS, max_batches=2))


def test_a_batch_from_its_start_to_its_removal(keyed: Running, tmp_path: Path) -> None:
    mine, other = map(bearer, KEYS)
    items = [{**TEXT, "custom_id": "one"}, {**TEXT, "voice": "nobody"}, {**TEXT, "input": "[pause:1s]"}]
    made = keyed.call("POST", ROUTE, {"items": items}, mine)
    assert (made.status, made.json["object"], made.json["counts"]["total"]) == (200, "audio.batch", 3)
    name = made.json["id"]
    found = ended(keyed, name, mine)
    assert found["counts"] == {"total": 3, "done": 1, "failed": 2}
    one, nobody, nothing = found["items"]
    assert (one["custom_id"], one["status"], one["failed_sentences"] is not None) == ("one", "done", True)
    assert (nobody["status"], nobody["error"]["code"]) == ("failed", "voice_not_found")
    assert "nothing that can be spoken" in nothing["error"]["message"]
    sound = keyed.call("GET", one["url"], headers=mine)
    assert (sound.status, sound.headers["content-type"]) == (200, "audio/wav")
    assert one["seconds"] == pytest.approx(len(decoded(sound.data, "wav")[0]) / decoded(sound.data, "wav")[1], abs=1e-3)
    asked = keyed.call("POST", "/v1/audio/speech", {**TEXT, "stream": False}, mine)
    assert asked.data == sound.data
    assert keyed.call("GET", f"{ROUTE}/{name}/items/2", headers=mine).json["error"]["code"] == "item_not_found"

    # To another key it is not there, whatever is asked of it.
    assert keyed.call("GET", ROUTE, headers=other).json["data"] == []
    for method, path in (("GET", ""), ("GET", "/items/1"), ("POST", "/cancel"), ("DELETE", "")):
        answer = keyed.call(method, f"{ROUTE}/{name}{path}", headers=other)
        assert (answer.status, answer.json["error"]["code"]) == (404, "batch_not_found")
    assert keyed.call("GET", ROUTE).status == 401
    assert [item["id"] for item in keyed.call("GET", ROUTE, headers=mine).json["data"]] == [name]

    assert keyed.call("DELETE", f"{ROUTE}/{name}", headers=mine).json["deleted"] is True
    assert keyed.call("GET", f"{ROUTE}/{name}", headers=mine).status == 404
    assert not list((tmp_path / "batches").glob("batch_*"))
    for bad in ("../batch.json", "batch_" + "0" * 24, "x" * 60):
        assert keyed.call("GET", f"{ROUTE}/{bad.replace('/', '%2F')}", headers=mine).status == 404


def test_what_is_refused_at_once(keyed: Running) -> None:
    mine = bearer(KEYS[0])
    for items, status, named in (
        ([], 400, "items"),
        ([{"voice": "ada"}], 400, "items.0.input"),
        ([{**TEXT, "speed": 99}], 400, "items.0.speed"),
        ([TEXT, {**TEXT, "input": "a" * 5_000}], 413, "items.1.input"),
    ):
        answer = keyed.call("POST", ROUTE, {"items": items}, mine)
        assert (answer.status, answer.json["error"]["param"]) == (status, named)
    document = keyed.call("GET", "/openapi.json", headers=mine).json
    methods = {(path, method) for path, ways in document["paths"].items() for method in ways if path.startswith(ROUTE)}
    assert methods == {
        (ROUTE, "post"), (ROUTE, "get"), (f"{ROUTE}/{{batch_id}}", "get"), (f"{ROUTE}/{{batch_id}}", "delete"),
        (f"{ROUTE}/{{batch_id}}/cancel", "post"), (f"{ROUTE}/{{batch_id}}/items/{{index}}", "get"),
    }  # fmt: skip


def test_a_batch_goes_on_after_a_restart(serve: Callable[..., Running], shelf: Shelf, tmp_path: Path) -> None:
    """What a killed server left: one item spoken, the sound of the next without its outcome."""
    shelf.publish("ada", 0)
    folder = tmp_path / "batches"
    batch = BatchStore(folder, 20, 1 << 30, DAY_S).add("", [TEXT, TEXT, TEXT])
    BatchStore(folder, 20, 1 << 30, DAY_S).note(batch, 1, Outcome("00001.wav", 1.0, "ada@x"), b"kept")
    (folder / batch.id / "items" / "00002.wav").write_bytes(b"half")
    live = serve(replace(FAST, batches=str(folder)))
    found = ended(live, batch.id)
    assert found["counts"] == {"total": 3, "done": 3, "failed": 0}
    assert live.call("GET", found["items"][0]["url"]).data == b"kept"
    assert live.call("GET", found["items"][1]["url"]).data == live.call("GET", found["items"][2]["url"]).data
    assert live.call("GET", found["items"][1]["url"]).data[:4] == b"RIFF"


def test_without_a_folder_there_is_no_route(live: Running) -> None:
    assert live.call("POST", ROUTE, {"items": [TEXT]}).status == 404
    assert ROUTE not in live.call("GET", "/openapi.json").json["paths"]


# -- the store -----------------------------------------------------------------------------------------------------


def test_a_cancelled_batch_keeps_what_is_spoken(tmp_path: Path) -> None:
    store = BatchStore(tmp_path, 20, 1 << 30, DAY_S)
    batch = store.add("me", [TEXT, TEXT])
    assert store.get(batch.id, "me").status == "queued"
    store.note(batch, 1, Outcome("00001.wav", 1.0), b"sound")
    assert store.get(batch.id, "me").status == "running"
    store.cancel(batch)
    assert store.is_cancelled(batch)
    found = store.get(batch.id, "me")
    assert (found.status, found.unfinished, store.next()) == ("cancelled", False, None)
    assert store.sound(found, 1).read_bytes() == b"sound"
    with pytest.raises(ApiError, match="no sound: it is not spoken yet"):
        store.sound(found, 2)


def test_oldest_first_bounded_and_swept(tmp_path: Path) -> None:
    now = 0.0
    store = BatchStore(tmp_path, 2, 1 << 30, 100.0, lambda: now)
    first = store.add("me", [TEXT])
    now = 60.0
    second = store.add("me", [TEXT])
    assert store.next() == first
    with pytest.raises(ApiError, match="2 batches wait already"):
        store.add("me", [TEXT])
    now = 61.0
    other = store.add("you", [TEXT])
    store.note(first, 1, Outcome(error={"message": "no", "type": "x", "param": None, "code": None}))
    assert store.get(first.id, "me").status == "completed"
    assert store.next() == second
    now = 101.0
    store.sweep()
    assert {batch.id for batch in (*store.of("me"), *store.of("you"))} == {second.id, other.id}
    full = BatchStore(tmp_path, 20, 10, 100.0, lambda: now)
    with pytest.raises(ApiError, match="batches hold") as caught:
        full.add("me", [TEXT])
    assert caught.value.code == "batches_full"


def test_what_a_removed_batch_gets_is_not_kept(tmp_path: Path) -> None:
    store = BatchStore(tmp_path, 20, 1 << 30, DAY_S)
    batch = store.add("me", [TEXT])
    (tmp_path / batch.id / "batch.json").unlink()  # a removal that was killed
    store.note(batch, 1, Outcome("00001.wav"), b"sound")
    assert store.next() is None
    store.sweep()
    assert json.dumps([path.name for path in tmp_path.iterdir()]) == "[]"
