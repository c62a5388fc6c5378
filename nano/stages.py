"""The stages corpus and content as functions of a recipe, a speech folder and a work folder.

Each stage resumes: it skips finished work, and training continues from its checkpoint. Paths below the work folder::

    corpus/               see corpus.py
    content/              content.ckpt, content.log.jsonl
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from timbre.nano.alignment import UNKNOWN, Alignment, read_alignments, write_alignments
from timbre.nano.augmentation import AugmentationConfig, Augmenter
from timbre.nano.checkpointing import START
from timbre.nano.content import ContentTrainer, ContentTraining, load_averaged, replace_ctc_head
from timbre.nano.content_batches import BatchConfig, BatchSource
from timbre.nano.content_network import ContentConfig, ContentEncoder
from timbre.nano.corpus import Corpus, build_real, build_voices, unseen_speakers
from timbre.nano.forced_alignment import align_scores, frame_scores
from timbre.nano.label_codes import segments_of
from timbre.nano.pitch_tracks import PitchTracks
from timbre.nano.recipe import ContentRecipe, CorpusRecipe
from timbre.nano.recogniser_head import HeadTraining, refit_head
from timbre.nano.semantic_data import phone_ids
from timbre.nano.teacher import build_teacher
from timbre.nano.training_loop import Report, silent

WEIGHTED = ("ljspeech", "vctk", "kathleen", "speechocean762", "aishell", "teacher", "voices", "flite", "espeak")


def make_corpus(recipe: CorpusRecipe, speech: Path, work: Path, report: Report) -> None:
    """Stage corpus; keeps existing parts."""
    # A machine that trains on a packed corpus has neither word lists nor a resampler.
    from timbre.nano.sentences import MandarinSentences, SentenceSource
    from timbre.nano.synthetic import build_espeak, build_flite

    folder = work / "corpus"
    if not (folder / "real.jsonl").is_file():
        report(f"real: {build_real(speech, folder)} clips")
    if not (folder / "voices.jsonl").is_file():
        report(f"voices: {build_voices(speech, folder)} clips")
    if not (folder / "teacher.jsonl").is_file():
        kept, there = build_teacher(speech, folder)
        report(f"teacher: {kept} of {there} clips fit their texts")
    if recipe.flite_hours > 0 and not (folder / "flite.jsonl").is_file():
        sentences = SentenceSource(speech, recipe.seed).sentences()
        count = build_flite(speech, folder, sentences, recipe.flite_hours, recipe.seed, recipe.workers)
        report(f"flite: {count} clips")
    if recipe.espeak_hours > 0 and not (folder / "espeak.jsonl").is_file():
        english = SentenceSource(speech, recipe.seed + 1).sentences()
        mandarin = MandarinSentences(speech, recipe.seed + 2).sentences()
        hours, share = recipe.espeak_hours, recipe.espeak_mandarin_share
        count = build_espeak(speech, folder, english, mandarin, hours, share, recipe.seed, recipe.workers)
        report(f"espeak: {count} clips")
    corpus = Corpus.open(folder, unseen=unseen_speakers(speech))
    PitchTracks.of(corpus)
    report(", ".join(f"{part} {hours:.2f} h" for part, hours in sorted(corpus.hours().items())))


def make_recogniser(speech: Path, work: Path, report: Report) -> None:
    """Stage recogniser: a better CTC head on the finished encoder, written into its checkpoint."""
    corpus = Corpus.open(work / "corpus", ["real"], unseen_speakers(speech))
    head = refit_head(load_averaged(work / "content"), corpus, load_alignments(corpus), HeadTraining(), report)
    replace_ctc_head(work / "content", head)


def load_alignments(corpus: Corpus) -> dict[str, Alignment]:
    """Alignments of all parts of a corpus by clip id."""
    found: dict[str, Alignment] = {}
    for part in corpus.parts:
        found |= read_alignments(corpus.folder, part)
    return found


def content_trainer(
    recipe: ContentRecipe, speech: Path, work: Path, device: str = "cpu", report: Report = silent
) -> ContentTrainer:
    """The trainer of stage content, resumed from its checkpoint if there is one; at step 0 from START, if there is
    one."""
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
        stored_tones(corpus),
    )
    settings = training_of(recipe, device)
    trainer = ContentTrainer(settings, source, work / "content", report)
    trainer.loop.resume()
    if trainer.loop.clock.step or not (work / "content" / START).is_file():
        return trainer
    trainer = ContentTrainer(settings, source, work / "content", report)
    trainer.start_from(work / "content" / START)
    return trainer


def stored_tones(corpus: Corpus) -> dict[str, npt.NDArray[np.int64]]:
    """Tone (0 to 4) of each sound of the Mandarin alignments by clip id, UNKNOWN for sounds without one."""
    found = {}
    alignments = load_alignments(corpus)
    for clip in corpus.clips:
        if clip.language != "zh" or clip.id not in alignments:
            continue
        phones = phone_ids(clip.text, clip.language)
        if phones is not None:
            tones = [segment.tone - 1 for segment in segments_of(alignments[clip.id], phones)]
            found[clip.id] = np.array([tone if tone >= 0 else UNKNOWN for tone in tones], dtype=np.int64)
    return found


def align_again(encoder: ContentEncoder, folder: Path, part: str, report: Report) -> None:
    """Align a part with a content encoder, replacing its alignments."""
    corpus = Corpus.open(folder, [part])
    found = []
    for number, clip in enumerate(corpus.clips, start=1):
        phones = phone_ids(clip.text, clip.language)
        if phones is not None:
            audio = corpus.heard(clip)
            alignment = align_scores(clip.id, frame_scores(encoder, audio), phones.tolist(), audio=audio)
            if alignment is not None:
                found.append(alignment)
        if number % 1000 == 0:
            report(f"{part}: {len(found)} of {number} clips aligned")
    write_alignments(folder, part, found)
    report(f"{part}: {len(found)} of {len(corpus.clips)} clips aligned")


def stored_pitch(corpus: Corpus) -> Mapping[str, npt.NDArray[np.float32]]:
    """Pitch tracks by clip id, of parts that have them; other clips train without the prosody loss."""
    pitch: dict[str, npt.NDArray[np.float32]] = {}
    for part in corpus.parts:
        if (corpus.folder / f"{part}.f0.npz").is_file():
            one = Corpus.open(corpus.folder, [part])
            tracks = PitchTracks.of(one)
            pitch |= {clip.id: tracks[clip.id] for clip in one.clips}
    return pitch


def training_of(recipe: ContentRecipe, device: str) -> ContentTraining:
    """The settings of the trainer from the recipe's section."""
    return ContentTraining(
        network=ContentConfig(mask_share=recipe.mask_share),
        steps=recipe.steps,
        frozen_convolutions=recipe.frozen_convolutions,
        decay_share=recipe.decay_share,
        learning_rate=recipe.learning_rate,
        ctc_weight=recipe.ctc_weight,
        prosody_weight=recipe.prosody_weight,
        seed=recipe.seed,
        checkpoint_steps=recipe.checkpoint_steps,
        device=device,
    )
