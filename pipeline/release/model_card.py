"""README.md of a voice package: a model card as the Hugging Face Hub shows it.

manifest, base, samples -> YAML header and Markdown
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from timbre.core.base import Base
from timbre.core.table import Table
from timbre.evaluation.measurements import Sample
from timbre.pipeline.verdict.gates_table import gates_table
from timbre.registry.manifest import Manifest

CARD = "README.md"


def model_card(manifest: Manifest, base: Base, samples: Sequence[Sample]) -> str:
    """The card. samples: those whose files are in the package."""
    name = f"{manifest.voice}@{manifest.version}"
    parts = [
        f"---\n{yaml.safe_dump(_header(manifest, base), sort_keys=False, allow_unicode=True, width=110)}---",
        f"# Voice `{manifest.voice}`, version `{manifest.version}`",
        f"A LoRA adapter and a prompt for the speech synthesis base `{manifest.base}` "
        f"(digest `{manifest.base_digest[:12]}`), made by Timbre. It works only with that base.",
        _use(manifest),
        "## Permitted use",
        _consent(manifest),
        "## Licences of the base",
        _licences(base),
        "## Measured quality",
        f"{name} {'passed every gate' if manifest.passed else 'failed its gates'}. "
        "`copy`: held-out recordings through the voice's acoustic model; `tts`: sentences spoken from text.",
        gates_table(manifest.gates).markdown(),
    ]
    if samples:
        rows = [(f"[{item.file}]({item.file})", item.text, item.source) for item in samples]
        parts += ["## Samples", Table(("file", "text", "text from"), rows).markdown()]
    parts += ["## Provenance", _provenance(manifest)]
    return "\n\n".join(parts) + "\n"


def _header(manifest: Manifest, base: Base) -> dict[str, Any]:
    header: dict[str, Any] = {
        "language": list(manifest.languages[:1]),
        "library_name": "timbre",
        "pipeline_tag": "text-to-speech",
        "license": "other",
        "license_name": f"voice-{manifest.consent.get('kind', 'unknown')}",
        "tags": ["text-to-speech", "voice", "lora", f"timbre-base-{manifest.base}"],
    }
    if base.hub is not None:
        header |= {"base_model": base.hub.repo, "base_model_relation": "adapter"}
    return header


def _use(manifest: Manifest) -> str:
    speaks = ", ".join(manifest.languages)
    return (
        f"The recordings are in `{manifest.languages[0]}`; the base speaks {speaks}. "
        f"Sample rate {manifest.rate_hz} Hz.\n\n"
        f'```\ntimbre say {manifest.voice}@{manifest.version} "A sentence." -o out.wav\n```'
    )


def _consent(manifest: Manifest) -> str:
    consent = manifest.consent
    lines = [f"- kind: {consent.get('kind', '')}"]
    if consent.get("source"):
        lines.append(f"- recordings from: {consent['source']}")
    rights = "\n".join(f"> {line}" for line in str(consent.get("rights", "")).splitlines()) or "> (nothing stated)"
    return "\n".join(lines) + f"\n\n{rights}"


def _licences(base: Base) -> str:
    if not base.licences:
        return "The base states none."
    rows = [(item.what, item.name, item.source or "-") for item in base.licences]
    return Table(("part", "licence", "stated in"), rows).markdown()


def _provenance(manifest: Manifest) -> str:
    came = manifest.provenance
    rows = [
        ("created", manifest.created),
        ("commit", came.commit or "-"),
        ("author", came.author or "-"),
        ("job", came.job or "-"),
        ("source digest", manifest.source),
        ("recipe digest", came.recipe_digest),
        *((f"{name} version", version) for name, version in sorted(came.tools.items())),
    ]
    return Table(("what", "value"), rows).markdown()
