"""A speech folder with the layout of the real one: sine clips, an eval clip, an unseen speaker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def write_speech(folder: Path, clips: int = 6) -> Path:
    """Four corpora; ljspeech has ``clips`` clips to train on and one of eval, speechocean762 an unseen speaker."""
    rows: dict[str, list[str]] = {"ljspeech": [], "vctk": [], "aishell": [], "speechocean762": [], "kathleen": []}
    for number in range(clips):
        name = f"train/LJ{number:03d}.wav"
        rows["ljspeech"].append(_clip(folder, "ljspeech", name, "LJ", "en", 1.6 + 0.2 * number, number))
    rows["ljspeech"].append(_clip(folder, "ljspeech", "eval/LJ900.wav", "LJ", "en", 1.6, 3))
    rows["vctk"].append(_clip(folder, "vctk", "train/p1.wav", "VCTK_p1", "en", 2.0, 4, rate_hz=24_000))
    rows["aishell"].append(_clip(folder, "aishell", "train/a1.wav", "A1", "zh", 2.0, 5))
    rows["speechocean762"].append(_clip(folder, "speechocean762", "S1/1.wav", "S1", "en", 2.0, 6))
    rows["speechocean762"].append(_clip(folder, "speechocean762", "S2/1.wav", "S2", "en", 2.0, 7))
    (folder / "kathleen").mkdir(exist_ok=True)
    for corpus, lines in rows.items():
        text = "\n".join(["file|speaker|language|text|seconds", *lines]) + "\n"
        (folder / corpus / "metadata.csv").write_text(text, encoding="utf-8")
    (folder / "unseen-speakers.txt").write_text("# held out\nS2\n", encoding="utf-8")
    return folder


def _clip(
    folder: Path, corpus: str, name: str, speaker: str, language: str, seconds: float, seed: int, rate_hz: int = 16_000
) -> str:
    path = folder / corpus / name
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    audio = 0.2 * np.sin(2 * np.pi * (200 + 100 * seed) * time)
    audio += 0.01 * np.random.default_rng(seed).standard_normal(time.size)
    soundfile.write(path, audio, rate_hz)
    return f"{name}|{speaker}|{language}|{'你好。' if language == 'zh' else 'Hello there.'}|{seconds:.2f}"
