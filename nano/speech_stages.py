"""The stages acoustic and t2s as functions of a recipe, a speech folder and a work folder.

Codes come from alignments (label_codes.py), so nothing here waits for the content encoder. Below the work folder::

    acoustic/basis.pt                  posterior and generator on principal components, before training
    acoustic/autoencoder.pt, .jsonl    generator and the posterior's pitch on copies
    acoustic/prior.pt, .jsonl          prior, flow, style; may run beside the generator
    acoustic/joint.pt, .jsonl          all of them together
    semantic/t2s.pt, .jsonl            text to codes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.text_to_semantic.configuration import T2S_NANO
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.nano.acoustic import AcousticSettings, build, train_autoencoder
from timbre.nano.checkpointing import averaged, restored
from timbre.nano.corpus import RATE_HZ, Corpus, unseen_speakers
from timbre.nano.joint import JointSettings, start_from_autoencoder, train_joint
from timbre.nano.joint_data import SentenceSampler
from timbre.nano.label_codes import CODE_S, corpus_labels, quantizer_of
from timbre.nano.modulation import fit_model
from timbre.nano.pitch_tracks import PitchTracks
from timbre.nano.recipe import AcousticRecipe, SemanticRecipe
from timbre.nano.semantic import SemanticSettings, train
from timbre.nano.semantic_data import Example, Ids, phone_ids
from timbre.nano.speaker_vectors import SpeakerVectors
from timbre.nano.spectrum_critics import PushShares
from timbre.nano.stages import load_alignments
from timbre.nano.training_loop import Report
from timbre.nano.whisper_ear import check_model
from timbre.training.text_codes import CodeLabels

CODE_SAMPLES = round(CODE_S * RATE_HZ)

DEVELOPMENT = 60
"""Clips whose loss is measured during training."""


def corpus_phones(corpus: Corpus) -> dict[str, Ids]:
    """Phones by clip id; without clips whose text the front end rejects.

    A part of a packed corpus brings its phones along (``<part>.phones.npz``), for machines without the front end's
    data.
    """
    found: dict[str, Ids] = {}
    carried = set()
    for part in corpus.parts:
        path = corpus.folder / f"{part}.phones.npz"
        if path.is_file():
            carried.add(part)
            with np.load(path) as stored:
                found |= {identity: stored[identity].astype(np.int16) for identity in stored.files}
    for clip in corpus.clips:
        if clip.part in carried:
            continue
        phones = phone_ids(clip.text, clip.language)
        if phones is not None:
            found[clip.id] = phones
    return found


def open_parts(work: Path, speech: Path, parts: Sequence[str]) -> Corpus:
    """The named parts that are there, ``real`` at least; held-out clips are refused."""
    folder = work / "corpus"
    there = [part for part in parts if (folder / f"{part}.jsonl").is_file()]
    return Corpus.open(folder, there or ["real"], unseen_speakers(speech))


def corpus_codes(corpus: Corpus, phones: Mapping[str, Ids]) -> dict[str, CodeLabels]:
    """Codes of label_codes.py of every clip with an alignment."""
    counts = {clip.id: clip.samples // CODE_SAMPLES for clip in corpus.clips}
    return corpus_labels(load_alignments(corpus), phones, counts)


def acoustic_basis(work: Path, speech: Path, config: SynthesizerConfig, recipe: AcousticRecipe) -> Path:
    """Seeded posterior and generator on the principal components of the corpus, ``acoustic/basis.pt``; made once."""
    path = work / "acoustic" / "basis.pt"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        corpus = open_parts(work, speech, recipe.generator_parts.split())
        torch.save(build(config, corpus, recipe.seed).state_dict(), path)
    return path


def generator(recipe: AcousticRecipe, speech: Path, work: Path, device: torch.device, report: Report) -> Path:
    """First half of stage acoustic: the generator, and the posterior's pitch, on copies."""
    config = SynthesizerConfig.nano()
    start = torch.load(acoustic_basis(work, speech, config, recipe), map_location="cpu", weights_only=True)
    settings = AcousticSettings(
        batch=recipe.batch,
        learning_rate=recipe.learning_rate,
        steps=recipe.generator_steps,
        seed=recipe.seed,
        eval_clips_per_corpus=recipe.measured_clips,
    )
    corpus = open_parts(work, speech, recipe.generator_parts.split())
    return train_autoencoder(corpus, speech, work / "acoustic", config, settings, device, start, report)


def sentence_sampler(recipe: AcousticRecipe, speech: Path, work: Path, report: Report) -> SentenceSampler:
    """Sentences of the recipe's parts, drawn as often as it says."""
    corpus = open_parts(work, speech, recipe.parts.split())
    phones, pitch, speakers = corpus_phones(corpus), PitchTracks.of(corpus), SpeakerVectors.of(corpus)
    labelled = corpus_codes(corpus, phones)
    report(f"{len(labelled)} of {len(corpus.clips)} clips have codes")
    readers = dict.fromkeys(("ljspeech", "vctk", "kathleen"), recipe.readers_weight)
    return SentenceSampler(
        corpus, {name: item.codes for name, item in labelled.items()}, phones, pitch, speakers, recipe.max_frames,
        recipe.seed,
        weights={
            **readers, "speechocean762": recipe.nonnative_weight, "aishell": recipe.aishell_weight,
            "teacher zh": recipe.mandarin_weight,
        },
        places={name: item.places for name, item in labelled.items()}, short=recipe.short_weight,
    )  # fmt: skip


def fit_modulation(model: Synthesizer, recipe: AcousticRecipe, speech: Path, work: Path, report: Report) -> None:
    """Fit the filter of a trained model to the sentences that it was trained on, where the recipe has one. Training
    moves the prior against the filter, so that what it was first fitted to is no longer right at the end."""
    if recipe.modulation > 0:
        sampler = sentence_sampler(recipe, speech, work, report)
        report("fitting the modulation filter")
        fit_model(model, sampler, torch.device("cpu"), recipe.modulation)


def prior(
    recipe: AcousticRecipe,
    speech: Path,
    work: Path,
    device: torch.device,
    report: Report,
    together: bool = False,
    whisper: Path | None = None,
) -> Path:
    """Second half of stage acoustic. together: prior, flow and style with the generator, from both halves; else these
    alone, beside the first half, on the principal components. whisper: folder of the model that the recipe may ask for.
    """
    folder, config = work / "acoustic", SynthesizerConfig.nano()
    sampler = sentence_sampler(recipe, speech, work, report)
    torch.manual_seed(recipe.seed)
    model = Synthesizer(config)
    model.quantizer.load_state_dict(quantizer_of(config.ssl_width).state_dict())
    if together and restored(model, folder):
        halves = None
    elif together:
        averaged(model, folder / "prior.pt")
        halves = torch.load(folder / "autoencoder.pt", map_location="cpu", weights_only=True)["average"]["state"]
    else:
        halves = torch.load(acoustic_basis(work, speech, config, recipe), map_location="cpu", weights_only=True)
    if halves is not None:
        start_from_autoencoder(model, halves)
    if together and recipe.modulation > 0 and not (folder / "joint.pt").is_file():
        report("fitting the modulation filter")
        fit_model(model, sampler, device, recipe.modulation)
    settings = JointSettings(
        max_frames=recipe.max_frames,
        learning_rate=recipe.prior_rate,
        generator_rate=recipe.generator_rate,
        steps=recipe.joint_steps if together else recipe.prior_steps,
        final_share=0.04 if together else 0.4,
        generator_from_step=0 if together else recipe.prior_steps,
        adversarial_weight=recipe.adversarial if together else 0.0,
        adversarial_from_step=recipe.adversarial_from,
        critics_weight=recipe.critics if together else 0.0,
        critics_rate=recipe.critics_rate,
        critics_shares=PushShares(
            recipe.adversarial_share, recipe.features_share, recipe.phones_share, recipe.heard_share, recipe.noise
        ),
        ear=checked_ear(recipe, whisper) if together else None,
        ear_weight=recipe.whisper,
        ear_from_step=recipe.whisper_from,
        quality_share=recipe.quality,
        speaker_share=recipe.speaker,
        kl_weight=recipe.kl if together else 1.0,
        generator_every=recipe.generator_every,
        guide_weight=recipe.guide,
        spoken_weight=recipe.spoken,
        pitch_weight=recipe.pitch,
        wrong_codes=recipe.wrong_codes,
        seed=recipe.seed,
    )
    return train_joint(model, sampler, folder, settings, device, report, name="joint" if together else "prior")


def checked_ear(recipe: AcousticRecipe, whisper: Path | None) -> Path | None:
    """The folder of Whisper where the recipe asks for it. Raises ConfigurationError when it is missing or not whole."""
    if recipe.whisper > 0 and whisper is None:
        raise ConfigurationError(
            f"acoustic: whisper: {recipe.whisper:g} asks for a model that neither --whisper nor TIMBRE_WHISPER names",
            remedy="name a folder with a CTranslate2 Whisper (model.bin, tokenizer.json), or set whisper: 0",
        )
    if recipe.whisper <= 0 or whisper is None:
        return None
    check_model(whisper)
    return whisper


def acoustic(recipe: AcousticRecipe, speech: Path, work: Path, device: torch.device, report: Report) -> None:
    """Stage acoustic in one process: both halves, then both together."""
    generator(recipe, speech, work, device, report)
    prior(recipe, speech, work, device, report)
    prior(recipe, speech, work, device, report, together=True)


def semantic_examples(
    corpus: Corpus, labelled: Mapping[str, CodeLabels], phones: Mapping[str, Ids]
) -> tuple[list[Example], list[Example]]:
    """(training, development) examples."""
    training: list[Example] = []
    development: list[Example] = []
    for clip in corpus.clips:
        if clip.id not in labelled or clip.id not in phones:
            continue
        item = labelled[clip.id]
        example = Example(clip.id, clip.speaker, phones[clip.id], item.codes, item.places)
        (training if clip.split == "train" else development).append(example)
    return training, development


def semantic(recipe: SemanticRecipe, speech: Path, work: Path, device: torch.device, report: Report) -> None:
    """Stage t2s: text to the codes of label_codes.py."""
    corpus = open_parts(work, speech, recipe.parts.split())
    phones = corpus_phones(corpus)
    training, development = semantic_examples(corpus, corpus_codes(corpus, phones), phones)
    # Fluent readers count twice; the many non-native ones read haltingly, they are left out.
    training = [example for example in training if not example.id.startswith("speechocean762/")]
    training += [example for example in training if not example.id.startswith("teacher/")]
    development = development[:: max(1, len(development) // DEVELOPMENT)]
    report(f"{len(training)} examples, {len(development)} for development")
    torch.manual_seed(recipe.seed)
    model = TextToSemantic(T2S_NANO)
    restored(model, work / "semantic")
    settings = SemanticSettings(
        max_positions=recipe.max_positions, learning_rate=recipe.learning_rate, steps=recipe.steps, guide=recipe.guide,
        seed=recipe.seed, join_share=recipe.join_share, span_share=recipe.span_share, code_drop=recipe.code_drop,
    )  # fmt: skip
    train(model, training, development, work / "semantic", "t2s", settings, device, report)
