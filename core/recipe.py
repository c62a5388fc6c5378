"""The recipe: every number of the five stages, as frozen typed objects. Gate limits are not here; they belong to a
base.

`recipes/default.yaml` lists the same values; a test keeps both in step. A base may bring others for those that the
operator leaves as they are (`recipe:` in its base.yaml), and a voice may override settings
under `recipe:` in its voice.yaml, with the same schema. Add a setting here (value, one line of meaning, unit, limits),
in `recipes/default.yaml`, and run `make docs`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timbre.core.digests import digest_value
from timbre.core.problems import Problem, problems_error, unknown_key
from timbre.core.settings import LOWER, keyed_values, read_section, setting
from timbre.core.yaml_document import read_mapping


@dataclass(frozen=True)
class ValidateRecipe:
    """Stage 1: decode, loudness, VAD, denoise, slice, quality and consent checks."""

    loudness_target_dbfs: float = setting(
        -16.0, "RMS level of active speech after normalisation", "dBFS", low=-40, high=-6, voice=True
    )
    limiter_ceiling_dbfs: float = setting(-1.0, "peak ceiling of the look-ahead limiter", "dBFS", low=-12, high=0)
    min_effective_s: float = setting(60.0, "minimum duration of speech without pauses", "s", low=1, high=3600)
    enough_effective_s: float = setting(
        300.0, "speech above which more is remarked on as needless", "s", low=60, high=36000
    )
    max_left_out_share: float = setting(
        0.2, "share of the clips that may be left out as bad while enough remain (one clip always may)", low=0, high=1
    )
    max_effective_s: float = setting(1800.0, "maximum duration of speech of one voice", "s", low=60, high=36000)
    slice_min_s: float = setting(3.0, "minimum length of a slice", "s", low=0.5, high=10, voice=True)
    slice_max_s: float = setting(10.0, "maximum length of a slice", "s", low=3, high=30, voice=True)
    whole_clip_max_s: float = setting(
        15.0,
        "maximum length of a clip kept whole if its text cannot be split reliably",
        "s",
        low=3,
        high=60,
        voice=True,
    )
    clip_min_s: float = setting(
        1.0, "minimum length of a clip; shorter ones are skipped with a note", "s", low=0, high=10
    )
    max_pause_s: float = setting(
        0.6, "maximum pause inside a slice; longer ones are shortened", "s", low=0.1, high=10, voice=True
    )
    held_out_share: float = setting(0.1, "share of the slices held out for evaluation", low=0, high=0.5)
    held_out_min: int = setting(5, "minimum number of slices held out for evaluation", low=0, high=1000)
    vad_aggressiveness: int = setting(2, "WebRTC VAD mode, 3 is the strictest", low=0, high=3, voice=True)
    denoise: str = setting(
        "auto",
        "denoiser; auto: the best one available, used only if it improves the clip",
        choices=("auto", "off", "rnnoise", "deepfilternet", "deepfilternet-torch"),
        voice=True,
    )
    denoise_below_snr_db: float = setting(25.0, "SNR below which the denoiser is tried", "dB", high=200)
    denoise_min_gain_mos: float = setting(
        0.1, "minimum gain in DNSMOS overall to keep the denoised copy", low=0, high=5
    )
    min_rate_hz: int = setting(8000, "lowest sample rate of a clip", "Hz", low=8000, high=192000)
    denoise_max_speech_loss_mos: float = setting(
        0.15, "maximum loss in DNSMOS of speech through denoising", low=0, high=5
    )
    min_snr_db: float = setting(12.0, "minimum SNR of a clip that is not denoised", "dB", high=200)
    min_snr_before_denoise_db: float = setting(9.0, "minimum SNR of a clip before denoising", "dB", high=200)
    max_clipped_share: float = setting(0.01, "maximum share of samples in clipped runs", low=0, high=1)
    min_level_dbfs: float = setting(-45.0, "minimum level of active speech in a clip", "dBFS", high=0)
    max_dc_offset: float = setting(
        0.05, "mean of the samples, full scale is 1, above which its removal is remarked on", low=0, high=1
    )
    min_bandwidth_hz: float = setting(5000.0, "minimum upper edge of a clip's band", "Hz", low=0, high=96000)
    max_reverberation_s: float = setting(0.8, "maximum estimated reverberation time (RT60)", "s", low=0, high=60)
    max_music_share: float = setting(0.3, "maximum share of music in a clip", low=0, high=1)
    min_speaker_similarity: float = setting(
        0.7,
        "minimum likeness (GE2E) of a slice to five others or more; 0.02 less for each that is missing",
        low=-1,
        high=1,
    )
    min_group_similarity: float = setting(
        0.78, "minimum GE2E similarity of the two clusters of slices; below it, two speakers", low=-1, high=1
    )
    min_consent_similarity: float = setting(
        0.78,
        "minimum likeness (GE2E) of the consent statement to five slices or more; 0.02 less for each missing",
        low=-1,
        high=1,
    )
    min_consent_words: float = setting(
        -2.65, "minimum score of the consent wording in the statement, in nats per phoneme; 0 is perfect", high=0
    )
    min_consent_speech_s: float = setting(
        2.0, "minimum duration of speech in the consent statement", "s", low=0, high=600
    )
    min_characters_per_s: float = setting(2.0, "minimum reading speed of alphabetic text", "1/s", low=0, high=1000)
    max_characters_per_s: float = setting(30.0, "maximum reading speed of alphabetic text", "1/s", low=1, high=1000)
    min_cjk_characters_per_s: float = setting(
        1.0, "minimum reading speed of Chinese characters", "1/s", low=0, high=1000
    )
    max_cjk_characters_per_s: float = setting(
        10.0, "maximum reading speed of Chinese characters", "1/s", low=1, high=1000
    )
    check_transcripts: bool = setting(
        True, "whether the recogniser compares every text with its recording before anything is trained"
    )
    max_total_s: float = setting(
        7200.0, "maximum total length of all clips, from their headers", "s", low=60, high=864000
    )
    max_clip_s: float = setting(14400.0, "maximum length of a clip", "s", low=60, high=86400)
    max_clips: int = setting(5000, "maximum number of rows in metadata.csv", low=1, high=100000)
    dnsmos_warn_below: float = setting(2.8, "DNSMOS overall below which the report warns", low=0, high=5)


@dataclass(frozen=True)
class ExtractRecipe:
    """Stage 2: semantic codes, speaker embedding, spectrograms, phonemes, prompt slice."""

    batch_s: float = setting(40.0, "batch size of the content encoder", "s", low=1, keyed=False, high=3600)
    shard_mib: int = setting(64, "maximum size of a features file", "MiB", low=1, high=4096)
    prompt_min_s: float = setting(3.0, "minimum length of the prompt", "s", low=1, high=10, voice=True)
    prompt_max_s: float = setting(10.0, "maximum length of the prompt", "s", low=3, high=15, voice=True)


@dataclass(frozen=True)
class FinetuneRecipe:
    """Stage 3: LoRA on the frozen base, with early stopping."""

    rank: int = setting(8, "rank of the LoRA matrices", low=1, high=256, voice=True)
    alpha: float = setting(16.0, "LoRA scale: the update is multiplied by alpha / rank", low=0.1, high=4096, voice=True)
    dropout: float = setting(0.0, "dropout before the LoRA matrices", low=0, high=0.9, voice=True)
    learning_rate: float = setting(2e-4, "peak learning rate of AdamW", low=1e-7, high=0.1, voice=True)
    weight_decay: float = setting(0.01, "weight decay of AdamW", low=0, high=10, voice=True)
    batch: int = setting(4, "slices in one step", low=1, high=256, voice=True)
    accumulate: int = setting(1, "gradient accumulation steps", low=1, high=64, voice=True)
    min_steps: int = setting(500, "minimum steps before early stopping", "steps", low=0, high=20000, voice=True)
    max_steps: int = setting(2000, "maximum steps", "steps", low=1, high=20000, voice=True)
    warmup_steps: int = setting(50, "steps of linear warm-up", "steps", low=0, high=20000, voice=True)
    validate_every_steps: int = setting(
        50, "steps between two evaluations of the held-out loss", "steps", low=1, high=20000, voice=True
    )
    patience: int = setting(5, "evaluations without improvement before training stops", low=1, high=1000, voice=True)
    early_stopping: bool = setting(
        True, "keep the best evaluation and stop after `patience` worse ones; off: train on, keep the last", voice=True
    )
    listen_sentences: int = setting(
        6,
        "held-out sentences that are listened to when the adapters' strengths are chosen; 0: full strength",
        low=0,
        high=1000,
    )
    max_error_rise: float = setting(
        0.02, "maximum rise of the phoneme error rate over the base at the chosen strength", low=0, high=1
    )
    max_minutes: float = setting(
        240.0, "wall-clock limit of the stage, for a machine that hangs", "min", low=0.1, high=2880, voice=LOWER
    )
    checkpoint_every_steps: int = setting(100, "interval between checkpoints", "steps", low=1, keyed=False, high=20000)
    gradient_clip: float = setting(1.0, "gradient clipping norm", low=0.01, high=1000, voice=True)
    precision: str = setting(
        "auto",
        "arithmetic of the forward pass; auto: bf16 where the device has it",
        choices=("auto", "fp32", "bf16", "fp16"),
        voice=True,
    )
    gradient_checkpointing: str = setting(
        "auto", "trade time for memory; auto: on GPUs below 24 GB", choices=("auto", "on", "off"), voice=True
    )
    segment_s: float = setting(
        0.64, "length of the waveform segments that train the decoder", "s", low=0.1, high=5, voice=True
    )
    adversarial: bool = setting(False, "also train against the base's discriminators, if it has any", voice=True)
    kl_weight: float = setting(1.0, "weight of the KL loss of the acoustic model", low=0, high=1000, voice=True)
    mel_weight: float = setting(45.0, "weight of the mel loss of the acoustic model", low=0, high=1000, voice=True)
    spoken_weight: float = setting(
        0.0, "weight of the spectral loss of speech from codes; 0: without", low=0,
        high=1000, voice=True,
    )  # fmt: skip
    pitch_weight: float = setting(
        0.0, "weight of the distance of height and spread of the melody of speech from codes; 0: without", low=0,
        high=1000, voice=True,
    )  # fmt: skip
    speaker_weight: float = setting(
        0.0, "weight of the speaker consistency loss of speech from codes; 0: without", low=0, high=1000, voice=True
    )
    content_weight: float = setting(
        0.0, "weight of the loss of what is heard in speech from codes; 0: without", low=0, high=1000,
        voice=True,
    )  # fmt: skip
    practice_weight: float = setting(
        0.0, "weight of what is heard in practice sentences; 0: without", low=0, high=1000, voice=True
    )
    seed: int = setting(1234, "seed of every random choice in training", low=0, high=4294967295, voice=True)


@dataclass(frozen=True)
class EvaluateRecipe:
    """Stage 4: synthesise held-out and fixed sentences, measure. Verdicts are decided at every run from the base's
    limits.
    """

    seeds: tuple[int, ...] = setting(
        (1, 2, 3), "sampling seeds; each sentence is spoken once per seed", low=0, high=4294967295
    )
    fixed_sentences: int = setting(20, "number of sentences from the fixed text set of the language", low=0, high=1000)
    bootstrap_samples: int = setting(
        1000, "bootstrap resamples for the confidence intervals", low=10, keyed=False, high=100000
    )
    confidence: float = setting(0.95, "level of the confidence intervals", low=0.5, high=0.999, keyed=False)
    profile: str = setting("fp32", "profile of the exported graphs to evaluate", choices=("fp32", "int8"))
    int8_sentences: int = setting(
        24,
        "number of those sentences that are also spoken with the other profile, so that int8 is compared with fp32; "
        "0: none, and voices are served with fp32",
        low=0,
        high=1000,
    )
    listener: str = setting(
        "auto",
        "Whisper model that hears the words: a folder, or a name on the Hub; auto: base, if the extra `whisper` is "
        "installed and the model is there; off",
    )


@dataclass(frozen=True)
class PublishRecipe:
    """Stage 5: write the immutable version, move the alias, record who and why."""

    alias: str = setting("production", "alias to move if every gate is green", voice=True)
    samples: int = setting(6, "number of samples kept in the package", low=0, high=50, voice=True)
    encryption: str = setting(
        "with a key",
        "whether recordings and voices must be encrypted before they leave this machine",
        choices=("with a key", "required"),
        keyed=False,
    )


SECTIONS: Mapping[str, type] = {
    "validate": ValidateRecipe,
    "extract": ExtractRecipe,
    "finetune": FinetuneRecipe,
    "evaluate": EvaluateRecipe,
    "publish": PublishRecipe,
}


_ORDERED = (
    ("validate", "slice_min_s", "slice_max_s"),
    ("validate", "min_effective_s", "max_effective_s"),
    ("validate", "min_characters_per_s", "max_characters_per_s"),
    ("validate", "min_cjk_characters_per_s", "max_cjk_characters_per_s"),
    ("extract", "prompt_min_s", "prompt_max_s"),
    ("finetune", "min_steps", "max_steps"),
)
"""Section, and two settings of it of which the first may not exceed the second."""


@dataclass(frozen=True)
class Recipe:
    """One section for each stage; section names are stage names."""

    validate: ValidateRecipe = dataclasses.field(default_factory=ValidateRecipe)
    """Stage 1: what is done to the recordings and what is refused."""
    extract: ExtractRecipe = dataclasses.field(default_factory=ExtractRecipe)
    """Stage 2: features and the choice of the prompt."""
    finetune: FinetuneRecipe = dataclasses.field(default_factory=FinetuneRecipe)
    """Stage 3: LoRA and when training ends."""
    evaluate: EvaluateRecipe = dataclasses.field(default_factory=EvaluateRecipe)
    """Stage 4: what is spoken; the limits are the base's (gates.yaml)."""
    publish: PublishRecipe = dataclasses.field(default_factory=PublishRecipe)
    """Stage 5: which alias moves."""

    def section_digest(self, name: str) -> str:
        """SHA-256 of the settings of one section that can change a stage's outputs."""
        return digest_value(keyed_values(getattr(self, name)))

    def with_overrides(self, values: Any, where: str) -> Recipe:
        """This recipe with a document laid over it. Raises InputError that lists every problem; `where` names the
        source.
        """
        return _raised(*self.check_overrides(values, where), where)

    def for_base(self, values: Mapping[str, Any], where: str) -> Recipe:
        """This recipe with a base's settings (base.yaml's `recipe`) instead of the built-in ones. What the operator set
        otherwise stays, the other end of a range with it. Raises InputError as `with_overrides` does.
        """
        built_in = Recipe()
        taken: dict[str, Any] = {}
        for section, content in values.items():
            own, usual = getattr(self, section), getattr(built_in, section)
            ours = {name for name in content if getattr(own, name) != getattr(usual, name)}
            for of, *ends in _ORDERED:
                if of == section and any(getattr(own, name) != getattr(usual, name) for name in ends):
                    ours.update(ends)
            taken[section] = {name: value for name, value in content.items() if name not in ours}
        return self.with_overrides(taken, where)

    def for_voice(self, values: Any, where: str, with_base: bool = True) -> Recipe:
        """This recipe with a voice's own `recipe:` laid over it, which may hold the settings of a voice only. Raises
        InputError as `with_overrides` does.

        with_base: this is a recipe `for_base`. Without, two settings contradict each other only where the voice sets
        both: the base may bring another value of the one that it leaves out.
        """
        return _raised(*self.check_overrides(values, where, by_voice=True, with_base=with_base), where)

    def check_overrides(
        self, values: Any, where: str, by_voice: bool = False, with_base: bool = True
    ) -> tuple[Recipe, list[Problem]]:
        """As `with_overrides` (by_voice: as `for_voice`), but returns the problems; what could be read is laid over."""
        if values is None:
            return self, []
        if not isinstance(values, Mapping):
            found = type(values).__name__
            return self, [
                Problem(where, f"a {found}", "a mapping of sections", "write `finetune:` and settings below it")
            ]
        problems: list[Problem] = []
        sections: dict[str, Any] = {}
        for name, content in values.items():
            if name not in SECTIONS:
                problems.append(unknown_key(where, name, SECTIONS))
                continue
            sections[name], found_problems = read_section(getattr(self, name), content, f"{where}: {name}", by_voice)
            problems += found_problems
        recipe = dataclasses.replace(self, **sections)
        pairs = [
            pair for pair in _ORDERED if with_base or {*pair[1:]} <= {*_names(values.get(pair[0]))}
        ]  # fmt: skip
        return recipe, problems + _contradictions(recipe, where, pairs)


def load_recipe(path: Path) -> Recipe:
    """The built-in defaults with the YAML file laid over them.

    Raises ConfigurationError when the file does not exist, InputError (all problems at once) when it cannot be used.
    """
    values, problems = read_mapping(path, "give an existing file to --recipe", empty=True)
    if problems:
        raise problems_error(problems, str(path))
    return Recipe().with_overrides(values, str(path))


def _raised(recipe: Recipe, problems: list[Problem], where: str) -> Recipe:
    if problems:
        raise problems_error(problems, where)
    return recipe


def _names(content: Any) -> Sequence[str]:
    return list(content) if isinstance(content, Mapping) else []


def _contradictions(recipe: Recipe, where: str, pairs: Sequence[tuple[str, str, str]]) -> list[Problem]:
    """Those of _ORDERED that are each allowed but not together."""
    found = []
    for section, low, high in pairs:
        smaller, larger = getattr(getattr(recipe, section), low), getattr(getattr(recipe, section), high)
        if smaller > larger:
            limit = f"at most {section}.{high} ({larger:g})"
            found.append(Problem(f"{where}: {section}.{low}", f"{smaller:g}", limit, f"lower {low} or raise {high}"))
    return found
