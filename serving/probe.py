"""Asks the server of this machine whether it is ready: the health check of the image, which has no curl.

python -m timbre.serving.probe [PATH]: ends with 0 when the server answers 200, else with 1. Standard library only: an
orchestrator starts it every few seconds.
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping, Sequence

_TIMEOUT_S = 4.0
_PREFIX = "TIMBRE_SERVE_"  # serving/settings.py, which imports more than a probe should
_PORT = "9880"


def probe(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Exit code and one line. arguments: at most a path, else /readyz; the port is the server's own setting."""
    path = arguments[0] if arguments else "/readyz"
    port = environment.get(f"{_PREFIX}PORT", "") or _PORT
    try:
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=_TIMEOUT_S)
        try:
            connection.request("GET", path)
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        return 1, f"127.0.0.1:{port}{path}: {error!r}"
    return int(status != 200), f"127.0.0.1:{port}{path}: {status}"


if __name__ == "__main__":
    code, line = probe(sys.argv[1:], os.environ)
    print(line)
    raise SystemExit(code)
