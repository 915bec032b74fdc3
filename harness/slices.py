"""Where did it get worse? Every set by tag: for exploring, never for a verdict."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.pairs import PairedSet, Rival
from harness.stats.guards import alarms
from harness.stats.multiplicity import benjamini_hochberg

#: A tag of fewer cases says nothing by itself.
FEWEST = 5


class Slice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rated cases of one set that have one tag, against one rival.

    `p_value` is that of the alarm's own test on these cases alone; `adjusted` is after Benjamini-Hochberg over all
    slices: of those up to 0.05, about one in twenty is there by chance.
    """

    set: str
    tag: str
    n: int
    difference: float
    lost: int
    gained: int
    p_value: float
    adjusted: float


def slices(sets: Sequence[PairedSet], rival: Rival = "baseline", *, fewest: int = FEWEST) -> tuple[Slice, ...]:
    """Every tag of every set with at least `fewest` cases, the least likely to be chance first.

    A tag that all cases of its set have is the set itself, and left out.
    """
    asked = []
    for one in sets:
        if rival not in one.comparisons:
            continue
        among: dict[str, list[int]] = {}
        for i, case in enumerate(one.cases):
            for tag in dict.fromkeys(case.tags):
                among.setdefault(tag, []).append(i)
        kept = {tag: which for tag, which in among.items() if fewest <= len(which) < len(one.cases)}
        asked += [(one.name, tag, one.seen(rival, which)) for tag, which in sorted(kept.items())]
    if not asked:
        return ()
    found = [alarms([sample])[0] for _, _, sample in asked]
    adjusted = benjamini_hochberg([alarm.p_value for alarm in found])
    told = [
        Slice(
            set=name,
            tag=tag,
            n=alarm.n,
            difference=alarm.difference,
            lost=alarm.discordant.only_baseline,
            gained=alarm.discordant.only_candidate,
            p_value=alarm.p_value,
            adjusted=float(corrected),
        )
        for (name, tag, _), alarm, corrected in zip(asked, found, adjusted, strict=True)
    ]
    return tuple(sorted(told, key=lambda one: (one.adjusted, one.p_value, one.difference)))
