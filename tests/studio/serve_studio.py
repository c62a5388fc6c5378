"""A studio as a process of its own, to be killed: python -m tests.studio.serve_studio ROOT

Prints its port and a code. Takes are stored as ever and not judged: what a kill may cost is what was stored.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from tests.studio.running import start
from timbre.studio.judging import Judges


def main() -> None:
    """Serves until it is killed."""

    def unjudged(*_: Any) -> None:
        return None

    Judges.judge = unjudged  # type: ignore[method-assign, assignment]
    running = start(Path(sys.argv[1]))
    print(running.port, running.codes.code, flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
