"""The policy of a gate: what a candidate must do to ship, committed before the first candidate."""

from __future__ import annotations

import datetime
import fnmatch
import hashlib
from typing import Literal

import msgspec

from harness.reviewing import ReviewPolicy


class CaseGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cases that the policy asks something of together: those with any of `tags`, in the sets that `sets` match.

    Without `tags`, all cases of these sets; without `sets`, tagged cases of any set. `margin`, `improve` and `floor`
    mean what they mean for one set.
    """

    tags: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    margin: float | None = None
    improve: bool = False
    floor: float | None = None

    def __post_init__(self) -> None:
        if not self.tags and not self.sets:
            raise ValueError("a group names its cases: give it tags, sets, or both")
        if self.margin is None and self.floor is None and not self.improve:
            raise ValueError("a group asks something: give it a margin, a floor, or improve = true")
        if self.margin is not None and not 0 < self.margin < 1:
            raise ValueError(f"margin = {self.margin}: a margin is a share between 0 and 1 (0.05 = 5 points)")
        if self.floor is not None and not 0 < self.floor <= 1:
            raise ValueError(f"floor = {self.floor}: a floor is a share above 0 and up to 1 (0.9 = 90%)")

    def holds(self, set_name: str, tags: tuple[str, ...]) -> bool:
        """Does a case of this set with these tags belong here?"""
        if self.sets and not matches(set_name, self.sets):
            return False
        return not self.tags or any(tag in self.tags for tag in tags)


class Waiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody answers, by name and until a date, for something that would fail the candidate.

    With a `case`: its broken red line is excused, and where it is newly missed it counts as unchanged; `criterion`
    narrows it to one of the two. Without a case: the `alarm` of the set. `expires` is the last day on which it holds.
    A waiver never excuses a comparison that cannot be trusted.
    """

    set: str
    owner: str
    reason: str
    expires: datetime.date
    case: str | None = None
    criterion: Literal["red line", "ratchet", "alarm"] | None = None

    def __post_init__(self) -> None:
        for name in ("set", "owner", "reason"):
            if not getattr(self, name).strip():
                raise ValueError(f"a waiver says its {name}: it may not be empty")
        if self.case is None and self.criterion != "alarm":
            raise ValueError(f'a waiver of {self.set} names a case, or the whole set\'s criterion = "alarm"')
        if self.case is not None and self.criterion == "alarm":
            raise ValueError(f"an alarm is a set's, not that of case {self.case!r}: leave one of the two out")

    def excuses(self, criterion: Literal["red line", "ratchet", "alarm"]) -> bool:
        """Is it about this kind of thing?"""
        return criterion == self.criterion or (self.criterion is None and criterion != "alarm")

    def holds_on(self, day: str) -> bool:
        """Does it still apply on this day (YYYY-MM-DD)?"""
        return day <= self.expires.isoformat()

    @property
    def about(self) -> str:
        """What it excuses, in words."""
        if self.case is None:
            return f"alarm of {self.set}"
        return f"{self.criterion or 'case'} {self.set}/{self.case}"


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What answers may take, as growth over the baseline's mean: 0.2 allows 20% more. None: no limit."""

    output_tokens: float | None = None
    prompt_tokens: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        limits = {name: getattr(self, name) for name in self.__struct_fields__}
        for name, value in limits.items():
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(f"{name} = {value}: a budget is the growth that is allowed, 0.2 for 20%")
        if not any(value is not None for value in limits.values()):
            raise ValueError("a budget limits something: give it output_tokens, prompt_tokens or seconds")


class GatePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a candidate must do to ship. Committed before the first candidate; its digest is in every record.

    `margin` is the largest drop in pass rate (0.05 = 5 points) that still counts as "not worse", for all guard sets
    pooled; `margins` gives single sets (by name or pattern) a bar of their own as well. Sets matched by `improve`
    are targets and must get better; every other set is a guard. `floors` are least pass rates of single sets.
    `groups` ask the same of cases by tag; `waivers` excuse what somebody answers for. A suite that rests on a judge
    without a good card is INVALID, unless `on_unfit_judge` lowers that to a warning. `budgets` limit what answers
    take, by set name or pattern, over all cases of the sets together. `review` asks people, who read blind.
    """

    margin: float = 0.05
    alpha: float = 0.05
    improve: tuple[str, ...] = ()
    margins: dict[str, float] = {}
    floors: dict[str, float] = {}
    on_inconclusive: Literal["block", "warn"] = "block"
    suites: tuple[str, ...] = ("suites/",)
    groups: dict[str, CaseGroup] = {}
    waivers: tuple[Waiver, ...] = ()
    on_unfit_judge: Literal["block", "warn"] = "block"
    budgets: dict[str, Budget] = {}
    review: ReviewPolicy | None = None

    def __post_init__(self) -> None:
        for name, value in [("margin", self.margin), *((f"margins.{k}", v) for k, v in self.margins.items())]:
            if not 0 < value < 1:
                raise ValueError(f"{name} = {value}: a margin is a share between 0 and 1 (0.05 = 5 points)")
        for name, least in self.floors.items():
            if not 0 < least <= 1:
                raise ValueError(f"floors.{name} = {least}: a floor is a share above 0 and up to 1 (0.9 = 90%)")
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha = {self.alpha}: the false-alarm rate lies between 0 and 0.5")

    def is_target(self, set_name: str) -> bool:
        """Must this set improve (rather than merely not get worse)?"""
        return matches(set_name, self.improve)

    def own_margin(self, set_name: str) -> float | None:
        """The set's own margin, exact name before pattern, or None where only the pool is judged."""
        if set_name in self.margins:
            return self.margins[set_name]
        return next((v for k, v in self.margins.items() if fnmatch.fnmatchcase(set_name, k)), None)

    def floor(self, set_name: str) -> float | None:
        """The least pass rate demanded of the set, exact name before pattern, or None."""
        if set_name in self.floors:
            return self.floors[set_name]
        return next((v for k, v in self.floors.items() if fnmatch.fnmatchcase(set_name, k)), None)

    @property
    def digest(self) -> str:
        """sha256 of the policy's canonical JSON. Keys that came later count once they are used, so that a policy
        keeps the digest it had."""
        table, unused = msgspec.to_builtins(self), msgspec.to_builtins(GatePolicy())
        for later in ("groups", "waivers", "on_unfit_judge", "budgets", "review"):
            if table[later] == unused[later]:
                del table[later]
        return hashlib.sha256(msgspec.json.encode(table, order="sorted")).hexdigest()


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Does `name` equal or glob-match one of the patterns ('retention/*')?"""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
