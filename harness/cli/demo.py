"""`harness demo`: the whole loop on a real model, in a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.places import Writable
from harness.cli.status import FAILED, PASSED

if TYPE_CHECKING:
    from harness.cli.story import Story


@click.command()
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of both trainings.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Where the demo keeps its project, registry and reports.",
)
@click.option("--fresh", is_flag=True, help="Forget the answers that an earlier demo stored as well.")
@click.option("--json", "result", type=Writable(), help="Write what happened to this file.")
def demo(seed: int, folder: Path, fresh: bool, result: Path | None) -> int:
    """Show the whole loop on a real model, in minutes.

    Train, gate, see the model forget, fix it, promote it: SmolLM2 on this machine, no hub, no account. Runs the
    commands that a user would type and shows each one. Start it in a clone of the project. Running it again begins
    with an empty registry; answers of unchanged models come from the store.

    Exit status: 0 when everything happened as told, 1 with the step that deviated.
    """
    from harness.cli.story import Storyteller, prepare
    from harness.config import load_project

    project = prepare(load_project(Path.cwd()), folder.resolve(), fresh=fresh)
    story = Storyteller(project, seed).tell()
    if result is not None:
        import msgspec

        result.write_bytes(msgspec.json.format(msgspec.json.encode(story), indent=2) + b"\n")
    _summarise(story, folder)
    return FAILED if story.deviations else PASSED


def _summarise(story: Story, folder: Path) -> None:
    click.secho("\nWhat happened", bold=True)
    rate = story.base["triage"].candidate
    click.echo(f"  the base         triage {rate or 0:.0%} (exit {story.base_exit})")
    for label, judged in (("without replay", story.no_replay), ("with replay", story.replay)):
        general = judged.sets["retention/general"]
        ending = "promoted" if judged.promote_exit == PASSED else "promote refused"
        click.echo(
            f"  {label:<16} {judged.status}: triage {judged.sets['triage'].candidate or 0:.0%}, general questions "
            f"{general.candidate or 0:.0%} (base {general.root or general.baseline or 0:.0%}); {ending}"
        )
    click.secho("\nWhere it is", bold=True)
    for label, judged in (("without replay", story.no_replay), ("with replay", story.replay)):
        click.echo(f"  {label:<16} {folder / judged.record}/index.html  (record.json beside it)")
    click.echo(f"  registry         {folder}/.harness/registry  (baseline: {story.baseline})")
    click.secho("\nSeconds", bold=True)
    for phase, seconds in story.seconds.items():
        click.echo(f"  {phase:<20} {seconds:>6.1f}")
    click.echo(f"  {'all':<20} {sum(story.seconds.values()):>6.1f}")
    click.secho("\nNext", bold=True)
    click.echo(f"  cd {folder}, then:")
    click.echo("  harness models show candidate")
    click.echo("  pytest suites/ --model=candidate -k capital     one topic, from the store")
    if story.baseline is not None:
        click.echo("  harness models rollback                         undo the promotion")
    click.echo("  edit recipes/triage.yaml, then: harness train recipes/triage.yaml")
    for deviation in story.deviations:
        click.echo(f"\nharness: the story did not hold: {deviation}", err=True)
