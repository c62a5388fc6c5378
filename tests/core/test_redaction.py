"""No secret reaches a log line, whatever its shape and wherever it hides."""

from __future__ import annotations

import io
import json
import logging
import time

import pytest

from timbre.core.logs import LOGGER, set_up
from timbre.core.redaction import MASK, Redactor

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabcdef\n-----END RSA PRIVATE KEY-----"

SHAPED = [
    ("https://ada:s3cr3tpw@store.example.com/x", "s3cr3tpw"),
    ("posting to https://hooks.slack.com/services/T0/B0/abcdef", "abcdef"),
    ("Authorization: Bearer abc.def-123456", "abc.def-123456"),
    ("using hf_abcdefghijklmnop", "hf_abcdefghijklmnop"),
    ("id AKIAABCDEFGHIJKLMNOP end", "AKIAABCDEFGHIJKLMNOP"),
    ("glpat-abcdefgh12345678", "glpat-abcdefgh12345678"),
    ('{"password": "two words"}', "two words"),
    ("password=hunter22 next", "hunter22"),
    ("https://x.example/?a=1&X-Amz-Signature=0123456789abcdef&b=2", "0123456789abcdef"),
    (PEM, "MIIEow"),
    ("jwt eyJhbGciOiJI.eyJzdWIiOiIx.abc_def", "eyJzdWIiOiIx"),
]


@pytest.mark.parametrize(("text", "secret"), SHAPED)
def test_shapes_of_secrets(text: str, secret: str) -> None:
    cleaned = Redactor().clean(text)
    assert secret not in cleaned
    assert MASK in cleaned


def test_values_of_the_environment() -> None:
    redactor = Redactor.of(
        {"MY_TOKEN": "plainword99", "TIMBRE_WEBHOOK": "http://intra.example/h/1", "LANG": "en_US.UTF-8"}
    )
    assert redactor.clean("saw plainword99 and http://intra.example/h/1 in en_US.UTF-8") == (
        f"saw {MASK} and {MASK} in en_US.UTF-8"
    )


def test_longer_secret_goes_whole() -> None:
    redactor = Redactor.of({"A_SECRET": "abcdef", "B_SECRET": "abcdef-ghijkl"})
    assert redactor.clean("x abcdef-ghijkl y") == f"x {MASK} y"


def test_lines_of_a_secret_of_several_lines() -> None:
    redactor = Redactor.of({"DEPLOY_SECRET": "first-line\nsecond-line"})
    assert redactor.clean("second-line") == MASK


@pytest.mark.parametrize(
    "text",
    [
        "tokens=250 in 10 s",
        "tokenizer: bert",
        "GIT_AUTHOR_NAME is Ada",
        "key=0123abcd stage validate",
        "voices/ada/voice.yaml: base",
    ],
)
def test_ordinary_lines_stay(text: str) -> None:
    redactor = Redactor.of(
        {"GIT_AUTHOR_NAME": "Ada Lovelace", "SSH_AUTH_SOCK": "/tmp/agent.sock", "SHORT_TOKEN": "ada"}
    )
    assert redactor.clean(text) == text


@pytest.mark.parametrize("as_json", [True, False])
def test_every_part_of_a_log_line(as_json: bool) -> None:
    stream = io.StringIO()
    logger = set_up(Redactor.of({"K_TOKEN": 'quo"te-secret'}), as_json=as_json, stream=stream)
    try:
        try:
            raise ValueError('bad quo"te-secret')
        except ValueError:
            fields = {"url": "http://a:pass1234@b", "nested": {"password": "p q r", "ok": ['quo"te-secret', 3]}}
            logging.getLogger(f"{LOGGER}.engine").exception("saw %s", 'quo"te-secret', extra=fields)
    finally:
        logger.handlers.clear()
    text = stream.getvalue()
    for secret in ("te-secret", "pass1234", "p q r"):
        assert secret not in text
    if as_json:
        (line,) = text.splitlines()
        entry = json.loads(line)
        assert entry["level"] == "error"
        assert entry["logger"] == "engine"
        assert entry["nested"] == {"password": MASK, "ok": [MASK, 3]}
        assert "ValueError" in entry["error"]


@pytest.mark.parametrize(
    "text", ["token" * 40_000, "a.token-" * 25_000, "-eyJabcdefgh" * 20_000, "a" * 200_000, '"api_key' * 25_000]
)
def test_a_long_line_takes_linear_time(text: str) -> None:
    """Doubling the text at most triples the time; quadratic patterns quadruple it, and took minutes here."""

    def seconds(what: str) -> float:
        started = time.process_time()
        Redactor().clean(what)
        return time.process_time() - started

    half = min(seconds(text[: len(text) // 2]) for _ in range(3))
    assert seconds(text) < 3 * half + 0.05
