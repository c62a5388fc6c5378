"""The command line: start-up, exit codes, output forms, alerts."""

from __future__ import annotations

import dataclasses
import gc
import importlib
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from tests.pipeline.engine.tiny_stages import ROWS, TinyVoice, tiny_base, tiny_voice
from timbre.cli import main as cli
from timbre.cli import stage_engine as stage_engine_module
from timbre.cli.commands.options import VoiceName
from timbre.cli.main import COMMANDS, call
from timbre.core.base import write_base
from timbre.core.errors import CheckFailedError, ConfigurationError, InfrastructureError, InputError
from timbre.core.redaction import Redactor
from timbre.core.voice_names import voice_of_path
from timbre.pipeline.ci.origin import origin_of
from timbre.pipeline.engine import voice_runs
from timbre.pipeline.engine.alerts import Alert, slack_message
from timbre.pipeline.engine.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "numpy", "scipy", "yaml", "rich", "transformers", "onnxruntime", "soundfile")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A voice repository whose engine runs the tiny stages."""
    for name in ("ada", "bob"):
        tiny_voice(tmp_path, name)
        (tmp_path / "voices" / name / "voice.yaml").write_text("", encoding="utf-8")
    original = stage_engine_module.Engine
    monkeypatch.setattr(stage_engine_module, "Engine", lambda **options: original(**{**options, "rows": ROWS}))
    monkeypatch.setattr(voice_runs, "open_voice", lambda path, recipe: TinyVoice(path))
    monkeypatch.setattr(Workspace, "load_base", lambda workspace, name: tiny_base(tmp_path))
    monkeypatch.setenv("TIMBRE_ROOT", str(tmp_path))
    for name in ("TIMBRE_WEBHOOK", "TIMBRE_REGISTRY", "CI_COMMIT_SHA", "GITHUB_SHA", "GIT_COMMIT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_help_imports_no_library_behind_a_command() -> None:
    code = (
        "import sys\n"
        "from timbre.cli.main import call\n"
        "code = call(['--help'])\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(code, heavy, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"
    for name in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_answers_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([name, "--help"]) == 0
    assert "Usage: timbre " + name in capsys.readouterr().out


@pytest.mark.parametrize("name", list(COMMANDS))
def test_command_table_helps_end_with_a_full_stop(name: str) -> None:
    command = cli.timbre.get_command(click.Context(cli.timbre), name)
    assert isinstance(command, click.Command)
    assert COMMANDS[name].help.endswith((".", "?"))


@pytest.mark.parametrize("fails", [False, True])
def test_no_garbage_is_looked_for_while_a_command_is_imported(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    module, seen = importlib.import_module("timbre.cli.commands.status"), list[bool]()

    def imported(name: str) -> ModuleType:
        seen.append(gc.isenabled())
        if fails:
            raise ImportError(name)
        return module

    monkeypatch.setattr("timbre.cli.main.importlib.import_module", imported)
    with pytest.raises(ImportError) if fails else nullcontext():
        cli.timbre.get_command(click.Context(cli.timbre), "status")
    assert seen == [False]
    assert gc.isenabled()


def test_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["stauts"]) == 40
    assert "did you mean `status`?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("a"), 10),
        (CheckFailedError("a"), 20),
        (InfrastructureError("a"), 30),
        (ConfigurationError("a"), 40),
        (OSError(28, "No space left on device"), 30),
        (PermissionError(13, "Permission denied"), 40),
        (MemoryError(), 30),
        (ValueError("a"), 1),
        (click.UsageError("a"), 40),
        (click.Abort(), 30),
        (click.exceptions.Exit(20), 20),
    ],
)
def test_exit_codes(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**arguments: Any) -> None:
        raise error

    monkeypatch.setattr("timbre.cli.commands.doctor.doctor.callback", fail)
    monkeypatch.setenv("TEST_TOKEN", "sesame-sesame")
    assert call(["doctor"]) == code
    assert ("Traceback" in capsys.readouterr().err) == (code == 1)


@pytest.mark.parametrize(("kind", "code"), [(RuntimeError, 1), (InfrastructureError, 30)])
def test_messages_hide_secrets(
    kind: type[Exception], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**arguments: Any) -> None:
        raise kind("went to https://u:sesame99@x with open-sesame")

    monkeypatch.setattr("timbre.cli.commands.doctor.doctor.callback", fail)
    monkeypatch.setenv("TEST_TOKEN", "open-sesame")
    assert call(["doctor"]) == code
    err = capsys.readouterr().err
    assert "sesame" not in err
    assert "went to" in err


def test_run_twice_then_status(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["run"]) == 0
    first = capsys.readouterr().out
    assert first.count(" done ") == 8
    assert "ada\n" in first
    assert "bob\n" in first
    assert call(["run", "ada", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert [stage["state"] for stage in plain["voices"][0]["stages"]] == ["skipped", "skipped", "skipped", "done"]
    assert plain["exit_code"] == 0
    assert call(["status", "--markdown"]) == 0
    assert "| ada | 1 validate | skipped |" in capsys.readouterr().out
    assert call(["status", "nobody"]) == 10
    assert call(["status", "../ada"]) == 10


def test_one_failing_voice_does_not_stop_the_others(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def opened(path: Path, recipe: Any) -> TinyVoice:
        if path.name == "ada":
            raise InputError("voices/ada/voice.yaml: empty", "fill it in")
        return TinyVoice(path)

    monkeypatch.setattr(voice_runs, "open_voice", opened)
    assert call(["run", "--all"]) == 10
    captured = capsys.readouterr()
    assert captured.out.count(" done ") == 4
    assert "voices/ada/voice.yaml: empty" in captured.err
    assert "-> fill it in" in captured.err


def test_wrong_recipe_file(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = repository / "mine.yaml"
    assert call(["run", "--recipe", str(path)]) == 40
    path.write_text("finetune: {rnak: 4}\nextarct: {}\n")
    assert call(["run", "--recipe", str(path)]) == 10
    err = capsys.readouterr().err
    assert "did you mean `rank`?" in err
    assert "did you mean `extract`?" in err
    for text in ("a: [", "!!python/object/apply:os.system ['true']", "- 1"):
        path.write_text(text)
        assert call(["run", "--recipe", str(path)]) == 10
    path.write_bytes(b"\xff\xfe")
    assert call(["run", "--recipe", str(path)]) == 10


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("voices/ada", "ada"), ("voices/ada/", "ada"), ("./voices/ada/", "ada"), ("ada/", "ada"), ("ada", "ada"),
        ("/srv/repo/voices/ada", "ada"), ("voices/ada@production", "ada@production"), ("ada@3f2a", "ada@3f2a"),
        ("elsewhere/ada", "elsewhere/ada"), ("voices/ada.wav", "voices/ada.wav"), ("voices/", "voices"),
        ("../ada", "../ada"), ("voices/../ada", "voices/../ada"), ("", ""), ("/", "/"), ("voices/Ada", "voices/Ada"),
    ],
)  # fmt: skip
def test_the_path_of_a_voice_is_its_name(given: str, name: str) -> None:
    assert voice_of_path(given) == name


def test_run_accepts_the_path_that_a_shell_completes(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["run", "voices/ada/", str(repository / "voices" / "bob"), "--json"]) == 0
    assert [voice["voice"] for voice in json.loads(capsys.readouterr().out)["voices"]] == ["ada", "bob"]
    assert call(["status", "./voices/ada"]) == 0
    assert call(["run", "recordings/ada"]) == 10
    assert "'recordings/ada'" in capsys.readouterr().err


def test_every_command_that_takes_a_voice_takes_its_path() -> None:
    """By what --help calls its parameters."""

    def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Parameter]]:
        with click.Context(command) as context:
            if isinstance(command, click.Group):
                for inner in command.list_commands(context):
                    found = command.get_command(context, inner)
                    assert found is not None
                    yield from walk(f"{name} {inner}", found)
            for parameter in command.params:
                if parameter.metavar is not None or isinstance(parameter, click.Argument):
                    shown = parameter.metavar or parameter.make_metavar(context)
                    if parameter.name in ("voice", "voices", "default_voice") or "VOICE" in shown:
                        yield name, parameter

    taking = list(walk("timbre", cli.timbre))
    assert {"timbre run", "timbre say", "timbre promote", "timbre audit", "timbre keys new"} <= {
        name for name, _ in taking
    }
    assert [name for name, parameter in taking if not isinstance(parameter.type, VoiceName)] == []


def test_outside_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TIMBRE_ROOT", raising=False)
    assert call(["--root", str(tmp_path), "status"]) == 40
    assert "no `voices/` folder" in capsys.readouterr().err


def test_stage_cache_in_the_registry(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registry = str(repository / "registry")
    assert call(["run", "ada", "--registry", registry]) == 0
    shutil.rmtree(repository / ".timbre")
    capsys.readouterr()
    assert call(["run", "ada", "--registry", registry, "--json"]) == 0
    stages = json.loads(capsys.readouterr().out)["voices"][0]["stages"]
    assert [stage["state"] for stage in stages] == ["fetched", "fetched", "fetched", "done"]


def test_a_run_without_the_key_that_is_demanded_is_refused_at_once(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from timbre.registry.encryption.master import new_master

    monkeypatch.setenv("TIMBRE_ENCRYPTION", "required")
    assert call(["run", "ada"]) == 40
    assert "TIMBRE_MASTER_KEY" in capsys.readouterr().err
    monkeypatch.setenv("TIMBRE_MASTER_KEY", "no key")
    assert call(["run", "ada"]) == 40
    assert not (repository / ".timbre" / "work").exists()
    monkeypatch.setenv("TIMBRE_MASTER_KEY", new_master())
    assert call(["run", "ada", "--registry", str(repository / "registry")]) == 0
    assert list((repository / "registry" / "keys").iterdir())
    assert stat.S_IMODE((repository / ".timbre").stat().st_mode) == 0o700
    monkeypatch.delenv("TIMBRE_MASTER_KEY")
    monkeypatch.delenv("TIMBRE_ENCRYPTION")
    recipe = repository / "demanding.yaml"
    recipe.write_text("publish:\n  encryption: required\n")
    assert call(["run", "ada", "--recipe", str(recipe)]) == 40
    assert "publish.encryption" in capsys.readouterr().err


def test_doctor(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["doctor", "--json"]) == 40, "no base"
    plain = json.loads(capsys.readouterr().out)
    states = {finding["name"]: finding["state"] for finding in plain["findings"]}
    assert states["bases"] == "failure"
    assert states["python"] == "ok"
    shutil.copytree(ROOT / "bases", repository / "bases")
    assert call(["doctor", "--markdown"]) == 0


class Receiver(BaseHTTPRequestHandler):
    """A webhook that keeps what it is sent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(json.loads(body))  # type: ignore[attr-defined]
        self.send_response(self.server.answer)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        return None


@pytest.fixture
def webhook() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.received, server.answer = [], 200  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_alert_on_failure(
    repository: Path, webhook: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIMBRE_WEBHOOK", f"http://127.0.0.1:{webhook.server_port}/hook/verysecret")
    monkeypatch.setenv("CI_COMMIT_SHA", "0123456789abcdef")
    assert call(["run", "bob"]) == 0
    assert webhook.received == []
    (repository / "validate.do").write_text("input")
    assert call(["run", "ada", "--rebuild"]) == 10
    (message,) = webhook.received
    assert message["text"].startswith("timbre: voice ada failed (stage validate)")
    shown = json.dumps(message)
    assert "no words" in shown
    assert "0123456789ab" in shown
    assert ".timbre/reports/ada/validate" in shown
    assert "verysecret" not in shown + capsys.readouterr().err


@pytest.mark.parametrize("answer", [500, 404])
def test_dead_webhook_changes_nothing(
    repository: Path, webhook: Any, answer: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    webhook.answer = answer
    monkeypatch.setenv("TIMBRE_WEBHOOK", f"http://127.0.0.1:{webhook.server_port}/hook/verysecret")
    (repository / "validate.do").write_text("input")
    assert call(["run", "ada"]) == 10
    err = capsys.readouterr().err
    assert "alert not delivered" in err
    assert "verysecret" not in err
    assert len(webhook.received) == (2 if answer == 500 else 1)


def test_wrong_webhook_address(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRE_WEBHOOK", "file:///etc/passwd")
    assert call(["run", "ada"]) == 40


def test_slack_markup_and_length() -> None:
    alert = Alert("<!channel> & co", "hf_abcdefghijklmnop ``` <!here> " + "x" * 5000, {"voice": "a>b", "empty": ""})
    message = slack_message(alert, Redactor())
    shown = json.dumps(message)
    assert "<!" not in shown
    assert "hf_abc" not in shown
    assert "empty" not in shown
    assert message["blocks"][1]["text"]["text"].count("```") == 2, "the code block cannot be closed from inside"
    assert all(len(block.get("text", {}).get("text", "")) < 3000 for block in message["blocks"])


def test_origin_of_ci_engines(tmp_path: Path) -> None:
    gitlab = {
        "CI_COMMIT_SHA": "a",
        "CI_COMMIT_AUTHOR": "Ada <a@x>",
        "CI_COMMIT_REF_NAME": "main",
        "CI_JOB_URL": "https://g/1",
    }
    assert origin_of(gitlab, tmp_path).author == "Ada <a@x>"
    assert origin_of(gitlab, tmp_path).job_url == "https://g/1"
    assert origin_of({"GIT_COMMIT": "b", "BUILD_URL": "https://j/2"}, tmp_path).job_url == "https://j/2"
    github = {"GITHUB_SHA": "c", "GITHUB_SERVER_URL": "https://h", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "3"}
    assert origin_of(github, tmp_path).job_url == "https://h/o/r/actions/runs/3"
    assert origin_of({}, tmp_path).commit == ""


def test_workspace_is_found_upwards(tmp_path: Path) -> None:
    (tmp_path / "voices/ada/wavs").mkdir(parents=True)
    assert Workspace.find(tmp_path / "voices/ada/wavs").root == tmp_path.resolve()


def test_terminating_a_run_is_worth_a_retry(tmp_path: Path) -> None:
    """SIGTERM from a CI engine: exit code 30, and finished work is kept."""
    (tmp_path / "voices/ada").mkdir(parents=True)
    (tmp_path / "voices/ada/voice.yaml").write_text("")
    driver = tmp_path / "driver.py"
    driver.write_text(
        "import sys, time, pathlib\n"
        "import timbre.pipeline.engine.voice_runs as runs\n"
        "from timbre.cli import main as cli\n"
        "from tests.pipeline.engine.tiny_stages import TinyVoice, tiny_base, ROWS, Copy\n"
        "import timbre.pipeline.engine.engine as engine\n"
        "original = engine.Engine\n"
        "engine.Engine = lambda **o: original(**{**o, 'rows': ROWS})\n"
        "runs.open_voice = lambda path, recipe: TinyVoice(path)\n"
        "import timbre.pipeline.engine.workspace as places\n"
        "places.Workspace.load_base = lambda workspace, name: tiny_base(pathlib.Path(sys.argv[1]))\n"
        "def work(self, context):\n"
        "    (context.root / 'hanging').write_text('x')\n"
        "    for _ in range(6000):\n"
        "        context.cancel.check()\n"
        "        time.sleep(0.05)\n"
        "Copy.run = work\n"
        "sys.exit(cli.call(['--root', sys.argv[1], 'run', 'ada']))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(driver), str(tmp_path)], env=environment, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 120
    while not (tmp_path / "hanging").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.terminate()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 30, err
    assert "signal SIGTERM" in err
    assert not list(tmp_path.rglob(".partial-*"))


@pytest.mark.parametrize("command", [["base", "list"], ["base", "list", "--json"]])
def test_base_list_is_that_of_the_root(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, elsewhere = tmp_path / "repository", tmp_path / "elsewhere"
    (root / "voices").mkdir(parents=True)
    elsewhere.mkdir()
    write_base(dataclasses.replace(tiny_base(root / "bases" / "own"), name="own"))
    monkeypatch.chdir(elsewhere)
    assert call(["--root", str(root), *command]) == 0
    listed = capsys.readouterr().out
    assert "own" in listed, "bases of the repository and of the package"
    assert "nano" in listed, "bases of the repository and of the package"
    assert call(["--root", str(elsewhere), *command]) == 40, "an empty table would pass for an answer"
    assert call(command) == 0, "without a repository, those of the package"
    assert "nano" in capsys.readouterr().out, "without a repository, those of the package"
