"""`timbre init`: start a repository that holds voices only."""

from __future__ import annotations

import json
from pathlib import Path

import click

from timbre.pipeline.ci.voice_repository import FORGES, make_repository


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option("--ci", "forge", type=click.Choice(FORGES), default="gitlab", show_default=True, help="CI engine.")
@click.option("--image", default="timbre:train", show_default=True, help="Container image of the jobs.")
@click.option("--lfs", is_flag=True, help="Store recordings in Git LFS.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def init(folder: Path, forge: str, image: str, lfs: bool, as_json: bool) -> None:
    """Write a repository for voices into FOLDER: CI files, recipe, owners. Overwrites nothing."""
    made = make_repository(folder, forge, image, lfs)
    if as_json:
        click.echo(json.dumps({"root": str(made.root), "files": made.files}, indent=2))
        return
    click.echo("written: " + ", ".join(made.files))
    click.echo("next:")
    for number, step in enumerate(_steps(folder, forge), 1):
        click.echo(f"  {number}. {step}")


def _steps(folder: Path, forge: str) -> tuple[str, ...]:
    guide = f"docs/{forge}.md"
    return (
        f"cd {folder} && git init, if it is not a repository yet; git add -A; git commit",
        "timbre voices new NAME --language en",
        f"set TIMBRE_REGISTRY for the runners, see {guide}; name people in CODEOWNERS",
        "git push: the pipeline trains, measures and publishes",
    )
