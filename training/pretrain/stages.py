"""The stages corpus, content and quantizer as functions of a recipe, a speech folder and a work folder.

Each is resumable: what is complete is not done again, and training continues from its checkpoint. All paths below the work
folder are fixed here::

    corpus/               see corpus.py
    content/              content.ckpt, content.log.jsonl
    quantizer/            quantizer.safetensors
    READY_CODES           written when the codes of all parts are there; JSON with the paths
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.pretrain.alignment import Alignment, align_part, read_alignments
from training.pretrain.augmentation import AugmentationConfig, Augmenter
from training.pretrain.content import ContentTrainer, ContentTraining
from training.pretrain.content_batches import BatchConfig, BatchSource
from training.pretrain.corpus import Corpus, build_real, unseen_speakers
from training.pretrain.pitch import PitchTracks
from training.pretrain.recipe import ContentRecipe, CorpusRecipe
from training.pretrain.sentences import MandarinSentences, SentenceSource
from training.pretrain.synthetic import build_espeak, build_flite

WEIGHTED = ("ljspeech", "vctk", "speechocean762", "aishell", "flite", "espeak")
Report = Callable[[str], None]


def make_corpus(recipe: CorpusRecipe, speech: Path, work: Path, report: Report) -> None:
    """Stage corpus: parts that are there are kept."""
    folder = work / "corpus"
    if not (folder / "real.jsonl").is_file():
        report(f"real: {build_real(speech, folder)} clips")
    if not (folder / "real.alignment.jsonl").is_file():
        aligned, tried = align_part(folder, "real", recipe.workers)
        report(f"real: {aligned} of {tried} clips aligned")
    if recipe.flite_hours > 0 and not (folder / "flite.jsonl").is_file():
        sentences = SentenceSource(speech, recipe.seed).sentences()
        count = build_flite(speech, folder, sentences, recipe.flite_hours, recipe.seed, recipe.workers)
        report(f"flite: {count} clips")
    if recipe.espeak_hours > 0 and not (folder / "espeak.jsonl").is_file():
        english = SentenceSource(speech, recipe.seed + 1).sentences()
        mandarin = MandarinSentences(speech, recipe.seed + 2).sentences()
        count = build_espeak(
            speech, folder, english, mandarin, recipe.espeak_hours, recipe.espeak_mandarin_share, recipe.seed, recipe.workers
        )
        report(f"espeak: {count} clips")
    corpus = Corpus.open(folder, unseen=unseen_speakers(speech))
    PitchTracks.of(corpus)
    report(", ".join(f"{part} {hours:.2f} h" for part, hours in sorted(corpus.hours().items())))


def load_alignments(corpus: Corpus) -> dict[str, Alignment]:
    """Alignments of all parts of a corpus by clip id."""
    found: dict[str, Alignment] = {}
    for part in sorted({clip.part for clip in corpus.clips}):
        found |= read_alignments(corpus.folder, part)
    return found


def content_trainer(recipe: ContentRecipe, speech: Path, work: Path, device: str = "cpu") -> ContentTrainer:
    """The trainer of stage content, continued from its checkpoint if there is one."""
    corpus = Corpus.open(work / "corpus", unseen=unseen_speakers(speech))
    source = BatchSource(
        corpus,
        load_alignments(corpus),
        Augmenter.load(speech, AugmentationConfig()),
        BatchConfig(
            seconds=recipe.batch_s,
            longest_s=recipe.longest_s,
            weights={name: float(getattr(recipe, f"{name}_weight")) for name in WEIGHTED},
        ),
        recipe.seed,
        stored_pitch(corpus),
    )
    trainer = ContentTrainer(training_of(recipe, device), source, work / "content")
    trainer.resume()
    return trainer


def stored_pitch(corpus: Corpus) -> Mapping[str, npt.NDArray[np.float32]]:
    """Pitch tracks by clip id of the parts that have them; the other clips train without the prosody loss."""
    pitch: dict[str, npt.NDArray[np.float32]] = {}
    for part in sorted({clip.part for clip in corpus.clips}):
        if (corpus.folder / f"{part}.f0.npz").is_file():
            one = Corpus.open(corpus.folder, [part])
            tracks = PitchTracks.of(one)
            pitch |= {clip.id: tracks[clip.id] for clip in one.clips}
    return pitch


def training_of(recipe: ContentRecipe, device: str) -> ContentTraining:
    """The settings of the trainer from the recipe's section."""
    return ContentTraining(
        steps=recipe.steps,
        warm_steps=recipe.warm_steps,
        frozen_convolutions=recipe.frozen_convolutions,
        decay_share=recipe.decay_share,
        learning_rate=recipe.learning_rate,
        ctc_weight=recipe.ctc_weight,
        prosody_weight=recipe.prosody_weight,
        seed=recipe.seed,
        checkpoint_minutes=recipe.checkpoint_minutes,
        device=device,
    )
