"""Which extra of this package brings a library that is missing, and the line that installs it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires

from timbre.core.errors import ConfigurationError

PACKAGE = "timbre"
# Import names that differ from the name of the package in more than case and dashes.
_DISTRIBUTIONS = {
    "df": "deepfilternet",
    "google": "tensorboard",
    "jwt": "pyjwt",
    "parselmouth": "praat-parselmouth",
    "starlette": "fastapi",
    "opencc": "opencc-python-reimplemented",
    "yaml": "pyyaml",
}
# docker/install.sh leaves them out of the images of servers.
_NOT_FOR_SERVERS = ("gptsovits", "nano", "studio", "training")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([A-Za-z0-9._-]+)['"]""")


def missing_library(error: ModuleNotFoundError, requirements: Iterable[str] | None = None) -> ConfigurationError | None:
    """What to say about a library that is not installed; None for a module that no part of this package asks for.

    requirements: of this package, as its metadata has them; None to read them.
    """
    room = (error.name or "").split(".")[:2]
    if room[0] == PACKAGE and room[-1] in _NOT_FOR_SERVERS:
        return ConfigurationError(
            f"{'.'.join(room)}: this image only speaks, and leaves out what makes voices", "use the image `train`"
        )
    module = room[0]
    wanted = _plain(_DISTRIBUTIONS.get(module, module))
    for line in _own_requirements() if requirements is None else requirements:
        name, extra = _REQUIREMENT.match(line), _EXTRA.search(line)
        if module and name is not None and _plain(name[1]) == wanted:
            what = f"{PACKAGE}[{extra[1]}]" if extra else PACKAGE
            remedy = f"run: pip install '{what}' (in a checkout: pip install '{what.replace(PACKAGE, '.', 1)}')"
            return ConfigurationError(f"{module}: this library is not installed", remedy)
    return None


def _own_requirements() -> list[str]:
    try:
        return requires(PACKAGE) or []
    except PackageNotFoundError:
        return []


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
