"""What large buffers held goes back to the system, whatever lies between them."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import ctypes, sys, threading
from timbre.core.memory import map_large_buffers
if sys.argv[1] == "mapped":
    map_large_buffers()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
MIB = 1 << 20

def resident():
    return int(open("/proc/self/status").read().split("VmRSS:")[1].split()[0]) // 1024

def work():
    libc.free(libc.malloc(24 * MIB))  # the C library now takes so large a buffer for a usual one
    before, large, small = resident(), [], []
    for _ in range(20):
        large.append(libc.malloc(8 * MIB))
        ctypes.memset(large[-1], 1, 8 * MIB)
        small.append(libc.malloc(8192))
    for buffer in large:
        libc.free(buffer)
    print(resident() - before)

work()
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def held_mib(how: str) -> list[int]:
    """What a main and a further thread hold after 20 buffers of 8 MiB were freed, a small one kept behind each."""
    command = [sys.executable, "-c", _PROGRAM, how]
    return [int(line) for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_large_buffers_go_back_whatever_lies_between_them() -> None:
    assert max(held_mib("usual")) > 40, "otherwise there is nothing to mend"
    assert max(held_mib("mapped")) < 10
