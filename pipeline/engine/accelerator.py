"""What this machine could train on, found without importing torch: that takes seconds, and may not be installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from timbre.core.host import installed_version

_LIMIT_S = 20
_QUERY = ("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
_CUDA = re.compile(r"^cuda(?:\s*:[^=]*)?\s*=\s*'([^']+)'", re.M)


@dataclass(frozen=True)
class Accelerator:
    """GPUs of this machine, and the torch that would use them."""

    gpus: tuple[str, ...]
    """One line each, as the driver reports them."""
    torch_version: str
    """"" when not installed."""
    torch_cuda: str
    """The CUDA version that torch was built for, "" for a build without."""
    problem: str = ""
    """Why the driver could not be asked."""

    @property
    def device(self) -> str:
        """Where stages 2 and 3 compute: cuda or cpu."""
        return "cuda" if self.gpus and self.torch_cuda else "cpu"


def find_accelerator(program: str = "nvidia-smi") -> Accelerator:
    """Asks the driver's program for GPUs and torch's installed files for their build. Raises nothing."""
    version, cuda = _torch()
    found = shutil.which(program)
    if found is None:
        return Accelerator((), version, cuda)
    try:
        done = subprocess.run([found, *_QUERY], capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Accelerator((), version, cuda, f"{program}: {error}")
    lines = tuple(line.strip() for line in done.stdout.splitlines() if line.strip())
    if done.returncode or not lines:
        said = (done.stderr or done.stdout).strip().splitlines()
        return Accelerator((), version, cuda, f"{program}: {said[0] if said else f'exit code {done.returncode}'}")
    return Accelerator(lines, version, cuda)


def _torch() -> tuple[str, str]:
    version = installed_version("torch")
    if not version:
        return "", ""
    spec = util.find_spec("torch")
    folders = list(spec.submodule_search_locations or []) if spec else []
    try:
        text = Path(folders[0], "version.py").read_text(encoding="utf-8") if folders else ""
    except OSError:
        text = ""
    found = _CUDA.search(text)
    return version, found.group(1) if found else ""
