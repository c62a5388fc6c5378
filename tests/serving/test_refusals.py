"""What is refused, with which status and words: bad fields, unknown voices, missing keys, full queues, large bodies."""

from __future__ import annotations

import base64
import dataclasses
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import jwt
import openai
import pytest

from tests.serving.running import FAST, Running, wait_until
from tests.serving.shelf_of_voices import Shelf
from timbre.cli.server_settings_table import replaced
from timbre.core.errors import ConfigurationError
from timbre.serving.settings import ServeSettings, load_settings
from timbre.serving.tokens import TokenRules

KEY = "k-0123456789abcdef"
SECRET = "s" * 64
LONG = "Good morning to everybody. " * 100


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"input": "x" * 250_000, "voice": "ada"}, 413, "250000 characters"),
        ({"input": "x" * 5_000, "voice": "ada", "stream": False}, 413, "5000 characters"),
        ({"input": "x" * 5_000, "voice": "ada"}, 400, "in a row"),
        ({"input": "", "voice": "ada"}, 400, "empty"),
        ({"input": " \n\t", "voice": "ada"}, 400, "empty"),
        ({"input": "?!…", "voice": "ada"}, 400, "spoken"),
        ({"voice": "ada"}, 400, "input"),
        ({"input": "hi", "voice": "ada", "speed": "fast"}, 400, "speed"),
        ({"input": "hi", "voice": "ada", "speed": 5}, 400, "speed"),
        ({"input": "hi", "voice": "ada", "response_format": "exe"}, 400, "response_format"),
        ({"input": "hi", "voice": "ada", "sample_rate": 1}, 400, "sample_rate"),
        ({"input": "hi", "voice": "ada", "top_p": -0.1}, 400, "top_p"),
        ({"input": "hi", "voice": "ada", "language": "klingon"}, 400, "klingon"),
        ({"input": "hi", "voice": "adda"}, 404, "ada"),
        ({"input": "hi", "voice": "ADA"}, 404, "ada"),
        ({"input": "hi", "voice": "../../etc/passwd"}, 404, "no voice"),
        ({"input": "hi", "voice": "ada@0123456789ab"}, 404, "version"),
        ({"input": "hi", "voice": "ada@../x"}, 404, "version"),
        ({"input": "hi", "voice": "a" * 300}, 400, "200"),
        ({"input": "hi"}, 400, "no voice was named"),
        ({"input": ["hi"], "voice": "ada"}, 400, "input"),
    ],
)
def test_wrong_requests_in_openais_shape(live: Running, body: dict[str, object], status: int, word: str) -> None:
    answer = live.call("POST", "/v1/audio/speech", body)
    assert answer.status == status, answer.data
    error = answer.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert word in error["message"]
    assert len(answer.data) < 1500


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b'{"text": "hi", "spk": "ada", "speed_factor": NaN}', 400),
        (b'{"text": "hi", "spk": "ada", "speed_factor": Infinity}', 400),
        (b'{"text": "hi", "spk": "ada", "seed": 1e400}', 400),
        (b'{"text": "\\ud800", "spk": "ada"}', 400),
        (b'{"text": "hi", "spk": "ada\\u0000"}', 404),
        (b'{"text": "hi", "spk": "ada"', 400),
        (b"\xff\xfe\x00", 400),
        (b"", 400),
        (b"[" * 20_000, 400),
        (b'{"text": ' + b"9" * 5000 + b"}", 400),
        (b'{"text": "' + b"x" * 400_000 + b'"}', 413),
    ],
)
def test_bytes_that_are_no_request(live: Running, raw: bytes, status: int) -> None:
    answer = live.call("POST", "/tts", raw)
    assert answer.status == status, answer.data
    assert set(answer.json) == {"code", "message", "remedy", "request_id"}
    assert answer.json["request_id"] == answer.headers["x-request-id"]


def test_ignored_fields_never_break_a_header(live: Running) -> None:
    odd = {"a\r\nset-cookie: x": 1, "naïve": 2, "fine": 3, "x" * 500: 4}
    answer = live.say("ada", **odd)
    assert answer.status == 200
    assert answer.headers["x-timbre-ignored"] == "fine"
    assert "set-cookie" not in answer.headers
    half = live.call("POST", "/tts", b'{"text": "hi", "spk": "ada", "\\ud800": 1, "fine": 3}')
    assert half.status == 200, half.data
    assert half.headers["x-timbre-ignored"] == "fine"


def test_file_paths_and_weights_are_refused_with_the_reason(live: Running) -> None:
    for path in ("/etc/passwd", "..\\x.wav", "C:/x.wav", "ada/../bob", "file.wav"):
        answer = live.call("POST", "/tts", {"text": "hi", "ref_audio_path": path})
        assert (answer.status, answer.json["code"]) == (403, "path_refused")
        assert "file paths are refused" in answer.json["message"]
    for path in ("/set_gpt_weights", "/set_sovits_weights", "/set_refer_audio", "/control"):
        answer = live.call("GET", f"{path}?weights_path=x.ckpt")
        assert answer.status == 403
        assert answer.json["remedy"]


def test_unknown_routes_and_methods(live: Running) -> None:
    assert live.call("GET", "/nowhere").json["code"] == "not_found"
    assert live.call("GET", "/v1/nowhere").json["error"]["type"] == "invalid_request_error"
    answer = live.call("DELETE", "/v1/audio/speech")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert live.call("DELETE", "/tts").headers["allow"] == "GET, POST"
    form = live.call("POST", "/tts", b"text=hi&spk=ada", {"content-type": "application/x-www-form-urlencoded"})
    assert form.status == 400
    assert "application/json" in form.json["remedy"]


def test_the_openai_client_sees_its_own_errors(live: Running) -> None:
    client = openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0)
    with pytest.raises(openai.NotFoundError, match="did you mean ada"):
        client.audio.speech.create(model="tts-1", voice="adah", input="hi")
    with pytest.raises(openai.NotFoundError, match="no model"):
        client.models.retrieve("gpt-9")


def test_keys_and_tokens(serve: Callable[..., Running], shelf: Shelf) -> None:
    shelf.publish("ada")
    live = serve(dataclasses.replace(FAST, api_keys=(KEY,), jwt_secret=SECRET, jwt_audience="voices"))
    now = int(time.time())

    def token(secret: str = SECRET, algorithm: str = "HS256", **claims: object) -> str:
        return jwt.encode({"exp": now + 60, "aud": "voices", **claims}, secret, algorithm=algorithm)

    good = [
        {"authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"x-api-key": KEY},
        {"xi-api-key": KEY}, {"authorization": f"Bearer {token()}"},
    ]  # fmt: skip
    unsigned = jwt.encode({"exp": now + 60, "aud": "voices"}, None, algorithm="none")
    bad = [
        {}, {"authorization": "Bearer wrong"}, {"authorization": KEY}, {"authorization": "Bearer "},
        {"x-api-key": "é" * 20}, {"authorization": f"Bearer {token(exp=now - 3600)}"},
        {"authorization": f"Bearer {token(secret='t' * 40)}"}, {"authorization": f"Bearer {token(aud='else')}"},
        {"authorization": f"Bearer {unsigned}"}, {"authorization": f"Bearer {token(algorithm='HS512')}"},
        {"authorization": "Bearer a.b.c"}, {"authorization": f"Bearer {token(nbf=now + 3600)}"},
    ]  # fmt: skip
    for headers in good:
        assert live.call("GET", "/v1/audio/voices", headers=headers).status == 200, headers
    for headers in bad:
        answer = live.call("GET", "/v1/audio/voices", headers=headers)
        assert (answer.status, answer.json["error"]["type"]) == (401, "authentication_error"), headers
        assert answer.headers["www-authenticate"] == "Bearer"
    for closed in ("/metrics", "/tts?text=hi", "/openapi.json", "/nowhere"):
        assert live.call("GET", closed).status == 401, closed
    for path in ("/livez", "/readyz", "/health", "/v2/health/live", "/v2/health/ready", "/"):
        assert live.call("GET", path).status == 200, path
    assert not any(KEY in str(vars(record)) for record in live.lines)


def test_tokens_by_hand_agree_with_the_library() -> None:
    rules = TokenRules(SECRET, issuer="us", now=lambda: 1000.0)
    for claims, fits in (
        ({"exp": 1100, "iss": "us"}, True), ({"exp": 975, "iss": "us"}, True), ({"exp": 900, "iss": "us"}, False),
        ({"exp": 1100}, False), ({"iss": "us"}, False), ({"exp": "1100", "iss": "us"}, False),
        ({"exp": True, "iss": "us"}, False), ({"exp": 1100, "iss": "us", "aud": "any"}, True),
        ({"exp": 1e308, "iss": "us"}, False), ({"exp": float("inf"), "iss": "us"}, False),
        ({"exp": float("nan"), "iss": "us"}, False), ({"exp": 10**400, "iss": "us"}, False),
        ({"exp": 1100, "nbf": float("-inf"), "iss": "us"}, False), ({"exp": 253402300799, "iss": "us"}, True),
    ):  # fmt: skip
        token = jwt.encode(claims, SECRET, algorithm="HS256")
        assert rules.accepts(token.encode()) == fits, claims
        assert not TokenRules("x" * 40, issuer="us", now=lambda: 1000.0).accepts(token.encode())
    part = base64.urlsafe_b64encode(b'{"alg": "HS256"}').rstrip(b"=") + b"." + token.encode().split(b".")[1]
    empty = base64.urlsafe_b64encode(hmac.digest(b"", part, "sha256")).rstrip(b"=")
    assert not TokenRules("", issuer="us", now=lambda: 1000.0).accepts(part + b"." + empty), "no secret fits no token"
    part = base64.urlsafe_b64encode(b'{"alg": "none"}').rstrip(b"=")
    signed = part + b"." + token.encode().split(b".")[1]
    signature = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), signed, "sha256")).rstrip(b"=")
    assert not rules.accepts(signed + b"." + signature), "a header that says anything but HS256"
    critical = jwt.encode({"exp": 1100, "iss": "us"}, SECRET, headers={"crit": ["b64"]})
    assert not rules.accepts(critical.encode())


def test_closed_by_default_when_others_can_reach_it() -> None:
    with pytest.raises(ConfigurationError, match=r"0\.0\.0\.0.*neither api_keys nor jwt_secret"):
        load_settings(None, {"TIMBRE_SERVE_HOST": "0.0.0.0"}, {})
    assert load_settings(None, {"TIMBRE_SERVE_HOST": "0.0.0.0", "TIMBRE_SERVE_API_KEYS": KEY}, {}).guarded
    assert not load_settings(None, {}, {"host": "::", "open_access": True}).loopback
    for local in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        assert load_settings(None, {}, {"host": local}).loopback


def test_settings_come_from_four_places_and_name_what_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "keys").write_text(f"# of the shop\n{KEY}\n\n{KEY}2\n")
    file = folder / "serve.yaml"
    file.write_text(f"port: 1000\nworkers: 2\nqueue: 3\napi_keys_file: {folder / 'keys'}\n")
    settings = load_settings(file, {"TIMBRE_SERVE_PORT": "2000", "TIMBRE_SERVE_WORKERS": "5"}, {"port": 3000})
    assert (settings.port, settings.workers, settings.queue) == (3000, 5, 3)
    assert settings.api_keys == (KEY, f"{KEY}2")
    for variables, words in (
        ({"TIMBRE_SERVE_PROT": "1"}, "port"),
        ({"TIMBRE_SERVE_PORT": "many"}, "port"),
        ({"TIMBRE_SERVE_POLL_S": "nan"}, "poll_s"),
        ({"TIMBRE_SERVE_VOICE_NAMES": "alloy"}, "NAME=VOICE"),
        ({"TIMBRE_SERVE_API_KEYS": "short"}, "16 characters"),
        ({"TIMBRE_SERVE_JWT_SECRET": "short"}, "32 characters"),
        ({"TIMBRE_SERVE_API_KEYS_FILE": "/no/such/file"}, "api_keys_file"),
    ):
        with pytest.raises(ConfigurationError, match=words) as caught:
            load_settings(None, variables, {})
        assert "short" not in str(caught.value)


def test_a_full_queue_answers_429_with_a_time(serve: Callable[..., Running], shelf: Shelf) -> None:
    shelf.publish("ada")
    live = serve(dataclasses.replace(FAST, workers=1, queue=1))
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(live.say("ada", LONG).status)) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: live.server.workers._waiting == 1 and len(live.server.workers._busy) == 1)
    refused = live.call("POST", "/v1/audio/speech", {"input": "hi", "voice": "ada"})
    assert (refused.status, refused.json["error"]["type"]) == (429, "rate_limit_error")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert live.call("GET", "/readyz").status == 200
    for thread in threads:
        thread.join()
    assert statuses == [200, 200]
    assert live.say("ada", "hi").status == 200


def test_who_waits_too_long_is_told_503(serve: Callable[..., Running], shelf: Shelf) -> None:
    shelf.publish("ada")
    live = serve(dataclasses.replace(FAST, workers=1, queue=5, queue_timeout_s=0.1))
    first = threading.Thread(target=live.say, args=("ada", LONG))
    first.start()
    wait_until(lambda: len(live.server.workers._busy) == 1)
    late = live.say("ada", "hi")
    assert (late.status, late.json["code"]) == (503, "queued")
    assert late.headers["retry-after"]
    first.join()


def test_a_body_that_never_ends_is_given_up(serve: Callable[..., Running]) -> None:
    live = serve(dataclasses.replace(FAST, body_timeout_s=0.3))
    with socket.create_connection(("127.0.0.1", live.port), timeout=60) as slow:
        slow.sendall(
            b"POST /tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
        assert b" 408 " in slow.recv(4096)


def test_a_body_that_grows_is_refused_before_its_end(serve: Callable[..., Running]) -> None:
    live = serve()
    with socket.create_connection(("127.0.0.1", live.port), timeout=60) as lying:
        lying.sendall(b"POST /tts HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(80):
            lying.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        assert b" 413 " in lying.recv(4096)
    assert live.call("GET", "/livez").status == 200


def test_request_ids_are_kept_when_they_are_harmless(live: Running) -> None:
    kept = live.call("GET", "/livez", headers={"x-request-id": "job-12345678"})
    made = live.call("GET", "/livez", headers={"x-request-id": "x y; <script>"})
    assert kept.headers["x-request-id"] == "job-12345678"
    assert len(made.headers["x-request-id"]) == 16


def test_cors_only_when_asked_for(serve: Callable[..., Running], live: Running) -> None:
    asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in live.call("OPTIONS", "/tts", headers=asked).headers
    opened = serve(dataclasses.replace(FAST, cors_origins=("https://app.example",)))
    answer = opened.call("OPTIONS", "/tts", headers=asked)
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    other = {**asked, "origin": "https://evil.example"}
    assert "access-control-allow-origin" not in opened.call("OPTIONS", "/tts", headers=other).headers


def test_shown_settings_hide_secrets() -> None:
    from click.testing import CliRunner

    from timbre.cli.commands.serve import serve as command

    class Invocation:
        environment = {"TIMBRE_SERVE_API_KEYS": KEY}  # noqa: RUF012

    done = CliRunner().invoke(command, ["--settings"], obj=Invocation())
    shown = json.loads(done.output)
    assert shown["api_keys"] == "[hidden]"
    assert KEY not in done.output
    assert set(shown) == {item.name for item in dataclasses.fields(ServeSettings)}


def test_the_page_of_settings_is_in_step() -> None:
    page = (Path(__file__).parents[2] / "docs" / "server.md").read_text(encoding="utf-8")
    assert replaced(page) == page, "run: make docs"
    assert replaced(page.replace("`9880`", "`9881`")) == page
    with pytest.raises(ValueError, match="settings"):
        replaced("no marks")


@pytest.mark.parametrize(("route", "body"), [("/v1/audio/speech", {"input": "hi"}), ("/tts", {"text": "hi"})])
def test_a_bug_is_an_answer_in_words(live: Running, monkeypatch: pytest.MonkeyPatch, route: str, body: dict) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("a secret of the code")

    with monkeypatch.context() as patch:
        patch.setattr(live.server.workers, "submit", broken)
        answer = live.call("POST", route, {**body, "voice": "ada"})
        wait_until(lambda: any(line.exc_info for line in live.lines))  # the answer may be here before its record
    logged = [live.lines.pop(index) for index in reversed(range(len(live.lines))) if live.lines[index].exc_info]
    assert answer.status == 500
    told = answer.json["error"] if route.startswith("/v1") else answer.json
    assert (told["code"], "its log has the details" in answer.data.decode()) == ("internal_error", True)
    assert b"secret" not in answer.data
    assert [record.getMessage() for record in logged] == ["bug in a request"]
