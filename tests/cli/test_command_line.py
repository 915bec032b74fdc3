"""The command line: what it prints, how it ends, and that a user's mistake is one sentence."""

from __future__ import annotations

import errno
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from harness.cli import main as command_line
from harness.cli.main import COMMANDS, cli, exit_status, run
from harness.errors import ConfigError, GenerationError, GoldenSetError, PromotionRefused, RecipeError, RegistryError


@pytest.fixture(autouse=True)
def _in_an_empty_project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.harness]\n")
    monkeypatch.chdir(tmp_path)


#: docs/decisions/0016: the names that users were promised. Anything else goes below one of them.
PROMISED = {
    *("init", "doctor", "train", "gate", "judge", "compare", "compare-paths", "suites"),
    *("models", "store", "report", "serve", "ci", "review", "demo"),
}


def test_help_lists_every_command_and_each_is_one_that_was_promised(capsys):
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)
    assert set(COMMANDS) <= PROMISED


def test_help_costs_less_than_four_tenths_of_a_second_of_computing():
    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    subprocess.run([sys.executable, "-m", "harness", "--help"], check=True, capture_output=True)
    assert spent() - before < 0.4


def test_no_command_at_all_shows_the_help_and_is_wrong_usage(capsys):
    assert run([]) == 4
    assert "Commands:" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "unknown command 'trian': did you mean 'train'?"),
        (["gate", "--nonsense"], "No such option"),
        (["gate", "--policy", "p.toml"], "name it with --record"),
        (["gate", "candidate", "--record", "x"], "leave MODEL and --baseline out"),
        (["gate", "--record", "nowhere"], "nowhere: no run record there"),
        (["report", "nowhere"], "nowhere: no run record there"),
        (["models", "show"], "no version is the candidate yet"),
        (["models", "show", "triage@7"], "unknown model version 'triage@7'"),
        (["models", "promote"], "no version is the candidate yet"),
        (["models", "rollback"], "nothing to roll back"),
        (["models", "add", "nowhere"], "nowhere: no such folder"),
        (["models", "add", ".", "--name", "x"], "no adapter_config.json"),
        (["models", "promote", "--accept", " "], "needs the reason in words"),
        (["gate"], "'suites/' does not exist"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr_and_exit_4(capsys, arguments, said):
    assert run(arguments) == 4
    printed = capsys.readouterr()
    assert printed.err.startswith("harness: error: ")
    assert said in printed.err
    assert "Traceback" not in printed.out + printed.err


def test_a_misspelt_key_of_the_project_is_told_with_the_nearest(capsys, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.harness]\nreport = 'x'\n")
    assert run(["models", "list"]) == 4
    assert "did you mean 'reports'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("x"), 4),
        (GoldenSetError("x"), 4),
        (RecipeError("x"), 4),
        (RegistryError("x"), 4),
        (PromotionRefused("x"), 1),
        (GenerationError("x"), 11),
    ],
)
def test_the_exit_status_tells_a_mistake_from_a_refusal_and_from_a_broken_engine(error, status):
    assert exit_status(error) == status


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "reports/x"), 1, "reports/x: No space left on device"),
        (RegistryError("the sentence"), 4, "the sentence"),
    ],
)
def test_whatever_ends_a_command_is_told_without_a_traceback(monkeypatch, capsys, raised, status, said):
    @click.command()
    def broken():
        raise raised

    monkeypatch.setattr(command_line.cli, "get_command", lambda *_: broken)
    assert run(["gate"]) == status
    assert said in capsys.readouterr().err


def test_a_reader_that_went_away_is_no_error(tmp_path):
    done = subprocess.run(
        f"{sys.executable} -m harness --help | true", shell=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stderr == ""


def test_the_module_runs_like_the_command():
    done = subprocess.run([sys.executable, "-m", "harness", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("finetune-harness ")


def _all_commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += _all_commands(command, (*path, name))
    return found


@pytest.mark.parametrize("words", _all_commands(cli), ids=" ".join)
def test_every_command_has_help(words, capsys):
    assert run([*words, "--help"]) == 0
    assert len(Path(capsys.readouterr().out).name) > 0
