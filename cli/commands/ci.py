"""`timbre ci`: the jobs of a push, as a GitLab child pipeline or as JSON for the Jenkinsfile."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click
from click.core import ParameterSource

from timbre.cli.commands.options import recipe_option, registry_option
from timbre.cli.invocation import Invocation
from timbre.cli.recipes import chosen_recipe
from timbre.core.errors import TimbreError
from timbre.core.recipe import Recipe
from timbre.core.table import Table
from timbre.pipeline.ci.git import Repository
from timbre.pipeline.ci.github import GithubSettings, outputs, workflow
from timbre.pipeline.ci.gitlab import GitlabSettings, child_pipeline
from timbre.pipeline.ci.jobs import as_plain, jobs_of
from timbre.pipeline.ci.plan import Planner, require_shared_registry
from timbre.pipeline.ci.push import push_of
from timbre.pipeline.engine.workspace import Workspace
from timbre.registry.encryption.keyring import demands
from timbre.registry.encryption.master import VARIABLE as MASTER
from timbre.registry.open import open_registry


@click.command()
@click.option(
    "--format", "form", type=click.Choice(["table", "gitlab", "json", "github", "matrix"]), default="table",
    show_default=True, help="github: the workflow, once; matrix: its input for this push.",
)  # fmt: skip
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Output file; default: standard output.",
)
@click.option(
    "--from", "older", default="", metavar="COMMIT", help="Commit before the push; default: from CI variables."
)
@click.option("--to", "newer", default="", metavar="COMMIT", help="Commit after the push; default: from CI variables.")
@click.option("--all", "every", is_flag=True, help="Include every voice, not only those that the push changed.")
@click.option("--retrain", is_flag=True, help="Also run the stages of published voices, for example after a new base.")
@click.option("--image", envvar="TIMBRE_CI_IMAGE", default="", metavar="IMAGE", help="Container image of the jobs.")
@click.option("--tag", envvar="TIMBRE_CI_TAG", default="", metavar="TAG", help="Runner tag or label.")
@click.option(
    "--gpu-tag", envvar="TIMBRE_CI_GPU_TAG", default="gpu", show_default=True, metavar="TAG",
    help="Tag or label of the GPU runners.",
)  # fmt: skip
@click.option(
    "--merge-tag", envvar="TIMBRE_CI_MERGE_TAG", default="", metavar="TAG",
    help="GitLab: runner tag in pipelines that publish nothing; default: that of --tag.",
)  # fmt: skip
@click.option(
    "--merge-gpu-tag", envvar="TIMBRE_CI_MERGE_GPU_TAG", default="", metavar="TAG",
    help="GitLab: tag of the GPU runners in pipelines that publish nothing; default: that of --gpu-tag.",
)  # fmt: skip
@click.option(
    "--id-audience", envvar="TIMBRE_CI_ID_AUDIENCE", default="", metavar="NAME",
    help="GitLab: audience of the ID token for publishing jobs; default: no token.",
)  # fmt: skip
@recipe_option
@registry_option
@click.pass_obj
def ci(
    invocation: Invocation,
    form: str,
    output: Path | None,
    older: str,
    newer: str,
    every: bool,
    retrain: bool,
    image: str,
    tag: str,
    gpu_tag: str,
    merge_tag: str,
    merge_gpu_tag: str,
    id_audience: str,
    recipe_file: Path | None,
    registry: str,
) -> None:
    """Write the jobs that this push needs: run stages, promote a published version, or retire a voice.

    Reads the variables of GitLab CI, Jenkins, GitHub and Gitea Actions. Only pushes to the default branch publish;
    merge requests never do. Each job is one timbre command and takes the outputs of earlier jobs from the registry.
    """
    if form == "github":
        given = click.get_current_context().get_parameter_source("gpu_tag") is not ParameterSource.DEFAULT
        # Names of secrets, and never their values: nothing to take out.
        _write(output, workflow(GithubSettings(image, tag, gpu_tag if given else "")))
        return
    try:
        workspace = invocation.workspace()
    except TimbreError:
        # Git removes voices/ with its last folder, and that deletion must still be seen.
        workspace = Workspace(invocation.root or Path.cwd())
    address = invocation.registry(registry) if registry or invocation.environment.get("TIMBRE_REGISTRY") else None
    if form != "table" or address:
        require_shared_registry(str(address or ""), workspace)
    push = push_of(invocation.environment, Repository(workspace.root))
    push = dataclasses.replace(push, older=older or push.older, newer=newer or push.newer)
    recipe = chosen_recipe(invocation, recipe_file) if workspace.voices.is_dir() else Recipe()
    planner = Planner(
        workspace.root, recipe, open_registry(address or invocation.address(str(workspace.default_registry)))
    )
    plan = planner.plan(push, every, retrain)
    jobs = jobs_of(plan)
    if demands(invocation.environment) or recipe.publish.encryption == "required" or MASTER in invocation.environment:
        # Checkpoints come from the registry, encrypted; a CI server's cache would hold them in plain.
        jobs = tuple(dataclasses.replace(job, resumes="") for job in jobs)
    if form == "gitlab":
        if not push.publishes:
            # What a merge request brings along must not run where the registry can be written.
            tag, gpu_tag = merge_tag or tag, merge_gpu_tag or gpu_tag
        text = child_pipeline(jobs, GitlabSettings(image, tag, gpu_tag, id_audience=id_audience), plan.note)
    elif form == "matrix":
        text = outputs(jobs)
    elif form == "json":
        text = json.dumps(as_plain(plan, jobs), indent=2, ensure_ascii=False) + "\n"
    else:
        rows = [(voice.voice, str(voice.action), voice.why) for voice in plan.voices]
        text = Table(("voice", "action", "why"), rows).text() + "\n" if rows else "this push changes no voice\n"
        text += "".join(f"{line}\n" for line in (plan.note, _unpublished(push.why_not)) if line)
    if not _write(output, invocation.redactor.clean(text) if output is None else text):
        return
    for voice in plan.voices:
        click.echo(f"{voice.voice}: {voice.action} ({voice.why})")
    click.echo(f"{output}: {len(jobs)} jobs for {len(plan.voices)} voices" + (f"; {plan.note}" if plan.note else ""))
    if push.why_not:
        click.echo(_unpublished(push.why_not))


def _write(output: Path | None, text: str) -> bool:
    """Into the file, or to standard output; whether it is in a file now."""
    if output is None:
        click.echo(text, nl=False)
        return False
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    return True


def _unpublished(why: str) -> str:
    return f"nothing is published: {why}" if why else ""
