"""Which extra of this package brings a library that is missing, and the line that installs it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, requires

from timbre.core.errors import ConfigurationError

PACKAGE = "timbre"
# Import names that differ from the name of the package in more than case and dashes, and libraries that another brings.
_DISTRIBUTIONS = {
    "_webrtcvad": "webrtcvad",
    "botocore": "boto3",
    "df": "deepfilternet",
    "google": "tensorboard",
    "h11": "uvicorn",
    "httpx2": "huggingface_hub",
    "jwt": "pyjwt",
    "markupsafe": "jinja2",
    "mecab": "python-mecab-ko",
    "opencc": "opencc-python-reimplemented",
    "parselmouth": "praat-parselmouth",
    "pydantic": "fastapi",
    "pydantic_core": "fastapi",
    "pyopenjtalk": "pyopenjtalk-plus",
    "starlette": "fastapi",
    "tokenizers": "transformers",
    "urllib3": "boto3",
    "yaml": "pyyaml",
}
# docker/install.sh leaves them out of the images of servers.
NOT_FOR_SERVERS = (
    "cli.commands.export_upstream", "cli.commands.parity", "cli.commands.pretrain", "cli.commands.studio",
    "cli.sample_run", "cli.studio_sites", "gptsovits", "nano", "pipeline.calibration",
    "pipeline.stages.validate", "studio", "training",
)  # fmt: skip
"""Modules, and packages with all of theirs, that docker/install.sh leaves out of the images of servers."""
# What machines need that neither train nor speak: named before the large extras that bring the same library.
_SMALL = ("s3", "hub", "keys")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([A-Za-z0-9._-]+)['"]""")


def missing_library(error: ModuleNotFoundError, requirements: Iterable[str] | None = None) -> ConfigurationError | None:
    """What to say about a library that is not installed; None for a module that no part of this package asks for.

    Of several extras that bring it, one for the registry alone is named before a large one. requirements: of this
    package, as its metadata has them; None to read them.
    """
    missing = error.name or ""
    for left_out in (f"{PACKAGE}.{name}" for name in NOT_FOR_SERVERS):
        if f"{missing}.".startswith(f"{left_out}."):
            return ConfigurationError(
                f"{left_out}: this image only speaks, and leaves out what makes voices", "use the image `train`"
            )
    module = missing.split(".")[0]
    wanted = normalised(_DISTRIBUTIONS.get(module, module))
    listed = [_name_and_extra(line) for line in (_own_requirements() if requirements is None else requirements)]
    bringing = [extra for name, extra in listed if name == wanted]
    if not module or not bringing:
        return None
    extra = min(bringing, key=lambda extra: extra not in _SMALL)
    what = f"{PACKAGE}[{extra}]" if extra else PACKAGE
    remedy = f"run: pip install '{what}' (in a checkout: pip install '{what.replace(PACKAGE, '.', 1)}')"
    return ConfigurationError(f"{module.lstrip('_')} is not installed", remedy)


@contextmanager
def needed_by(what: str) -> Iterator[None]:
    """Around imports of optional libraries: one that is missing becomes a ConfigurationError that names what needs it
    (a variable, an address) and the line that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        found = missing_library(error)
        if found is None:
            raise
        raise ConfigurationError(f"{what}: {found.message}", found.remedy) from error


def _name_and_extra(line: str) -> tuple[str, str]:
    """(name in plain form, extra or "") of a requirement."""
    name, extra = _REQUIREMENT.match(line), _EXTRA.search(line)
    return normalised(name[1]) if name else "", extra[1] if extra else ""


def _own_requirements() -> list[str]:
    try:
        return requires(PACKAGE) or []
    except PackageNotFoundError:
        return []


def normalised(name: str) -> str:
    """The form of a distribution's name that all spellings share."""
    return re.sub(r"[-_.]+", "-", name).lower()
