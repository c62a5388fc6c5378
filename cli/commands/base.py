"""`timbre base`: list, pull, check and make bases."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from timbre.cli.commands.base_pin import pin
from timbre.cli.commands.options import bases_dir_option, registry_option
from timbre.cli.invocation import Invocation
from timbre.core.base import Base, list_bases, load_weights
from timbre.core.errors import CheckFailedError, ConfigurationError, TimbreError
from timbre.core.packaged import PACKAGED_BASES
from timbre.core.table import Table
from timbre.core.weights import list_tools
from timbre.pipeline.bases.check import MISSING, check_base, check_file
from timbre.pipeline.bases.pull import pull as pull_files

_WEIGHTS = click.option(
    "--weights",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder of pulled weights. [default: $TIMBRE_BASES or .timbre/bases of the repository]",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_MARKDOWN = click.option("--markdown", is_flag=True, help="Print a Markdown table.")


@click.group()
def base() -> None:
    """Manage base models."""


base.add_command(pin)


@base.command("list")
@bases_dir_option
@_WEIGHTS
@_JSON
@_MARKDOWN
@click.pass_obj
def list_command(
    invocation: Invocation, bases_dir: Path | None, weights: Path | None, as_json: bool, markdown: bool
) -> None:
    """List bases of the repository and of the package, and whether their weights are installed."""
    given = bases_dir is not None
    bases_dir, weights = invocation.bases(bases_dir, weights)
    rows: list[dict[str, Any]] = []
    places = (bases_dir,) if given else (bases_dir, PACKAGED_BASES)
    names = [sorted({name for place in places for name in listed(place)}) for listed in (list_bases, list_tools)]
    for name in names[0] + names[1]:
        tool = load_weights(name, bases_dir, weights)
        folder = tool.weights_dir()
        present = sum((folder / item.path).is_file() for item in tool.files)
        rows.append(
            {
                "name": name,
                "kind": "base" if isinstance(tool, Base) else "tool",
                "architecture": tool.architecture if isinstance(tool, Base) else "",
                "rate_hz": tool.rate_hz if isinstance(tool, Base) else None,
                "languages": list(tool.languages) if isinstance(tool, Base) else [],
                "files_present": present,
                "files": len(tool.files),
                "locked": tool.locked,
                "description": tool.description,
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    table = [
        [
            row["name"],
            row["architecture"] or "tool",
            row["rate_hz"] or "",
            " ".join(row["languages"]),
            f"{row['files_present']}/{row['files']}",
            "yes" if row["locked"] else "no",
            row["description"],
        ]
        for row in rows
    ]
    _table(["name", "architecture", "rate (Hz)", "languages", "files", "locked", "what"], table, markdown)


@base.command()
@click.argument("name")
@click.option(
    "--from",
    "from_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Copy the files from this folder instead of downloading them.",
)
@bases_dir_option
@_WEIGHTS
@_JSON
@click.pass_obj
def pull(
    invocation: Invocation,
    name: str,
    from_dir: Path | None,
    bases_dir: Path | None,
    weights: Path | None,
    as_json: bool,
) -> None:
    """Download the weights of base NAME (resumable). The first pull locks revision and digests in base.yaml."""
    tool = load_weights(name, *invocation.bases(bases_dir, weights))
    if from_dir is not None and not from_dir.is_dir():
        raise ConfigurationError(f"--from {from_dir}: no such folder", "name the folder that holds the files")
    report = pull_files(tool, None, from_dir, lambda path: None if as_json else click.echo(f"fetching {path}"))
    if as_json:
        click.echo(json.dumps(_plain(report), indent=1))
        return
    for item in report.files:
        click.echo(f"{item.how:8} {item.size_bytes / 1e6:9.1f} MB  {item.sha256[:12]}  {item.path}")
    click.echo(f"{report.name}: complete in {report.folder} ({report.source})")
    if report.locked_now:
        click.echo(f"{tool.spec_path}: locked; commit it so that every machine uses the same bytes")


@base.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME|FILE...")
@bases_dir_option
@_WEIGHTS
@_JSON
@_MARKDOWN
@click.pass_obj
def check(
    invocation: Invocation,
    names: tuple[str, ...],
    bases_dir: Path | None,
    weights: Path | None,
    as_json: bool,
    markdown: bool,
) -> None:
    """Check bases by NAME, or identify weight FILEs. Pickled code in a file is refused, never executed.

    Exit code 20 if a file differs from its lock or has wrong shapes, 40 if it is missing, 10 for a refused FILE.
    """
    places = invocation.bases(bases_dir, weights)
    rows: list[list[Any]] = []
    found: list[dict[str, Any]] = []
    failures: list[TimbreError] = []
    for name in names:
        if not _is_base(name):
            try:
                facts = check_file(Path(name))
            except TimbreError as error:
                failures.append(error)
                found.append({"path": name, "state": "refused", "error": error.message, "remedy": error.remedy})
                rows.append([name, "refused", error.message])
                continue
            state = "complete" if facts.complete else "incomplete"
            found.append({"state": state, **_plain(facts)})
            detail = (
                f"{facts.kind} {facts.version}, label {facts.label}, {facts.tensors} tensors, {facts.parameters} "
                f"values {'/'.join(facts.dtypes)}, info {facts.info!r}"
                + (f"; {facts.problem}" if facts.problem else "")
            )
            rows.append([name, state, detail])
            continue
        tool = load_weights(name, *places)
        findings = check_base(tool)
        found.append({"name": tool.name, "files": [_plain(item) for item in findings]})
        rows += [[f"{tool.name}: {item.path}", item.state, item.detail] for item in findings]
        failed = [item for item in findings if item.failed]
        if failed:
            absent = all(item.state == MISSING for item in failed)
            failures.append(
                (ConfigurationError if absent else CheckFailedError)(
                    f"{tool.name}: {len(failed)} of {len(findings)} files {'missing' if absent else 'bad'}: "
                    f"{failed[0].path}: {failed[0].detail}",
                    f"run: timbre base pull {tool.name}",
                )
            )
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        _table(["file", "state", "what"], rows, markdown)
    if failures:
        raise failures[0]


@base.command()
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
def convert(source: Path, target: Path) -> None:
    """Convert a weight file: upstream SOURCE to TARGET.safetensors, or back to TARGET.ckpt or .pth."""
    from timbre.gptsovits.files.checkpoints import TEXT_TO_SEMANTIC, read_checkpoint, save_safetensors, write_upstream

    checkpoint = read_checkpoint(source)
    if target.suffix == ".safetensors":
        save_safetensors(checkpoint, target)
    elif target.suffix == (".ckpt" if checkpoint.kind == TEXT_TO_SEMANTIC else ".pth"):
        write_upstream(checkpoint, target)
    else:
        raise ConfigurationError(
            f"{target}: a {checkpoint.kind} checkpoint cannot be written to a {target.suffix or 'nameless'} file",
            "use the suffix .safetensors, .ckpt (text to semantic) or .pth (acoustic)",
        )
    click.echo(f"{target}: {checkpoint.kind} {checkpoint.version}, {len(checkpoint.weight)} tensors")


@base.command("make-pico")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", default="pico", show_default=True, help="Name of the base.")
@click.option("--seed", type=int, default=None, help="Seed of the random weights.")
@click.option(
    "--like", default="nano", show_default=True, help="Architecture: nano (16 kHz, GE2E) or v2Pro (32 kHz, BERT)."
)
@_JSON
def make_pico(folder: Path, name: str, seed: int | None, like: str, as_json: bool) -> None:
    """Generate a tiny base with random weights in FOLDER for tests; it produces noise."""
    from timbre.gptsovits.files.pico import DEFAULT_SEED
    from timbre.gptsovits.files.pico import make_pico as make

    made = make(folder, name, DEFAULT_SEED if seed is None else seed, like)
    if as_json:
        click.echo(json.dumps({"name": made.name, "folder": str(made.folder), "digest": made.digest}))
    else:
        click.echo(f"{made.name}: made in {made.folder}, digest {made.digest[:12]}")


@base.command()
@click.argument("name")
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    metavar="DIR",
    help="Output folder. [default: .timbre/exports/DIGEST; a valid export there is reused]",
)
@click.option("--int8/--no-int8", default=True, show_default=True, help="With --to: also write the smaller profile.")
@registry_option
@_JSON
@_MARKDOWN
@click.pass_obj
def export(
    invocation: Invocation, name: str, target: Path | None, int8: bool, registry: str, as_json: bool, markdown: bool
) -> None:
    """Export base NAME to ONNX graphs for torch-free synthesis, and compare them with the networks.

    Exit code 20 if a graph differs from its network by more than 1e-4.
    """
    from timbre.inference.exported_base import read_export
    from timbre.pipeline.bases.exported import exported_base

    workspace = invocation.workspace()
    found = workspace.load_base(name)
    if target is None:
        address = invocation.registry(registry)
        exported = exported_base(found, workspace.root, address, progress=invocation.progress())
    else:
        from timbre.training.export.base_export import export_base

        export_base(found, target, int8=int8, report=lambda line: None if as_json else click.echo(line, err=True))
        exported = read_export(target)
    files = sorted(path for path in exported.folder.iterdir() if path.is_file())
    parity = json.loads((exported.folder / "parity.json").read_text(encoding="utf-8"))
    if as_json:
        sizes = {path.name: path.stat().st_size for path in files}
        plain = {"name": exported.name, "digest": exported.digest, "folder": str(exported.folder)}
        click.echo(json.dumps({**plain, "files": sizes, "parity": parity}, indent=1))
        return
    _table(["file", "MB"], [[path.name, f"{path.stat().st_size / 1e6:.2f}"] for path in files], markdown)
    click.echo(f"{exported.name} {exported.digest[:12]}: {exported.folder}")


@base.command()
@click.argument("name")
@registry_option
@_JSON
@_MARKDOWN
@click.pass_obj
def publish(invocation: Invocation, name: str, registry: str, as_json: bool, markdown: bool) -> None:
    """Publish the exported graphs of base NAME to the registry, for servers without torch."""
    from timbre.pipeline.bases.exported import publish_exported

    workspace, address = invocation.workspace(), invocation.registry(registry)
    found = workspace.load_base(name)
    new = publish_exported(found, workspace.root, address, progress=invocation.progress())
    if as_json:
        click.echo(json.dumps({"name": found.name, "digest": found.digest, "registry": str(address), "new": new}))
        return
    words = "published" if new else "already published"
    digest = found.digest[:12]
    click.echo(f"| {found.name} | {digest} | {words} |" if markdown else f"{found.name} {digest}: {words} ({address})")


def _is_base(name: str) -> bool:
    """An argument with a weight suffix or naming a file is a FILE; anything else is a base."""
    path = Path(name)
    return not path.is_file() and path.suffix not in (".ckpt", ".pth", ".pt", ".bin", ".safetensors")


def _plain(value: Any) -> dict[str, Any]:
    plain = dataclasses.asdict(value)
    return {key: str(item) if isinstance(item, Path) else item for key, item in plain.items()}


def _table(head: list[str], rows: list[list[Any]], markdown: bool) -> None:
    table = Table(tuple(head), [tuple(map(str, row)) for row in rows])
    click.echo(table.markdown() if markdown else table.text())
