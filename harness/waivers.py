"""Waivers: what somebody answers for by name, until when, and whether it was needed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Literal

import msgspec

from harness.policy import GatePolicy, Waiver

#: What a waiver can excuse. Never a comparison that cannot be trusted.
Excusable = Literal["red line", "ratchet", "alarm"]


class WaiverUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One waiver of the policy and what became of it.

    "used": something would have counted against the candidate without it. "expired": it was not applied.
    "not needed": there was nothing to excuse. "unknown": no such set or case was in the run.
    """

    waiver: Waiver
    state: Literal["used", "expired", "not needed", "unknown"]

    @property
    def told(self) -> str:
        """The waiver in a sentence, owner and reason included."""
        one = self.waiver
        opening = {
            "used": f"waived: {one.about}",
            "expired": f"expired waiver, not applied: {one.about}",
            "not needed": f"waiver not needed: {one.about}",
            "unknown": f"waiver of something that was not run: {one.about}",
        }[self.state]
        return f"{opening} ({one.owner}, until {one.expires.isoformat()}: {one.reason})"


def in_force(policy: GatePolicy, today: str) -> tuple[Waiver, ...]:
    """The waivers that hold on this day (YYYY-MM-DD)."""
    return tuple(waiver for waiver in policy.waivers if waiver.holds_on(today))


def find_waiver(waivers: Sequence[Waiver], what: Excusable, set_name: str, case: str | None = None) -> Waiver | None:
    """The first of `waivers` that excuses this, or None."""
    wanted = (w for w in waivers if w.set == set_name and w.case == case and w.excuses(what))
    return next(wanted, None)


def account(
    policy: GatePolicy, today: str, used: Collection[Waiver], run: Collection[tuple[str, str | None]]
) -> Iterator[WaiverUse]:
    """What became of every waiver; `run` are the sets, as (name, None), and the cases, as (set, case), of the run."""
    for waiver in policy.waivers:
        if not waiver.holds_on(today):
            yield WaiverUse(waiver=waiver, state="expired")
        elif waiver in used:
            yield WaiverUse(waiver=waiver, state="used")
        else:
            state: Literal["not needed", "unknown"] = "not needed" if (waiver.set, waiver.case) in run else "unknown"
            yield WaiverUse(waiver=waiver, state=state)
