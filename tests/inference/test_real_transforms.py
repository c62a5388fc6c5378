"""Transforms by scipy's compiled part: bit by bit those of scipy.fft, without importing it, and never a wrong one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
import pytest
import scipy
import scipy.fft

from timbre.inference.real_transforms import (
    CompiledTransforms,
    PublicTransforms,
    Transforms,
    compiled_transforms,
    load_transforms,
)

HERE = Path(scipy.__file__).parent
PART = Path("fft", "_pocketfft", f"pypocketfft{EXTENSION_SUFFIXES[0]}")


@pytest.mark.parametrize("size", [30, 240, 1920])
@pytest.mark.parametrize("transforms", [load_transforms(), PublicTransforms()])
def test_transforms_are_those_of_scipy_bit_by_bit(transforms: Transforms, size: int) -> None:
    frames = np.random.default_rng(0).standard_normal((7, size)).astype(np.float32)
    spectra = transforms.forward(frames)
    expected = scipy.fft.rfft(frames, axis=1)
    assert spectra.dtype == np.complex64
    assert np.array_equal(spectra, expected)
    back = transforms.back(spectra, size)
    assert back.dtype == np.float32
    assert np.array_equal(back, scipy.fft.irfft(expected, size, axis=1))


def test_the_compiled_part_is_what_loads_and_scipy_fft_stays_away() -> None:
    code = (
        "import sys; from timbre.inference.real_transforms import load_transforms; "
        "print(type(load_transforms()).__name__, 'scipy.fft' in sys.modules, 'scipy.special' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == [CompiledTransforms.__name__, "False", "False"]


def test_a_scipy_without_that_part_is_asked_by_its_public_name(tmp_path: Path) -> None:
    assert compiled_transforms(tmp_path) is None
    assert compiled_transforms(None) is None


def test_a_part_that_cannot_be_loaded_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / PART).parent.mkdir(parents=True)
    (tmp_path / PART).write_bytes(b"not a library")
    assert compiled_transforms(tmp_path) is None
    # A library, but another one.
    shutil.copy(HERE / "special" / f"_ufuncs{EXTENSION_SUFFIXES[0]}", tmp_path / PART)
    assert compiled_transforms(tmp_path) is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda frames, *_: np.fft.rfft(frames),  # float64
        lambda frames, *_: (2 * np.fft.rfft(frames)).astype(np.complex64),
        lambda frames, axes: frames,  # other arguments
    ],
)
def test_a_part_that_computes_something_else_is_not_used(
    wrong: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = compiled_transforms(HERE)
    assert genuine is not None
    (tmp_path / PART).parent.mkdir(parents=True)
    shutil.copy(HERE / PART, tmp_path / PART)
    monkeypatch.setattr(CompiledTransforms, "__init__", lambda self, part: setattr(self, "_part", Fake(part, wrong)))
    assert compiled_transforms(tmp_path) is None


class Fake:
    """The compiled part with another forward transform."""

    def __init__(self, part: object, forward: object) -> None:
        self.r2c = forward
        self.c2r = part.c2r  # type: ignore[attr-defined]


def test_both_ways_to_load_it_work_in_one_process() -> None:
    before, public, after = compiled_transforms(HERE), PublicTransforms(), compiled_transforms(HERE)
    assert before is not None
    assert after is not None
    frames = np.ones((2, 12), np.float32)
    for one in (before, public, after):
        assert np.array_equal(one.forward(frames)[:, 0], [12, 12])
