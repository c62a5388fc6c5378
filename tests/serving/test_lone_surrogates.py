"""Half of a pair of UTF-16, which an escape of JSON or a charset of the client's can name and nothing can write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.serving.running import FAST, Running
from tests.serving.shelf_of_voices import Shelf
from tests.serving.test_stream_text import opened, send, until
from timbre.serving.leniency import encodable, make_encodable

HALF = "\ud83d"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (f"{HALF} word", "\ufffd word"), ("a\ude00", "a\ufffd"), (f"{HALF}{HALF}\ude00", "\ufffd😀"), ("你好", "你好"),
        ("\ufeffé", "\ufeffé"), ("", ""),
    ],
)  # fmt: skip
def test_each_half_is_one_mark(given: str, meant: str) -> None:
    assert encodable(given) == meant


def test_texts_of_a_json_value_at_any_depth() -> None:
    value: dict[str, Any] = {"a": [HALF, {HALF: {"b": [7, None, HALF]}}], "c": 1}
    make_encodable(value)
    assert value == {"a": ["\ufffd", {"\ufffd": {"b": [7, None, "\ufffd"]}}], "c": 1}
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(100_000):
        inner["x"] = {}
        inner = inner["x"]
    make_encodable(deep)


def test_a_server_answers(serve: Callable[..., Running], shelf: Shelf, tmp_path: Path) -> None:
    pytest.importorskip("python_multipart", reason="python-multipart is missing: make install")
    shelf.publish("ada", 0)
    live = serve(replace(FAST, batches=str(tmp_path / "batches"), zero_shot=str(tmp_path / "voices")))
    text = f"Good {HALF} morning."
    item = {"input": text, "voice": "ada", "custom_id": HALF, f"x{HALF}": [HALF]}
    made = live.call("POST", "/v1/audio/batches", {"items": [item]})
    assert made.status == 200, made.data
    assert made.json["items"][0]["custom_id"] == "\ufffd"
    spoken = live.call("POST", "/v1/audio/speech?timestamps=json", {"input": text, "voice": "ada", f"x{HALF}": 1})
    assert spoken.status == 200, spoken.data
    with opened(live, "voice=ada&seed=1") as client:
        send(client, "text.delta", delta=f"Good {HALF} morning. ")
        send(client, "text.done")
        assert "morning" in until(client, "speech.audio.done", "error")[-1]["spoken"]
    part = (
        '--edge\r\nContent-Disposition: form-data; name="{}"{}\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n{}\r\n'
    )
    body = (part.format("text", "", "Good +2D0- morning.") + part.format("spk", "", "ada") + "--edge--\r\n").encode()
    form = live.call("POST", "/tts", body, {"content-type": "multipart/form-data; boundary=edge; charset=utf-7"})
    assert form.status == 200, form.data
    assert not [line for line in live.lines if line.exc_info], json.dumps([str(line.exc_info) for line in live.lines])
