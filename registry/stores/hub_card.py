"""The model card that a Hub shows of a version: README.md with languages, tags and the gates' values as evaluation
results. Written from manifests alone, so that nothing of a package needs to be readable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from timbre.core.table import Table

CARD = "README.md"


def card_of(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The card of the last manifest among files by its key, or nothing when there is none."""
    keys = sorted(key for key in files if "/versions/" in key and key.startswith("voices/"))
    return {CARD: card(json.loads(files[keys[-1]])).encode()} if keys else {}


def card(manifest: Mapping[str, Any]) -> str:
    """Markdown with the metadata block that the Hub reads. manifest: the sealed record of a version."""
    name = f"{manifest['voice']}@{manifest['version']}"
    results = [
        EvalResult(
            task_type="text-to-speech", task_name="Text to speech", dataset_type="private",
            dataset_name=f"test sentences of {manifest['voice']}", metric_type=gate, metric_name=gate,
            metric_value=about["value"],
        )
        for gate, about in sorted(manifest["gates"].items())
        if isinstance(about, dict) and isinstance(about.get("value"), int | float)
    ]  # fmt: skip
    data = ModelCardData(
        language=sorted(manifest["languages"]), library_name="timbre", pipeline_tag="text-to-speech",
        tags=["voice", "timbre"], model_name=name, eval_results=results or None,
    )  # fmt: skip
    consent = manifest["consent"]
    rows = [
        (gate, str(about.get("value", "")), str(about.get("limit", "")), "yes" if about.get("passed") else "no")
        for gate, about in sorted(manifest["gates"].items())
        if isinstance(about, dict)
    ]
    lines = [
        "---", data.to_yaml().strip(), "---", "", f"# {name}", "",
        f"Base `{manifest['base']}`, {manifest['rate_hz']} Hz, made {manifest['created']} from commit "
        f"`{manifest['provenance']['commit']}`.", "",
        f"Consent: {consent.get('kind', 'unknown')}; rights: {consent.get('rights', 'unknown')}.", "",
        Table(("gate", "value", "limit", "passed"), rows).markdown(), "",
        "This repository is a registry of Timbre: read and write it with `timbre`, not by hand.", "",
    ]  # fmt: skip
    return "\n".join(lines)
