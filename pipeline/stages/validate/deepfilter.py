"""DeepFilterNet (Schröter et al. 2022) as a denoiser: better than RNNoise on voices, where its weights were pulled.

DeepFilterNet3.zip -> a private folder -> network -> Waveform in, Waveform out
"""

from __future__ import annotations

import configparser
import importlib
import os
import pickle
import sys
import tempfile
import types
import zipfile
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np

from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.errors import ConfigurationError
from timbre.core.packaged import PACKAGED_BASES
from timbre.core.weights import read_tool

TOOL = "deepfilternet"
ROLE = "denoiser"
_MAX_UNPACKED_BYTES = 256 << 20
_UNUSABLE = (configparser.Error, ImportError, AttributeError, KeyError, RuntimeError, TypeError, ValueError)
_PULL = f"run: timbre base pull {TOOL}"


def deepfilter_weights(bases_dir: Path, weights_root: Path) -> Path | None:
    """The pulled archive (or an unpacked folder beside where it would lie), or None when it is not there."""
    folder = bases_dir / TOOL if (bases_dir / TOOL).is_dir() else PACKAGED_BASES / TOOL
    if not folder.is_dir():
        return None
    tool = read_tool(folder, weights_root)
    try:
        return tool.file_path(ROLE)
    except ConfigurationError:
        unpacked = tool.weights_dir()
        return unpacked if (unpacked / "config.ini").is_file() else None


class DeepFilter:
    """The network, loaded once. It works at its own rate (48 kHz) on the processor; other rates go there and back."""

    name = TOOL

    def __init__(self, weights: Path) -> None:
        """weights: the official archive, or a folder with config.ini and checkpoints/.

        Raises ConfigurationError when the package is absent or the weights do not fill the network.
        """
        enhance = _enhance_module()
        with tempfile.TemporaryDirectory(prefix="timbre-deepfilter-") as place:
            folder = weights if weights.is_dir() else _unpack(weights, Path(place))
            _refuse_partial(folder, weights)
            stored = _stored(folder, weights)
            try:
                self._network, self._state, _ = enhance.init_df(str(folder), log_level="ERROR", log_file=None)
            # SystemExit: the library ends the process when it does not like the names of the checkpoints.
            except (*_UNUSABLE, SystemExit) as error:
                message = f"{weights}: config.ini and checkpoints do not make a network ({error!r})"
                raise ConfigurationError(message, _PULL) from error
            _refuse_unfilled(self._network, stored, weights)
        self._rate_hz = int(self._state.sr())
        self._enhance = enhance.enhance

    def denoise(self, wave: Waveform) -> Waveform:
        """The cleaned sound: same rate, same length, in time with the input."""
        import torch

        source = resample(wave, self._rate_hz).samples
        # Beyond full scale the network has seen nothing.
        scale = max(1.0, float(np.max(np.abs(source), initial=0.0)))
        clean = self._enhance(self._network, self._state, torch.from_numpy(source[None] / np.float32(scale)))
        samples = resample(Waveform(np.asarray(clean[0]) * np.float32(scale), self._rate_hz), wave.rate_hz).samples
        count = len(wave.samples)
        fitted = samples[:count] if len(samples) >= count else np.pad(samples, (0, count - len(samples)))
        return Waveform(fitted.astype(np.float32), wave.rate_hz)


def _enhance_module() -> Any:
    # The package imports a class for an annotation only, from a place that torchaudio gave up in 2.1.
    name = "torchaudio.backend.common"
    if name not in sys.modules:
        fields = "sample_rate num_frames num_channels bits_per_sample encoding"
        module = types.ModuleType(name)
        vars(module)["AudioMetaData"] = namedtuple("AudioMetaData", fields)
        parent = types.ModuleType("torchaudio.backend")
        parent.common = module  # type: ignore[attr-defined]
        sys.modules.setdefault("torchaudio.backend", parent)
        sys.modules[name] = module
    try:
        # `df.enhance` as an attribute is a function of that name.
        found = importlib.import_module("df.enhance")
        # Its settings would let every variable of the environment that is called like one of them (SR, MODEL, DEVICE)
        # override config.ini; a voice must not sound different for that.
        settings: Any = importlib.import_module("df.config")
        settings.os = types.SimpleNamespace(environ={"DEVICE": "cpu"}, path=os.path)
        return found
    except ImportError as error:
        message = f"deepfilternet: package cannot be imported ({error})"
        raise ConfigurationError(message, "pip install deepfilternet, or set denoise: rnnoise in the recipe") from error


def _unpack(archive: Path, place: Path) -> Path:
    """config.ini and the checkpoints of the archive, by name, whatever folder they are in; nothing else is written."""
    try:
        with zipfile.ZipFile(archive) as packed:
            wanted = [item for item in packed.infolist() if _target(item.filename) is not None]
            if sum(item.file_size for item in wanted) > _MAX_UNPACKED_BYTES:
                raise ConfigurationError(f"{archive}: unpacks to more than {_MAX_UNPACKED_BYTES} bytes", _PULL)
            for item in wanted:
                target = place / str(_target(item.filename))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(packed.read(item))
    except (zipfile.BadZipFile, OSError) as error:
        raise ConfigurationError(f"{archive}: not a readable archive ({error})", _PULL) from error
    return place


def _target(member: str) -> str | None:
    name = member.replace("\\", "/").rsplit("/", 1)[-1]
    if name == "config.ini":
        return name
    return f"checkpoints/{name}" if name.startswith("model") and ".ckpt" in name else None


def _refuse_partial(folder: Path, shown: Path) -> None:
    # The library ends the process when it finds no checkpoint.
    if not (folder / "config.ini").is_file() or not list((folder / "checkpoints").glob("model*.ckpt*")):
        raise ConfigurationError(f"{shown}: config.ini or checkpoints/model*.ckpt is missing", _PULL)


def _stored(folder: Path, shown: Path) -> list[dict[str, Any]]:
    """The tensors of every checkpoint by name, read without running any code that a file may hold."""
    import torch

    found = []
    for path in sorted((folder / "checkpoints").glob("model*.ckpt*")):
        try:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
            found.append({key.replace("clc", "df"): value for key, value in tensors.items()})
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, AttributeError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ConfigurationError(f"{shown}: {path.name}: not a checkpoint of tensors ({reason})", _PULL) from error
    return found


def _refuse_unfilled(network: Any, stored: list[dict[str, Any]], shown: Path) -> None:
    """The library loads what fits and only logs the rest; a network that is partly random must not touch a voice."""
    import torch

    wanted = {
        key: value
        for key, value in network.state_dict().items()
        # The other buffers follow from config.ini.
        if key in dict(network.named_parameters()) or key.endswith(("running_mean", "running_var"))
    }
    missing = min(
        (
            [key for key, value in wanted.items() if key not in tensors or not torch.equal(tensors[key], value.cpu())]
            for tensors in stored
        ),
        key=len,
    )
    if missing:
        message = f"{shown}: {len(missing)} of {len(wanted)} weights are missing or of another size, first {missing[0]}"
        raise ConfigurationError(message, _PULL)
