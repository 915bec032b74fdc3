"""The verdict in one sentence, its reasons, and the next command. Pure."""

from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from harness.answers import SEVERITY, Status
from harness.record import RunRecord, SuiteAnswer
from harness.report.brief import is_about_safety
from harness.report.cases import Fate
from harness.report.links import Part, linked
from harness.report.numbers import percent, signs
from harness.report.visible import shown, visible
from harness.report.words import Words
from harness.retention import Retention
from harness.verdict import Criterion, Verdict

#: The statistics in a sentence of the gate.
_HOW = re.compile(r" \((p = [^()]*)\)")
#: Length to which pytest shortens what it prints of an assertion, and where the middle that it leaves out begins.
_CUT, _CUT_AT = 240, 118

Word = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID", "PARTIAL"]


#: Characters of one reason that the page shows.
LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that was asked, and the answer. `parts` are the reason again, with links to the cases that it names;
    `how` are the statistics behind it."""

    name: str
    status: Status
    reason: str
    parts: tuple[Part, ...] = ()
    how: str = ""


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
    safety = frozenset(of.name for of in record.sets if is_about_safety(of))
    ranked = sorted(open_points, key=lambda c: (-SEVERITY[c.status], _rank(c, safety)))
    return tuple(criterion_told(c, record, words) for c in ranked or verdict.criteria)


def _rank(found: Criterion, safety: frozenset[str]) -> int:
    """Red lines, then sets about safety, then the other sets, then what was measured beside the answers, then sums."""
    if found.name == "red lines":
        return 0
    if found.set is None:
        return 4
    if not found.reason.startswith((f"{found.set} got ", f"{found.set}:")):
        return 3
    return 1 if found.set in safety else 2


def criterion_told(found: Criterion, record: RunRecord, words: Words) -> Said:
    """One answer of the gate: the plain sentence, its cases linked, and the statistics apart from it."""
    reason = found.reason
    if found.name == "suite":
        test, _, said = reason.partition(": ")
        whole = next((whole_reason(a, record) for a in record.answers if a.test == test and a.reason == said), said)
        reason = f"{test}: {whole}" if said else reason
    how = _HOW.search(reason)
    plain = signs(reason if how is None else reason.replace(how[0], "", 1))
    parts: tuple[Part, ...] = ()
    if len(plain) <= LONGEST_REASON:
        parts = linked(msgspec.structs.replace(found, reason=plain), record)
    one = told(words(found.name), found.status, plain)
    return replace(one, parts=parts, how="" if how is None else visible(how[1]))


def whole_reason(answer: SuiteAnswer, record: RunRecord) -> str:
    """What a suite's test said. Older records have it without its middle, as pytest prints what is long; what it said
    is then asked again of the record, or told up to the cut."""
    said = f"{answer.status}: {answer.reason}"
    if len(said) != _CUT or said[_CUT_AT : _CUT_AT + 3] != "...":
        return answer.reason
    pattern = answer.test.partition("[")[2].removesuffix("]")
    asked = [of for of in record.sets if fnmatch.fnmatchcase(of.name, pattern)]
    again = Retention(asked, record.policy).not_worse() if asked else None
    if again is not None and _shortened(f"{again.status}: {again.reason}") == said:
        return again.reason
    return f"{answer.reason[: _CUT_AT - len(answer.status) - 2]}… (the record has no more of it)"


def _shortened(text: str) -> str:
    """As pytest shortens what it prints of an assertion."""
    return text if len(text) <= _CUT else f"{text[:_CUT_AT]}...{text[-(_CUT - 3 - _CUT_AT) :]}"


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
            return _next_training(record, verdict, words)
        case "INCONCLUSIVE":
            steps = [(words("Add golden cases, then ask again; finished answers are reused"), again)]
            if registered:
                accept = f'harness models promote {label} --accept "REASON"'
                steps.append((words("Or answer for it in your own name"), accept))
            return tuple(steps)
        case "PARTIAL":
            return ((words("Run everything; finished answers are reused"), again),)
    return ((words("Remove the cause, then run again; finished answers are reused"), again),)


def _next_training(record: RunRecord, verdict: Verdict, words: Words) -> tuple[tuple[str, str], ...]:
    """Train again, from the recipe where the record names it, and gate what that makes."""
    training = record.lineage.candidate if record.lineage is not None else None
    kept = {one.name for one in verdict.sets if one.retention}
    forgot = any(c.name == "alarm" and c.status == "FAIL" and c.set in kept for c in verdict.criteria)
    why = words("Change the data or the recipe (more replay keeps more of the base), and train again")
    rows = {} if training is None else training.rows
    learned = rows.get("task", 0) + rows.get("replay", 0)
    if forgot and learned and not rows.get("replay", 0):
        why = words(
            "It was trained without replay, and it forgot. Try replay: give the recipe replay.prompts and replay.ratio "
            "0.3 (docs/training.md, Forgetting, and replay), and train again"
        )
    elif forgot and learned and rows.get("replay", 0) < 0.2 * learned:
        why = words(
            "Only {share} of the rows that it learned are replay, and it forgot. Try more: raise replay.ratio, 0.3 for "
            "example (docs/training.md, Forgetting, and replay), and train again",
            share=percent(rows.get("replay", 0) / learned),
        )
    file = "" if training is None else training.recipe_file
    name = "" if training is None else training.recipe.get("name", "")
    if name and not file:
        why += words("; RECIPE is the file of the recipe whose name is {name}", name=visible(name))
    return (
        (why, f"harness train {visible(shlex.quote(file)) if file else 'RECIPE'}"),
        (
            words("Then gate what it made; harness train does so by itself, and nothing is generated twice"),
            "harness gate",
        ),
    )


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
    again = command_line(program, record)
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


def told(name: str, status: Status, reason: str) -> Said:
    """One answer, made safe to look at."""
    return Said(name=visible(name), status=status, reason=shown(signs(reason), LONGEST_REASON))


def command_line(program: str, record: RunRecord) -> str:
    """What was typed, ready to be typed again: quoted where a shell needs it, and without selectors of nothing."""
    kept: list[str] = []
    for argument in record.arguments:
        if not argument and kept and kept[-1] in ("-m", "-k"):
            kept.pop()
        else:
            kept.append(argument)
    return visible(" ".join([program, *map(shlex.quote, kept)]))
