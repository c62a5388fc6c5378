"""What a push makes CI do: which voices, which jobs, in GitLab's words too."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.pipeline.release.publish_stages import YAML, Repo, make_repo
from timbre.cli.main import timbre
from timbre.core.errors import ConfigurationError
from timbre.core.recipe import Recipe
from timbre.pipeline.ci.git import ZERO, Repository
from timbre.pipeline.ci.gitlab import NOTHING, GitlabSettings, child_pipeline
from timbre.pipeline.ci.jobs import Job, as_plain, check_needs, jobs_of
from timbre.pipeline.ci.plan import Action, Plan, PlannedVoice, Planner, require_shared_registry
from timbre.pipeline.ci.push import Push, push_of
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.stages.table import STAGES
from timbre.registry.registry import Actor
from timbre.registry.revocation import revoke

BOB = "Bob <bob@example.org>"
STAGE_NAMES = [row.name for row in STAGES]


@pytest.fixture
def repo(tmp_path: Path, pico_base: Path, pico_export: Path) -> Repo:
    return make_repo(tmp_path, pico_base, pico_export)


def planned(repo: Repo, older: str = "HEAD~1", publishes: bool = True, **options: bool) -> Plan:
    return Planner(repo.root, Recipe(), repo.registry).plan(Push(older, "HEAD", publishes), **options)


def actions(plan: Plan) -> dict[str, str]:
    return {voice.voice: str(voice.action) for voice in plan.voices}


def names(plan: Plan) -> list[str]:
    return [job.name for job in jobs_of(plan)]


def one(action: Action = Action.BUILD, publishes: bool = True, retrain: bool = False, **more: object) -> Plan:
    voice = PlannedVoice(**{"voice": "ada", "action": action, "why": "", **more})
    return Plan(Push(ZERO, "HEAD", publishes), (voice,), retrain)


# -- which voices --------------------------------------------------------------------------------------------------


def test_a_revert_promotes_and_a_change_builds(repo: Repo) -> None:
    assert actions(planned(repo, ZERO)) == {"ada": "build"}
    repo.said(repo.run())
    repo.record("two")
    assert actions(planned(repo)) == {"ada": "build"}
    repo.said(repo.run())
    repo.git("revert", "--no-edit", "HEAD")
    plan = planned(repo)
    assert actions(plan) == {"ada": "promote"}
    assert names(plan) == ["publish ada"]
    assert "already published as" in plan.voices[0].why
    assert actions(planned(repo, retrain=True)) == {"ada": "build"}, "a new base is a reason to train what is known"
    assert actions(planned(repo, publishes=False)) == {"ada": "build"}, "a merge request is there to be looked at"
    assert actions(planned(repo, "HEAD")) == {}
    assert actions(planned(repo, "HEAD", every=True)) == {"ada": "promote"}


def test_deleted_and_renamed_voices_are_retired_once_published(repo: Repo) -> None:
    repo.git("mv", "voices/ada", "voices/eve")
    repo.git("commit", "-q", "-m", "renamed")
    assert actions(planned(repo)) == {"eve": "build"}, "ada was never published"
    repo.git("revert", "--no-edit", "HEAD")
    repo.said(repo.run())
    repo.git("mv", "voices/ada", "voices/eve")
    repo.git("commit", "-q", "-m", "renamed again")
    assert actions(planned(repo)) == {"ada": "retire", "eve": "build"}
    assert actions(planned(repo, publishes=False)) == {"eve": "build"}
    repo.git("rm", "-q", "-r", "voices/eve")
    repo.git("commit", "-q", "-m", "all gone")
    assert actions(planned(repo, "HEAD~2")) == {"ada": "retire"}, "Git removed voices/ with its last folder"


def test_a_revoked_voice_is_never_trained(repo: Repo) -> None:
    repo.said(repo.run())
    revoke(repo.registry, "ada", actor=Actor(BOB), reason="she asked us to")
    repo.record("two")
    assert names(planned(repo)) == ["publish ada"], "which refuses before any stage"
    repo.git("rm", "-q", "-r", "voices/ada")
    repo.git("commit", "-q", "-m", "gone")
    assert actions(planned(repo)) == {}


def test_a_folder_that_cannot_be_a_voice_gets_stage_one_and_breaks_out_of_nothing(repo: Repo) -> None:
    name = "a $(touch x); 'b' `c`"
    shutil.copytree(repo.root / "voices" / "ada", repo.root / "voices" / name)
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "odd")
    (job,) = jobs_of(planned(repo))
    assert shlex.split(job.command) == ["timbre", "validate", name]
    assert all(character.isalnum() or character in " -" for character in job.name)
    document = yaml.safe_load(child_pipeline([job], GitlabSettings()))
    assert document[job.name]["script"] == [job.command]
    assert "resource_group" not in document[job.name]


def test_wrong_settings_are_left_to_stage_one(repo: Repo) -> None:
    repo.record("two", YAML + "recipe: {finetune: {rankk: 4}}\n")
    assert actions(planned(repo)) == {"ada": "build"}
    repo.record("three", "language: [")
    assert names(planned(repo))[0] == "validate ada"


# -- which jobs ----------------------------------------------------------------------------------------------------


def test_five_jobs_in_the_order_of_the_table() -> None:
    jobs = jobs_of(one(training_min=60))
    assert [job.stage for job in jobs] == STAGE_NAMES
    assert [job.needs for job in jobs] == [(), *((f"{name} ada",) for name in STAGE_NAMES[:-1])]
    assert [job.command for job in jobs] == [f"timbre {name} ada" for name in STAGE_NAMES]
    by_stage = {job.stage: job for job in jobs}
    assert [job.stage for job in jobs if job.gpu] == ["finetune"]
    assert by_stage["finetune"].limit_min == 90
    assert by_stage["evaluate"].junit == ".timbre/reports/ada/evaluate/junit.xml"
    assert [job.stage for job in jobs if not job.interruptible] == ["publish"]
    assert by_stage["publish"].environment == "voices/ada"
    assert by_stage["publish"].exclusive == "timbre-publish-ada"
    assert {job.retried_exit_codes for job in jobs} == {(30, 137, 143)}
    assert {job.retries for job in jobs} == {2}


def test_what_a_merge_request_a_review_and_a_rebuild_change() -> None:
    assert [job.stage for job in jobs_of(one(publishes=False, review=True))] == STAGE_NAMES[:-1]
    *_, publish, approve = jobs_of(one(review=True))
    assert approve.manual
    assert approve.needs == ("publish ada",)
    assert approve.command == "timbre promote ada --approve"
    assert approve.exclusive == publish.exclusive, "one job at a time moves the alias"
    assert jobs_of(one(retrain=True))[-1].command == "timbre publish ada --retrain"
    (retire,) = jobs_of(one(Action.RETIRE))
    assert retire.command == "timbre retire ada"
    assert not retire.interruptible


def test_needs_that_cannot_be_met_are_named() -> None:
    check_needs({"a": [], "b": ["a"], "c": ["a", "b"]})
    with pytest.raises(ValueError, match=r"circle: a -> c -> b -> a"):
        check_needs({"a": ["c"], "b": ["a"], "c": ["b"]})
    with pytest.raises(ValueError, match="'b' needs 'x', which does not exist"):
        check_needs({"b": ["x"]})


# -- in GitLab's words ---------------------------------------------------------------------------------------------


def test_the_child_pipeline(tmp_path: Path) -> None:
    voices = (
        PlannedVoice("ada", Action.BUILD, "", review=True, training_min=10),
        PlannedVoice("ben", Action.PROMOTE, ""),
        PlannedVoice("eve", Action.RETIRE, ""),
    )
    jobs = jobs_of(Plan(Push(ZERO, "HEAD", True), voices))
    text = child_pipeline(jobs, GitlabSettings(image="timbre:1", tag="cpu", gpu_tag="a100"))
    document = yaml.safe_load(text)
    assert document["stages"] == [*STAGE_NAMES, "approve", "retire"]
    assert document["default"] == {"image": "timbre:1"}
    tune = document["finetune ada"]
    assert tune["tags"] == ["a100"]
    assert document["validate ada"]["tags"] == ["cpu"]
    assert tune["timeout"] == "40 minutes"
    assert tune["cache"] == {
        "key": "timbre-finetune-ada", "paths": [".timbre/work/ada/finetune/"], "when": "always"
    }  # fmt: skip
    assert tune["retry"]["max"] == 2
    assert tune["retry"]["exit_codes"] == [30, 137, 143]
    assert {"runner_interrupted", "runner_external_dependency_failure"} < set(tune["retry"]["when"]), "spot machines"
    assert not {"script_failure", "always", "job_execution_timeout"} & set(tune["retry"]["when"])
    kept = document["evaluate ada"]["artifacts"]
    assert kept["when"] == "always"
    assert all(any(path.startswith(folder) for folder in kept["paths"]) for path in kept["reports"].values())
    assert set(kept["reports"]) == {"junit", "metrics"}
    assert kept["expose_as"] == "evaluate ada report"
    found = document["validate ada"]["artifacts"]["reports"]
    assert found == {"codequality": ".timbre/reports/ada/validate/codequality.json"}
    assert document["publish ada"]["environment"]["url"] == "$CI_PAGES_URL/ada.html"
    assert "url" not in document["retire eve"]["environment"]
    assert document["approve ada"]["when"] == "manual"
    assert document["approve ada"]["allow_failure"] is True
    assert document["retire eve"]["environment"]["action"] == "stop"
    assert all(job["needs"] is not None for name, job in document.items() if " " in name)


def test_jobs_that_write_the_registry_get_a_signed_identity() -> None:
    voices = (PlannedVoice("ada", Action.BUILD, "", review=True), PlannedVoice("eve", Action.RETIRE, ""))
    jobs = jobs_of(Plan(Push(ZERO, "HEAD", True), voices))
    document = yaml.safe_load(child_pipeline(jobs, GitlabSettings(id_audience="timbre")))
    with_identity = {name for name, job in document.items() if isinstance(job, dict) and "id_tokens" in job}
    assert with_identity == {"publish ada", "approve ada", "retire eve"}
    assert document["publish ada"]["id_tokens"] == {"TIMBRE_ID_TOKEN": {"aud": "timbre"}}
    assert "id_tokens" not in child_pipeline(jobs, GitlabSettings())


def test_a_push_without_voices_makes_a_valid_child() -> None:
    document = yaml.safe_load(child_pipeline((), GitlabSettings(), "it's empty"))
    assert document["stages"] == ["nothing"]
    assert document[NOTHING]["script"]


# -- what the CI engine says ---------------------------------------------------------------------------------------


def test_gitlab_says_which_push_it_is(repo: Repo) -> None:
    git = Repository(repo.root)
    branch = {"GITLAB_CI": "true", "CI_COMMIT_SHA": "b" * 40, "CI_DEFAULT_BRANCH": "main", "CI_COMMIT_BRANCH": "main"}
    assert push_of({**branch, "CI_COMMIT_BEFORE_SHA": "a" * 40}, git) == Push("a" * 40, "b" * 40, True)
    assert push_of(branch, git).older == ZERO, "scheduled, or started by hand: every voice is looked at"
    request = {"CI_MERGE_REQUEST_IID": "7", "CI_MERGE_REQUEST_DIFF_BASE_SHA": "c" * 40, "CI_COMMIT_BRANCH": ""}
    assert push_of({**branch, **request}, git) == Push("c" * 40, "b" * 40, False, "merge request 7")
    other = push_of({**branch, "CI_COMMIT_BRANCH": "draft"}, git)
    assert not other.publishes
    assert "only main publishes" in other.why_not


def test_jenkins_says_which_push_it_is(repo: Repo) -> None:
    git, head = Repository(repo.root), repo.head
    jenkins = {"JENKINS_URL": "http://x/", "GIT_COMMIT": head}
    known = {**jenkins, "GIT_BRANCH": "origin/main", "TIMBRE_DEFAULT_BRANCH": "main"}
    assert push_of({**known, "GIT_PREVIOUS_SUCCESSFUL_COMMIT": "a" * 40}, git) == Push("a" * 40, head, True)
    assert not push_of(jenkins, git).publishes, "a job that names no branch publishes nothing"
    assert push_of({**jenkins, "BRANCH_NAME": "main", "BRANCH_IS_PRIMARY": "true"}, git).publishes
    assert not push_of({**jenkins, "BRANCH_NAME": "draft"}, git).publishes
    repo.git("update-ref", "refs/remotes/origin/main", head)
    repo.record("two")
    request = push_of({**jenkins, "GIT_COMMIT": repo.head, "CHANGE_ID": "3", "CHANGE_TARGET": "main"}, git)
    assert request.older == head
    assert not request.publishes


def test_a_shallow_clone_is_refused(repo: Repo, tmp_path_factory: pytest.TempPathFactory) -> None:
    repo.record("two")
    folder = tmp_path_factory.mktemp("shallow") / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{repo.root}", str(folder)], check=True)
    with pytest.raises(ConfigurationError, match="shallow clone") as caught:
        push_of({}, Repository(folder))
    assert "GIT_DEPTH: 0" in caught.value.remedy


def test_a_registry_that_no_other_job_sees_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "checkout")
    require_shared_registry(str(tmp_path / "shared"), workspace)
    for address in ("", str(workspace.root / "registry"), f"file://{workspace.root}/r"):
        with pytest.raises(ConfigurationError, match="separate checkout"):
            require_shared_registry(address, workspace)


# -- the command ---------------------------------------------------------------------------------------------------


def invoke(repo: Repo, *arguments: str, **environment: str) -> str:
    env = {"TIMBRE_REGISTRY": str(repo.root.parent / "shared"), "GITLAB_CI": "", "JENKINS_URL": "", **environment}
    found = CliRunner().invoke(timbre, ["--root", str(repo.root), "ci", *arguments], env=env)
    assert found.exit_code == 0, found.output
    return found.output


def test_the_command_in_its_three_forms(repo: Repo, tmp_path: Path) -> None:
    repo.record("two")
    assert "ada    build" in invoke(repo)
    assert "publish ada" in yaml.safe_load(invoke(repo, "--format", "gitlab"))
    plain = json.loads(invoke(repo, "--format", "json"))
    assert plain["publishes"]
    assert [job["stage"] for job in plain["voices"][0]["jobs"]] == STAGE_NAMES
    target = tmp_path / "out" / "child.yml"
    said = invoke(repo, "--format", "gitlab", "--output", str(target), GITLAB_CI="true", CI_MERGE_REQUEST_IID="7")
    assert "nothing is published: merge request 7" in said
    assert "publish ada" not in target.read_text()
    repo.git("rm", "-q", "-r", "voices/ada")
    repo.git("commit", "-q", "-m", "gone")
    assert "no voice" in invoke(repo), "voices/ itself is gone"


def test_plain_jobs_are_those_of_the_plan() -> None:
    plan = one()
    plain = as_plain(plan, jobs_of(plan))
    assert [Job(**{**job, "needs": tuple(job["needs"])}).name for job in plain["voices"][0]["jobs"]] == names(plan)
