"""What sockets and processes of Linux, macOS and Windows do differently."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = termios = None  # type: ignore[assignment]
try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_DARWIN_SO_NWRITE = 0x1024
_KEPT_FILES = 64
"""Descriptors that are left to voices, graphs and logs when connections take all others."""


def held_bytes(connection: socket.socket) -> int:
    """Bytes of a connection that the system holds because the other side has not taken them; 0 where it does not say
    (Windows): a client that stalls is then noticed when the buffers of the system are full.
    """
    with contextlib.suppress(OSError):
        if sys.platform == "darwin":
            return connection.getsockopt(socket.SOL_SOCKET, _DARWIN_SO_NWRITE)
        if fcntl is not None and termios is not None:
            return int(struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0])
    return 0


def connection_limit(wanted: int) -> int:
    """The wanted number, or what the process's limit of open files leaves."""
    if resource is None:  # sockets of Windows are no files
        return wanted
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(8, min(wanted, files - max(_KEPT_FILES, files // 4)))


def claim_address(listening: socket.socket) -> None:
    """Take an address at once after a restart, but from no other program. Before bind."""
    exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
    # Under Windows SO_REUSEADDR would let two programs listen on one port.
    option = socket.SO_REUSEADDR if exclusive is None else exclusive
    listening.setsockopt(socket.SOL_SOCKET, option, 1)
