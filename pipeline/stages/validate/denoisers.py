"""Which denoiser a recipe and a machine give, and what of it belongs into the key of stage 1.

recipe's `denoise`, installed packages, pulled weights -> Choice -> identity, Denoiser
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from timbre.audio.denoise import Denoiser, RnNoise
from timbre.core.digests import digest_file
from timbre.core.errors import ConfigurationError
from timbre.core.host import installed_version
from timbre.pipeline.stages.validate.deepfilter import DeepFilter, deepfilter_weights
from timbre.pipeline.stages.validate.deepfilter_library import (
    NAME,
    PACKAGE,
    DeepFilterLibrary,
    library_identity,
    library_there,
)

OFF, RNNOISE, DEEPFILTERNET, TORCH = "off", "rnnoise", "deepfilternet", "deepfilternet-torch"


@dataclass(frozen=True)
class Choice:
    """A denoiser that this machine has."""

    title: str
    """Name for people."""
    identity: str
    """Everything that changes its output."""
    make: Callable[[], Denoiser]
    """Loads the denoiser."""


def choose_denoiser(mode: str, bases: Path, weights_root: Path) -> Choice:
    """What `denoise: mode` means here. auto and deepfilternet: the library; auto falls back to RNNoise.

    deepfilternet-torch: the network of the package `deepfilternet` with pulled weights, which needs Python 3.11. Loads
    nothing. Raises ConfigurationError when the recipe asks for one that is not there.
    """
    if mode == OFF:
        return Choice("none", OFF, RnNoise)
    if mode == TORCH:
        return _torch(bases, weights_root)
    if mode != RNNOISE and library_there():
        return Choice(NAME, library_identity(), DeepFilterLibrary)
    if mode == DEEPFILTERNET:
        raise ConfigurationError(
            f"recipe: validate.denoise is {DEEPFILTERNET}, but {PACKAGE} is not installed", f"pip install {PACKAGE}"
        )
    return Choice("RNNoise", f"{RNNOISE} {installed_version('pyrnnoise')}", RnNoise)


def _torch(bases: Path, weights_root: Path) -> Choice:
    weights = deepfilter_weights(bases, weights_root)
    if weights is None:
        raise ConfigurationError(
            f"recipe: validate.denoise is {TORCH}, but its weights are not there",
            "run: timbre base pull deepfilternet",
        )
    files = [weights] if weights.is_file() else sorted(path for path in weights.rglob("*") if path.is_file())
    digests = " ".join(digest_file(path) for path in files)
    identity = f"{TORCH} {installed_version('deepfilternet')} {digests}"
    return Choice(f"{NAME} (torch)", identity, lambda: DeepFilter(weights))
