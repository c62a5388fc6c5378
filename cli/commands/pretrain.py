"""`timbre pretrain`: trains the nano base stage by stage."""

from __future__ import annotations

import dataclasses
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from timbre.core.base import load_base
from timbre.core.table import Table
from timbre.nano.corpus import Corpus, unseen_speakers
from timbre.nano.curves import plot_curves
from timbre.nano.grams import count_grams
from timbre.nano.packed import pack_corpus as write_pack
from timbre.nano.packed import write_phones
from timbre.nano.recipe import load_nano_recipe
from timbre.text.phone_grams import PATH

if TYPE_CHECKING:
    import torch

DEFAULT_RECIPE = Path("recipes/nano.yaml")
DEFAULT_WORK = Path(".timbre/pretrain")


def paths(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that all stages share: --recipe, --speech, --work."""
    folder = click.Path(path_type=Path, file_okay=False)
    for option in (
        click.option(
            "--work", type=folder, default=DEFAULT_WORK, show_default=True, help="Folder of the corpus and checkpoints."
        ),
        click.option(
            "--speech", type=folder, required=True, envvar="TIMBRE_SPEECH", help="Corpora. [default: $TIMBRE_SPEECH]"
        ),
        click.option(
            "--recipe",
            "recipe_file",
            type=click.Path(path_type=Path),
            default=DEFAULT_RECIPE,
            show_default=True,
            help="Recipe of the stages.",
        ),
    ):
        command = option(command)
    return command


def _machine(device: str = "cpu", threads: int = 1) -> torch.device:
    """Limit torch to some CPU threads; returns the device. The one import of torch here: help must not wait for it."""
    import torch

    torch.set_num_threads(threads)
    return torch.device(device)


@click.group("pretrain")
def pretrain() -> None:
    """Train the nano base: corpus, content, align, acoustic, t2s, pack. Interrupted stages resume."""


@pretrain.command("corpus")
@paths
def corpus(recipe_file: Path, speech: Path, work: Path) -> None:
    """Decode the training speech; compute alignments, pitch and speaker vectors of the teacher's clips."""
    from timbre.nano.stages import make_corpus

    make_corpus(load_nano_recipe(recipe_file).corpus, speech, work, click.echo)


@pretrain.command("content")
@paths
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--threads", type=int, default=1, show_default=True, help="CPU threads.")
def content(recipe_file: Path, speech: Path, work: Path, device: str, threads: int) -> None:
    """Train the content encoder and phone recogniser. SIGTERM stops after the current step; the next call resumes."""
    from timbre.nano.stages import content_trainer

    _machine(device, threads)
    trainer = content_trainer(load_nano_recipe(recipe_file).content, speech, work, device, click.echo)
    signal.signal(signal.SIGTERM, lambda number, frame: setattr(trainer.loop, "stop", True))
    trainer.train()
    click.echo(f"step {trainer.loop.clock.step} of {trainer.config.steps}")


@pretrain.command("align")
@paths
def align(recipe_file: Path, speech: Path, work: Path) -> None:
    """Align recordings with their texts using the content encoder; repeat after training it further."""
    from timbre.nano.content import load_averaged
    from timbre.nano.stages import align_again

    _machine()
    align_again(load_averaged(work / "content"), work / "corpus", "real", click.echo)


@pretrain.command("transcribe")
@paths
@click.option(
    "--whisper",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    envvar="TIMBRE_WHISPER",
    help="Folder of a CTranslate2 Whisper. [default: $TIMBRE_WHISPER]",
)
def transcribe(recipe_file: Path, speech: Path, work: Path, whisper: Path) -> None:
    """Give texts and alignments to recordings that came without (part voices), to train the content encoder on."""
    from timbre.nano.content import load_averaged
    from timbre.nano.transcribe import by_whisper
    from timbre.nano.transcribe import transcribe as write

    _machine()
    write(load_averaged(work / "content"), work / "corpus", by_whisper(whisper), click.echo)


@pretrain.command("restore")
@paths
@click.option("--base", "base_name", default="nano", show_default=True, help="A packed nano base, by name or folder.")
@click.option(
    "--content-steps",
    default=0,
    show_default=True,
    help="Steps that the content encoder was trained for; sets its position in the schedule.",
)
def restore(recipe_file: Path, speech: Path, work: Path, base_name: str, content_steps: int) -> None:
    """Create checkpoints from a packed base, to continue its training on another machine. Needs the corpus.

    Then `timbre pretrain content`, `acoustic --part joint` and `t2s` go on from its networks.
    """
    from timbre.nano.restore import restore as write

    _machine()
    write(load_base(base_name), load_nano_recipe(recipe_file), speech, work, content_steps, click.echo)


@pretrain.command("recogniser")
@paths
def recogniser(recipe_file: Path, speech: Path, work: Path) -> None:
    """Refit the recogniser's head on the finished encoder; its features do not change."""
    from timbre.nano.stages import make_recogniser

    _machine()
    make_recogniser(speech, work, click.echo)


@pretrain.command("grams")
@paths
@click.option("--to", "target", type=click.Path(path_type=Path, dir_okay=False), help="Default: the package's.")
def grams(recipe_file: Path, speech: Path, work: Path, target: Path | None) -> None:
    """Count phone n-grams for the recogniser's search (text/data/phone_grams.npz)."""
    path = target or PATH
    count_grams(speech).save(path)
    click.echo(f"{path}  {path.stat().st_size / 1e3:.0f} kB")


@pretrain.command("all")
@paths
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--threads", type=int, default=1, show_default=True, help="CPU threads.")
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("bases/nano"),
    show_default=True,
    help="Folder of the base.",
)
@click.pass_context
def everything(
    context: click.Context, recipe_file: Path, speech: Path, work: Path, device: str, threads: int, target: Path
) -> None:
    """Run all stages in order and write the base, skipping finished ones."""
    common = {"recipe_file": recipe_file, "speech": speech, "work": work}
    machine = {"device": device, "threads": threads}
    for command, options in (
        (corpus, {}),
        (content, machine),
        (align, {}),
        (acoustic, {**machine, "part": "all"}),
        (t2s, machine),
        (pack, {"target": target}),
    ):
        click.echo(f"== {command.name}")
        context.invoke(command, **common, **options)


@pretrain.command("pack-corpus")
@paths
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
def pack_corpus(recipe_file: Path, speech: Path, work: Path, target: Path) -> None:
    """Pack about two hours of the corpus into one file for training on another machine (nano/everything.py)."""
    corpus = Corpus.open(work / "corpus", unseen=unseen_speakers(speech))
    write_phones(corpus)
    click.echo(f"{target}  {write_pack(corpus, speech, target) / 1e6:.2f} MB")


@pretrain.command("phone-error")
@paths
@click.option(
    "--corpus", "corpora", multiple=True, default=("ljspeech", "vctk", "aishell"), show_default=True,
    help="Corpus to measure on; repeatable.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a Markdown table.")
def phone_error(
    recipe_file: Path, speech: Path, work: Path, corpora: tuple[str, ...], as_json: bool, as_markdown: bool
) -> None:
    """Measure the recogniser's phone error rate on evaluation clips."""
    from timbre.nano.content import load_averaged
    from timbre.nano.phone_error import measure

    _machine()
    rows = [result.row() for result in measure(load_averaged(work / "content"), speech, corpora)]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    if as_markdown:
        click.echo(Table(list(rows[0]), [[str(value) for value in row.values()] for row in rows]).markdown())
        return
    for row in rows:
        click.echo("  ".join(f"{name} {value}" for name, value in row.items()))


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--device and --threads of the stages that train."""
    command = click.option("--threads", type=int, default=1, show_default=True, help="CPU threads.")(command)
    return click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")(command)


@pretrain.command("acoustic")
@paths
@training_options
@click.option(
    "--part",
    type=click.Choice(["all", "generator", "prior", "joint"]),
    default="all",
    show_default=True,
    help="generator and prior may train side by side; joint needs both.",
)
@click.option(
    "--whisper",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="TIMBRE_WHISPER",
    help="Folder of a CTranslate2 Whisper, for recipes that hear through it. [default: $TIMBRE_WHISPER]",
)
def acoustic(
    recipe_file: Path, speech: Path, work: Path, device: str, threads: int, part: str, whisper: Path | None
) -> None:
    """Train the generator; prior, flow and style; then all of them together."""
    from timbre.nano import speech_stages

    recipe, where = load_nano_recipe(recipe_file).acoustic, _machine(device, threads)
    if part in ("all", "joint"):
        speech_stages.checked_ear(recipe, whisper)
    if part in ("all", "generator"):
        speech_stages.generator(recipe, speech, work, where, click.echo)
    if part in ("all", "prior"):
        speech_stages.prior(recipe, speech, work, where, click.echo)
    if part in ("all", "joint"):
        speech_stages.prior(recipe, speech, work, where, click.echo, together=True, whisper=whisper)


@pretrain.command("t2s")
@paths
@training_options
def t2s(recipe_file: Path, speech: Path, work: Path, device: str, threads: int) -> None:
    """Train text to semantic codes."""
    from timbre.nano import speech_stages

    speech_stages.semantic(load_nano_recipe(recipe_file).t2s, speech, work, _machine(device, threads), click.echo)


@pretrain.command("pack")
@paths
@click.option(
    "--to", "target", type=click.Path(path_type=Path), default=Path("bases/nano"), show_default=True,
    help="Folder of the base.",
)  # fmt: skip
def pack(recipe_file: Path, speech: Path, work: Path, target: Path) -> None:
    """Write the trained networks as a base: fp16 weights and base.yaml with digests."""
    from timbre.nano.pack import pack as write
    from timbre.nano.speech_stages import fit_modulation

    recipe = load_nano_recipe(recipe_file).acoustic
    base = write(
        work, target, kept=recipe.kept,
        finish=lambda model: fit_modulation(model, recipe, speech, work, click.echo),
    )  # fmt: skip
    for item in base.files:
        click.echo(f"{item.path}  {(target / item.path).stat().st_size / 1e6:.2f} MB  {item.sha256}")


@pretrain.command("measure")
@paths
@click.option("--base", "base_name", default="", help="Base to measure (name or folder); default: the checkpoints.")
@click.option("--sentences", default=200, show_default=True, help="Sentences used to count failures; 0 to skip.")
@click.option("--temperature", default=None, type=float, help="Sampling temperature of the codes.")
@click.option("--prompt-codes/--no-prompt-codes", default=True, help="Continue the prompt's codes.")
@click.option("--noise-scale", default=None, type=float, help="Noise scale of the acoustic prior.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a Markdown table.")
def measure(
    recipe_file: Path,
    speech: Path,
    work: Path,
    base_name: str,
    sentences: int,
    temperature: float | None,
    prompt_codes: bool,
    noise_scale: float | None,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Measure the table of the model card: copy synthesis, phone and word errors, failures, similarity, sizes."""
    from timbre.nano.measure import measure as rows_of
    from timbre.nano.measure import speaker_of_base, speaker_of_work

    _machine()
    speaker, encoder = speaker_of_base(base_name) if base_name else speaker_of_work(work)
    speaker.prompt_codes = prompt_codes
    if temperature is not None:
        speaker.sampling = dataclasses.replace(speaker.sampling, temperature=temperature)
    if noise_scale is not None:
        speaker.noise_scale = noise_scale
    rows = rows_of(speaker, encoder, speech, sentences, lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(row) | {"met": row.met} for row in rows], indent=1))
        return
    table = []
    for row in rows:
        limit = "" if row.limit is None else f"{'>=' if row.higher_is_better else '<='} {row.limit:g}"
        met = {True: "yes", False: "no", None: ""}[row.met]
        table.append((row.measure, f"{row.value:.3f}", limit, met, str(row.count)))
    shown = Table(("measure", "value", "limit", "met", "count"), table)
    click.echo(shown.markdown() if as_markdown else shown.text())


@pretrain.command("samples")
@paths
@click.option("--base", "base_name", default="", help="Base to speak with (name or folder); default: the checkpoints.")
@click.option("--prompt-codes/--no-prompt-codes", default=True, help="Continue the prompt's codes.")
@click.option(
    "--to", "target", type=click.Path(path_type=Path, file_okay=False), default=Path("bases/nano/samples"),
    show_default=True, help="Output folder.",
)  # fmt: skip
def samples(recipe_file: Path, speech: Path, work: Path, base_name: str, prompt_codes: bool, target: Path) -> None:
    """Write six audio samples with spectrograms, and the training curves."""
    from timbre.nano.measure import speaker_of_base, speaker_of_work
    from timbre.nano.samples import write_samples

    _machine()
    speaker, _ = speaker_of_base(base_name) if base_name else speaker_of_work(work)
    speaker.prompt_codes = prompt_codes
    for line in write_samples(speaker, speech, target):
        click.echo(line)
    click.echo(f"{plot_curves(work, target / 'curves.png')} curves")
