"""What a page says of red gates, and of the sentences of a version: titles, advice and texts, in both languages.

metric -> title and advice; version -> text of each sample
"""

from __future__ import annotations

from timbre.core.errors import TimbreError
from timbre.evaluation.measurements import FILE, parse_measurements
from timbre.evaluation.reports.advice import advice
from timbre.evaluation.reports.chinese import TITLES
from timbre.registry.manifest import Manifest
from timbre.registry.registry import Registry


def explained(metric: str, title: str) -> dict[str, dict[str, str]]:
    """title and advice of a gate, each in "en" and "zh". title: what the record calls it."""
    english, chinese = advice(metric)
    titles = {"en": title, "zh": TITLES.get(metric, (title, ""))[0]}
    return {"title": titles, "advice": {"en": english, "zh": chinese}}


def sample_texts(registry: Registry, manifest: Manifest) -> dict[str, str]:
    """Path of a sample -> what it says; empty where the package does not say."""
    try:
        spoken = parse_measurements(registry.read_file(manifest, FILE), FILE).adapted.tts
    except TimbreError:
        return {}
    return {item.file: item.text for item in spoken}
