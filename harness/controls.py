"""Can this golden set tell a right answer from a wrong one? Asked of its own targets, with no model at all.

own        each target, on the checks of its own case: about 1
shuffled   each target, on the checks of other cases: about the chance level, 1/k for labels and choices
any        answers that are wrong for everybody: a check that lets all of them pass is pinned at 1
saturated  a baseline at 0 or 1 leaves no room to fall or to rise
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from harness.checks import Spec, needs_target, run_check
from harness.checks.score import clip, quote
from harness.errors import CheckError
from harness.golden import GoldenCase, GoldenSet, Kind
from harness.pairs import pair_sets
from harness.policy import GatePolicy
from harness.record import RunRecord
from harness.verdict import plural, points

#: The detector's name wherever its findings appear.
CODE = "T20"

#: At least this share of the targets must pass the checks of their own cases.
OWN = 0.95
#: At most this share of targets that differ from a case's own may pass it: of a set of labels, and of any other.
FOREIGN_LABELS, FOREIGN = 0.10, 0.50
#: A set of labels has at most so many, and each twice on average.
MOST_LABELS = 20
#: A shuffle of fewer cases says nothing.
FEWEST = 5
#: A baseline outside of this has no room to fall, or to rise.
ROOM = (0.05, 0.95)

#: Each case meets the targets of this many others.
_ROTATIONS = 4
_NEGATIVE = ("not", "excludes")
_WRONG = (
    "",
    "I'm sorry, but I can't help with that.",
    "抱歉，我无法帮助您。",
    "Lorem ipsum dolor sit amet",
    "{}",
    "word " * 400,
)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a golden set that its owner should look at. A "fault" is a failed control: INVALID."""

    code: str
    severity: Literal["fault", "warning"]
    where: str
    message: str

    def __repr__(self) -> str:
        return f"{self.where}: {self.code} {self.severity}: {self.message}"


class SetControl(msgspec.Struct, frozen=True, kw_only=True):
    """What the controls saw of one set. Shares are None where there was nothing to measure them on.

    `own` and `shuffled` are pass rates of the set's own targets on their own cases and on others; `chance` is
    what `shuffled` would be if no target that differs passed.
    """

    name: str
    kind: Kind
    cases: int
    targets: int
    own: float | None = None
    shuffled: float | None = None
    chance: float | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The failed controls."""
        return tuple(finding for finding in self.findings if finding.severity == "fault")


def stray_variants(golden_sets: Sequence[GoldenSet], files: Mapping[str, str]) -> list[Finding]:
    """A warning for each `variant_of` that names no case of any set, and that no other case names: it groups nothing.
    Told of the sets that `files` has, by their file."""
    known = {case.id for one in golden_sets for case in one.cases}
    named = Counter(case.variant_of for one in golden_sets for case in one.cases)
    found = []
    for one in golden_sets:
        for case, line in zip(one.cases, one.lines, strict=True) if one.name in files else ():
            origin = case.variant_of
            if origin is None or origin in known or named[origin] > 1:
                continue
            near = difflib.get_close_matches(origin, known, n=1, cutoff=0.6)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            message = f"{case.id} is a variant of {quote(origin)}, and no set has such a case.{hint}"
            found.append(Finding(code=CODE, severity="warning", where=f"{files[one.name]}:{line}", message=message))
    return found


def control(golden_set: GoldenSet, *, file: str, at_most: int | None = None) -> SetControl:
    """Run the controls on a set; `file` names it in findings. With `at_most`, on so many of its cases, spread evenly:
    microseconds a case, cheap enough for every run."""
    pairs = list(zip(golden_set.cases, golden_set.lines, strict=True))
    if at_most is not None and len(pairs) > at_most:
        pairs = [pairs[i * len(pairs) // at_most] for i in range(at_most)]
    if golden_set.kind == "choice":
        found_of = _control_choices(golden_set.name, [case for case, _ in pairs], file)
        return msgspec.structs.replace(found_of, cases=len(golden_set.cases))
    checked = [(case, line) for case, line in pairs if case.checks]
    aimed = [(case, line) for case, line in checked if case.target is not None]
    findings: list[Finding] = []
    own = None
    if aimed:
        own, found = _own(aimed, file)
        findings += found
    shuffled, chance = None, None
    if len(aimed) >= FEWEST:
        shuffled, chance, found = _shuffled(aimed, file)
        findings += found
    findings += _pinned(checked, file)
    return SetControl(
        name=golden_set.name,
        kind=golden_set.kind,
        cases=len(golden_set.cases),
        targets=len(aimed),
        own=own,
        shuffled=shuffled,
        chance=chance,
        findings=tuple(findings),
    )


def saturated(record: RunRecord, policy: GatePolicy, files: Mapping[str, str]) -> list[Finding]:
    """Sets on which the record's baseline has no room: a guard at 0 cannot fall, at 1 tells nobody apart.

    A target may start at 0; at 1 it cannot improve. Sets that `files` (by name) lacks are left out.
    """
    found = []
    for one in pair_sets(record, policy):
        scores = one.scores.get("baseline")
        if one.name not in files or scores is None or not scores.size:
            continue
        rate = float(scores.mean())
        if ROOM[0] < rate < ROOM[1] or (one.target and rate <= ROOM[0]):
            continue
        if rate >= ROOM[1]:
            why = "a target cannot improve on that" if one.target else "it only sees losses, never a gain"
        else:
            why = "a guard that fails already cannot see a loss"
        message = f"saturated: the baseline passes {points(rate)}% of {plural(scores.size, 'case')}: {why}"
        found.append(
            _finding("warning", files[one.name], f"{message} (run {record.run_id}). Add cases of another difficulty.")
        )
    return found


def _own(aimed: Sequence[tuple[GoldenCase, int]], file: str) -> tuple[float, Iterator[Finding]]:
    failed: list[tuple[int, GoldenCase, str]] = []
    for case, line in aimed:
        why = _missed(case, case.target or "")
        if why is not None:
            failed.append((line, case, why))
    share = 1 - len(failed) / len(aimed)

    def findings() -> Iterator[Finding]:
        severity: Literal["fault", "warning"] = "warning" if share >= OWN else "fault"
        for line, case, why in failed[:10]:
            yield _finding(
                severity,
                f"{file}:{line}",
                f"the target of {case.id!r} fails the case's own checks ({why}). Correct the one or the other.",
            )
        if len(failed) > 10:
            yield _finding(severity, file, f"{len(failed) - 10} more targets fail their own checks.")

    return share, findings()


def _shuffled(aimed: Sequence[tuple[GoldenCase, int]], file: str) -> tuple[float, float, Iterator[Finding]]:
    n = len(aimed)
    targets = [" ".join((case.target or "").split()).casefold() for case, _ in aimed]
    checks = [
        msgspec.json.encode((case.checks, target if any(map(needs_target, case.checks)) else ""))
        for (case, _), target in zip(aimed, targets, strict=True)
    ]
    passed = same = 0
    foreign = asked = 0
    guilty: Counter[int] = Counter()
    rotations = sorted({max(1, n * step // (_ROTATIONS + 1)) for step in range(1, _ROTATIONS + 1)})
    for rotation in rotations:
        for i in range(n):
            j = (i + rotation) % n
            held = _missed(aimed[i][0], aimed[j][0].target or "") is None
            passed += held
            if targets[i] == targets[j] or checks[i] == checks[j]:
                same += 1
                continue
            asked += 1
            if held:
                foreign += 1
                guilty[i] += 1
    distinct = len(set(targets))
    labels = distinct <= MOST_LABELS and n >= 2 * distinct
    most = FOREIGN_LABELS if labels else FOREIGN

    def findings() -> Iterator[Finding]:
        if asked and foreign / asked > most:
            case, line = aimed[guilty.most_common(1)[0][0]]
            of = f"a set of {distinct} labels allows {points(most)}%" if labels else f"{points(most)}% are allowed"
            yield _finding(
                "fault",
                f"{file}:{line}",
                f"{points(foreign / asked)}% of the targets of other cases pass ({of}), most often on {case.id!r}: "
                "the checks cannot tell a right answer from a wrong one. Let them ask for what only this case wants.",
            )

    pairs = n * len(rotations)
    return passed / pairs, same / pairs, findings()


def _pinned(checked: Sequence[tuple[GoldenCase, int]], file: str) -> Iterator[Finding]:
    asserting = [(case, line) for case, line in checked if not all(_is_negative(spec) for spec in case.checks)]
    pinned = [(case, line) for case, line in asserting if all(_missed(case, wrong) is None for wrong in _WRONG)]
    if not pinned:
        return
    severity: Literal["fault", "warning"] = "fault" if 2 * len(pinned) > len(checked) else "warning"
    case, line = pinned[0]
    more = f", and {plural(len(pinned) - 1, 'more case')} like it" if len(pinned) > 1 else ""
    yield _finding(
        severity,
        f"{file}:{line}",
        f"{case.id!r} passes whatever is answered, an empty answer and a refusal too{more}: pinned at 1. "
        "Let its checks ask for something.",
    )


def _control_choices(name: str, cases: Sequence[GoldenCase], file: str) -> SetControl:
    """The answers of other cases, by their place among the choices: 1/k where no place is favoured."""
    n = len(cases)
    chance = sum(1 / len(case.choices) for case in cases) / n
    counts = Counter(case.choices.index(case.answer or "") for case in cases)
    findings: list[Finding] = []
    shuffled = None
    if n >= FEWEST:
        shuffled = sum(count * (count - 1) for count in counts.values()) / (n * (n - 1))
        if (shuffled - chance) / (1 - chance) > FOREIGN_LABELS:
            place, count = counts.most_common(1)[0]
            findings.append(
                _finding(
                    "fault",
                    file,
                    f"the right answer is choice {place + 1} in {count} of {plural(n, 'case')}: answers of other cases "
                    f"are right {points(shuffled)}% of the time, and chance is {points(chance)}%. Shuffle the choices.",
                )
            )
    return SetControl(
        name=name,
        kind="choice",
        cases=n,
        targets=n,
        own=1.0,
        shuffled=shuffled,
        chance=chance,
        findings=tuple(findings),
    )


def _missed(case: GoldenCase, answer: str) -> str | None:
    """Why the answer does not pass all checks; None where it does. A check that crashes passes nobody."""
    for spec in case.checks:
        try:
            score = run_check(spec, answer, case.target)
        except CheckError as error:
            return str(error)
        if not score.passed:
            return clip(f"{score.check}: {score.explanation or quote(answer)}", 160)
    return None


def _is_negative(spec: Spec) -> bool:
    """Does the check only forbid? Then an answer that says nothing is right."""
    name = spec if isinstance(spec, str) else next(iter(spec))
    return name in _NEGATIVE


def _finding(severity: Literal["fault", "warning"], where: str, message: str) -> Finding:
    return Finding(code=CODE, severity=severity, where=where, message=message)
