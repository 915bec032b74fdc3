"""Two models on the same questions, told as counts, coins and a worst case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.explain.arithmetic import Fates, coin_chance, holm_factors, limit, odds, steps_away
from harness.pairs import PairedSet, Rival, Watch, watches
from harness.policy import GatePolicy
from harness.stats.guards import PairedSample, alarms, pooled_not_worse
from harness.stats.intervals import Floats
from harness.stats.paired import PairedComparison
from harness.verdict import in_cases, margin_status, plural, points, rate_in_words, up

#: What is counted by the probes that may raise an alarm, as a reader would say it.
MEANINGS = {"bleed": " (questions answered in the trained task's format, which nobody asked for)"}
#: Standard steps beyond which 5 outcomes in 100 lie on one side, and on both.
ONE_SIDED, TWO_SIDED = 1.6448536269514722, 1.959963984540054


@dataclass(frozen=True, slots=True)
class Asked:
    """One test of the alarm. `chance` is that of an equal model doing at least as badly, `counts` the same among all
    tests; `fates` is None where coins alone cannot tell it (partial scores, weights, rewordings)."""

    watch: Watch
    fates: Fates | None
    chance: float
    counts: float
    among: int
    factor: int

    def told(self, alpha: float) -> str:
        """Is this more than chance? In words."""
        name = self.watch.sample.name.removeprefix(self.watch.of).strip()
        about = f"for {name}{MEANINGS.get(name, '')} " if name else ""
        if self.fates is None:
            x, y = _sides(self.watch.sample)
            start = (
                f"Alarm {about}against the {self.watch.rival}: {int(np.sum(x < y))} of {x.size} cases got worse and "
                f"{int(np.sum(x > y))} better, not all by the same amount. If each change could as well have gone the "
                f"other way, the chance of a total at least as bad is {odds(self.chance)}."
            )
        elif not self.fates.flips:
            return (
                f"Alarm {about}against the {self.watch.rival}: nothing flipped, so there is nothing to be alarmed by."
            )
        else:
            flips, lost = self.fates.flips, self.fates.lost
            start = (
                f"Alarm {about}against the {self.watch.rival}: {flips} flips, {lost} for the worse. An equal model "
                f"would have about {flips / 2:g}. Toss {plural(flips, 'coin')}: the chance of {lost} or more tails, "
                f"where exactly {lost} counts half, is {odds(self.chance)}."
            )
        product = min(1.0, self.chance * self.factor)
        counted = f"Times {self.factor}, because the run looks for {plural(self.among, 'alarm')}: {odds(product)}"
        if self.factor == 1:
            counted = f"It counts as it is: {odds(product)}"
        figures = f"{self.chance:.3g} x {self.factor} = {product:.3g}"
        if self.counts > product:
            counted += f", but no less than the one before it, {odds(self.counts)}"
            figures += f", counted as {self.counts:.3g}"
        verdict = "ALARM" if self.counts <= alpha else "no alarm"
        return f"{start} {counted}. An alarm needs {odds(alpha)} or less: {verdict}. (In figures: {figures}.)"


def asked(sets: Sequence[PairedSet], policy: GatePolicy) -> list[Asked]:
    """Every test of the alarm, computed again."""
    watched = list(watches(sets))
    fates = [plain_fates(watch.sample) for watch in watched]
    chances = [
        alarms([watch.sample])[0].p_value if one is None else coin_chance(one.lost, one.gained)
        for watch, one in zip(watched, fates, strict=True)
    ]
    counts = holm_factors(chances)
    order = sorted(range(len(chances)), key=chances.__getitem__)
    factors = {i: len(chances) - rank for rank, i in enumerate(order)}
    return [
        Asked(watch, one, chance, counted, len(watched), factors[i])
        for i, (watch, one, chance, counted) in enumerate(zip(watched, fates, chances, counts, strict=True))
    ]


def plain_fates(sample: PairedSample) -> Fates | None:
    """The four counts, where they say everything: yes/no, independent, all of one weight. Else None."""
    x, y = _sides(sample)
    w = np.ones(x.size) if sample.weights is None else np.asarray(sample.weights, dtype=np.float64)
    alone = sample.clusters is None or len(set(sample.clusters)) == x.size
    if not (alone and w.min() == w.max() and np.isin(x, (0, 1)).all() and np.isin(y, (0, 1)).all()):
        return None
    return Fates.of(zip(x.tolist(), y.tolist(), strict=True))


def fates_told(one: PairedSet, rival: Rival) -> Iterator[str]:
    """A set's pairs as counts, and as a difference of pass rates."""
    found = plain_fates(one.sample(rival))
    n = len(one.cases)
    if one.unchanged(rival):
        yield f"Against the {rival}: the same answers, byte for byte, to all {n} questions. So nothing changed."
        return
    if one.excused.get(rival):
        yield f"{plural(len(one.excused[rival]), 'lost case')} are waived and count as unchanged below."
    if found is None:
        rates = [rate_in_words(one.scores[role], one.weights) for role in ("candidate", rival)]
        flips = one.comparisons[rival].discordant
        yield (
            f"Against the {rival}: {rates[1]} before, {rates[0]} now; {flips.only_baseline} got worse, "
            f"{flips.only_candidate} better. Scores are shares of samples, or weights or rewordings are at work, so "
            f"that the four fates alone do not tell it. Change: "
            f"{points(one.comparisons[rival].difference, sign=True)} points."
        )
        return
    before, now = found.both + found.lost, found.both + found.gained
    yield (
        f"Against the {rival}: {found.both} both right, {found.neither} both wrong, {found.lost} lost, {found.gained} "
        f"gained: {plural(n, 'pair')}."
    )
    yield (
        f"  {rival}: {found.both} + {found.lost} = {before} of {n} right ({points(before / n)}%); candidate: "
        f"{found.both} + {found.gained} = {now} of {n} ({points(now / n)}%)"
    )
    yield f"  change: ({found.gained} - {found.lost}) / {n} = {points(found.change, sign=True)} points"


def target_told(one: PairedSet, rival: Rival) -> Iterator[str]:
    """Is the gain more than chance?"""
    found = one.comparisons[rival]
    low, high = found.interval.low, found.interval.high
    if one.unchanged(rival):
        return
    word = "it got better" if low > 0 else "it got worse" if high < 0 else "no gain is proven"
    yield (
        f"A target must get better by more than luck. With so many questions and flips, a true change anywhere between "
        f"{points(low, sign=True)} and {points(high, sign=True)} points fits this run (95 times in 100 such a range "
        f"holds the truth). No change at all is 0: {'outside' if low > 0 or high < 0 else 'inside'} of the "
        f"range, so {word}."
    )


def pool_told(sets: Sequence[PairedSet], policy: GatePolicy) -> Iterator[str]:
    """How bad could it be, over all guards together?"""
    rivals: tuple[Rival, ...] = ("baseline", "root")
    for rival in rivals:
        pool = [one for one in sets if not one.target and rival in one.comparisons]
        if not pool:
            continue
        if all(one.unchanged(rival) for one in pool):
            yield f"Against the {rival}: all answers are the same, so the candidate is not worse."
            continue
        samples = [one.sample(rival) for one in pool]
        found = pooled_not_worse(samples, policy.margin)
        fates = _pooled_fates(samples, found)
        yield (
            f"Against the {rival}: {plural(found.n, 'question')} of {plural(len(pool), 'guard set')}, "
            f"{found.discordant.only_baseline} lost, {found.discordant.only_candidate} gained: "
            f"{points(found.difference, sign=True)} points. The policy allows {in_cases(policy.margin, found.n)}."
        )
        if fates is None:
            low, high = found.lower_limit, found.upper_limit
            yield (
                f"Scores, weights or rewordings are at work here, so that the bound is worked out from how much the "
                f"{found.n_clusters} independent questions vary ({found.interval.method})."
            )
        else:
            low, high = limit(fates, ONE_SIDED, worst=True), limit(fates, ONE_SIDED, worst=False)
            yield f"  change: ({fates.gained} - {fates.lost}) / {fates.n} = {points(fates.change, sign=True)} points"
            yield _worst_told(fates, low)
        # Rounded as the gate does: what is called ruled out is.
        worst, best = points(-up(-low), sign=True), points(up(high), sign=True)
        yield f"  worst case {worst} points, best case {best} points"
        yield {
            "PASS": f"Even the worst case is better than {points(-policy.margin, sign=True)} points: the candidate is "
            "not worse by more than is allowed.",
            "FAIL": f"Even the best case is worse than {points(-policy.margin, sign=True)} points: more is lost than "
            "is allowed, however lucky.",
        }.get(
            margin_status(found),
            f"The worst case is beyond {points(-policy.margin, sign=True)} points and the best case is not: this run "
            f"cannot tell. An equal model would need about {plural(found.cases_needed or found.n, 'question')} to pass "
            "8 times in 10.",
        )


def _worst_told(fates: Fates, low: float) -> str:
    """Where the worst case comes from."""
    if low <= -1:
        return "How bad could it really be? So much was lost that the loss of everything fits this run."
    return (
        f"How bad could it really be? If the candidate truly lost {points(up(-low))} points, a run would look as good "
        f"as this one 5 times in 100 (it lies {steps_away(fates, low):.3f} standard steps from there). For a larger "
        "loss this run would be rarer still: that is ruled out, at 95%, and this is the worst case. The best case is "
        "found in the same way from the other side. To pass, the worst case must be within what is allowed; to fail, "
        "the best case beyond it; between them this run cannot tell."
    )


def _pooled_fates(samples: Sequence[PairedSample], found: PairedComparison) -> Fates | None:
    """The pool's four counts where they say everything."""
    parts = [plain_fates(sample) for sample in samples]
    weights = np.concatenate([np.asarray(sample.weights, dtype=np.float64) for sample in samples])
    if None in parts or found.n_clusters != found.n or weights.min() != weights.max():
        return None
    kept = [part for part in parts if part is not None]
    return Fates(
        both=sum(part.both for part in kept),
        neither=sum(part.neither for part in kept),
        lost=sum(part.lost for part in kept),
        gained=sum(part.gained for part in kept),
    )


def _sides(sample: PairedSample) -> tuple[Floats, Floats]:
    """Candidate and rival, so that higher is better."""
    x, y = (np.asarray(side, dtype=np.float64) for side in (sample.candidate, sample.baseline))
    return (x, y) if sample.higher_is_better else (y, x)
