"""Random requests that nobody should send, each made from a seed and its number alone, so that it can be sent again.

bodies and queries with wrong fields, JSON and forms that are broken, SSML and marks, batches, WebSocket frames, framing
"""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, quote_from_bytes

from tests.serving.fuzz_values import (
    ATTRIBUTES,
    BOMBS,
    ELEMENTS,
    FORMATS,
    HEADERS,
    METHODS,
    ODD,
    ODD_VOICES,
    PATHS,
    SPEECH,
    TEXTS,
    TONE,
    TTS,
    VALUES,
    VOICES,
)

KINDS = ("speech", "tts", "query", "path", "broken json", "marked", "form", "batch", "socket", "framing")
_WEIGHTS = (14, 12, 10, 8, 10, 12, 10, 8, 12, 4)


@dataclass(frozen=True)
class Sent:
    """One attack: bytes for a connection of its own."""

    number: int
    """With the seed, makes it."""
    kind: str
    """One of KINDS."""
    parts: tuple[bytes, ...]
    """Written one after the other."""
    must_answer: bool = True
    """Whether the server owes a status; false where the framing itself is broken."""
    ends: bool = False
    """Whether the client closes its side after the last part."""


def attack(seed: int, number: int) -> Sent:
    """The attack of a number."""
    chance = random.Random(f"{seed}/{number}")
    kind = chance.choices(KINDS, _WEIGHTS)[0]
    return _MAKERS[kind](chance, number)


# -- bodies ------------------------------------------------------------------------------------------------------------


def _speech(chance: random.Random, number: int) -> Sent:
    path = chance.choice(("/v1/audio/speech", "/v1/audio/speech", "/dev/captioned_speech"))
    body = _object(
        chance, {"input": TEXTS, "voice": (*VOICES, *VOICES, *ODD_VOICES), "response_format": FORMATS}, SPEECH
    )
    return _json(chance, number, "speech", path, body)


def _tts(chance: random.Random, number: int) -> Sent:
    body = _object(chance, {"text": TEXTS, "spk": (*VOICES, *ODD_VOICES)}, TTS)
    return _json(chance, number, "tts", "/tts", body)


def _object(
    chance: random.Random, always: dict[str, tuple[object, ...]], more: dict[str, tuple[object, ...]]
) -> dict[str, object]:
    body: dict[str, object] = {name: chance.choice(values) for name, values in always.items() if chance.random() < 0.97}
    for name in chance.sample(sorted(more), chance.randrange(5)):
        body[name] = chance.choice(more[name])
    while chance.random() < 0.4:
        body[chance.choice([*always, *more, "x\x00", "é", "a" * 100, "__class__", "self"])] = chance.choice(ODD)
    return body


def _broken_json(chance: random.Random, number: int) -> Sent:
    path = chance.choice(("/v1/audio/speech", "/tts", "/dev/captioned_speech", "/v1/audio/batches"))
    data = bytearray(
        json.dumps(_object(chance, {"input": TEXTS[:9], "text": TEXTS[:9], "voice": VOICES}, SPEECH)).encode()
    )
    choice = chance.randrange(9)
    if choice == 0:
        del data[chance.randrange(len(data)) :]
    elif choice == 1:
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
    elif choice == 2:
        data = bytearray(chance.choice((b"[", b'{"a":', b'{"input":[')) * chance.choice((50, 2000, 40_000)))
    elif choice == 3:
        data = bytearray(
            chance.choice((b"", b"null", b"[]", b'"hi"', b"1", b"NaN", b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00"))
        )
    elif choice == 4:
        data = bytearray(
            b'{"voice":"ada","input":"Hi.","seed":' + chance.choice((b"1e999", b"9" * 5000, b"-", b"01")) + b"}"
        )
    elif choice == 5:
        data = bytearray(b'{"voice":"nobody","voice":"ada","input":"\\ud83d","input":"Hi.","stream":false}')
    elif choice == 6:
        data = bytearray(chance.randbytes(chance.randrange(400)))
    elif choice == 7:
        data = bytearray(b'{"' + b"k" * chance.choice((10, 70_000)) + b'":1,"input":"Hi.","voice":"ada"}')
    else:
        data = bytearray(b"{" + b",".join(b'"f%d":0' % index for index in range(chance.choice((5, 20_000)))) + b"}")
    return _json(chance, number, "broken json", path, bytes(data))


def _batch(chance: random.Random, number: int) -> Sent:
    if chance.random() < 0.3:
        identity = chance.choice(("x", "0" * 24, "batch_" + "f" * 24, "..", "%2e%2e", "a" * 70))
        end = chance.choice(("", "/cancel", "/items/1", "/items/0", "/items/1001", "/items/-1", "/items/x"))
        return _request(chance, number, "batch", chance.choice(METHODS[:6]), f"/v1/audio/batches/{identity}{end}")
    items: list[object] = [
        _object(chance, {"input": TEXTS, "voice": (*VOICES, *ODD_VOICES)}, SPEECH) for _ in range(chance.randrange(4))
    ]
    while chance.random() < 0.3:
        items.append(chance.choice(ODD))
    body: object = {"items": chance.choice((items, items, items, chance.choice(ODD), items * 400))}
    return _json(chance, number, "batch", "/v1/audio/batches", body)


def _marked(chance: random.Random, number: int) -> Sent:
    text = _document(chance) if chance.random() < 0.7 else _marks(chance)
    if chance.random() < 0.5:
        body: dict[str, object] = {"input": text, "voice": "ada", "stream": chance.random() < 0.5}
        return _json(chance, number, "marked", "/v1/audio/speech", body)
    return _json(chance, number, "marked", "/tts", {"text": text, "spk": "ada", "streaming_mode": chance.randrange(2)})


def _document(chance: random.Random) -> str:
    if chance.random() < 0.3:
        return chance.choice(BOMBS)
    text = "<speak>" + "".join(_element(chance, 0) for _ in range(chance.randint(1, 5))) + "</speak>"
    if chance.random() < 0.3:
        at = chance.randrange(len(text))
        text = text[:at] + chance.choice("<>&/\"'=\x00 \ud800é") + text[at + chance.randrange(3) :]
    return text


def _element(chance: random.Random, depth: int) -> str:
    if depth > 4 or chance.random() < 0.4:
        return chance.choice(("Hi. ", "Good morning. ", "5", " ", "12/05", "你好", "&amp;", "...", "x"))
    name = chance.choice(ELEMENTS)
    given = "".join(f' {chance.choice(ATTRIBUTES)}="{chance.choice(VALUES)}"' for _ in range(chance.randrange(3)))
    inside = "".join(_element(chance, depth + 1) for _ in range(chance.randrange(4)))
    return f"<{name}{given}>{inside}</{name}>" if inside or chance.random() < 0.5 else f"<{name}{given}/>"


def _marks(chance: random.Random) -> str:
    names = ("pause", "voice", "say-as", "sounds", "lang", "speed", "x", "")
    parts = []
    for _ in range(chance.randint(1, 8)):
        colon, end = chance.choice((":", "", ": ", "::")), chance.choice(("]", "", "]]"))
        parts += [
            f"[{chance.choice(names)}{colon}{chance.choice(VALUES)}{end}",
            chance.choice(("Hi. ", "Good morning. ", "", "[", "word ")),
        ]
    return "".join(parts)


# -- forms -------------------------------------------------------------------------------------------------------------


def _form(chance: random.Random, number: int) -> Sent:
    path = chance.choice(("/v1/audio/voices", "/tts", "/tts/form"))
    edge = chance.choice((b"edge", b"edge", b"edge", b"-" * 70, b"e" * 300, b"\xc3\xa9", b'"', b""))
    data = b""
    fields = (
        "audio",
        "consent",
        "text",
        "name",
        "language",
        "model",
        "spk",
        "ref_audio",
        "prompt_text",
        "speed_factor",
        "",
        "é",
    )
    for _ in range(chance.choice((0, 1, 2, 3, 5, 60))):
        name = chance.choice(fields).encode()
        file = chance.random() < 0.5
        head = b'Content-Disposition: form-data; name="' + name + b'"'
        head += (
            b'; filename="' + chance.choice((b"a.wav", b"../../x", b"\x00", b"\xff", b"", b"a" * 900)) + b'"'
            if file
            else b""
        )
        more = (
            b"",
            b"",
            b"",
            b"\r\nContent-Type: text/plain; charset=utf-99",
            b"\r\nX: " + b"a" * chance.choice((9, 9000, 70_000)),
            b"\r\nContent-Transfer-Encoding: base64",
            b"\r\nno colon here",
            b"\r\n: empty",
            b"\r\nContent-Disposition: x",
            b"\r\nContent-Type: audio/wav; charset=\xff",
        )
        head += chance.choice(more)
        value = chance.choice(
            (
                b"Hi.",
                b"",
                b"ada",
                TONE,
                TONE + chance.randbytes(900),
                chance.randbytes(300),
                b"x" * 70_000,
                b"\xff\xfe",
                b"1e400",
                b"--" + edge,
                b"\r\n--" + edge[:-1] + b"\r\n",
                b"fLaC" + chance.randbytes(80),
                b"OggS" + chance.randbytes(80),
                b"ID3" + chance.randbytes(80),
                b"\x00\x00\x00\x20ftypM4A " + chance.randbytes(80),
            )
        )
        data += (
            b"--"
            + edge
            + b"\r\n"
            + head
            + chance.choice((b"\r\n\r\n", b"\r\n\r\n", b"\n\n", b"\r\n"))
            + value
            + b"\r\n"
        )
    data += b"--" + edge + b"--\r\n"
    choice = chance.randrange(8)
    if choice == 0:
        data = data[: chance.randrange(len(data))]
    elif choice == 1:
        changed = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        data = bytes(changed)
    elif choice == 2:
        data = chance.randbytes(chance.randrange(600))
    kinds = (
        b"multipart/form-data; boundary=" + edge,
        b'multipart/form-data; boundary="' + edge + b'"',
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/mixed; boundary=" + edge,
        b"Multipart/Form-Data; charset=x; boundary=" + edge,
        b"multipart/form-data; boundary=other",
        b"multipart/form-data; boundary=" + edge + b"; boundary=x",
        b"multipart/form-data;;;=",
    )
    kind = kinds[0] if chance.random() < 0.6 else chance.choice(kinds)
    return _request(chance, number, "form", "POST", path, data, kind)


# -- WebSockets --------------------------------------------------------------------------------------------------------


def _socket(chance: random.Random, number: int) -> Sent:
    query = "&".join(
        f"{name}={quote(str(chance.choice(values)), errors='replace')}"
        for name, values in [
            ("voice", (*VOICES, "nobody")),
            ("seed", (1, "x")),
            ("response_format", FORMATS),
            ("speed", (1, 9)),
            ("binary", ("true", "maybe")),
            ("timestamps", ("false", 7)),
        ]
        if chance.random() < (0.9 if name == "voice" else 0.1)
    )
    head = (
        f"GET /v1/audio/speech/stream?{query} HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\n"
        "connection: upgrade\r\nsec-websocket-version: 13\r\n"
        f"sec-websocket-key: {base64.b64encode(chance.randbytes(16)).decode()}\r\n"
    )
    if chance.random() < 0.1:
        head += chance.choice(
            (
                "sec-websocket-protocol: a, openai-insecure-api-key.x\r\n",
                "sec-websocket-extensions: permessage-deflate\r\n",
                "origin: null\r\n",
                "sec-websocket-protocol: \xff\r\n",
                "x: " + "a" * 9000 + "\r\n",
                "sec-websocket-key: x\r\n",
            )
        )
    frames = [_frame_of(chance) for _ in range(chance.choice((0, 1, 2, 4, 8, 30)))]
    if chance.random() < 0.6:
        frames.append(_framed(0x88, struct.pack("!H", chance.choice((1000, 1001, 1005, 0, 4999)))))
    if chance.random() < 0.2:
        # After its close, and between the fragments of another message.
        frames += [_frame_of(chance) for _ in range(3)]
    # A line of more than 8 KiB is nothing that the protocol answers.
    return Sent(number, "socket", (head.encode("latin-1") + b"\r\n", *frames), len(head) < 8_000, ends=True)


def _frame_of(chance: random.Random) -> bytes:
    choice = chance.randrange(12)
    if choice <= 4:
        return _framed(0x81, _event(chance))
    if choice == 5:
        return _framed(0x82, chance.randbytes(chance.choice((0, 5, 3000))))
    if choice == 6:
        data = _event(chance)
        cut = chance.randrange(len(data) + 1)
        between = chance.choice((b"", _framed(0x89, b"ping"), _framed(0x81, b"{}"), _framed(0x8A, b"")))
        return _framed(0x01, data[:cut]) + between + _framed(chance.choice((0x80, 0x00)), data[cut:])
    if choice == 7:
        return _framed(chance.choice((0x81, 0x01)), b"x" * chance.choice((300_000, 70_000)))
    if choice == 8:
        return (
            bytes([chance.choice((0x81, 0x82, 0x01)), 0xFF])
            + struct.pack("!Q", chance.choice((1 << 62, 1 << 40, 200)))
            + b"\0" * 4
        )
    if choice == 9:
        return _framed(
            chance.choice((0x83, 0xF1, 0x89, 0x8A, 0x09, 0x80, 0xC1)), chance.randbytes(chance.choice((0, 20, 130)))
        )
    if choice == 10:
        return bytes([0x81, 0x05]) + b"hello"
    return chance.randbytes(chance.randint(1, 60))


def _event(chance: random.Random) -> bytes:
    kinds = ("text.delta", "text.delta", "text.done", "cancel", "session.update", "response.text.delta", "shout", "")
    event: dict[str, object] = {"type": chance.choice(kinds)}
    deltas = (
        "Hi. ",
        "Good ",
        "morning. ",
        "<speak>",
        "</speak>",
        "[voice:bob] ",
        "[pause:1s]",
        "\x00",
        "。",
        "a" * 5000,
        " ",
    )
    if chance.random() < 0.8:
        event["delta"] = chance.choice(deltas)
    if chance.random() < 0.2:
        event |= _object(chance, {"voice": (*VOICES, "nobody")}, SPEECH)
    if chance.random() < 0.2:
        event[chance.choice(("played_s", "session", "delta", "type", "voice"))] = chance.choice(ODD)
    data = json.dumps(event).encode()
    if chance.random() < 0.15:
        data = data[: chance.randrange(len(data))] + chance.choice((b"", b"\xff", b"\xed\xa0\x80", b"}}"))
    return data


def _framed(head: int, data: bytes) -> bytes:
    """A masked frame; head: its first byte."""
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size) if size < 65_536 else b""
    return bytes([head]) + (length or b"\xff" + struct.pack("!Q", size)) + b"\0\0\0\0" + data


# -- requests ----------------------------------------------------------------------------------------------------------


def _query(chance: random.Random, number: int) -> Sent:
    values = _object(chance, {"text": TEXTS, "spk": (*VOICES, *ODD_VOICES)}, TTS)
    pairs = []
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value)
        data = text[:3000].encode("utf-8" if chance.random() < 0.8 else "gbk", "replace")
        pairs.append(f"{quote(name)}={quote_from_bytes(data)}")
    chance.shuffle(pairs)
    joined = chance.choice(("&", "&", "&", "&&", ";")).join(pairs)
    if chance.random() < 0.2:
        joined += chance.choice(
            ("&text", "&=", "&%", "&text=%ff%fe", "&text=%u0041", "&spk=ada&spk=bob", "#x", "&\xff")
        )
    return _request(chance, number, "query", chance.choice(("GET", "GET", "GET", "HEAD", "POST")), f"/tts?{joined}")


def _path(chance: random.Random, number: int) -> Sent:
    path = chance.choice(PATHS)
    if chance.random() < 0.2:
        at = chance.randrange(len(path) + 1)
        path = (
            path[:at]
            + chance.choice(("%", "%2f", "..", "\x7f", "é", "?", "#", ";", "%c0%af", "/", "x" * 3000))
            + path[at:]
        )
    data = chance.choice((b"", b"", b"{}", b"x" * 400))
    return _request(chance, number, "path", chance.choice(METHODS), path, data)


def _framing(chance: random.Random, number: int) -> Sent:
    body = b'{"voice":"ada","input":"Hi.","stream":false}'
    head = b"POST /v1/audio/speech HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    size = b"content-length: %d\r\n" % len(body)
    wholes = (
        head + b"content-length: 99999\r\n\r\n" + body,
        head + b"content-length: -1\r\n\r\n" + body,
        head + size + size + b"\r\n" + body,
        head + size + b"content-length: 3\r\n\r\n" + body,
        head + b"transfer-encoding: chunked\r\n\r\nzz\r\n" + body,
        head + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        head + size + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        head + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 3000 + b"\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        chance.randbytes(200),
        head + size + b"\r\n" + body[:9],
        b"GET /livez HTTP/1.1\r\nhost: \xff\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\xff: x\r\nhost: localhost\r\n\r\n",
        b"GET /livez HTTP/1.1\nhost: localhost\n\n",
        head + b"expect: 100-continue\r\n" + size + b"connection: close\r\n\r\n" + body,
    )
    whole = chance.choice(wholes)
    cut = chance.randrange(len(whole) + 1)
    return Sent(number, "framing", (whole[:cut], whole[cut:]), must_answer=False, ends=True)


def _json(chance: random.Random, number: int, kind: str, path: str, body: object) -> Sent:
    data = body if isinstance(body, bytes) else json.dumps(body).encode(*_encoding(chance))
    types = (
        b"application/json",
        b"application/json; charset=gbk",
        b"text/plain",
        b"application/x-www-form-urlencoded",
        b"",
        b"\xff/x",
    )
    media = types[0] if chance.random() < 0.85 else chance.choice(types)
    return _request(chance, number, kind, "POST", path, data, media)


def _encoding(chance: random.Random) -> tuple[str, str]:
    return ("utf-8" if chance.random() < 0.95 else chance.choice(("utf-16", "utf-32", "gbk", "utf-8-sig")), "replace")


def _request(
    chance: random.Random, number: int, kind: str, method: str, path: str, data: bytes = b"", media: bytes = b""
) -> Sent:
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n".encode("utf-8", "replace")
    head += b"content-type: " + media + b"\r\n" if media else b""
    head += b"content-length: %d\r\n" % len(data) if data or method in ("POST", "PUT") else b""
    odd = chance.random() < 0.15
    # Only a head that HTTP allows is owed an answer in words.
    sound = path.isascii() and path.isprintable() and "\x7f" not in path and method.isupper() and path != "*"
    if odd:
        head += chance.choice(HEADERS)
    return Sent(number, kind, (head + b"\r\n" + data,), must_answer=sound and not odd and method != "CONNECT")


_MAKERS: dict[str, Callable[[random.Random, int], Sent]] = {
    "speech": _speech,
    "tts": _tts,
    "query": _query,
    "path": _path,
    "broken json": _broken_json,
    "marked": _marked,
    "form": _form,
    "batch": _batch,
    "socket": _socket,
    "framing": _framing,
}
