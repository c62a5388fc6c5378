"""Bodies and answers of batch jobs, as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from timbre.serving.batches import Status
from timbre.serving.schemas import Lenient, OpenAIErrorDetail, SpeechBody


class BatchItem(SpeechBody):
    """A text of a batch: a body of /v1/audio/speech. stream, stream_format and timestamps have no effect."""

    custom_id: str | None = Field(None, max_length=200, description="Comes back with the item.")


class BatchBody(Lenient):
    """POST /v1/audio/batches."""

    model_config = ConfigDict(extra="allow", strict=True)

    items: list[BatchItem] = Field(min_length=1, max_length=1000)


class BatchCounts(BaseModel):
    """Items of a batch. done: spoken; failed: could not be."""

    total: int
    done: int
    failed: int


class BatchItemInfo(BaseModel):
    """An item. index: from 1. status: waiting, done or failed. url: of its sound."""

    index: int
    custom_id: str | None
    status: Literal["waiting", "done", "failed"]
    url: str | None = None
    seconds: float | None = None
    voice: str | None = None
    failed_sentences: int | None = None
    error: OpenAIErrorDetail | None = None


class BatchInfo(BaseModel):
    """A batch. created_at, expires_at: seconds since 1970; it is removed then. items: null in lists."""

    id: str
    object: Literal["audio.batch"] = "audio.batch"
    status: Status
    created_at: int
    expires_at: int
    counts: BatchCounts
    items: list[BatchItemInfo] | None = None


class BatchList(BaseModel):
    """GET /v1/audio/batches: those of the key that asks, oldest first."""

    object: Literal["list"] = "list"
    data: list[BatchInfo]


class BatchGone(BaseModel):
    """DELETE of a batch."""

    id: str
    object: Literal["audio.batch"] = "audio.batch"
    deleted: bool = True
