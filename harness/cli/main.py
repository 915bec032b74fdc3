"""The `harness` command. A command's module is imported when it is named, or when help lists them all."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence

import click

from harness.cli.status import FAILED, INTERRUPTED, INVALID, PASSED, USAGE
from harness.errors import GenerationError, HarnessError, PromotionRefused, Unanswered, unknown_name

COMMANDS = {
    "init": "harness.cli.init:init",
    "doctor": "harness.cli.doctor:doctor",
    "train": "harness.cli.train:train",
    "gate": "harness.cli.gate:gate",
    "judge": "harness.cli.judge:judge",
    "compare": "harness.cli.compare:compare",
    "compare-paths": "harness.cli.paths:compare_paths",
    "review": "harness.cli.review:review",
    "suites": "harness.cli.suites:suites",
    "models": "harness.cli.models:models",
    "store": "harness.cli.store:store",
    "report": "harness.cli.report:report",
    "serve": "harness.cli.serve:serve",
    "ci": "harness.cli.ci:ci",
    "demo": "harness.cli.demo:demo",
}


class LazyGroup(click.Group):
    """A group whose commands are imported by name, `module:attribute`, when they are needed."""

    def __init__(self, *args: object, lazy: Mapping[str, str], **attrs: object) -> None:
        super().__init__(*args, **attrs)  # type: ignore[arg-type]
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a user's day, not of the alphabet."""
        return list(self._lazy)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name for one that nobody knows."""
        if args and args[0] not in self._lazy and not args[0].startswith("-"):
            ctx.fail(unknown_name("command", args[0], self._lazy))
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self._lazy:
            return None
        module, _, attribute = self._lazy[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="finetune-harness", message="%(package)s %(version)s")
def cli() -> None:
    """Fine-tune a model, and find out whether the result may ship.

    \b
    harness train recipes/triage.yaml    make a candidate
    pytest suites/ --model=candidate     ask it everything, against the baseline
    harness models promote               ship it, if the gate says PASS
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    0 = PASS or done, 1 = FAIL or refused, 4 = something typed or written cannot be used, 10 = INCONCLUSIVE,
    11 = INVALID (an engine or the comparison itself broke), 130 = Ctrl-C.
    """
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """The command line as a function: prints, and returns the exit status. Users' mistakes never show a
    traceback."""
    try:
        result = cli.main(
            args=None if arguments is None else list(arguments), prog_name="harness", standalone_mode=False
        )
        return result if isinstance(result, int) else PASSED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        return _fail(error.format_message(), USAGE, context=getattr(error, "ctx", None))
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted. Finished work is kept; run the same command to go on.", INTERRUPTED)
    except HarnessError as error:
        return _fail(str(error), exit_status(error))
    except BrokenPipeError:  # `harness models list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PASSED
    except OSError as error:
        return _fail(f"{error.filename or 'the disk'}: {error.strerror or error}. Finished work is kept.", FAILED)


def exit_status(error: HarnessError) -> int:
    """1 for a refusal, 11 for an engine or comparison that broke, 4 for what was typed or written."""
    if isinstance(error, PromotionRefused):
        return FAILED
    return INVALID if isinstance(error, GenerationError | Unanswered) else USAGE


def _fail(message: str, status: int, context: click.Context | None = None) -> int:
    from harness.report.visible import visible

    hint = f"\nHelp: {context.command_path} --help" if context is not None else ""
    # Messages quote files and answers, which may hold commands to the terminal.
    click.echo(f"harness: error: {visible(message)}{hint}", err=True)
    return status
