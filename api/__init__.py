"""What a Python program needs of timbre: run the pipeline on a folder of voices, load a published voice, let it speak.

with open_registry(address) as registry: registry.load(name).speak(text).save(path)

Errors are the classes of `timbre.core.errors`, each with a message and a remedy.
"""

from timbre.core.errors import TimbreError
from timbre.core.extras import missing_library

try:
    from timbre.api.pipeline import run_pipeline
    from timbre.api.voices import LoadedVoice, Utterance, VoiceRegistry, open_registry
except ModuleNotFoundError as error:
    _named = missing_library(error)
    if _named is None:
        raise
    raise _named from error

__all__ = ["LoadedVoice", "TimbreError", "Utterance", "VoiceRegistry", "open_registry", "run_pipeline"]
