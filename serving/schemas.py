"""Bodies and parameters of requests, as the OpenAPI document shows them. Unknown fields have no effect."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from timbre.serving.encoding import RATES
from timbre.serving.leniency import as_meant, make_encodable

SpeechFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
MediaType = Literal["wav", "raw", "ogg", "aac", "pcm", "mp3", "opus", "flac"]
Rate = Literal[8000, 12000, 16000, 22050, 24000, 32000, 44100, 48000]
assert Rate.__args__ == RATES  # type: ignore[attr-defined]

Timestamps = Literal["json", "srt", "vtt"]
Text = Annotated[str, Field(description="What to speak.", examples=["Good morning."])]
Name = Annotated[str, Field(max_length=200, examples=["awb", "awb@production"])]
Language = Annotated[
    str, Field(pattern="^[a-zA-Z_-]{2,16}$", description="auto: the voice's own, other scripts found by themselves.")
]
Speed = Annotated[float, Field(ge=0.25, le=4.0, allow_inf_nan=False, description="Above 1 is faster.")]
TopK = Annotated[int, Field(ge=0, le=1_000_000, description="Draw among so many likeliest codes; 0: all.")]
TopP = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False, description="0: the likeliest code alone.")]
Temperature = Annotated[float, Field(ge=0.0, le=2.0, allow_inf_nan=False)]


def _no_reward(penalty: float) -> float:
    """api_v2 takes less than 1 too, and then loops."""
    if penalty < 1:
        raise PydanticCustomError("penalty", "below 1 repetition is rewarded and speech loops; 1 switches it off")
    return penalty


Penalty = Annotated[
    float,
    Field(le=10.0, allow_inf_nan=False, description="1: no penalty.", json_schema_extra={"minimum": 1.0}),
    AfterValidator(_no_reward),
]
Seed = Annotated[int, Field(ge=-1, le=2**32 - 1, description="Same seed, same sound; -1: another one each time.")]


class VoiceId(BaseModel):
    """OpenAI's object form of a voice."""

    model_config = ConfigDict(extra="allow")
    id: Name


class Lenient(BaseModel):
    """Fields as clients send them: null for what they leave unset, numbers and switches as text, names in capitals."""

    @model_validator(mode="before")
    @classmethod
    def _as_meant(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        make_encodable(given)
        return as_meant(given, cls)


class SpeechBody(Lenient):
    """POST /v1/audio/speech: OpenAI's fields, then those of this server."""

    model_config = ConfigDict(extra="allow", strict=True)

    input: Text
    voice: Name | VoiceId | None = Field(None, description="NAME, NAME@VERSION or NAME@ALIAS.")
    model: str | None = Field(None, max_length=200, description="Any; the voice decides which base speaks.")
    instructions: str | None = Field(None, description="Has no effect.")
    response_format: SpeechFormat = "mp3"
    speed: Speed = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    stream: bool = Field(
        True, description="false: speak all of it, check every sentence, speak failed ones again, then answer."
    )
    language: Language | None = Field("auto", description="null: auto.")
    timestamps: Timestamps | None = Field(
        None, description="When each word is heard: events of a stream, else one JSON object with the sound in base64."
    )
    sample_rate: Rate | None = Field(None, description="Hz; pcm defaults to 24000, like OpenAI's.")
    seed: Seed | None = None
    temperature: Temperature | None = None
    top_k: TopK | None = None
    top_p: TopP | None = None
    repetition_penalty: Penalty | None = None


class StreamOptions(Lenient):
    """How text that arrives over /v1/audio/speech/stream is spoken: parameters of its address, or `session.update`."""

    model_config = ConfigDict(extra="allow", strict=True)

    voice: Name | None = None
    response_format: Literal["pcm", "mp3", "opus", "aac"] = "pcm"
    sample_rate: Rate | None = None
    speed: Speed = 1.0
    language: Language | None = "auto"
    seed: Seed | None = None
    temperature: Temperature | None = None
    top_k: TopK | None = None
    top_p: TopP | None = None
    repetition_penalty: Penalty | None = None
    binary: bool = Field(False, description="Sound in binary frames instead of base64 in events.")
    timestamps: bool = Field(True, description="Send when each word is heard, after each sentence.")


_NAMED = "A voice's name, or a file of the operator's folder `references`; other paths are refused."


class _TtsFields(Lenient):
    """Fields of GPT-SoVITS's api_v2 and the short form {text, spk}."""

    text: Text
    spk: Name | None = Field(None, description="The voice: NAME, NAME@VERSION or NAME@ALIAS.")
    voice: Name | None = Field(None, description="The same as spk.")
    text_lang: Language | None = Field("auto", description="null: auto.")
    media_type: MediaType = "wav"
    streaming_mode: bool | Annotated[int, Field(ge=0, le=3)] = Field(
        False, description="false, 0: checked whole answer; true, 1 to 3: from the first sound on."
    )
    speed_factor: Speed = 1.0
    fragment_interval: Annotated[float, Field(ge=0.0, le=5.0, allow_inf_nan=False)] = Field(
        0.3, description="Silence between sentences, s."
    )
    seed: Seed = -1
    temperature: Temperature | None = None
    top_k: TopK | None = None
    top_p: TopP | None = None
    repetition_penalty: Penalty | None = None
    sample_rate: Rate | None = None
    ref_audio_path: str | None = Field(None, description=_NAMED)
    audio_file: str | None = Field(None, description=_NAMED)
    prompt_text: str | None = Field(None, description="What is said in a file of the folder `references`.")
    prompt_lang: str | None = Field(None, max_length=40, description="Its language.")
    aux_ref_audio_paths: list[str] | None = Field(None, description="File paths; refused unless empty.")


class TtsBody(_TtsFields):
    """POST /tts. Fields of api_v2 that are not here (batch_size, ...) are taken and have no effect."""

    model_config = ConfigDict(extra="allow", strict=True)


class TtsQuery(_TtsFields):
    """GET /tts. A field that is there without a value is unset."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value not in ("", [""]) or name == "text"}


def ignored_fields(body: BaseModel, *also: str) -> list[str]:
    """Names of given fields that have no effect, fit for a header. also: known fields without effect, when given."""
    extra: dict[str, Any] = body.model_extra or {}
    given = [name for name in also if getattr(body, name, None) not in (None, "")]
    clean = [name for name in extra if name.isascii() and name.isprintable() and "," not in name and len(name) <= 40]
    return sorted({*given, *clean})[:30]


class OpenAIErrorDetail(BaseModel):
    """What went wrong, in OpenAI's words."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    """Errors of routes below /v1."""

    error: OpenAIErrorDetail


class NativeError(BaseModel):
    """Errors of every other route. remedy: what to do next."""

    code: str
    message: str
    remedy: str
    request_id: str


class VersionInfo(BaseModel):
    """One version of a voice. Fields are null until the registry's record was read."""

    id: str
    created: str | None = None
    commit: str | None = None
    passed: bool | None = None
    base: str | None = None


class VoiceInfo(BaseModel):
    """A voice. version: what speaks now, null when nothing does; state: ready, retired, revoked, failed, unreleased.
    kind: zero_shot for one that was made of one recording, for the key that asks; expires_at: when that is removed.
    """

    id: str
    object: Literal["voice"] = "voice"
    name: str
    kind: Literal["registry", "zero_shot"] = "registry"
    state: str
    version: str | None
    aliases: dict[str, str]
    languages: list[str]
    base: str | None
    rights: str | None
    versions: list[VersionInfo]
    problem: str | None = Field(None, description="Why the version that the registry wants does not speak.")
    created_at: Annotated[int | None, Field(description="Of zero_shot: seconds since 1970.")] = None
    expires_at: Annotated[int | None, Field(description="Of zero_shot: seconds since 1970.")] = None
    consent: Annotated[dict[str, str | float] | None, Field(description="Of zero_shot: what was heard of it.")] = None


class VoiceGone(BaseModel):
    """DELETE of a voice that was made of one recording."""

    id: str
    object: Literal["voice"] = "voice"
    deleted: bool = True


class VoiceList(BaseModel):
    """GET /v1/audio/voices. voices: names of those that speak, for clients that want plain names."""

    object: Literal["list"] = "list"
    data: list[VoiceInfo]
    voices: list[str]


class ModelInfo(BaseModel):
    """A base, or the name that stands for all of them."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "timbre"


class ModelList(BaseModel):
    """GET /v1/models."""

    object: Literal["list"] = "list"
    data: list[ModelInfo]


class Health(BaseModel):
    """GET /livez, /readyz and /health. registry: "away" while it does not answer, "stale" when a
    look at it does not end. device: cpu or
    cuda:N. problems: what the operator should
    look at. max_characters: of one request.
    """

    status: str
    version: str
    commit: str
    voices: dict[str, int]
    bases: list[str]
    registry: str
    device: str
    problems: list[str]
    max_characters: int
