"""A voice whose base is not there (a misspelt name, most often): stage 1 listens all the same.

voice folder -> stage 1 with the base as one problem more -> one error that names all of them
"""

from __future__ import annotations

import dataclasses
from typing import NoReturn

from timbre.core.base import Base
from timbre.core.errors import ConfigurationError, InputError
from timbre.core.problems import Problem
from timbre.pipeline.engine.engine import Engine
from timbre.pipeline.stages.table import STAGES
from timbre.pipeline.voice.folder import VoiceFolder
from timbre.pipeline.voice.voice_yaml import FILE as VOICE_YAML


def refuse_without_base(engine: Engine, voice: VoiceFolder, error: ConfigurationError) -> NoReturn:
    """Runs stage 1 and raises what is wrong: InputError with every problem of the folder, the base's among them.

    Raises `error` itself, what load_base said, when the base is the only problem: the folder may be right and the base
    forgotten, which the operator corrects. Other failures of stage 1 pass through.
    """
    problem = Problem(f"{VOICE_YAML}: base", repr(voice.base), "the name of a folder of bases/", error.remedy)
    marked = dataclasses.replace(voice, problems=(*voice.problems, problem))
    # The lowest rate of any base, so that no recording is too dull for an unknown base.
    weights = engine.workspace.weights_root
    stand_in = Base(engine.workspace.bases / voice.base, voice.base, (), rate_hz=16_000, hop=320, weights_root=weights)
    try:
        engine.run(marked, stand_in, STAGES[0].name)
    except InputError as refused:
        if len(getattr(refused, "problems", ())) > 1:
            raise
    raise error
