"""The stages acoustic and t2s as functions of a recipe, a speech folder and a work folder.

Both have a first half that needs no codes and a second half that does; without codes (``<part>.codes.npz``, stage
quantizer) a stage does its first half and says so. All paths below the work folder::

    acoustic/autoencoder.pt, .jsonl    first half: posterior and generator
    acoustic/classes.pt, .jsonl        first half: prior, flow, style on classes as stand-ins for codes
    acoustic/joint.pt, .jsonl          second half: the same on the codes, and the generator on the prior's latents
    semantic/phrases.pt, .jsonl        first half: classes as stand-ins for codes, one to four words
    semantic/follower.pt, .jsonl       first half: whole sentences
    semantic/t2s.pt, .jsonl            second half: the codes
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.text_to_semantic.configuration import T2S_NANO
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.nano.acoustic import AcousticSettings, train_autoencoder
from timbre.nano.alignment import Alignment
from timbre.nano.checkpointing import averaged
from timbre.nano.content import load_averaged
from timbre.nano.corpus import Corpus, unseen_speakers
from timbre.nano.joint import JointSettings, start_from_autoencoder, start_from_classes, train_joint
from timbre.nano.joint_data import SentenceSampler
from timbre.nano.joint_guides import Heard
from timbre.nano.pitch_tracks import PitchTracks
from timbre.nano.quantizer import codes_path
from timbre.nano.recipe import AcousticRecipe, SemanticRecipe
from timbre.nano.semantic import (
    CLASS_COUNT,
    SemanticSettings,
    class_shares,
    start_from_follower,
    train,
    with_vocabulary,
)
from timbre.nano.semantic_data import (
    DurationModel,
    Example,
    Ids,
    class_codes,
    corpus_examples,
    made_up_examples,
    phone_ids,
    short_sentences,
)
from timbre.nano.sentences import SentenceSource
from timbre.nano.speaker_vectors import SpeakerVectors
from timbre.nano.stages import load_alignments

Report = Callable[[str], None]

BEFORE = "before"
"""Marks codes and checkpoints of an earlier codebook (carry_over.py)."""

START = "start.pt"
"""Weights that a second half starts from in place of the first half's."""


def stored_codes(corpus: Corpus, mark: str = "") -> dict[str, Ids]:
    """Codes by clip id of all parts that have them; empty before stage quantizer. mark: BEFORE for set-aside ones."""
    codes: dict[str, Ids] = {}
    for part in corpus.parts:
        path = codes_path(corpus, part, mark)
        if path.is_file():
            with np.load(path) as stored:
                codes |= {identity: stored[identity].astype(np.int16) for identity in stored.files}
    return codes


def corpus_phones(corpus: Corpus) -> dict[str, Ids]:
    """Phones by clip id; clips whose text the front end refuses are left out.

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


def acoustic(recipe: AcousticRecipe, speech: Path, work: Path, device: torch.device, report: Report) -> None:
    """Stage acoustic: the autoencoder, then, when there are codes, prior, flow and style."""
    folder = work / "acoustic"
    config = SynthesizerConfig.nano()
    begun = (folder / START).is_file()
    path = folder / "autoencoder.pt"
    if not begun:
        settings = AcousticSettings(
            batch=recipe.batch, learning_rate=recipe.learning_rate, minutes=recipe.autoencoder_minutes,
            seed=recipe.seed, eval_clips_per_corpus=recipe.measured_clips,
        )  # fmt: skip
        path = train_autoencoder(open_parts(work, speech, ["real"]), speech, folder, config, settings, device, report)
    corpus = open_parts(work, speech, recipe.joint_parts.split())
    phones, pitch, speakers = corpus_phones(corpus), PitchTracks.of(corpus), SpeakerVectors.of(corpus)
    alignments = load_alignments(corpus)
    classes = {
        identity: labels for identity, alignment in alignments.items() if (labels := class_codes(alignment)) is not None
    }

    def sampler(codes: Mapping[str, Ids]) -> SentenceSampler:
        return SentenceSampler(
            corpus, codes, phones, pitch, speakers, recipe.max_frames, recipe.seed,
            weights={
                "flite": recipe.flite_weight, "espeak": recipe.espeak_weight,
                "speechocean762": recipe.nonnative_weight, "aishell": recipe.nonnative_weight,
            },
            alignments=alignments,
        )  # fmt: skip

    torch.manual_seed(recipe.seed)
    of_classes = Synthesizer(config)
    if begun:
        report(f"the first half is done: {folder / START}")
    elif finished(folder / "classes.pt", recipe.class_minutes):
        averaged(of_classes, folder / "classes.pt")
    else:
        autoencoder = torch.load(path, map_location="cpu", weights_only=True)["average"]["state"]
        start_from_autoencoder(of_classes, autoencoder)
        first = JointSettings(
            max_frames=recipe.max_frames,
            minutes=recipe.class_minutes,
            final_share=0.4,
            seed=recipe.seed,
            guide_weight=recipe.guide,
        )
        train_joint(of_classes, sampler(classes), folder, first, device, report, name="classes")
    codes = stored_codes(corpus)
    if not codes:
        report("no codes yet: the second half waits for stage quantizer")
        return
    model = Synthesizer(config)
    load_quantizer(model, work)
    if begun:
        model.load_state_dict(torch.load(folder / START, map_location="cpu", weights_only=True))
    else:
        pairs = [(codes[identity], labels) for identity, labels in classes.items() if identity in codes]
        start_from_classes(model, of_classes.cpu(), class_shares(pairs, config.codebook_size))
    joint = JointSettings(
        max_frames=recipe.max_frames,
        minutes=recipe.joint_minutes,
        generator_from_minute=0.0,
        seed=recipe.seed,
        guide_weight=recipe.guide,
        heard_weight=recipe.heard,
        copied=recipe.copied,
        wrong_codes=recipe.wrong_codes,
        spoken_weight=recipe.spoken,
    )
    heard = None
    if recipe.heard > 0:
        encoder, width = load_averaged(work / "content"), model.ssl_proj.weight
        heard = Heard(encoder, width.detach(), int((width.abs().sum((1, 2)) > 0).sum()) - 1)  # the last one is pitch
    train_joint(model, sampler(codes), folder, joint, device, report, heard=heard)


def load_quantizer(model: Synthesizer, work: Path) -> None:
    """Put stage quantizer's projection and codebook into the acoustic model (names of the official weights)."""
    from safetensors.torch import load_file

    path = work / "quantizer" / "quantizer.safetensors"
    if not path.is_file():
        raise ConfigurationError(f"{path}: not found", remedy="timbre pretrain quantizer")
    stored = load_file(path)
    state = model.state_dict()
    unknown = sorted(name for name in stored if name not in state or state[name].shape != stored[name].shape)
    if unknown:
        raise ConfigurationError(f"{path}: {unknown[0]} does not fit the acoustic model", "timbre pretrain quantizer")
    model.load_state_dict({**state, **{name: value.float() for name, value in stored.items()}})


def semantic_examples(
    corpus: Corpus, codes: Mapping[str, Ids], phones: Mapping[str, Ids], alignments: Mapping[str, Alignment]
) -> tuple[list[Example], list[Example]]:
    """(training, development) examples."""
    development = [
        Example(clip.id, clip.speaker, phones[clip.id], codes[clip.id])
        for clip in corpus.select(split="dev")
        if clip.id in phones and clip.id in codes and clip.part == "real"
    ]
    return corpus_examples(corpus.clips, phones, codes, alignments), development


def semantic(recipe: SemanticRecipe, speech: Path, work: Path, device: torch.device, report: Report) -> None:
    """Stage t2s: phrases, then sentences of stand-ins; then, when there are codes, the network that is shipped."""
    folder = work / "semantic"
    corpus = open_parts(work, speech, recipe.parts.split())
    phones, alignments = corpus_phones(corpus), load_alignments(corpus)
    classes = {
        identity: labels for identity, alignment in alignments.items() if (labels := class_codes(alignment)) is not None
    }
    torch.manual_seed(recipe.seed)
    follower = TextToSemantic(with_vocabulary(T2S_NANO, CLASS_COUNT))
    begun = (folder / START).is_file()
    if begun:
        report(f"the first half is done: {folder / START}")
    elif recipe.follower_minutes <= 0:
        report("no first half: the network for codes starts at random")
    elif not finished(folder / "follower.pt", recipe.follower_minutes):
        sentences = SentenceSource(speech, recipe.seed).sentences()
        durations = DurationModel(alignments.values())
        phrases = made_up_examples(
            short_sentences(sentences, recipe.seed), 2 * recipe.made_up_sentences, durations, recipe.seed
        )
        begin = SemanticSettings(
            max_positions=recipe.max_positions // 2, learning_rate=1.25 * recipe.learning_rate, final_share=0.5,
            minutes=recipe.phrase_minutes, join_share=0.15, average_decay=0.99, guide=2 * recipe.guide,
            seed=recipe.seed,
        )  # fmt: skip
        train(follower, phrases, phrases[:64], folder, "phrases", begin, device, report)
        training, development = semantic_examples(corpus, classes, phones, alignments)
        training += made_up_examples(sentences, recipe.made_up_sentences, durations, recipe.seed)
        training += phrases[: recipe.made_up_sentences // 2]
        then = settings_of(recipe, recipe.follower_minutes)
        train(follower, training, development, folder, "follower", then, device, report)
    else:
        averaged(follower, folder / "follower.pt")
    codes = stored_codes(corpus)
    if not codes:
        report("no codes yet: the second half waits for stage quantizer")
        return
    rows = T2S_NANO.vocabulary - 1
    model = TextToSemantic(with_vocabulary(T2S_NANO, rows))
    if begun:
        model.load_state_dict(torch.load(folder / START, map_location="cpu", weights_only=True))
    else:
        pairs = [(codes[identity], labels) for identity, labels in classes.items() if identity in codes]
        start_from_follower(model, follower, class_shares(pairs, rows))
    training, development = semantic_examples(corpus, codes, phones, alignments)
    # The two native readers count three times: the many others read haltingly.
    training += 2 * [example for example in training if example.id.startswith(("ljspeech/", "vctk/"))]
    settings = replace(settings_of(recipe, recipe.minutes), code_drop=recipe.code_drop)
    train(model, training, development, folder, "t2s", settings, device, report)


def settings_of(recipe: SemanticRecipe, minutes: float) -> SemanticSettings:
    """Settings of a run over whole sentences."""
    return SemanticSettings(
        max_positions=recipe.max_positions, learning_rate=recipe.learning_rate, minutes=minutes, guide=recipe.guide,
        seed=recipe.seed, join_share=recipe.join_share, span_share=recipe.span_share,
    )  # fmt: skip


def finished(path: Path, minutes: float) -> bool:
    """Whether a checkpoint has used up its minutes."""
    if not path.is_file():
        return False
    return bool(torch.load(path, map_location="cpu", weights_only=True)["clock"]["minutes"] >= minutes)
