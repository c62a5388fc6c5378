"""A voice as the engine uses it: LoRA, prompt and style, read from a package folder without pickle and without torch.

Package folder (docs/architecture.md): package.json, t2s/ and sovits/ in PEFT's layout, prompt.safetensors with
    codes int64 [Y] and phones int64 [Q]   semantic codes and phone ids (with punctuation) of the prompt slice
    condition f32 [G]                      the vector that conditions flow and generator (style and speaker together)
    speaker f32 [W]                        speaker embedding (GE2E)
    rate f32 []                            the voice's own seconds per sounding phone, measured on its recordings
    pauses f32 [3]                         its seconds at a weak mark, at a strong one, and around a sentence (optional)
    stretch f32 []                         its seconds to each second of the base's own pace (optional; tempo.py)
    gain f32 []                            factor that makes it as loud as its recordings (optional)
    bert f16 [W, Q]                        character vectors of the prompt's phones, on bases that read them (optional)
and prompt.json beside it (text, language, why the slice was chosen). lexicon.txt, where the voice has one: its own
readings, which the engine speaks with (text/lexicon.py has the format).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from timbre.core.errors import InputError
from timbre.inference.errors import VoiceError
from timbre.inference.exported_base import ExportedBase
from timbre.inference.pace import Pace
from timbre.inference.t2s_slots import NO_LORA, Lora
from timbre.text.lexicon import Lexicon
from timbre.text.lexicon import load as load_lexicon

Floats = NDArray[np.float32]
_PREFIX = "base_model.model."
PACKAGE_SCHEMA = 1
MOST_GAIN = 8.0
"""18 dB: a voice further from the level of its recordings is broken in another way."""


@dataclass(frozen=True)
class Delta:
    """LoRA of one layer of the acoustic model, added to the layer's weight."""

    down: Floats
    """[r, in] or [r, in, k]."""
    up: Floats
    """[out, r] or [out, r, 1]."""
    scale: float
    """alpha / rank, with rsLoRA over the root of the rank."""

    def added_to(self, weight: Floats, *, transposed: bool = False) -> Floats:
        """weight [out, in(, k)] plus the update, in float32; [in, out] where transposed.

        Raises ValueError when they do not fit.
        """
        rank = self.down.shape[0]
        up, down = np.float32(self.scale) * self.up.reshape(-1, rank), self.down.reshape(rank, -1)
        update = down.T @ up.T if transposed else up @ down
        outputs = weight.shape[1 if transposed else 0]
        if len(up) != outputs:
            raise ValueError(f"{len(up)} outputs, expected {outputs}")
        update = update.reshape(weight.shape)
        update += weight
        return np.asarray(update, np.float32)


@dataclass(frozen=True)
class Prompt:
    """What conditions synthesis."""

    codes: NDArray[np.int64]
    """[Y], of the prompt slice."""
    phones: NDArray[np.int64]
    """[Q], of the prompt slice."""
    language: str
    """Of the prompt's text; what "auto" of a request falls back on."""
    condition: Floats
    """[1, G, 1], conditions flow and generator."""
    speaker: Floats
    """[W], GE2E embedding of unit length; conditions nothing."""
    pace: Pace
    """Of the voice's own recordings; the guards expect each sentence to last as long."""
    bert: Floats | None = None
    """[W, Q], character vectors of the phones, None without."""
    gain: float = 1.0
    """Factor on every sample that makes the voice as loud as its recordings; found by stage 3."""


@dataclass(frozen=True)
class Voice:
    """A loaded voice."""

    name: str
    """With `version`, identifies it in caches and logs."""
    version: str
    """12 hexadecimal digits."""
    base_digest: str
    """Of the base that it adapts."""
    prompt: Prompt
    """Starts every sentence."""
    t2s: Lora
    """Adapter of the text-to-semantic network."""
    acoustic: Mapping[str, Delta]
    """Parameter name -> Delta."""
    lexicon: Lexicon = field(default_factory=dict)
    """Word -> phones, the voice's own readings."""

    @property
    def key(self) -> str:
        """name@version."""
        return f"{self.name}@{self.version}"

    @property
    def size_bytes(self) -> int:
        """Memory of its tensors; its readings are small beside them."""
        prompt = self.prompt
        arrays: list[NDArray[Any]] = [prompt.codes, prompt.phones, prompt.condition, prompt.speaker]
        arrays += [prompt.bert] if prompt.bert is not None else []
        arrays += [item for pair in self.t2s.tensors.values() for item in pair]
        arrays += [item for delta in self.acoustic.values() for item in (delta.down, delta.up)]
        return sum(item.nbytes for item in arrays)


def load_voice(folder: Path, base: ExportedBase, *, name: str, version: str = "local") -> Voice:
    """Reads a package (or the output of stage 3) for a base.

    Raises VoiceError naming the file when something is missing, damaged, of another base or of a newer schema.
    """
    package = folder / "package.json"
    digest = base.digest
    if package.is_file():
        about = _read_json(package)
        if about.get("schema_version") != PACKAGE_SCHEMA:
            raise VoiceError(
                f"{package}: schema version {about.get('schema_version')!r}; this program reads {PACKAGE_SCHEMA}",
                "upgrade timbre on this machine",
            )
        digest = str(about.get("base_digest"))
        if digest != base.digest:
            raise VoiceError(
                f"{package}: made for base {about.get('base')!r} ({digest[:12]}), not for {base.name!r} "
                f"({base.digest[:12]})",
                "load it with its own base, or run the pipeline again on this one",
            )
    prompt = _read_prompt(folder, base)
    t2s = _read_t2s(folder / "t2s", base)
    return Voice(name, version, digest, prompt, t2s, _read_acoustic(folder / "sovits"), _read_lexicon(folder))


def prompt_tensors(prompt: Prompt) -> dict[str, NDArray[Any]]:
    """What prompt.safetensors holds of a prompt."""
    pace = prompt.pace
    tensors: dict[str, NDArray[Any]] = {
        "codes": prompt.codes, "phones": prompt.phones, "condition": prompt.condition.reshape(-1),
        "speaker": prompt.speaker, "rate": np.array(pace.phone_s, np.float32),
        "pauses": np.array([pace.weak_s, pace.strong_s, pace.edges_s], np.float32),
        "stretch": np.array(pace.stretch, np.float32), "gain": np.array(prompt.gain, np.float32),
    }  # fmt: skip
    if prompt.bert is not None:
        tensors["bert"] = prompt.bert.astype(np.float16)
    return {name: np.ascontiguousarray(value) if value.ndim else value for name, value in tensors.items()}


def _read_lexicon(folder: Path) -> Lexicon:
    try:
        return load_lexicon(folder)
    except InputError as error:
        raise VoiceError(error.message, "correct the voice's lexicon.txt and publish it again") from None


def _read_prompt(folder: Path, base: ExportedBase) -> Prompt:
    path = folder / "prompt.safetensors"
    tensors = _tensors(path)
    about = _read_json(folder / "prompt.json")
    try:
        codes, phones = (tensors[name].astype(np.int64) for name in ("codes", "phones"))
        condition = tensors["condition"].astype(np.float32).reshape(1, -1, 1)
        pace = _pace(tensors)
        bert = tensors["bert"].astype(np.float32) if "bert" in tensors else None
        gain = float(tensors["gain"].reshape(())) if "gain" in tensors else 1.0
        prompt = Prompt(
            codes, phones, str(about["language"]), condition, tensors["speaker"].astype(np.float32), pace, bert, gain
        )
    except KeyError as error:
        raise VoiceError(f"{path}: {error} is missing", "run stage 3 again: timbre finetune VOICE") from None
    if condition.shape[1] != base.acoustic.condition:
        raise VoiceError(
            f"{path}: condition has {condition.shape[1]} values, base {base.name!r} takes {base.acoustic.condition}",
            "load the voice with the base it was made for",
        )
    limits = (("codes", codes, base.t2s.end_token), ("phones", phones, base.t2s.phone_rows))
    for name, values, limit in limits:
        if values.ndim != 1 or (values.size and not 0 <= values.min() <= values.max() < limit):
            raise VoiceError(f"{path}: {name}: expected ids from 0 to {limit - 1}", "run stage 3 again")
    if bert is not None and (bert.shape != (base.bert_width, len(phones)) or not np.isfinite(bert).all()):
        raise VoiceError(
            f"{path}: bert has shape {bert.shape}, base {base.name!r} takes {(base.bert_width, len(phones))}",
            "load the voice with the base it was made for",
        )
    pauses = (pace.weak_s, pace.strong_s, pace.edges_s)
    in_range = 0.01 < pace.phone_s < 1.0 and all(0 <= item < 5.0 for item in pauses) and 0.25 <= pace.stretch <= 4.0
    if not (np.isfinite(condition).all() and in_range and MOST_GAIN**-1 <= gain <= MOST_GAIN):
        raise VoiceError(
            f"{path}: condition, rate, pauses, stretch or gain are out of range (rate {pace.phone_s:g} s a phone, "
            f"pauses {pauses}, stretch {pace.stretch:g}, gain {gain:g})",
            "run stage 3 again",
        )
    return prompt


def _pace(tensors: Mapping[str, NDArray[Any]]) -> Pace:
    """Older packages say nothing of pauses: usual ones stand for them. Raises KeyError without a rate."""
    rate = float(tensors["rate"].reshape(()))
    stretch = float(tensors["stretch"].reshape(())) if "stretch" in tensors else 1.0
    if "pauses" not in tensors or tensors["pauses"].shape != (3,):
        return Pace(rate, stretch=stretch)
    weak, strong, edges = tensors["pauses"].astype(np.float64).tolist()
    return Pace(rate, weak, strong, edges, stretch)


def _read_t2s(folder: Path, base: ExportedBase) -> Lora:
    layers = _read_peft(folder)
    if not layers:
        return NO_LORA
    tensors = {}
    for name, delta in layers.items():
        shape = base.t2s.projections.get(name)
        down, up = delta.down, delta.up
        if shape is None or (down.shape[1], up.shape[0]) != shape or down.ndim != 2:
            raise VoiceError(
                f"{folder}: adapter for {name!r} of shape {down.shape} and {up.shape} does not fit base {base.name!r}",
                "load the voice with the base it was made for",
            )
        tensors[name] = (np.ascontiguousarray(down.T), np.ascontiguousarray(delta.scale * up.T, np.float32))
    return Lora(tensors)


def _read_acoustic(folder: Path) -> Mapping[str, Delta]:
    return {f"{name}.weight": delta for name, delta in _read_peft(folder).items()}


def _read_peft(folder: Path) -> dict[str, Delta]:
    """Layer name -> Delta from adapter_config.json and adapter_model.safetensors; {} when the folder does not exist.

    Honours rank_pattern, alpha_pattern and use_rslora. Raises VoiceError for other PEFT types and for tensors that
    are not LoRA.
    """
    if not folder.exists():
        return {}
    path = folder / "adapter_config.json"
    config = _read_json(path)
    if config.get("peft_type") != "LORA":
        raise VoiceError(
            f"{path}: peft_type is {config.get('peft_type')!r}, expected 'LORA'", "train it with timbre finetune"
        )
    tensors = _tensors(folder / "adapter_model.safetensors")
    found: dict[str, dict[str, Floats]] = {}
    for key, tensor in tensors.items():
        name, _, kind = key.removeprefix(_PREFIX).removesuffix(".weight").rpartition(".")
        if kind not in ("lora_A", "lora_B") or not np.isfinite(tensor).all():
            raise VoiceError(
                f"{folder}: tensor {key!r} is not a finite LoRA matrix", "train it again: timbre finetune VOICE"
            )
        found.setdefault(name, {})[kind] = tensor.astype(np.float32)
    layers = {}
    for name, pair in found.items():
        if len(pair) != 2 or pair["lora_A"].shape[0] != pair["lora_B"].shape[1]:
            raise VoiceError(f"{folder}: the LoRA matrices of {name!r} do not belong together", "train it again")
        rank = pair["lora_A"].shape[0]
        alpha = float((config.get("alpha_pattern") or {}).get(name, config["lora_alpha"]))
        scale = alpha / (rank**0.5 if config.get("use_rslora") else rank)
        layers[name] = Delta(pair["lora_A"], pair["lora_B"], scale)
    return layers


def _tensors(path: Path) -> dict[str, NDArray[Any]]:
    try:
        return dict(load_file(path))
    except FileNotFoundError:
        raise VoiceError(f"{path} does not exist", "run stage 3 again: timbre finetune VOICE") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise VoiceError(
            f"{path}: not a readable safetensors file: {error}", "fetch or train the voice again"
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise VoiceError(f"{path} does not exist", "run stage 3 again: timbre finetune VOICE") from None
    except (ValueError, OSError, RecursionError) as error:
        raise VoiceError(f"{path}: not readable JSON: {error}", "fetch or train the voice again") from error
    if not isinstance(data, dict):
        raise VoiceError(f"{path}: expected a JSON object", "fetch or train the voice again")
    return data
