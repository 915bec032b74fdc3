"""The verdict in one sentence, its reasons, and the next command. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from harness.answers import Status
from harness.record import RunRecord
from harness.report.cases import Fate
from harness.report.links import Part, linked
from harness.report.visible import shown, visible
from harness.report.words import Words
from harness.verdict import Criterion, Verdict

Word = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID", "PARTIAL"]


#: Characters of one reason that the page shows.
LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that was asked, and the answer. `parts` are the reason again, with links to the cases that it names."""

    name: str
    status: Status
    reason: str
    parts: tuple[Part, ...] = ()


def headline(word: Word, record: RunRecord, words: Words) -> str:
    """May it ship?"""
    label = visible(record.candidate.label)
    said = {
        "PARTIAL": "{label} was asked a part only, so there is no verdict",
        "PASS": "{label} may ship",
        "FAIL": "{label} must not ship",
        "INCONCLUSIVE": "Too few cases to say whether {label} may ship",
        "INVALID": "This run cannot judge {label}",
    }[word]
    return words(said, label=label)


def reasons(record: RunRecord, verdict: Verdict, words: Words) -> tuple[Said, ...]:
    """Why it is no PASS, worst first; for a PASS, what it rests on."""
    if record.partial is not None:
        return (told(words("complete"), "INVALID", f"{record.partial[:1].upper()}{record.partial[1:]}."),)
    # Everything that is not a PASS, worst first; for a PASS, what it rests on.
    open_points = [c for status in ("FAIL", "INVALID", "INCONCLUSIVE") for c in verdict.criteria if c.status == status]
    return tuple(asked(c, record, words) for c in open_points or verdict.criteria)


def next_steps(word: Word, record: RunRecord, verdict: Verdict, words: Words) -> tuple[tuple[str, str], ...]:
    """(what for, command)."""
    if word == "INVALID" and (missing := verdict.remedy) is not None:
        return _next_remedy(missing, words)
    if record.source != "suites":
        return _next_comparison(word, record, words)
    label, reference = visible(record.candidate.label), visible(record.candidate.reference)
    again = f"harness gate {reference}"
    registered = "@" in record.candidate.label
    match word:
        case "PASS" if registered:
            return ((words("Make it the baseline"), f"harness models promote {label}"),)
        case "PASS":
            return ((words("Register the adapter, then promote it"), "harness models add PATH --name NAME"),)
        case "FAIL":
            why = words("Change the data or the recipe (more replay keeps more of the base), train, and gate again")
            return ((why, "harness train RECIPE"),)
        case "INCONCLUSIVE":
            steps = [(words("Add golden cases, then ask again; finished answers are reused"), again)]
            if registered:
                accept = f'harness models promote {label} --accept "REASON"'
                steps.append((words("Or answer for it in your own name"), accept))
            return tuple(steps)
        case "PARTIAL":
            return ((words("Run everything; finished answers are reused"), again),)
    return ((words("Remove the cause, then run again; finished answers are reused"), again),)


def _next_remedy(missing: Criterion, words: Words) -> tuple[tuple[str, str], ...]:
    """What people have not said yet, no training and no run supplies."""
    assert missing.command is not None, "a remedy is a command"
    why = words("Let people read the answers blind, then import what they send back")
    if missing.waiting:
        why = words("Waiting for {names}; import what they send back", names=visible(", ".join(missing.waiting)))
    elif missing.skipped:
        names = visible(", ".join(missing.skipped))
        why = words("Ask {names} to judge pages that they skipped, then import the new file", names=names)
    elif missing.discards:
        names = visible(", ".join(missing.discards))
        why = words("Let people read anew; what {names} answered is set aside, and counts no more", names=names)
    return ((why, visible(missing.command)),)


def _next_comparison(word: Word, record: RunRecord, words: Words) -> tuple[tuple[str, str], ...]:
    """Where other tools gave the scores, the next step is theirs, and then the same comparison."""
    if word == "PASS":
        return ()
    program = "harness judge run" if record.source == "judged" else "harness compare"
    again = f"{program} {visible(' '.join(record.arguments))}"
    unknown = [one.judge for one in record.judged if one.card is None and one.judge.kind in ("model", "jury")]
    if word == "INVALID" and unknown:
        measure = words("Measure the judge on pairs whose right verdict is known, then compare again")
        return ((measure, f"harness judge card {visible(unknown[0].name)}"),)
    steps: dict[Word, str] = {
        "FAIL": "Read the newly missed cases, change the candidate and score it again; then",
        "INCONCLUSIVE": "Score both on more cases (or more samples of each), then compare again",
    }
    return ((words(steps.get(word, "Remove the cause, then compare again")), again),)


def sentence(word: Word, counts: Mapping[Fate, int], red_lines: int, verdict: Verdict, words: Words) -> str:
    """The whole run in one line, for those who read no further."""
    if word == "PARTIAL" or verdict.baseline is None:
        return ""
    total = sum(counts.values())
    if total and total == counts["lost"] + counts["won"] + counts["tied"] + counts["unread"]:
        # Where a judge alone has seen them, the pairs speak.
        return words(
            "{n} cases: the baseline's answer is preferred in {worse}, the candidate's in {better}.",
            n=f"{total:,}", worse=f"{counts['lost']:,}",
            better=f"{counts['won']:,}",
        )  # fmt: skip
    line = words("{n} cases: {worse} worse than the baseline, {better} better", n=f"{total:,}",
                 worse=f"{counts['regressed']:,}", better=f"{counts['improved']:,}")  # fmt: skip
    if red_lines:
        line += words(", {broken} of {n} red lines broken", broken=counts["broken"], n=red_lines)
    return line + words(".")


def asked(found: Criterion, record: RunRecord, words: Words) -> Said:
    """One criterion, its cases linked."""
    said = told(words(found.name), found.status, found.reason)
    return replace(said, parts=linked(found, record)) if len(found.reason) <= LONGEST_REASON else said


def told(name: str, status: Status, reason: str) -> Said:
    """One answer, made safe to look at."""
    return Said(name=visible(name), status=status, reason=shown(reason, LONGEST_REASON))
