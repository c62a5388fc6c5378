"""What the nano base reaches, measured in torch on speech it was not trained on: the table of its model card.

Eval clips (unseen sentences of known speakers) and unseen speakers -> copy synthesis, intelligibility, failures,
likeness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from timbre.core.base import load_base
from timbre.evaluation.metrics.perceptual import pesq, stoi
from timbre.evaluation.metrics.phones import SentenceLimits, longest_loop, sentence_failures
from timbre.evaluation.metrics.speaker import cosine, real_to_real
from timbre.gptsovits.acoustic.generator_source_istft import refine_phase, unit
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.encoders.ge2e import load_ge2e
from timbre.gptsovits.files.base_networks import load_synthesizer, load_text_to_semantic
from timbre.inference.recogniser import errors_of
from timbre.nano.alignment import words_of
from timbre.nano.content import load_averaged
from timbre.nano.content_network import ContentConfig, ContentEncoder, content_features
from timbre.nano.corpus import (
    CORPORA,
    RATE_HZ,
    SpeechFile,
    evaluation_files,
    is_evaluation,
    read_audio,
    read_metadata,
    resampled,
    training_files,
    unseen_speakers,
)
from timbre.nano.pack import load_acoustic, load_semantic
from timbre.nano.restore import load_content
from timbre.nano.sentences import SentenceSource
from timbre.nano.speaking import Prompt, Spoken, TorchSpeaker
from timbre.text.edit_distance import EditCounts, edit_counts, total
from timbre.text.frontend import phonemize
from timbre.text.recognition import spoken_class_ids

Floats = npt.NDArray[np.float32]
JUDGE_HZ = 16_000
"""Recognisers, PESQ and STOI hear at this rate."""

PROMPT_S = (3.0, 8.0)
SENTENCE_SEED = 200
BATCH = 10
Report = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    measure: str
    """What was measured."""
    value: float
    """In the unit that `measure` ends with, per cent for example."""
    limit: float | None
    """None: report only."""
    higher_is_better: bool
    """Whether `limit` is the least or the most."""
    count: int
    """Number of clips or sentences."""

    @property
    def met(self) -> bool | None:
        """Whether the limit is met; None without a limit."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.higher_is_better else self.value <= self.limit


def judged(wave: Floats) -> Floats:
    """[T] at the base's rate -> at JUDGE_HZ."""
    return resampled(wave, RATE_HZ, JUDGE_HZ)


class BaseRecogniser:
    """The base's own recogniser: content encoder and CTC head."""

    def __init__(self, encoder: ContentEncoder) -> None:
        self.encoder = encoder.eval()

    @torch.inference_mode()
    def errors(self, wave: Floats, text: str, language: str) -> EditCounts:
        """Phone edits between what is heard in [T] and what the text says."""
        heard = judged(wave)
        padded = np.pad(heard, (0, max(0, JUDGE_HZ // 2 - len(heard))))
        _, scores, _ = self.encoder(torch.from_numpy(padded.astype(np.float32))[None])
        return errors_of(scores[0].float().numpy(), phonemize(text, language))


class PocketsphinxRecogniser:
    """pocketsphinx with its own English model: a judge that nothing here was trained with."""

    def __init__(self) -> None:
        import pocketsphinx

        self._decoder = pocketsphinx.Decoder(loglevel="FATAL")

    def errors(self, wave: Floats, text: str) -> EditCounts:
        """Word edits between what is heard in [T] and the text."""
        samples = (np.clip(judged(wave), -1.0, 1.0) * 32767).astype(np.int16)
        self._decoder.start_utt()
        self._decoder.process_raw(samples.tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return edit_counts(words_of(text), words_of(found.hypstr) if found is not None else [])


@torch.inference_mode()
def griffin_lim(model: Synthesizer, speaker: TorchSpeaker, wave: Floats, iterations: int = 32) -> Floats:
    """The exact magnitudes of a clip [T] with a phase found from noise: what no network is needed for."""
    dec = model.dec
    samples = torch.from_numpy(wave).view(1, 1, -1)
    magnitude = speaker.spectrogram(samples)
    generator = torch.Generator().manual_seed(0)
    angle = torch.rand(magnitude.shape, generator=generator) * 2 * torch.pi
    real, imaginary = unit(torch.cos(angle), torch.sin(angle))
    real, imaginary = refine_phase(magnitude, real, imaginary, dec.stft, dec.istft, iterations)  # type: ignore[arg-type]
    return dec.istft(magnitude * real, magnitude * imaginary).view(-1).numpy()  # type: ignore[operator]


def copy_rows(speaker: TorchSpeaker, speech: Path, files: Sequence[SpeechFile]) -> list[Row]:
    """PESQ and STOI of copy synthesis; the same of Griffin-Lim without limits."""
    hop = speaker.synthesizer.config.hop
    values: dict[str, list[float]] = {}
    for file in files:
        wave = read_audio(speech / file.path)
        wave = wave[: len(wave) // hop * hop]
        for name, made in (
            ("copy", speaker.copy(wave)),
            ("Griffin-Lim", griffin_lim(speaker.synthesizer, speaker, wave)),
        ):
            real, made = judged(wave), judged(made)
            values.setdefault(f"{name}, PESQ narrow band", []).append(pesq(real, made, band="nb"))
            values.setdefault(f"{name}, PESQ wide band", []).append(pesq(real, made, band="wb"))
            values.setdefault(f"{name}, STOI", []).append(stoi(real, made))
    limits = {"copy, PESQ narrow band": 3.0, "copy, PESQ wide band": 2.2, "copy, STOI": 0.92}
    return [Row(name, float(np.mean(rows)), limits.get(name), True, len(rows)) for name, rows in values.items()]


def prompt_of(speaker: TorchSpeaker, speech: Path, files: Sequence[SpeechFile]) -> Prompt:
    """The first of a speaker's clips that has the length of a prompt."""
    fitting = [file for file in files if PROMPT_S[0] <= file.seconds <= PROMPT_S[1]]
    file = (fitting or list(files))[0]
    return speaker.prompt(read_audio(speech / file.path), file.text, file.language)


def spoken_by(
    speaker: TorchSpeaker, prompt: Prompt, texts: Sequence[str], language: str, seed: int = 0
) -> list[Spoken]:
    """All texts, in batches of similar length so that no row waits long for another; in the order given."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    found: dict[int, Spoken] = {}
    for begin in range(0, len(order), BATCH):
        some = order[begin : begin + BATCH]
        batch = speaker.speak([texts[index] for index in some], language, prompt, seed + begin)
        for index, one in zip(some, batch, strict=True):
            found[index] = one
    return [found[index] for index in range(len(texts))]


def seconds_a_phone(files: Sequence[SpeechFile]) -> float:
    """The speaker's rate: seconds of the clips over phones of their texts."""
    phones = sum(len(spoken_class_ids(phonemize(file.text, file.language).phones)) for file in files)
    return sum(file.seconds for file in files) / phones


def intelligibility_rows(
    speaker: TorchSpeaker,
    hearing: BaseRecogniser,
    other: PocketsphinxRecogniser | None,
    speech: Path,
    files: Sequence[SpeechFile],
) -> list[Row]:
    """Phone error rates of real and spoken eval sentences; word error rates of the LJSpeech ones by pocketsphinx."""
    known = training_files(speech)
    real: list[EditCounts] = []
    made: list[EditCounts] = []
    words: dict[str, list[EditCounts]] = {"real": [], "made": []}
    for name in sorted({file.speaker for file in files}):
        own = [file for file in files if file.speaker == name]
        prompt = prompt_of(speaker, speech, [file for file in known if file.speaker == name])
        for file, spoken in zip(own, spoken_by(speaker, prompt, [f.text for f in own], "en"), strict=True):
            wave = read_audio(speech / file.path)
            real.append(hearing.errors(wave, file.text, "en"))
            made.append(hearing.errors(spoken.wave, file.text, "en"))
            if other is not None and file.path.startswith("ljspeech/"):
                words["real"].append(other.errors(wave, file.text))
                words["made"].append(other.errors(spoken.wave, file.text))
    real_rate, made_rate = 100 * total(real).rate, 100 * total(made).rate
    rows = [
        Row("phone error rate, real recordings, %", real_rate, 20.0, False, len(real)),
        Row("phone error rate, spoken, %", made_rate, None, False, len(made)),
        Row("phone error rate, spoken minus real, points", made_rate - real_rate, 8.0, False, len(made)),
    ]
    if words["real"]:
        heard, spoken_rate = 100 * total(words["real"]).rate, 100 * total(words["made"]).rate
        count = len(words["real"])
        rows += [
            Row("pocketsphinx word error rate, real LJSpeech, %", heard, None, False, count),
            Row("pocketsphinx word error rate, spoken LJSpeech sentences, %", spoken_rate, None, False, count),
            Row("pocketsphinx word error rate, spoken minus real, points", spoken_rate - heard, 15.0, False, count),
        ]
    return rows


def failure_rows(
    speaker: TorchSpeaker, hearing: BaseRecogniser, speech: Path, count: int, report: Report = lambda line: None
) -> list[Row]:
    """Sentences that fail by the engine's rules: at the first try, and after speaking failed ones once more."""
    sentences = SentenceSource(speech, SENTENCE_SEED).sentences(read_share=0.0)
    texts = [next(sentences) for _ in range(count)]
    own = [file for file in training_files(speech) if file.speaker == "LJ"]
    prompt = prompt_of(speaker, speech, own)
    rate = seconds_a_phone(own[:100])

    def reasons(text: str, spoken: Spoken) -> tuple[str, ...]:
        expected = rate * len(spoken_class_ids(phonemize(text, "en").phones))
        level = 20 * np.log10(np.sqrt(np.mean(np.square(spoken.wave))) + 1e-9)
        return sentence_failures(
            duration_s=len(spoken.wave) / RATE_HZ, expected_s=expected, rms_dbfs=float(level),
            error_rate=hearing.errors(spoken.wave, text, "en").rate, loop=longest_loop(spoken.codes),
            reached_limit=not spoken.ended, limits=SentenceLimits(),
        )  # fmt: skip

    def failed(candidates: Sequence[str], seed: int) -> list[str]:
        left = []
        for text, spoken in zip(candidates, spoken_by(speaker, prompt, candidates, "en", seed), strict=True):
            found = reasons(text, spoken)
            if found:
                report(f"{text}: {'; '.join(found)}")
                left.append(text)
        return left

    first = failed(texts, 0)
    second = failed(first, 1000) if first else []
    return [
        Row("failed sentences, first try, %", 100 * len(first) / count, 5.0, False, count),
        Row("failed sentences, after one more try, %", 100 * len(second) / count, 1.0, False, count),
    ]


def likeness_rows(speaker: TorchSpeaker, speech: Path, texts: Sequence[str]) -> list[Row]:
    """GE2E similarity of unseen speakers, from one clip of each, to their other clips; real clips among each other."""
    held_out = unseen_speakers(speech)
    by_speaker: dict[str, list[SpeechFile]] = {}
    for corpus in CORPORA:
        for file in read_metadata(speech, corpus):
            if file.speaker in held_out and not is_evaluation(file.path):
                by_speaker.setdefault(file.speaker, []).append(file)
    values, own = [], []
    for files in by_speaker.values():
        longest = sorted(files, key=lambda file: -file.seconds)
        prompt = prompt_of(speaker, speech, longest)
        rest = np.stack([speaker.speaker_vector(read_audio(speech / file.path)) for file in longest[1:7]])
        made = np.stack([speaker.speaker_vector(one.wave) for one in spoken_by(speaker, prompt, texts, "en")])
        values.append(float(cosine(made, rest).mean()))
        own.append(real_to_real(rest))
    if not values:
        return []
    return [
        Row("zero-shot GE2E similarity, unseen speakers", float(np.mean(values)), None, True, len(values)),
        Row("GE2E similarity of their real clips among each other", float(np.mean(own)), None, True, len(own)),
    ]


def parameter_rows(speaker: TorchSpeaker, encoder: ContentEncoder) -> list[Row]:
    """Millions of parameters."""
    acoustic = sum(p.numel() for n, p in speaker.synthesizer.named_parameters() if not n.startswith("enc_q."))
    posterior = sum(p.numel() for n, p in speaker.synthesizer.named_parameters() if n.startswith("enc_q."))
    t2s = sum(p.numel() for p in speaker.t2s.parameters())
    heard = (encoder.hubert, encoder.ctc_head)
    content = sum(p.numel() for network in heard for p in network.parameters())
    return [
        Row("parameters, synthesis (text to semantic + acoustic without posterior), M", (acoustic + t2s) / 1e6, 12.0,
            False, 1),
        Row("parameters, posterior encoder (training and copy synthesis), M", posterior / 1e6, None, False, 1),
        Row("parameters, content encoder and recogniser, M", content / 1e6, None, False, 1),
    ]  # fmt: skip


def speaker_of_work(work: Path) -> tuple[TorchSpeaker, ContentEncoder]:
    """The checkpoints of a pretraining folder, ready to speak."""

    encoder, synthesizer = load_averaged(work / "content"), load_acoustic(work)
    return TorchSpeaker(load_semantic(work), synthesizer, codes_with(encoder, synthesizer), load_ge2e()), encoder


def speaker_of_base(name: str) -> tuple[TorchSpeaker, ContentEncoder]:
    """A packed nano base by name or folder, ready to speak, with its recogniser."""

    base = load_base(name)
    encoder = ContentEncoder(ContentConfig())
    load_content(encoder, base)
    synthesizer = load_synthesizer(base).float()
    t2s = load_text_to_semantic(base).float()
    return TorchSpeaker(t2s, synthesizer, codes_with(encoder, synthesizer), load_ge2e()), encoder


def codes_with(encoder: ContentEncoder, synthesizer: Synthesizer) -> Callable[[Floats], npt.NDArray[np.int64]]:
    """wave [T] -> codes [N], by the content encoder and the acoustic model's quantizer."""

    def codes(wave: Floats) -> npt.NDArray[np.int64]:
        features = torch.from_numpy(content_features(encoder.eval(), judged(wave))).T.unsqueeze(0)
        return synthesizer.extract_codes(features)[0, 0].numpy()

    return codes


def measure(
    speaker: TorchSpeaker,
    encoder: ContentEncoder,
    speech: Path,
    sentences: int = 200,
    report: Report = lambda line: None,
) -> list[Row]:
    """Every row of the table. sentences: how many to count failures over; 0 leaves them out."""
    files = evaluation_files(speech)
    hearing = BaseRecogniser(encoder)
    rows = copy_rows(speaker, speech, files)
    report("copy synthesis done")
    rows += intelligibility_rows(speaker, hearing, PocketsphinxRecogniser(), speech, files)
    report("intelligibility done")
    if sentences:
        rows += failure_rows(speaker, hearing, speech, sentences, report)
    rows += likeness_rows(speaker, speech, [file.text for file in files[:3]])
    return rows + parameter_rows(speaker, encoder)
