"""What the fields of a request mean to the engine, whichever route they came by."""

from __future__ import annotations

from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.serving.schemas import SpeechBody, StreamOptions, TtsBody, TtsQuery, VoiceId

OPENAI_PCM_HZ = 24_000
_LANGUAGES = {"all_zh": "zh", "all_ja": "ja", "all_ko": "ko", "all_yue": "yue", "auto_yue": "auto"}


def language_code(given: str | None) -> str:
    """A language's code from the names that clients have for it, in capitals or not."""
    code = (given or "auto").lower()
    return _LANGUAGES.get(code, code)


def openai_rate(body: SpeechBody | StreamOptions) -> int | None:
    """Hz of an answer in OpenAI's shape; None for the voice's own."""
    return body.sample_rate or (OPENAI_PCM_HZ if body.response_format == "pcm" else None)


def openai_request(body: SpeechBody | StreamOptions) -> SpeechRequest:
    """All that a request in OpenAI's shape says but its text and its voice."""
    return SpeechRequest("", language=language_code(body.language), speed=body.speed, sampling=sampling_of(body))


def voice_of(body: SpeechBody | StreamOptions) -> str:
    """The voice that is named, "" for none."""
    return body.voice.id if isinstance(body.voice, VoiceId) else body.voice or ""


def sampling_of(body: SpeechBody | StreamOptions | TtsBody | TtsQuery) -> Sampling:
    """How codes are drawn; what is not given is the base's own."""
    names = ("temperature", "top_k", "top_p", "repetition_penalty")
    given = {name: value for name in names if (value := getattr(body, name)) is not None}
    seed = body.seed if body.seed is not None and body.seed >= 0 else None
    return Sampling(seed=seed, **given)
