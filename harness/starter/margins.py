"""A margin that the sets can see: worked out from their sizes before any model is asked."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from harness.errors import ConfigError
from harness.stats.power import RulePower, detectable_drop, rule_power

#: How often an equally good candidate should pass.
POWER = 0.8

#: People write whole points in a policy.
_STEP = 0.01
_LARGEST = 0.5


class MarginChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest margin, in whole points, that an equally good candidate passes `POWER` of the time.

    `flips` is the supposed share of answers that change between two equal models; `choices` are the margins around
    the chosen one with what the guards' rule then says; `sees` is the drop that each set shows by itself.
    """

    margin: float
    flips: float
    sizes: dict[str, int]
    choices: dict[float, RulePower]
    sees: dict[str, float]

    @property
    def cases(self) -> int:
        """All guard cases."""
        return sum(self.sizes.values())


def choose_margin(sizes: Mapping[str, int], flips: float) -> MarginChoice:
    """The margin for guard sets of these sizes (name: number of rated cases).

    Raises ConfigError where there is no guard case, or where no margin up to 50 points will do.
    """
    if not sizes or min(sizes.values()) < 1:
        raise ConfigError("no guard set has a case with a check: nothing would watch for regressions. Add some cases.")
    counts, discordance = list(sizes.values()), [flips] * len(sizes)
    tried: dict[float, RulePower] = {}
    for k in range(1, round(_LARGEST / _STEP) + 1):
        margin = round(k * _STEP, 10)
        tried[margin] = rule_power(counts, discordance, margin=margin)
        if tried[margin].passes >= POWER:
            break
    else:
        raise ConfigError(
            f"{sum(counts)} guard cases with {flips:.0%} of answers changing: an equally good candidate would pass "
            f"less than {POWER:.0%} of the time with any margin up to {_LARGEST:.0%}. Add cases to golden_sets/."
        )
    above = round(margin + _STEP, 10)
    tried[above] = rule_power(counts, discordance, margin=above)
    return MarginChoice(
        margin=margin,
        flips=flips,
        sizes=dict(sizes),
        choices={m: power for m, power in tried.items() if m >= margin - 1.5 * _STEP},
        sees={name: detectable_drop(flips, n, power=POWER) for name, n in sizes.items()},
    )
