"""Fourier transforms of real frames in float32, by scipy's compiled part alone where it can be had.

Importing scipy.fft brings special functions and array protocols along, which takes a twentieth of a server's start and
which no transform here asks for. All that rfft and irfft do with a contiguous float32 array is one call of the compiled
part. It is no public name: where it is not found, or does not give what is expected of it, scipy.fft computes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Complexes = NDArray[np.complex64]
_FILE = Path("fft", "_pocketfft", "pypocketfft")
_UNSCALED, _BY_SIZE = 0, 2
"""How the compiled part scales what it gives."""


class Transforms(ABC):
    """Of the last axis of float32 frames."""

    @abstractmethod
    def forward(self, frames: Floats) -> Complexes:
        """[T, N] -> [T, N // 2 + 1], as numpy.fft.rfft, in complex64."""

    @abstractmethod
    def back(self, spectra: Complexes, size: int) -> Floats:
        """[T, size // 2 + 1] -> [T, size], as numpy.fft.irfft, in float32."""


class CompiledTransforms(Transforms):
    """By scipy's compiled part."""

    def __init__(self, part: Any) -> None:
        self._part = part

    def forward(self, frames: Floats) -> Complexes:
        found: Complexes = self._part.r2c(frames, (1,), True, _UNSCALED, None, 1)
        return found

    def back(self, spectra: Complexes, size: int) -> Floats:
        found: Floats = self._part.c2r(spectra, (1,), size, False, _BY_SIZE, None, 1)
        return found


class PublicTransforms(Transforms):
    """By scipy.fft."""

    def __init__(self) -> None:
        import scipy.fft

        self._fft: Any = scipy.fft

    def forward(self, frames: Floats) -> Complexes:
        return np.asarray(self._fft.rfft(frames, axis=1), np.complex64)

    def back(self, spectra: Complexes, size: int) -> Floats:
        return np.asarray(self._fft.irfft(spectra, size, axis=1), np.float32)


@cache
def load_transforms() -> Transforms:
    """The quickest to load that computes as it should."""
    compiled = compiled_transforms(_scipy_folder())
    return compiled if compiled is not None else PublicTransforms()


def compiled_transforms(scipy_folder: Path | None) -> CompiledTransforms | None:
    """scipy's compiled part in that folder of its package; None where it is missing or another one."""
    files = [scipy_folder / f"{_FILE}{suffix}" for suffix in EXTENSION_SUFFIXES] if scipy_folder else []
    file = next((file for file in files if file.is_file()), None)
    spec = spec_from_file_location(_FILE.name, file) if file else None
    if spec is None or spec.loader is None:
        return None
    try:
        part = module_from_spec(spec)
        spec.loader.exec_module(part)
        transforms = CompiledTransforms(part)
        return transforms if _computes(transforms) else None
    except (ImportError, AttributeError, TypeError, ValueError):
        return None


def _scipy_folder() -> Path | None:
    spec = find_spec("scipy")
    return Path(spec.origin).parent if spec and spec.origin else None


def _computes(transforms: Transforms) -> bool:
    """Whether it gives, of two frames, what is known of them, in the types that are expected."""
    frames = np.array([[1, 2, 0, -1, 3, 0], [0, 1, 0, 0, 0, 0]], np.float32)
    spectra = transforms.forward(frames)
    back = transforms.back(spectra, frames.shape[1])
    return (
        spectra.dtype == np.complex64
        and back.dtype == np.float32
        and np.allclose(spectra, np.fft.rfft(frames), atol=1e-5)
        and np.allclose(back, frames, atol=1e-5)
    )
