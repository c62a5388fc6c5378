"""Memory of this process: its peak over a stretch of time, and giving back what is free."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def restart_peak() -> bool:
    """Set the kernel's high-water mark to the present size. False where it cannot be done: the peak then spans all."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def peak_mib() -> float:
    """Largest resident size since `restart_peak`, in MiB; 0 where the system does not say (Windows)."""
    try:
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    if resource is None:
        return 0.0
    scale = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def give_back() -> None:
    """Return freed memory to the system: glibc keeps what many small buffers held. Elsewhere only garbage goes."""
    gc.collect()
    if sys.platform != "linux":
        return
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:  # another C library
        return
