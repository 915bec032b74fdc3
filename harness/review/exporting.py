"""An export: what was out before set aside, the forms handed out, the key kept."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec

from harness.review.blinding import Blinded
from harness.review.replaced import set_aside
from harness.review.seal import FOLDER, write_key
from harness.review.sending import FORMS, forms_written, handed_out, refuse_taken
from harness.review.words import Language


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """The forms (each reviewer's page, then their CSV), the key, and where an earlier export is `aside`, if any was."""

    forms: tuple[Path, ...]
    key: Path
    aside: Path | None


def send_out(
    drawn: Blinded, folder: Path, to: Path | None, now: datetime.datetime, language: Language, rubric: str = ""
) -> Export:
    """Write the forms to `to` (None: the run's own folder of forms), and the key to the run's folder.

    Raises ReviewError where the disk refuses, and for forms of the same names in a folder that is not the run's own.
    """
    own = folder / FOLDER / FORMS
    to = to or own
    with forms_written(drawn, to, language, rubric) as files:
        if to.resolve() != own.resolve():
            refuse_taken(to / file.name for file in files)
        # Only now: an export that failed before has taken nobody's key out of use.
        aside = set_aside(folder, drawn.key.name, now)
        forms = handed_out(files, to)
    return Export(forms=tuple(forms), key=write_key(folder, drawn.key), aside=aside)
