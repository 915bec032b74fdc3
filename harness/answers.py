"""An answer to "is it better?": yes, no, cannot tell, cannot be trusted."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.errors import Inconclusive, Invalid

Status = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID"]

#: From best to worst: a run's status is the worst of its parts.
SEVERITY: dict[Status, int] = {"PASS": 0, "INCONCLUSIVE": 1, "INVALID": 2, "FAIL": 3}


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A status and the sentence that justifies it.

    True for PASS and False for FAIL, so that `assert scores.not_worse()` reads as English. The other two are
    neither: using them as a truth value raises `Inconclusive` or `Invalid`, and the plugin reports the item under
    a word of its own.
    """

    status: Status
    reason: str

    def __bool__(self) -> bool:
        if self.status == "INCONCLUSIVE":
            raise Inconclusive(self.reason)
        if self.status == "INVALID":
            raise Invalid(self.reason)
        return self.status == "PASS"

    def __repr__(self) -> str:
        return f"{self.status}: {self.reason}"


def worst(statuses: list[Status]) -> Status:
    """The status of a whole from those of its parts; an empty whole is INVALID, because nothing was asked."""
    return max(statuses, key=SEVERITY.__getitem__) if statuses else "INVALID"
