"""PESQ, STOI and DNSMOS: thin, strict fronts of the packages that implement them.

The packages answer some bad inputs with a plausible number (pystoi gives 1e-5 for a clip that is too short, DNSMOS
repeats short clips); here such input raises UnmeasurableError, so that no gate mistakes it for a measurement.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
from numpy.typing import NDArray

from timbre.audio.mos import Dnsmos, Mos, dnsmos_weights
from timbre.audio.waveform import Waveform
from timbre.core.digests import digest_file
from timbre.evaluation.metrics.errors import UnmeasurableError

Samples = NDArray[np.float32]
RATE_HZ = 16_000
_MIN_PESQ_S = 0.25
_MIN_STOI_S = 0.5


def pesq(reference: Samples, degraded: Samples, *, band: str) -> float:
    """MOS-LQO of degraded against reference, both [T] at 16 kHz; band is "nb" (P.862.1) or "wb" (P.862.2).

    Raises UnmeasurableError when PESQ finds no utterance (silence) or the pair is too short, ValueError on another
    band.
    """
    if band not in ("nb", "wb"):
        raise ValueError(f"band must be 'nb' or 'wb', not {band!r}")
    _check_pair(reference, degraded, _MIN_PESQ_S)
    from pesq import PesqError
    from pesq import pesq as run_pesq

    try:
        return float(run_pesq(RATE_HZ, reference, degraded, band))
    except PesqError as error:
        raise UnmeasurableError(f"PESQ: {_decode(error)}") from error


def stoi(reference: Samples, degraded: Samples, *, extended: bool = False) -> float:
    """Short-time objective intelligibility of degraded against reference, both [T] at 16 kHz and sample-aligned.

    Raises UnmeasurableError when too few active frames remain for a value.
    """
    _check_pair(reference, degraded, _MIN_STOI_S)
    from pystoi import stoi as run_stoi

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(run_stoi(reference, degraded, RATE_HZ, extended=extended))
        except RuntimeWarning as error:
            raise UnmeasurableError(f"STOI: {error}") from error


def dnsmos(samples: Samples) -> Mos:
    """Predicted opinion scores of [T] at 16 kHz. Raises UnmeasurableError below one second or for silence.

    Clips under nine seconds are repeated to that length, as the reference code does, which makes values of very short
    clips unreliable; hence the limit of one second.
    """
    _check_sound(samples, "audio", 1.0)
    return _dnsmos_model().score(Waveform(samples, RATE_HZ))


def dnsmos_digest() -> str:
    """SHA-256 of the P.835 model file, to be written beside its values."""
    return digest_file(dnsmos_weights())


@cache
def _dnsmos_model() -> Dnsmos:
    return Dnsmos()


def _check_pair(reference: Samples, degraded: Samples, min_s: float) -> None:
    _check_sound(reference, "reference", min_s)
    _check_sound(degraded, "degraded", min_s)
    if len(reference) != len(degraded):
        raise UnmeasurableError(f"the pair has {len(reference)} and {len(degraded)} samples: align it first")


def _check_sound(samples: Samples, name: str, min_s: float) -> None:
    if samples.ndim != 1:
        raise UnmeasurableError(f"{name}: expected mono [T], got shape {samples.shape}")
    if len(samples) < min_s * RATE_HZ:
        raise UnmeasurableError(f"{name}: {len(samples) / RATE_HZ:.2f} s is below the {min_s:g} s this metric needs")
    if not np.isfinite(samples).all():
        raise UnmeasurableError(f"{name}: holds values that are not finite")
    if float(np.max(np.abs(samples))) < 1e-5:
        raise UnmeasurableError(f"{name}: is silent (peak below -100 dBFS)")


def _decode(error: Exception) -> str:
    first = error.args[0] if error.args else error
    return first.decode() if isinstance(first, bytes) else str(first)
