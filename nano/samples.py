"""Six sound samples of the nano base and their spectrograms, for the model card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from timbre.nano.corpus import (
    CORPORA,
    RATE_HZ,
    evaluation_files,
    read_audio,
    read_metadata,
    training_files,
    unseen_speakers,
)
from timbre.nano.curves import plot_spectrograms
from timbre.nano.measure import Floats, prompt_of
from timbre.nano.speaking import TorchSpeaker

FRESH = "The weather was kind to us, and the boat came home before the evening bell."


def write_samples(speaker: TorchSpeaker, speech: Path, folder: Path) -> list[str]:
    """Writes ``folder/*.ogg`` and ``folder/spectrograms.png``; returns a line of description for each sample.

    Two known speakers and one unseen one, each speaking; one copy synthesis. Recordings stand beside them in the
    picture only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known, held_out = training_files(speech), unseen_speakers(speech)
    strangers = [file for corpus in CORPORA for file in read_metadata(speech, corpus) if file.speaker in held_out]
    strangers.sort(key=lambda file: -file.seconds)
    lines: list[str] = []
    shown: list[tuple[str, Floats]] = []

    def keep(name: str, title: str, wave: Floats) -> None:
        soundfile.write(folder / f"{name}.ogg", np.clip(wave, -1, 1), RATE_HZ, format="OGG", subtype="VORBIS")
        lines.append(f"`{name}.ogg`: {title}")
        shown.append((title, wave))

    for corpus in ("ljspeech", "vctk"):
        file = evaluation_files(speech, [corpus])[0]
        real = read_audio(speech / file.path)
        prompt = prompt_of(speaker, speech, [item for item in known if item.speaker == file.speaker])
        shown.append((f"{file.speaker}, recording: {file.text}", real))
        keep(f"{corpus}_copy", f"{file.speaker}, copy synthesis of that recording", speaker.copy(real))
        keep(f"{corpus}_tts", f"{file.speaker}, the same text spoken", speaker.speak([file.text], "en", prompt)[0].wave)
        if corpus == "ljspeech":
            keep("ljspeech_fresh", f"{file.speaker}: {FRESH}", speaker.speak([FRESH], "en", prompt)[0].wave)
    prompt = prompt_of(speaker, speech, strangers)
    wave = speaker.speak([FRESH], "en", prompt)[0].wave
    keep("unseen_fresh", f"unseen speaker {strangers[0].speaker}: {FRESH}", wave)
    plot_spectrograms(shown, folder / "spectrograms.png")
    return lines
