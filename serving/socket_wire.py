"""The WebSocket protocol of one connection, on uvicorn's. Needs the package websockets (the extra `stream`)."""

from __future__ import annotations

from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class SocketWire(WebSocketsSansIOProtocol):
    """One WebSocket. The application finds it in the scope's state as `wire`. Its messages are bounded by ws_max_size,
    and never compressed: a small frame must not become a large text.
    """

    def __init__(self, config: uvicorn.Config, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, {**app_state, "wire": self}, _loop)

    def abort(self) -> None:
        """Closes without sending what is left."""
        self.transport.abort()
