"""base.yaml: what a base model is, without loading any of it.

folder of bases/ -> Base -> rate, frame sizes, languages, files with their digests
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from timbre.core.atomic import write_text
from timbre.core.digests import digest_value
from timbre.core.errors import ConfigurationError
from timbre.core.languages import LANGUAGES
from timbre.core.near_names import nearest
from timbre.core.packaged import DEFAULT_WEIGHTS_ROOT, PACKAGED_BASES
from timbre.core.problems import Problem, configuration_error, shown, unknown_key
from timbre.core.recipe import Recipe
from timbre.core.speaking_defaults import SpeakingDefaults, speaking_defaults
from timbre.core.weights import (
    TOOL_FILE,
    Tool,
    choice,
    listed,
    read_common,
    read_tool,
    tool_to_plain,
)

BASE_FILE = "base.yaml"

ARCHITECTURES = ("v2", "v2Pro", "v2ProPlus", "nano", "pico")
SPEAKER_ENCODERS = ("none", "ge2e", "eres2netv2")
PHONE_TABLES = MappingProxyType({"v2": 732})

# Roles that the rooms look up by name. A base may list further files of its own under other roles.
TEXT_TO_SEMANTIC = "text_to_semantic"
ACOUSTIC = "acoustic"
DISCRIMINATOR = "discriminator"
CONTENT_ENCODER = "content_encoder"
CONTENT_ENCODER_CONFIG = "content_encoder_config"
RECOGNISER = "recogniser"
SPEAKER_ENCODER = "speaker_encoder"
BERT = "bert"
BERT_CONFIG = "bert_config"
BERT_TOKENIZER = "bert_tokenizer"


@dataclass(frozen=True)
class Base(Tool):
    """One base model (base.yaml)."""

    architecture: str = "v2"
    """One of ARCHITECTURES, the preset of the networks' sizes."""
    rate_hz: int = 32000
    """Sample rate of the acoustic model."""
    hop: int = 640
    """Samples a frame, of spectrogram and latent; two frames last one code."""
    fft: int = 2048
    """Samples in a window of the spectrogram; as many bins as half of them plus one."""
    codes_hz: int = 25
    """Semantic codes a second."""
    languages: tuple[str, ...] = ()
    """What the base was trained to speak."""
    phones: str = "v2"
    """Name of the phone table (PHONE_TABLES gives its rows)."""
    speaker_encoder: str = "none"
    """Which embedding conditions the acoustic model ("none": only the reference spectrogram does)."""
    bert: bool = False
    """Mandarin BERT features are an input."""
    networks: Mapping[str, Any] = field(default_factory=dict)
    """Sizes that differ from the preset, by network ("text_to_semantic", "acoustic", "discriminator",
    "content_encoder"), as plain data."""
    speaking: SpeakingDefaults = field(default_factory=SpeakingDefaults)
    """Sampling and prompt where a request says nothing, as far as they differ from the official models'."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the recipe that suit this base, as voice.yaml holds them (Recipe.for_base); no part of the digest."""
    exports: Mapping[str, str] = field(default_factory=dict)
    """Edition -> SHA-256 of export.json, the only exported graphs of this base that are used and published; written by
    `timbre base export NAME --pin` from trusted weights. No part of the digest."""

    @property
    def spec_path(self) -> Path:
        """The YAML file that this was read from."""
        return self.folder / BASE_FILE

    @property
    def frames_hz(self) -> float:
        """Spectrogram frames a second."""
        return self.rate_hz / self.hop

    @property
    def digest(self) -> str:
        """SHA-256 over everything that changes what the base computes: sizes and file digests, not licences or sources.

        Raises ConfigurationError before the first pull, when the digests of the files are not known.
        """
        if not self.locked:
            raise ConfigurationError(
                f"{self.spec_path}: files: sha256 is null, so the base has no digest yet",
                f"run: timbre base pull {self.name}",
            )
        plain = base_to_plain(self)
        for key in ("licences", "hub", "description", "weights", "recipe", "exports"):
            plain.pop(key, None)
        plain["files"] = [{"role": i.role, "sha256": i.sha256} for i in sorted(self.files, key=lambda i: i.role)]
        return digest_value(plain)


_OWN_SHAPE = ("networks", "speaking", "recipe", "exports")
_EDITION = re.compile(r"[0-9]+\.[0-9]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BASE_KEYS = tuple(f.name for f in fields(Base) if f.name not in {g.name for g in fields(Tool)} | set(_OWN_SHAPE))


def load_base(name: str, bases_dir: Path = Path("bases"), weights_root: Path = DEFAULT_WEIGHTS_ROOT) -> Base:
    """The base of that name: from bases_dir, else from the package. name may also be the path of a folder with a
    base.yaml (it then holds a slash).

    weights_root: as Tool has it. Raises ConfigurationError when there is no such base or its file is wrong; the message
    names the field.
    """
    folder = _find(name, bases_dir, BASE_FILE)
    if not (folder / BASE_FILE).is_file():
        known = sorted({*list_bases(bases_dir), *list_bases(PACKAGED_BASES)})
        near = nearest(name, known)
        hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(known) or 'none'}"
        raise ConfigurationError(f"base {name!r}: {folder / BASE_FILE} does not exist", hint)
    return read_base(folder, weights_root)


def load_weights(name: str, bases_dir: Path = Path("bases"), weights_root: Path = DEFAULT_WEIGHTS_ROOT) -> Tool:
    """The base or tool of that name. Raises ConfigurationError as load_base does."""
    folder = _find(name, bases_dir, TOOL_FILE)
    if (folder / TOOL_FILE).is_file():
        return read_tool(folder, weights_root)
    return load_base(name, bases_dir, weights_root)


def _find(name: str, bases_dir: Path, file: str) -> Path:
    """The folder of that name, of bases_dir where it has the file or the package has not."""
    if "/" in name:
        return Path(name)
    packaged = PACKAGED_BASES / name
    return packaged if not (bases_dir / name).is_dir() and (packaged / file).is_file() else bases_dir / name


def list_bases(bases_dir: Path = Path("bases")) -> list[str]:
    """Names of the bases under bases_dir, sorted."""
    return sorted(path.parent.name for path in bases_dir.glob(f"*/{BASE_FILE}"))


def read_base(folder: Path, weights_root: Path = DEFAULT_WEIGHTS_ROOT) -> Base:
    """Reads and checks folder/base.yaml. weights_root: as Tool has it. Raises ConfigurationError."""
    path = folder / BASE_FILE
    common, rest, problems = read_common(path, folder)
    known = (*_BASE_KEYS, *_OWN_SHAPE)
    for key in [key for key in rest if key not in known]:
        problems.append(unknown_key(str(path), key, {f.name for f in fields(Base)} - {"folder", "weights_root"}))
        del rest[key]
    for key in ("architecture", "rate_hz", "hop", "fft", "languages", "phones", "speaker_encoder", "bert"):
        if key not in rest:
            problems.append(
                Problem(f"{path}: {key}", "missing", "a value", "see docs/extending.md, or another base.yaml")
            )
    _check_sizes(path, rest, problems)
    for key, choices in (
        ("architecture", ARCHITECTURES),
        ("speaker_encoder", SPEAKER_ENCODERS),
        ("phones", tuple(PHONE_TABLES)),
    ):
        if key in rest:
            choice(path, key, rest[key], choices, problems)
    if "languages" in rest:
        rest["languages"] = tuple(listed(path, "languages", rest["languages"], problems))
        for language in rest["languages"]:
            choice(path, "languages", language, tuple(LANGUAGES), problems)
    if not isinstance(rest.get("bert", False), bool):
        problems.append(Problem(f"{path}: bert", shown(rest["bert"]), "true or false", "write one of them"))
    rest["networks"] = rest.get("networks") or {}
    if not isinstance(rest["networks"], dict):
        problems.append(Problem(f"{path}: networks", shown(rest["networks"]), "a mapping", "give sizes by network"))
    try:
        rest["speaking"] = speaking_defaults({} if rest.get("speaking") is None else rest["speaking"])
    except ValueError as error:
        problems.append(Problem(f"{path}: speaking", str(error), "docs/extending.md", "correct or remove the value"))
    rest["recipe"] = rest.get("recipe") or {}
    problems += Recipe().check_overrides(rest["recipe"], f"{path}: recipe", by_voice=True)[1]
    rest["exports"] = rest.get("exports") or {}
    _check_exports(path, common["name"], rest["exports"], problems)
    if problems:
        raise configuration_error(problems, str(path))
    return Base(**common, **rest, weights_root=weights_root)


def _check_sizes(path: Path, rest: Mapping[str, Any], problems: list[Problem]) -> None:
    before = len(problems)
    for key in ("rate_hz", "hop", "fft", "codes_hz"):
        value = rest.get(key, 1)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            problems.append(Problem(f"{path}: {key}", shown(value), "a whole number above 0", "correct the value"))
    if len(problems) == before and {"rate_hz", "hop"} <= set(rest):
        frames_hz, codes_hz = rest["rate_hz"] / rest["hop"], rest.get("codes_hz", Base.codes_hz)
        if frames_hz != 2 * codes_hz:
            limit = f"{2 * codes_hz}, two frames a code, since the decoder repeats every code"
            value = f"{frames_hz:g} frames a second"
            problems.append(Problem(f"{path}: rate_hz / hop", value, limit, "correct hop or codes_hz"))


def _check_exports(path: Path, name: Any, exports: Any, problems: list[Problem]) -> None:
    if not isinstance(exports, dict) or not all(
        isinstance(key, str) and isinstance(value, str) and _EDITION.fullmatch(key) and _SHA256.fullmatch(value)
        for key, value in exports.items()
    ):
        remedy = f"write them with: timbre base export {name} --pin"
        problems.append(Problem(f"{path}: exports", shown(exports), "editions and their SHA-256", remedy))


def base_to_plain(base: Tool) -> dict[str, Any]:
    """The mapping of base.yaml or weights.yaml, keys in reading order."""
    plain: dict[str, Any] = {"name": base.name}
    if base.description:
        plain["description"] = base.description
    if isinstance(base, Base):
        for key in _BASE_KEYS:
            value = getattr(base, key)
            plain[key] = list(value) if isinstance(value, tuple) else value
        plain["networks"] = dict(base.networks)
        if not base.networks:
            del plain["networks"]
        if changed := base.speaking.changed():
            plain["speaking"] = changed
        if base.recipe:
            plain["recipe"] = {section: dict(values) for section, values in base.recipe.items()}
        if base.exports:
            plain["exports"] = dict(base.exports)
    return plain | tool_to_plain(base)


def write_base(base: Tool) -> None:
    """Writes base.spec_path atomically; comment lines at the top of an existing file are kept."""
    path = base.spec_path
    head = ""
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if not line.startswith("#"):
                break
            head += line
    body = yaml.safe_dump(base_to_plain(base), sort_keys=False, allow_unicode=True, width=110)
    write_text(path, head + body)
