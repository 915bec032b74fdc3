"""The run record as pairs: each set's rated cases, candidate against those it is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.policy import GatePolicy, Waiver
from harness.record import CaseResult, Role, RunRecord, SetResult
from harness.stats.guards import PairedSample
from harness.stats.intervals import Floats
from harness.stats.paired import PairedComparison, compare_paired
from harness.waivers import find_waiver

#: Whom a candidate is compared with.
Rival = Literal["baseline", "root"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedSet:
    """One set, paired. `cases` are the rated ones: a case with nothing but red lines has no rate.

    `scores[role]` are in the order of `cases`; `comparisons` has the rivals whose every score is there and
    `missing` the unpaired cases of the others. `excused[rival]` are the waived cases that score lower than the
    rival: they count as unchanged, in guards only.
    """

    result: SetResult
    target: bool
    cases: tuple[CaseResult, ...]
    scores: dict[Role, Floats]
    rivals: tuple[Rival, ...]
    missing: dict[Rival, tuple[str, ...]]
    comparisons: dict[Rival, PairedComparison]
    clusters: tuple[str, ...] | None
    excused: dict[Rival, Mapping[str, Waiver]]

    @property
    def name(self) -> str:
        """The set's name."""
        return self.result.name

    @property
    def ids(self) -> tuple[str, ...]:
        """The rated cases' ids."""
        return tuple(case.case for case in self.cases)

    @property
    def weights(self) -> Floats:
        """The rated cases' weights."""
        return np.array([case.weight for case in self.cases], dtype=np.float64)

    def sample(self, rival: Rival, among: Sequence[int] | None = None) -> PairedSample:
        """The scores as the guards' rule takes them: of all cases, or of those at the positions `among`."""
        candidate, excused = self.scores["candidate"], self.excused.get(rival)
        if excused:
            candidate = np.where([case.case in excused for case in self.cases], self.scores[rival], candidate)
        return self._sample(candidate, rival, among)

    def seen(self, rival: Rival, among: Sequence[int] | None = None) -> PairedSample:
        """The scores as they are, waived or not."""
        return self._sample(self.scores["candidate"], rival, among)

    def _sample(self, candidate: Floats, rival: Rival, among: Sequence[int] | None) -> PairedSample:
        of = np.arange(len(self.cases)) if among is None else np.asarray(among, dtype=np.intp)
        return PairedSample(
            name=self.name,
            candidate=candidate[of],
            baseline=self.scores[rival][of],
            clusters=None if self.clusters is None else [self.clusters[i] for i in of],
            weights=self.weights[of],
        )

    def flipped(self, rival: Rival, *, worse: bool) -> tuple[str, ...]:
        """The ids of the cases that fell (or rose), the largest change first; waived ones too."""
        return tuple(self.cases[i].case for i in changed(self.seen(rival), worse=worse))

    def unchanged(self, rival: Rival) -> bool:
        """Did both give byte-identical answers to every case, and get the same scores?"""
        same = (case.same_answer if rival == "baseline" else case.same_answer_as_root for case in self.cases)
        return all(same) and np.array_equal(self.scores["candidate"], self.scores[rival])


def rivals(record: RunRecord) -> tuple[Rival, ...]:
    """Whom the candidate is compared with; nobody where the baseline is the candidate's own weights."""
    known = {record.candidate.digest}
    found: list[Rival] = []
    if record.baseline is not None:
        if record.baseline.digest in known:
            return ()
        known.add(record.baseline.digest)
        found.append("baseline")
    if record.root is not None and record.root.digest not in known:
        found.append("root")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Watch:
    """Something that may raise the alarm: a set's scores or one of its alarm probes, against one rival."""

    of: str
    rival: Rival
    sample: PairedSample
    cases: tuple[str, ...]
    unit: str | None


def pair_sets(record: RunRecord, policy: GatePolicy, waivers: Sequence[Waiver] = ()) -> list[PairedSet]:
    """Every set of the record, paired; retention sets that guard are paired with the root base as well."""
    return pair_results(record.sets, rivals(record), policy, waivers)


def pair_results(
    sets: Sequence[SetResult], among: Sequence[Rival], policy: GatePolicy, waivers: Sequence[Waiver] = ()
) -> list[PairedSet]:
    """These sets, paired with the rivals that there are; `waivers` are those in force."""
    labels = _clusters(sets)
    return [_pair(one, i, among, policy, waivers, labels) for i, one in enumerate(sets)]


def watches(sets: Sequence[PairedSet]) -> Iterator[Watch]:
    """Everything in the guards that may raise the alarm."""
    for one in sets:
        if one.target:
            continue
        for rival in one.comparisons:
            yield Watch(one.name, rival, one.sample(rival), one.ids, None)
        for probe in one.result.probes:
            for rival in one.rivals if probe.role == "alarm" and probe.cases else ():
                values = probe.baseline if rival == "baseline" else probe.root
                if values is not None:
                    sample = PairedSample(
                        name=f"{one.name} {probe.probe}",
                        candidate=probe.candidate,
                        baseline=values,
                        higher_is_better=probe.higher_is_better,
                    )
                    yield Watch(one.name, rival, sample, probe.cases, probe.unit)


def changed(sample: PairedSample, *, worse: bool, then: Sequence[float] | None = None) -> list[int]:
    """Positions of the cases that fell (or rose), the largest change first; of equal changes, the largest of `then`."""
    d = np.asarray(sample.candidate, dtype=np.float64) - np.asarray(sample.baseline, dtype=np.float64)
    d = d if sample.higher_is_better == worse else -d
    ties = np.zeros(d.size) if then is None else -np.asarray(then, dtype=np.float64)
    return [int(i) for i in np.lexsort((ties, d)) if d[i] < 0]


def _is_rated(case: CaseResult) -> bool:
    return not case.tests or any(test.lane == "rate" for test in case.tests)


def _pair(
    one: SetResult,
    position: int,
    among: Sequence[Rival],
    policy: GatePolicy,
    waivers: Sequence[Waiver],
    labels: Mapping[tuple[int, str], str] | None,
) -> PairedSet:
    cases = tuple(case for case in one.cases if _is_rated(case))
    target = policy.is_target(one.name)
    # The baseline's and root's rates are shown wherever they were measured, compared or not.
    values: dict[Role, list[float | None]] = {
        "candidate": [case.candidate for case in cases],
        "baseline": [case.baseline for case in cases],
        "root": [case.root for case in cases],
    }
    paired = PairedSet(
        result=one,
        target=target,
        cases=cases,
        scores={role: np.array(v, dtype=np.float64) for role, v in values.items() if None not in v},
        rivals=tuple(r for r in among if r == "baseline" or (one.retention and not target)),
        missing={},
        comparisons={},
        clusters=None if labels is None else tuple(labels[position, case.case] for case in cases),
        excused={},
    )
    for rival in paired.rivals if cases else ():
        if rival in paired.scores:
            if waivers and not target:
                paired.excused[rival] = _excused(paired, rival, waivers)
            paired.comparisons[rival] = _compare(paired.sample(rival), policy.own_margin(one.name), policy)
        else:
            gaps = zip(cases, values[rival], strict=True)
            paired.missing[rival] = tuple(case.case for case, value in gaps if value is None)
    return paired


def _excused(paired: PairedSet, rival: Rival, waivers: Sequence[Waiver]) -> dict[str, Waiver]:
    fell = ((case, find_waiver(waivers, "ratchet", paired.name, case)) for case in paired.flipped(rival, worse=True))
    return {case: waiver for case, waiver in fell if waiver is not None}


def _compare(sample: PairedSample, own_margin: float | None, policy: GatePolicy) -> PairedComparison:
    return compare_paired(
        sample.candidate,
        sample.baseline,
        margin=policy.margin if own_margin is None else own_margin,
        clusters=sample.clusters,
        weights=sample.weights,
    )


def _clusters(sets: Sequence[SetResult]) -> dict[tuple[int, str], str] | None:
    """Rewordings share the label of the case that they reword, in their own set or else in another.

    None where there are no rewordings: every case stands for itself.
    """
    if not any(case.variant_of for one in sets for case in one.cases):
        return None
    home: dict[str, int] = {}
    for i, one in enumerate(sets):
        for case in one.cases:
            if case.variant_of is None:
                home.setdefault(case.case, i)
    labels = {}
    for i, one in enumerate(sets):
        own = {case.case for case in one.cases}
        for case in one.cases:
            origin = case.variant_of or case.case
            place = i if origin in own else home.get(origin, i)
            labels[i, case.case] = f"{place}\0{origin}"
    return labels
