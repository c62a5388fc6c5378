"""voice.yaml: who the voice is, what it may be used for, which base speaks it.

bytes -> plain YAML (no tags, no aliases, no double keys) -> VoiceSettings and every problem found
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from timbre.core.consent import CONSENT_KINDS
from timbre.core.languages import LANGUAGES
from timbre.core.near_names import nearest
from timbre.core.problems import Problem, shown, unknown_key
from timbre.core.recipe import Recipe
from timbre.core.yaml_document import parse_mapping
from timbre.pipeline.voice.folder_paths import path_problem

FILE = "voice.yaml"
KEYS = ("language", "base", "consent", "review", "recipe")
CONSENT_KEYS = ("kind", "statement", "rights", "source", "approved_by")
DEFAULT_BASE = "nano"
_BASE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")
_MAX_TEXT = 2000


@dataclass(frozen=True)
class Consent:
    """Why this voice may be cloned."""

    kind: str = ""
    """One of CONSENT_KINDS; of licensed recordings rights names the licence and whom to credit."""
    statement: str | None = None
    """Path of the recorded agreement, for kind recorded."""
    rights: str = ""
    """What the voice may be used for, and by whom."""
    source: str = ""
    """Where the recordings come from, for the other kinds."""
    approved_by: str = ""
    """Who listened to the statement and answers for it where the machine is not sure."""


@dataclass(frozen=True)
class VoiceSettings:
    """The content of voice.yaml; fields that could not be read keep their defaults."""

    language: str = ""
    """Empty where it could not be read."""
    base: str = DEFAULT_BASE
    """Name of a folder of bases/; DEFAULT_BASE where it could not be read."""
    consent: Consent = field(default_factory=Consent)
    """With the kind "" where it could not be read."""
    review: bool = False
    """Whether a person approves before the alias moves; part of no digest."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Overrides of the recipe, checked; empty where any of them is wrong."""

    def normalised(self) -> dict[str, Any]:
        """Plain data that is equal for two files that ask for the same voice. `review` decides about the alias only."""
        consent = {key: getattr(self.consent, key) for key in CONSENT_KEYS}
        if not self.consent.approved_by:
            # Most voices have none, and their digest shall stay what it was.
            del consent["approved_by"]
        return {"language": self.language, "base": self.base, "consent": consent, "recipe": dict(self.recipe)}


def read_voice_yaml(data: bytes) -> tuple[VoiceSettings, list[Problem]]:
    """The settings in the bytes of a voice.yaml, and everything that is wrong with it."""
    values, problems = parse_mapping(data, FILE, start="start it with: timbre voices new NAME")
    if values is None:
        return VoiceSettings(), problems
    problems += [unknown_key(FILE, key, KEYS) for key in values if key not in KEYS]
    settings = VoiceSettings(
        language=_language(values, problems),
        base=_base(values, problems),
        consent=_consent(values.get("consent"), "consent" in values, problems),
        review=_review(values, problems),
        recipe=_recipe(values.get("recipe"), problems),
    )
    return settings, problems


def _language(values: Mapping[Any, Any], problems: list[Problem]) -> str:
    value = values.get("language")
    allowed = "one of " + ", ".join(LANGUAGES)
    # YAML 1.1 reads a bare `no` as false, and people write en-US.
    if isinstance(value, str) and value in LANGUAGES:
        return value
    if "language" not in values:
        problems.append(Problem(f"{FILE}: language", "missing", allowed, "add for example `language: en`"))
        return ""
    guess = nearest(str(value).split("-")[0].lower(), LANGUAGES)
    remedy = f"did you mean `{guess}`?" if guess else "use one of these languages"
    problems.append(Problem(f"{FILE}: language", shown(value), allowed, remedy))
    return ""


def _base(values: Mapping[Any, Any], problems: list[Problem]) -> str:
    value = values.get("base", DEFAULT_BASE)
    if isinstance(value, str) and _BASE_NAME.fullmatch(value):
        return value
    problems.append(Problem(f"{FILE}: base", shown(value), "the name of a folder of bases/", "see: timbre base list"))
    return DEFAULT_BASE


def _consent(value: Any, given: bool, problems: list[Problem]) -> Consent:
    where = f"{FILE}: consent"
    if not isinstance(value, dict):
        found = shown(value) if given else "missing"
        remedy = "add the consent section; see: timbre voices new"
        problems.append(Problem(where, found, "a mapping with `kind`", remedy))
        return Consent()
    problems += [unknown_key(where, key, CONSENT_KEYS) for key in value if key not in CONSENT_KEYS]
    texts = {key: _text(f"{where}.{key}", value.get(key), problems) for key in CONSENT_KEYS}
    kind = texts["kind"]
    if kind not in CONSENT_KINDS:
        guess = nearest(kind, CONSENT_KINDS) if kind else ""
        remedy = f"did you mean `{guess}`?" if guess else "`recorded` for the voice of a person"
        problems.append(
            Problem(f"{where}.kind", repr(kind) if kind else "missing", "one of " + ", ".join(CONSENT_KINDS), remedy)
        )
    if kind == "recorded" and not texts["statement"]:
        remedy = "record the sentence of consent and add `statement: consent.wav`"
        problems.append(Problem(f"{where}.statement", "missing", "the recorded statement of the speaker", remedy))
    if kind in CONSENT_KINDS and not texts["rights"]:
        remedy = "state the permitted use in one sentence"
        problems.append(Problem(f"{where}.rights", "missing", f"a text, for kind {kind}", remedy))
    statement = texts["statement"] or None
    if statement and (problem := path_problem(f"{where}.statement", statement)):
        problems.append(problem)
        statement = None
    return Consent(kind, statement, texts["rights"], texts["source"], texts["approved_by"])


def _text(where: str, value: Any, problems: list[Problem]) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        problems.append(Problem(where, shown(value), "text", "put the value in quotation marks"))
        return ""
    if len(value) > _MAX_TEXT:
        problems.append(Problem(where, f"{len(value)} characters", f"at most {_MAX_TEXT}", "shorten it"))
    return value.strip()


def _review(values: Mapping[Any, Any], problems: list[Problem]) -> bool:
    value = values.get("review")
    if value not in (None, "required"):
        remedy = "write `review: required`, or delete the line"
        problems.append(Problem(f"{FILE}: review", shown(value), "`required`", remedy))
    return value == "required"


def _recipe(value: Any, problems: list[Problem]) -> Mapping[str, Any]:
    _, found = Recipe().check_overrides(value, f"{FILE}: recipe", by_voice=True, with_base=False)
    problems += found
    return dict(value) if isinstance(value, dict) and not found else {}
