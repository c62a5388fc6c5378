"""Disables telemetry of libraries before they are imported.

ONNX Runtime's official builds (1.31, Linux) make a device id under the user's cache folder and send events about every
session to their maker unless ORT_DISABLE_TELEMETRY is set when the library initialises; its own function for that comes
too late for the first event (Privacy.md of the package). Only where it sees variables of a CI (CI, GITLAB_CI,
JENKINS_URL and more) does it keep quiet by itself. What people record and what servers speak is nobody else's business,
and a server without a route to the Internet should not try.
"""

from __future__ import annotations

import os

_SWITCHES = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def switch_off_telemetry() -> None:
    """Sets the libraries' own switches in this process and its children, unless the operator set them. Call it before
    the import.
    """
    for name, value in _SWITCHES.items():
        os.environ.setdefault(name, value)
