"""Speech with the times of its words as one JSON object: `?timestamps=` of /v1/audio/speech, and the shape of
Kokoro-FastAPI's captioned speech.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Literal

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from timbre.inference.captions import FORMATS, plain
from timbre.inference.timing import SentenceTime
from timbre.serving.answer import StalledError
from timbre.serving.delivery import take_or_leave
from timbre.serving.errors import ApiError
from timbre.serving.order import Begun, Delivery, Done, Piece, Timed

Shape = Literal["json", "srt", "vtt", "words"]
"""What the times come as: sentences with words and phones, text of a subtitle file, or Kokoro-FastAPI's flat list."""


class CaptionedResponse(JSONResponse):
    """A delivery's whole sound, base64, and its times. begun: the delivery's first event."""

    def __init__(self, delivery: Delivery, begun: Begun, shape: Shape, headers: Mapping[str, str]) -> None:
        super().__init__(None, headers={"cache-control": "no-store", **headers})
        self._delivery = delivery
        self._begun = begun
        self._shape = shape

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            whole = await self._whole(receive)
            if whole is None:
                return
            headers = {name: value for name, value in self.headers.items() if name != "content-length"}
            await JSONResponse(whole, headers=headers)(scope, receive, send)
        except StalledError:
            raise
        except OSError:
            self._delivery.cancel.cancel("the client went away")

    async def _whole(self, receive: Receive) -> dict[str, Any] | None:
        """None when the client went away."""
        sound, times = bytearray(), list[SentenceTime]()
        event = await take_or_leave(self._delivery, receive)
        while not isinstance(event, Done):
            if event is None:
                return None
            if isinstance(event, ApiError):
                raise event
            if isinstance(event, Piece):
                sound += event.data
            elif isinstance(event, Timed):
                times.append(event.sentence)
            event = await take_or_leave(self._delivery, receive)
        return {
            "audio": base64.b64encode(sound).decode(),
            "audio_format": self._delivery.order.format,
            "sample_rate": self._begun.rate_hz,
            "voice": ", ".join(self._begun.voices),
            "seconds": round(event.seconds, 3),
            "timestamps": _shaped(times, self._shape),
        }


def _shaped(times: list[SentenceTime], shape: Shape) -> Any:
    if shape == "json":
        return [plain(time) for time in times]
    if shape == "words":
        return [
            {"word": word.text, "start_time": round(word.start_s, 3), "end_time": round(word.end_s, 3)}
            for time in times
            for word in time.words
        ]
    return FORMATS[shape](times)
