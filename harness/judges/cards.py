"""Where cards are kept, and whether a judge may gate on the strength of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from harness.errors import JudgeError
from harness.judges.judgement import JudgeCard
from harness.judges.probes import probes_digest
from harness.judges.refs import JudgeRef, judges_itself
from harness.judges.summary import MOST_UNREAD, PairSummary
from harness.models.refs import ModelRef


def read_card(folder: Path, digest: str) -> JudgeCard | None:
    """The card of exactly this judge, prompt and rubric; None where there is none.

    Raises JudgeError for a file that is no card.
    """
    file = folder / f"{digest}.json"
    try:
        card = msgspec.json.decode(file.read_bytes(), type=JudgeCard)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JudgeError(f"{file}: cannot be read ({error.strerror}). Check its permissions.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise JudgeError(
            f"{file}: not a judge's card ({error}). Delete it and run harness judge card again."
        ) from error
    if card.judge.digest != digest:
        raise JudgeError(f"{file}: the card of another judge ({card.judge.name}). Delete it and run it again.")
    return card


def write_card(folder: Path, card: JudgeCard) -> Path:
    """Keep a card under its judge's digest; an older one of the same judge is replaced."""
    file = folder / f"{card.judge.digest}.json"
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(card, order="sorted")))
        unfinished.replace(file)
    except OSError as error:
        raise JudgeError(f"{file}: cannot be written ({error.strerror}). Make room or mend its rights.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return file


def next_step(judge: JudgeRef, card: JudgeCard | None) -> str | None:
    """What to do where no gate may rest on this judge for want of a card; None where it has one."""
    if judge.kind == "reference":
        return "no verdict rests on a similarity, so this is advisory: name a judge with --judge"
    if judge.kind == "replay":
        return 'recorded judgements have no card: [tool.harness.gate] on_unfit_judge = "warn" lets them decide'
    return f"harness judge card {judge.name}" if card is None else None


def unfit_because(
    judge: JudgeRef, card: JudgeCard | None, summary: PairSummary, contestants: Iterable[ModelRef] = ()
) -> tuple[str, ...]:
    """Why no gate may rest on what this judge said; empty where one may."""
    if judge.kind == "reference":
        return ("reference is a similarity, not a judge: advisory only",)
    reasons = []
    if judges_itself(judge, contestants):
        reasons.append(f"the judge {judge.name} is one of the models that it judges")
    if card is None:
        next_ = (
            "its judgements were recorded elsewhere" if judge.kind == "replay" else f"harness judge card {judge.name}"
        )
        reasons.append(f"the judge {judge.name} has no card for its model, prompt and rubric ({next_})")
    elif not card.fit:
        reasons.append(f"the judge {judge.name} failed its card: {', '.join(card.faults)}")
    elif card.probes_digest != probes_digest():
        reasons.append(f"the card of {judge.name} was made with other probes: run harness judge card {judge.name}")
    if summary.unread_share > MOST_UNREAD:
        reasons.append(
            f"{summary.unread} of {summary.asked} judgements could not be read, and {MOST_UNREAD:.0%} may be"
        )
    return tuple(reasons)
