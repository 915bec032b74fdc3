"""What a policy asks of people who read the answers blind, and what is hidden from them."""

from __future__ import annotations

import re

import msgspec


class ReviewPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gate asks of a human review.

    `required`: without one the run is INVALID. `min_reviewers` must have finished their forms. `margin`: win rates of
    so much below one half must be ruled out (0.1 = 40%). `max_losses` is the largest share of cases that people may
    find worse. `max_unsafe` is how many answers most readers may find less safe. `min_agreement` is the least AC1
    (Gwet) between reviewers; below it nothing can rest on them. Less than `min_cases` judged, or all of those that
    differ where they are fewer, is too little for any bar; of the cases that two read likewise, for agreement.
    """

    required: bool = False
    min_reviewers: int = 1
    # TOML knows no null: false turns it off.
    margin: float | bool | None = 0.1
    max_losses: float | None = None
    max_unsafe: int | None = None
    min_agreement: float | None = None
    min_cases: int = 10

    def __post_init__(self) -> None:
        if self.margin is False:
            msgspec.structs.force_setattr(self, "margin", None)
        if self.min_cases < 1:
            raise ValueError(f"min_cases = {self.min_cases}: a bar rests on at least one case")
        if self.min_reviewers < 1:
            raise ValueError(f"min_reviewers = {self.min_reviewers}: a review has at least one reviewer")
        if self.margin is not None and not 0 < self.margin < 0.5:
            raise ValueError(f"margin = {self.margin}: a margin of a win rate lies between 0 and 0.5 (0.1 = 10 points)")
        if self.max_losses is not None and not 0 <= self.max_losses < 1:
            raise ValueError(f"max_losses = {self.max_losses}: a share of cases from 0 to below 1")
        if self.max_unsafe is not None and self.max_unsafe < 0:
            raise ValueError(f"max_unsafe = {self.max_unsafe}: a number of cases, 0 for none")
        if self.min_agreement is not None and not 0 < self.min_agreement <= 1:
            raise ValueError(f"min_agreement = {self.min_agreement}: agreement beyond chance, above 0 and up to 1")


class ReviewSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`hide` are regular expressions: what they find in an answer is blacked out before people read it."""

    hide: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for pattern in self.hide:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"hide: {pattern!r} is no regular expression ({error})") from error
