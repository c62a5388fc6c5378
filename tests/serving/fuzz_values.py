"""What random requests are made of (fuzzed.py)."""

from __future__ import annotations

VOICES = ("ada", "bob", "carl", "ada@production", "alloy")
ODD_VOICES = ("nobody", "ada@0", "ada@@", "@", "../ada", "ZS-" + "0" * 24, "ADA", "", "ada\x00", "é" * 63, "a" * 300)
ODD: tuple[object, ...] = (
    None, True, False, 0, 1, -1, 0.5, -0.0, 1e308, 2**63, -(2**64), 10**60, "", " ", "\x00", "true", "1e400",
    "NaN", "-1", "١٢", "\ud800", "\u202e", "a" * 5000, "🙂" * 50, [], [[]], [None], {}, {"id": "ada"},
    {"a": {"b": []}}, "ada",
)  # fmt: skip
TEXTS = (
    "Hi.", "Good morning.", "No. Yes.", "...", "?!", "12:30", "$5.20", "3.14", "A.B.C.", "😀", "\u200b", "你好。",
    "Mm.", "a\tb\r\nc", "Hel\x00lo", "\ud83d word", "xx" * 200, "1" * 400, "[pause:1s]", "[voice:bob] Hi.",
    "<b>Hi</b>", "&amp;", "١٢٣", "Ǆ" * 30, "a" * 20_000, "-" * 3000, "e\u0301" * 90, "http://x.y/z?q=1",
    "https" * 40, "\u2028", "Hi. " * 30,
)  # fmt: skip
FORMATS = ("wav", "pcm", "mp3", "opus", "aac", "flac", "ogg", "MP3", "raw", "exe", "")
SPEECH: dict[str, tuple[object, ...]] = {
    "model": ("tts-1", "x" * 201),
    "speed": (1.0, 0.25, 4, "1.5"),
    "stream": (True, False),
    "seed": (1, -1, 2**32),
    "stream_format": ("audio", "sse", "SSE", "x"),
    "language": ("en", "auto", "zh", "xx", "e" * 40),
    "timestamps": ("words", "json", "srt", "vtt", "x"),
    "sample_rate": (8000, 24000, 7, 44100),
    "top_k": (0, 1, 5),
    "temperature": (0, 1.0, 2.1),
    "top_p": (0.0, 1.0),
    "repetition_penalty": (1.0, 0.9, 10.1),
    "instructions": ("x",),
}
TTS: dict[str, tuple[object, ...]] = {
    "text_lang": ("en", "auto", "all_zh"),
    "streaming_mode": (False, True, 0, 3, 4, "True"),
    "speed_factor": (1, 0.1),
    "media_type": FORMATS,
    "fragment_interval": (0, 0.3, 5.1),
    "seed": (1, -1),
    "ref_audio_path": ("/etc/passwd", "ada"),
    "aux_ref_audio_paths": ([], ["x"]),
    "prompt_text": ("x",),
    "batch_size": (1, 0),
    "audio_file": ("a.wav", "../a.wav"),
    "sample_rate": (16000, 1),
    "voice": VOICES,
    "top_k": (5, -1),
    "temperature": (1.0, -1),
}
PATHS = (
    "/", "/v1/models", "/v1/models/timbre", "/v1/audio/voices", "/v1/audio/voices/ada", "/health", "/readyz",
    "/livez", "/openapi.json", "/docs", "/metrics", "/v1/audio/batches", "/set_gpt_weights", "/control", "/tts",
    "/tts/form", "/v1/audio/speech", "/v1/audio/speech/stream", "/dev/captioned_speech", "/static/page.js",
    "/favicon.ico", "//", "/%00", "/v1/audio/voices/" + "%F0%9F%98%80" * 9, "/v1/audio/voices/..%2f..%2fetc",
    "/v1/audio/batches/..%2f", "/%ff%fe", "*", "/v1/audio/batches/x/items/0", "/v1/audio/batches/x/items/1e9",
    "/v1/audio/voices/%", "/?text=hi", "/speakers",
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT", "get", "X" * 40)
ELEMENTS = (
    "break", "say-as", "phoneme", "sub", "lang", "voice", "prosody", "p", "s", "w", "emphasis", "mark", "audio",
    "speak", "é",
)  # fmt: skip
ATTRIBUTES = (
    "time", "strength", "interpret-as", "format", "ph", "alphabet", "alias", "name", "rate", "xml:lang", "detail",
    "src", "x",
)  # fmt: skip
VALUES = (
    "1s", "500ms", "999999s", "-1s", "1e9s", "strong", "cardinal", "date", "time", "telephone", "characters",
    "ordinal", "digits", "expletive", "mdy", "ipa", "x-arpabet", "həˈloʊ", "HH AH0", "ZZ", "ada", "bob", "nobody",
    "150%", "x-fast", "0%", "1e400%", "en-US", "zh", "tlh", "", "a" * 3000, "&#x0;", "&lt;", "٣", "9" * 400,
    "01/02/2003", "99:99", "½",
)  # fmt: skip
BOMBS = (
    '<!DOCTYPE speak [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><speak>&b;</speak>',
    '<!DOCTYPE speak SYSTEM "file:///etc/passwd"><speak>Hi.</speak>',
    '<?xml version="1.0" encoding="UTF-16"?><speak>Hi.</speak>', '<?xml version="1.1"?><speak>Hi.</speak>',
    "<speak>" + "<p>" * 5000 + "</p>" * 5000 + "</speak>", "<speak>" + "<break/>" * 3000 + "Hi.</speak>",
    "<speak>" + '<break time="10s"/>' * 900 + "Hi.</speak>", "<speak>" * 30 + "Hi." + "</speak>" * 30,
    '<speak xmlns="' + "a" * 4000 + '">Hi.</speak>',
    "<speak " + " ".join(f'a{n}="{n}"' for n in range(400)) + ">Hi.</speak>",
    '<speak>Hi <sub alias="' + "ha " * 900 + '">x</sub></speak>', "<speak><![CDATA[" + "]" * 900 + "]]></speak>",
    "<speak><say-as interpret-as='characters'>" + "%" * 900 + "</say-as></speak>", "<speak>Hi.",
    "<speak>Hi.</speak>x", "<speak><say-as interpret-as='cardinal'>" + "9" * 2000 + "</say-as></speak>",
    "<speak>&undefined;</speak>", "<speak>" + "&#65;" * 900 + "</speak>",
    "<speak><!-- " + "-" * 900 + " --></speak>", "<speak><?x " + "y" * 900 + "?></speak>",
)  # fmt: skip
TONE = (
    b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80>\x00\x00\x00}\x00\x00\x02\x00\x10\x00"
    b"data\xff\xff\xff\xff"
)
HEADERS = (
    b"x-request-id: a b\r\n", b"x-request-id: " + b"a" * 70 + b"\r\n", b"authorization: Bearer \xff\r\n",
    b"range: bytes=0-1\r\n", b"authorization: Bearer " + b"a.b.c" * 99 + b"\r\n", b"accept: \xff\r\n",
    b"content-encoding: gzip\r\n", b"accept-encoding: x\r\n", b"origin: https://evil.example\r\n",
    b"origin: null\r\n", b"x-api-key: \r\n", b"cookie: a=b; c\r\n", b'forwarded: for="\r\n',
    b"if-none-match: *\r\n", b"x-forwarded-for: " + b"1.1.1.1," * 200 + b"\r\n", b"accept-language: zz-\xff\r\n",
    b"te: trailers\r\n", b"upgrade: h2c\r\n", b"date: x\r\n", b"content-language: \r\n",
    b"transfer-encoding: identity\r\n",
)  # fmt: skip
