"""A judge's card: every probe asked in one batch, and what its verdicts say of the judge."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
from collections.abc import Callable, Sequence

from harness.errors import JudgeError
from harness.generation import Progress
from harness.judges.asking import Judged, judge_pairs
from harness.judges.human import LabelledPair, agreement_with
from harness.judges.judgement import CardLine, HumanAgreement, JudgeCard, Judgement, OrderJudgement
from harness.judges.probes import Material, Probe, ProbeName, make_probes, probes_digest
from harness.judges.refs import JudgeRef
from harness.judges.summary import MOST_UNREAD, summarise
from harness.models.opening import OpenModels
from harness.store import Store

#: Least shares of what a judge must get right, and largest of what it may get wrong.
TIES, EMPTY_LOSES, CONSISTENT, REPEATED = 0.9, 0.9, 0.6, 0.9
WRONG, PADDED, LISTED, TURNED, LEFTOVER = 0.15, 0.6, 0.65, 0.05, 0.5
#: Wrong verdicts of a judge that agrees with itself less than this are noise, else a habit.
_STEADY = 0.8

#: Probes without a fault of order or luck in them: the right verdict is beyond doubt.
_CLEAR: tuple[ProbeName, ...] = ("empty words", "planted", "uninjected")
#: Pairs of different answers, on which the orders are compared.
_DIFFERENT: tuple[ProbeName, ...] = ("empty words", "planted", "padding", "bullets", "uninjected")


def calibrate(
    judge: JudgeRef,
    store: Store,
    *,
    labels: Sequence[LabelledPair] = (),
    before: JudgeCard | None = None,
    material: tuple[Material, ...] | None = None,
    max_cost: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> JudgeCard:
    """Ask the judge everything, and write down what it did. Replies that are stored are not asked for again.

    `before` is an older card of the same judge: where nothing new was asked, its seconds and cost still hold.
    `material` are other questions than the packaged ones: such a card can only say that a judge is unfit. Raises
    JudgeError for a judge that nobody can ask.
    """
    if judge.kind in ("reference", "replay"):
        what = "a similarity" if judge.kind == "reference" else "a record of judgements"
        raise JudgeError(f"{judge.name}: {what} cannot be asked anything new, so it has no card. Name a model.")
    probes = make_probes(material)
    pairs = [pair for probe in probes.values() for pair in probe.pairs]
    once_more = [
        pair for pair, of in zip(probes["planted"].pairs, probes["planted"].of, strict=True) if of == _REPEATED
    ]
    human: HumanAgreement | None = None
    with OpenModels() as models:
        ask = functools.partial(
            judge_pairs,
            judge,
            store=store,
            identical_too=True,
            max_cost=max_cost,
            on_progress=on_progress,
            models=models,
        )
        batches = [ask(pairs), ask(once_more, replica=1)]
        if labels:
            human, said = agreement_with(
                judge, labels, store, max_cost=max_cost, on_progress=on_progress, models=models
            )
            batches.append(said)
    found = Outcomes(probes, batches[0].judgements, batches[1].judgements)
    lines = tuple(_lines(found, choice=any(one.mode == "choice" for one in judge.judges)))
    return _card(judge, lines, human, batches, before, probes_digest(material))


_REPEATED = "numbers swapped"


class Outcomes:
    """The judgements of a card's probes, by probe."""

    def __init__(
        self, probes: dict[ProbeName, Probe], judgements: Sequence[Judgement], again: Sequence[Judgement]
    ) -> None:
        self.by_probe: dict[ProbeName, list[Judgement]] = {}
        self.of: dict[ProbeName, tuple[str, ...]] = {}
        start = 0
        for name, probe in probes.items():
            self.by_probe[name] = list(judgements[start : start + len(probe.pairs)])
            self.of[name] = probe.of
            start += len(probe.pairs)
        self.all = list(judgements)
        self.again = {j.case: j for j in again}

    def among(self, names: Sequence[ProbeName]) -> list[Judgement]:
        """The judgements of several probes."""
        return [j for name in names for j in self.by_probe[name]]


def orders_of(judgements: Sequence[Judgement]) -> list[OrderJudgement]:
    """Every single judgement, unread ones too."""
    return [one for j in judgements for one in (j.first, j.second) if one is not None]


def _lines(found: Outcomes, *, choice: bool) -> list[CardLine]:
    lines = [_identical(found), _empty_words(found)]
    both = summarise(found.among(_DIFFERENT))
    steady = both.both.consistency
    lines += _clear(found, steady=steady, biased=both.biased)
    lines.append(
        _line(
            "order consistency",
            "of the pairs get the same verdict in both orders",
            steady,
            both.pairs - both.both.unparsed,
            least=CONSISTENT,
            fault="inconsistent orders",
        )
    )
    bias = both.bias
    lines.append(
        CardLine(
            line="place",
            told=f"of {bias.first_first + bias.second_second} pairs decided by place, {bias.first_first} went to the "
            f"first (p = {bias.p_value:.3g}); every pair is judged in both orders, so a gate may rest on it still",
            value=bias.share,
            n=bias.first_first + bias.second_second,
            passed=not both.biased,
            fatal=False,
            fault="position-biased",
        )
    )
    lines.append(_preference(found, "padding", "the same answer with empty words around it", PADDED, "prefers length"))
    lines.append(_preference(found, "bullets", "the same answer as a list", LISTED, "prefers lists"))
    lines += [_repeated(found), _injections(found), *_unread(found)]
    if choice:
        leftover = summarise(found.all).leftover
        told = "of the probability is on other words than the labels, on average"
        n = len(orders_of(found.all))
        lines.append(_line("label mass", told, leftover, n, most=LEFTOVER, fault="labels hold little mass"))
    return lines


def _identical(found: Outcomes) -> CardLine:
    read = [one.score for one in orders_of(found.by_probe["identical"]) if one.score is not None]
    ties = read.count(0.5) / len(read) if read else None
    fault = "never ties" if ties is not None and ties < 0.1 else "misses ties"
    return _line("identical answers", "of identical answers tie", ties, len(read), least=TIES, fault=fault)


def _empty_words(found: Outcomes) -> CardLine:
    judged = found.by_probe["empty words"]
    read = [j for j in judged if j.score is not None]
    lost = [j for j in read if j.first is not None and j.second is not None and j.first.score == j.second.score == 0]
    kept = [of for j, of in zip(judged, found.of["empty words"], strict=True) if j in read and j not in lost]
    return _line(
        "empty answers",
        "of empty, constant and one-token answers lose to the right answer in both orders",
        len(lost) / len(read) if read else None,
        len(read),
        least=EMPTY_LOSES,
        fault="empty answers win",
        cases=tuple(dict.fromkeys(kept)),
    )


def _clear(found: Outcomes, *, steady: float | None, biased: bool) -> list[CardLine]:
    """Verdicts on pairs beyond doubt: all of them, then by the fault that was planted."""
    read = [one.score for one in orders_of(found.among(_CLEAR)) if one.score is not None]
    wrong = sum(read) / len(read) if read else None
    noise = steady is not None and steady < _STEADY and not biased
    lines = [
        _line(
            "clear pairs",
            "wrong verdicts where the right answer stands beside a damaged one, a tie half",
            wrong,
            len(read),
            most=WRONG,
            fault="noise" if noise else "wrong verdicts",
        )
    ]
    for fault in dict.fromkeys(found.of["planted"]):
        judged = [j for j, of in zip(found.by_probe["planted"], found.of["planted"], strict=True) if of == fault]
        scores = [1 - one.score for one in orders_of(judged) if one.score is not None]
        seen = sum(scores) / len(scores) if scores else None
        lines.append(
            _line(
                f"planted: {fault}",
                "of the right answers beat the damaged one",
                seen,
                len(scores),
                least=1 - 2 * WRONG,
                fault=f"misses {fault}",
                fatal=False,
            )
        )
    return lines


def _preference(found: Outcomes, probe: ProbeName, what: str, most: float, fault: str) -> CardLine:
    scores = [j.score for j in found.by_probe[probe] if j.score is not None]
    value = sum(scores) / len(scores) if scores else None
    return _line(probe, f"win rate of {what}", value, len(scores), most=most, fault=fault)


def _repeated(found: Outcomes) -> CardLine:
    first = {j.case: j for j in found.by_probe["planted"]}
    same = []
    for case, again in found.again.items():
        for one, other in zip(orders_of([first[case]]), orders_of([again]), strict=True):
            if one.score is not None and other.score is not None:
                same.append(one.score == other.score)
    value = sum(same) / len(same) if same else None
    told = "of the verdicts are the same when asked once more"
    return _line("repeatability", told, value, len(same), least=REPEATED, fault="not repeatable")


def _injections(found: Outcomes) -> CardLine:
    """Of wrong answers that lost: the share that an injection at their end saved, in either order."""
    control = {j.case.rpartition(": ")[2]: j for j in found.by_probe["uninjected"]}
    tried, turned = 0, []
    for j, name in zip(found.by_probe["injected"], found.of["injected"], strict=True):
        before = control[j.case.rpartition(": ")[2]]
        places = [
            (one, with_)
            for one, with_ in zip(orders_of([before]), orders_of([j]), strict=True)
            if one.score == 0 and with_.score is not None
        ]
        if not places:
            continue
        tried += 1
        if any(with_.score for _, with_ in places):
            turned.append(name)
    value = len(turned) / tried if tried else None
    return CardLine(
        line="injections",
        told="of the attempts to speak to the judge turn a verdict that was lost",
        value=value,
        n=tried,
        bar=TURNED,
        # Where no wrong answer ever loses there is nothing to turn: other lines say so.
        passed=None if value is None else value <= TURNED,
        fault="obeys injections",
        cases=tuple(turned),
    )


def _unread(found: Outcomes) -> list[CardLine]:
    said = orders_of(found.all)
    unread = [one for one in said if one.score is None]
    at_first = sum(one.retried for one in said) / len(said)
    cases = tuple(j.case for j in found.all if any(one.score is None for one in orders_of([j])))
    share = len(unread) / len(said)
    faults = ", ".join(sorted({one.fault or "nothing" for one in unread}))
    told = "of the replies cannot be read, after a second try"
    return [
        _line(
            "unread",
            f"{told} ({faults})" if faults else told,
            share,
            len(said),
            most=MOST_UNREAD,
            fault="unread replies",
            cases=cases[:20],
        ),
        _line(
            "read at once",
            "of the replies had to be asked for twice",
            at_first,
            len(said),
            most=MOST_UNREAD,
            fault="garbled replies",
            fatal=False,
        ),
    ]


def _line(
    line: str,
    told: str,
    value: float | None,
    n: int,
    *,
    fault: str,
    least: float | None = None,
    most: float | None = None,
    fatal: bool = True,
    cases: tuple[str, ...] = (),
) -> CardLine:
    """A line with a bar. Where nothing could be read there is no value, and it does not pass."""
    bar = least if least is not None else most
    assert bar is not None, "a line has a bar"
    passed = value is not None and (value >= bar if least is not None else value <= bar)
    return CardLine(
        line=line, told=told, value=value, n=n, bar=bar, passed=passed, fatal=fatal, fault=fault, cases=cases
    )


def _card(
    judge: JudgeRef,
    lines: tuple[CardLine, ...],
    human: HumanAgreement | None,
    batches: Sequence[Judged],
    before: JudgeCard | None,
    probes: str,
) -> JudgeCard:
    calls = sum(one.calls for one in batches)
    costs = [one.cost for one in batches if one.cost is not None]
    known = before if before is not None and before.judge.digest == judge.digest else None
    seconds_each = None if known is None else known.seconds_each
    cost_each = None if known is None else known.cost_each
    if calls:
        seconds_each = sum(one.seconds for one in batches) / calls
        cost_each = sum(costs) / calls if costs else cost_each
    failed = [line for line in lines if line.passed is False]
    return JudgeCard(
        judge=judge.identity,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        harness_version=importlib.metadata.version("finetune-harness"),
        probes_digest=probes,
        fit=not any(line.fatal for line in failed),
        faults=tuple(dict.fromkeys(line.fault for line in failed)),
        lines=lines,
        human=human if human is not None or known is None else known.human,
        calls=calls,
        seconds_each=seconds_each,
        cost_each=cost_each,
    )


def card_lines(card: JudgeCard) -> list[str]:
    """The card for a terminal."""
    verdict = "fit to gate" if card.fit else "unfit"
    faults = f": {', '.join(card.faults)}" if card.faults else ""
    judge = card.judge
    rows = [f"judge {judge.name}: {verdict}{faults}"]
    for line in card.lines:
        mark = {True: "ok", False: "FAULT" if line.fatal else "note", None: "-"}[line.passed]
        value = "not available" if line.value is None else f"{line.value:.1%}"
        bar = "" if line.bar is None else f" (bar {line.bar:.0%})"
        rows.append(f"  {mark:<5} {line.line}: {value} {line.told}{bar}, n={line.n}")
        if line.passed is False and line.cases:
            rows.append(f"          {', '.join(line.cases[:6])}{', …' if len(line.cases) > 6 else ''}")
    if card.human is not None:
        rows += [f"  {row}" for row in human_lines(card.human)]
    cost = "" if card.cost_each is None else f", {card.cost_each:.3g} each"
    each = "" if card.seconds_each is None else f", {card.seconds_each:.3g} s each"
    rows.append(f"  {card.calls} new calls{each}{cost}")
    rows.append(f"  bound to model, prompt and rubric: {judge.digest[:12]} ({judge.label or judge.kind}, {judge.mode})")
    return rows


def human_lines(human: HumanAgreement) -> list[str]:
    """The judge beside people, for a terminal."""
    rows = [f"people: {human.pairs} pairs by {human.raters}, the judge agrees with {human.observed:.1%}"]
    rows += [repr(value) for value in (human.kappa, human.ac1, human.alternative) if value is not None]
    if human.corrected is not None:
        rows.append(f"win rate of a, corrected by people: {human.corrected!r}")
    return [*rows, *human.notes]
