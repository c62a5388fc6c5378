"""recipes/nano.yaml: every number of the stages that train the nano base, as frozen typed objects.

A stage reads its own section. What a file leaves out takes the value given here; a key that does not exist is an
error that names the nearest one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from timbre.core.problems import problems_error, unknown_key
from timbre.core.settings import read_section, setting
from timbre.core.yaml_document import read_mapping


@dataclass(frozen=True)
class CorpusRecipe:
    """Stage corpus: real and synthetic speech."""

    seed: int = setting(1, "seed of sentences and synthetic voices", low=0)
    flite_hours: float = setting(0.0, "English speech by flite (slt, rms, kal16)", "h", low=0, high=200)
    espeak_hours: float = setting(0.0, "speech by espeak-ng in its variants", "h", low=0, high=200)
    espeak_mandarin_share: float = setting(0.6, "share of espeak's sentences in Mandarin", low=0, high=1)
    workers: int = setting(1, "processes that synthesise", low=1, high=256)


@dataclass(frozen=True)
class ContentRecipe:
    """Stage content: the content encoder with its phone heads."""

    seed: int = setting(0, "seed of weights and batches", low=0)
    steps: int = setting(4000, "optimizer steps; the learning rate reaches 0 at the last", low=1)
    frozen_convolutions: int = setting(1, "first convolutions that keep their analytic weights", low=0, high=5)
    batch_s: float = setting(16.0, "audio in a batch", "s", low=1)
    longest_s: float = setting(4.0, "longest window", "s", low=1)
    mask_share: float = setting(0.03, "share of frames that are hidden", low=0, high=1)
    learning_rate: float = setting(1e-3, "highest learning rate", low=0)
    decay_share: float = setting(0.4, "last share of the steps, in which the learning rate falls", low=0, high=1)
    ctc_weight: float = setting(0.5, "weight of the CTC loss against the frame loss", low=0)
    prosody_weight: float = setting(0.2, "weight of the loss of voicing and relative pitch", low=0)
    ljspeech_weight: float = setting(3.0, "how often clips of LJSpeech are drawn, against their hours", low=0)
    vctk_weight: float = setting(3.0, "the same of VCTK", low=0)
    speechocean762_weight: float = setting(0.8, "the same of speechocean762", low=0)
    kathleen_weight: float = setting(3.0, "the same of Kathleen", low=0)
    aishell_weight: float = setting(4.0, "the same of AISHELL", low=0)
    teacher_weight: float = setting(1.0, "the same of the teacher's", low=0)
    voices_weight: float = setting(3.0, "the same of speakers whom Whisper wrote down (transcribe)", low=0)
    flite_weight: float = setting(0.3, "the same of flite's speech", low=0)
    espeak_weight: float = setting(0.15, "the same of espeak-ng's", low=0)
    checkpoint_steps: int = setting(200, "steps between checkpoints", low=1)


@dataclass(frozen=True)
class AcousticRecipe:
    """Stage acoustic: generator on principal components; prior, flow and style; then both together."""

    seed: int = setting(4, "seed of weights and batches", low=0)
    parts: str = setting("real teacher", "parts of the corpus with alignments")
    generator_parts: str = setting("real teacher voices", "parts that the generator copies")
    batch: int = setting(16, "segments of 0.64 s in a batch of the generator", low=1)
    learning_rate: float = setting(8e-4, "highest learning rate of the generator", low=0)
    generator_steps: int = setting(6000, "steps of the generator on copies", low=0)
    measured_clips: int = setting(4, "eval clips of each corpus whose copies are measured on the way", low=0)
    max_frames: int = setting(1400, "frames in a batch of sentences, padding included", low=50)
    prior_rate: float = setting(1e-3, "highest learning rate of prior, flow and style", low=0)
    generator_rate: float = setting(4e-4, "highest learning rate of the generator in the joint steps", low=0)
    prior_steps: int = setting(4000, "steps of prior, flow and style", low=0)
    joint_steps: int = setting(1500, "steps of prior, flow, style and generator", low=0)
    adversarial: float = setting(0.0, "weight of discriminators in the joint steps; 0: without", low=0)
    adversarial_from: int = setting(0, "first joint step of the discriminators", low=0)
    critics: float = setting(0.0, "factor of the pull of critics of the spoken spectrum in the joint steps", low=0)
    critics_rate: float = setting(4e-4, "learning rate of these critics", low=0)
    adversarial_share: float = setting(0.5, "pull of the adversaries among them, to be taken for a recording", low=0)
    features_share: float = setting(0.5, "the same, to have a recording's features in the adversaries' layers", low=0)
    phones_share: float = setting(0.3, "pull of the listener among them, to be heard as the phones of the codes", low=0)
    heard_share: float = setting(0.5, "the same, to have a recording's features in the listener's layers", low=0)
    noise: float = setting(0.0, "noise on what the adversaries see, in spreads of the bands", low=0)
    whisper: float = setting(
        0.0, "pull of the Whisper model in the folder TIMBRE_WHISPER beside them; 0: without", low=0
    )
    whisper_from: int = setting(
        200, "first joint step in which it pulls; the critics need their 200 to learn, it does not", low=0
    )
    quality: float = setting(0.0, "pull of DistillMOS (extra mos) beside them; 0: without", low=0)
    speaker: float = setting(0.0, "pull of the speaker encoder GE2E beside them; 0: without", low=0)
    kl: float = setting(1.0, "weight of the KL divergence in the joint steps", low=0)
    modulation: float = setting(
        0.0, "share of the movement that the prior's mean lacks which the filter after it gives back", low=0, high=1
    )
    kept: float = setting(
        1.0, "share of what the joint steps changed in a restored base that `pack` keeps", low=0, high=1
    )
    generator_every: int = setting(2, "the generator is trained at every so many joint steps; 0: never", low=0)
    guide: float = setting(0.3, "weight of the loss that shows frames their phone in the text", low=0)
    spoken: float = setting(3.0, "weight of the distance of the spoken mean's spectrum from the recorded one", low=0)
    pitch: float = setting(0.0, "the same of its voicing and log F0 from the recorded ones", low=0)
    wrong_codes: float = setting(0.04, "share of codes that are replaced by others of the batch", low=0, high=0.9)
    readers_weight: float = setting(2.0, "how often native readers' clips are drawn, against the teacher's", low=0)
    nonnative_weight: float = setting(0.6, "the same of speechocean762's", low=0)
    aishell_weight: float = setting(3.0, "the same of AISHELL's", low=0)
    mandarin_weight: float = setting(1.6, "the same of the teacher's Mandarin", low=0)
    short_weight: float = setting(1.0, "how often clips below 2 s are drawn, times that of their corpus", low=0)


@dataclass(frozen=True)
class SemanticRecipe:
    """Stage t2s: text to codes."""

    seed: int = setting(5, "seed of weights and batches", low=0)
    parts: str = setting("real teacher", "parts of the corpus that are read")
    max_positions: int = setting(3000, "phones and codes in a batch, padding included", low=100)
    learning_rate: float = setting(8e-4, "highest learning rate", low=0)
    guide: float = setting(0.5, "weight of the loss that shows attention the next phone", low=0)
    code_drop: float = setting(0.1, "chance that a past code is hidden", low=0, high=0.9)
    join_share: float = setting(0.1, "rows that are two examples of a speaker, as with a prompt", low=0, high=1)
    span_share: float = setting(0.3, "of the others, rows that are a part of an example", low=0, high=1)
    steps: int = setting(5000, "optimizer steps", low=1)


@dataclass(frozen=True)
class NanoRecipe:
    """All sections of recipes/nano.yaml."""

    corpus: CorpusRecipe = dataclasses.field(default_factory=CorpusRecipe)
    """Stage corpus."""
    content: ContentRecipe = dataclasses.field(default_factory=ContentRecipe)
    """Stage content."""
    acoustic: AcousticRecipe = dataclasses.field(default_factory=AcousticRecipe)
    """Stage acoustic."""
    t2s: SemanticRecipe = dataclasses.field(default_factory=SemanticRecipe)
    """Stage t2s."""


def load_nano_recipe(path: Path) -> NanoRecipe:
    """The defaults with a YAML file laid over them. InputError lists every wrong key or value."""
    content, problems = read_mapping(path, "give an existing file to --recipe: recipes/nano.yaml", empty=True)
    recipe = NanoRecipe()
    known = {field.name for field in dataclasses.fields(recipe)}
    sections = {}
    for name, values in (content or {}).items():
        if name not in known:
            problems.append(unknown_key(str(path), name, known))
            continue
        sections[name], found = read_section(getattr(recipe, name), values, f"{path}: {name}")
        problems.extend(found)
    if problems:
        raise problems_error(problems, str(path))
    return dataclasses.replace(recipe, **sections)
