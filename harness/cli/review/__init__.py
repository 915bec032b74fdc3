"""`harness review`: forms for people who read blind, and their answers back in the gate."""

from __future__ import annotations

import click

from harness.cli.review.awaiting import status
from harness.cli.review.exporting import export
from harness.cli.review.harvesting import to_golden, to_preferences
from harness.cli.review.importing import import_


@click.group()
def review() -> None:
    """Let people read answers without knowing whose they are, and let the gate hear them."""


for command in (export, import_, status, to_golden, to_preferences):
    review.add_command(command)
