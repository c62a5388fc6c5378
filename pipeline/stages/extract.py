"""Stage 2: slices of stage 1 -> features and the prompt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from timbre.core.errors import InfrastructureError
from timbre.core.recipe import ExtractRecipe
from timbre.pipeline.stages.table import StageContext
from timbre.text.lexicon import load as load_lexicon

if TYPE_CHECKING:
    from timbre.training.features import SliceSource


class ExtractStage:
    """Stage 2 of the table in pipeline/stages/table.py."""

    version = 3

    def run(self, context: StageContext) -> Mapping[str, Any]:
        """Writes features/ and extract.json. Raises InputError for texts that cannot be spoken."""
        from timbre.training.features import extract_features

        found = extract_features(
            context.base, slices_of(context), context.output, context.section(ExtractRecipe),
            lexicon=load_lexicon(context.voice.path), progress=context.progress, cancel=context.cancel,
        )  # fmt: skip
        (context.report / "extract.json").write_bytes((context.output / "extract.json").read_bytes())
        return found.facts()


def slices_of(context: StageContext) -> list[SliceSource]:
    """The slices that stage 1 cut, from its validation.json. Raises InfrastructureError when that is damaged."""
    from timbre.training.features import SliceSource

    folder = context.inputs["validate"]
    path = folder / "validation.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["slices"]
        return [
            SliceSource(
                id=item["id"],
                path=folder / item["file"],
                path_16k=folder / item["file_16k"],
                text=item["text"],
                language=item["language"],
                duration_s=float(item["duration_s"]),
                speech_s=float(item["speech_s"]),
                prompt=bool(item["prompt"]),
                held_out=bool(item["held_out"]),
            )
            for item in found
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path}: not what stage 1 writes: {error!r}"
        raise InfrastructureError(message, "run: timbre validate --rebuild") from error
