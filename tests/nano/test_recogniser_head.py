"""The head of the recogniser, fitted anew: better on dev clips, the encoder untouched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.nano.test_content import TINY, TRAINING
from tests.nano.tone_corpus import tone_source, write_tones
from timbre.core.errors import ConfigurationError
from timbre.nano import recogniser_head
from timbre.nano.alignment import read_alignments
from timbre.nano.content import ContentTrainer, load_averaged, replace_ctc_head
from timbre.nano.recogniser_head import HeadTraining, best_shift, refit_head
from timbre.text.recognition import BLANK, CLASSES


def test_the_shift_of_the_blank_that_errs_least_is_found() -> None:
    head = nn.Linear(2, len(CLASSES))
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(-9.0)
        head.weight[5, 0], head.weight[BLANK, 1] = 1.0, 1.0
        head.bias[5], head.bias[BLANK] = 0.0, 0.6  # the blank wins by 0.6 where class 5 is meant
    hidden = torch.tensor([[0.0, 5.0], [0.0, 0.0], [0.0, 5.0]])
    rate, shift = best_shift(head, [(hidden, torch.tensor([5]))])
    assert rate == 0.0
    assert -1.0 <= shift <= -0.75
    assert best_shift(head, [(hidden[:1], torch.tensor([5]))])[0] == 1.0


def test_refitting_leaves_the_encoder_alone_and_hears_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(recogniser_head, "NATIVE", ("c",))
    corpus = write_tones(tmp_path / "corpus", clips=60)
    alignments = read_alignments(corpus.folder, "real")
    # The transcript of a tone corpus is not in words: the dev clips' phones come from the alignment.
    monkeypatch.setattr(recogniser_head, "phonemize", lambda text, language: _Spoken(text))
    monkeypatch.setattr(recogniser_head, "spoken_class_ids", lambda phones: phones)
    spoken = {clip.id: alignments[clip.id].spoken() for clip in corpus.clips}
    corpus.clips = [replace(clip, text=clip.id) for clip in corpus.clips]
    _Spoken.table = spoken
    ContentTrainer(replace(TRAINING, ctc_weight=0.0), tone_source(corpus), tmp_path / "run").train()
    encoder = load_averaged(tmp_path / "run", TINY)
    lines: list[str] = []
    settings = HeadTraining(rounds=6, batch=8, learning_rate=0.05)
    head = refit_head(encoder, corpus, alignments, settings, lines.append)
    rates = [float(line.split("error ")[1].split(" %")[0]) for line in lines]
    assert len(rates) == 7
    assert rates[0] > 80
    assert min(rates) < 40
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    replace_ctc_head(tmp_path / "run", head)
    after = load_averaged(tmp_path / "run", TINY).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"ctc_head.weight", "ctc_head.bias"}


def test_without_dev_clips_there_is_no_head(tmp_path: Path) -> None:
    corpus = write_tones(tmp_path, clips=3)
    from timbre.nano.content_network import ContentEncoder

    with pytest.raises(ConfigurationError, match="0 dev clips"):
        refit_head(ContentEncoder(TINY), corpus, read_alignments(tmp_path, "real"), HeadTraining(), lambda line: None)


class _Spoken:
    """Stands for phonemes: the classes that a clip's alignment has."""

    table: dict[str, tuple[int, ...]] = {}  # noqa: RUF012

    def __init__(self, text: str) -> None:
        self.phones = self.table[text]
