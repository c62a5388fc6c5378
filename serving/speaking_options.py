"""What the fields of a request mean to the engine, whichever route they came by."""

from __future__ import annotations

from timbre.inference.sampling import Sampling
from timbre.serving.schemas import SpeechBody, StreamOptions, TtsBody, TtsQuery

OPENAI_PCM_HZ = 24_000
_LANGUAGES = {"all_zh": "zh", "all_ja": "ja", "all_ko": "ko", "all_yue": "yue", "auto_yue": "auto"}


def language_code(given: str | None) -> str:
    """A language's code from the names that clients have for it, in capitals or not."""
    code = (given or "auto").lower()
    return _LANGUAGES.get(code, code)


def sampling_of(body: SpeechBody | StreamOptions | TtsBody | TtsQuery) -> Sampling:
    """How codes are drawn; what is not given is the base's own."""
    names = ("temperature", "top_k", "top_p", "repetition_penalty")
    given = {name: value for name in names if (value := getattr(body, name)) is not None}
    seed = body.seed if body.seed is not None and body.seed >= 0 else None
    return Sampling(seed=seed, **given)
