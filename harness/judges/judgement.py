"""What a judge said of a pair, and what is known of the judge: plain data for records and reports."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.stats.agreement import Agreement, PpiMean
from harness.stats.alternative import AlternativeAnnotator
from harness.stats.sequential import WinRateSequence

JudgeKind = Literal["model", "reference", "replay", "jury"]
JudgeMode = Literal["verdict", "choice", "similarity", "recorded", "vote"]

#: Why a judge's answer could not be read. "missing label": the engine does not tell the probability of every label.
Fault = Literal[
    "nothing", "prose", "both verdicts", "malformed JSON", "refusal", "cut off", "missing label", "no votes", "error"
]


class OrderJudgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One judgement of one pair in one order. `score` is the candidate's: 1 preferred, 0 not, 0.5 a tie, None unread.

    `reason` is what the judge said, or for an unread one what stood there instead; `fault` why it is unread. In
    `choice` mode `labels` are the probabilities of A, B and tie as they were shown, `leftover` what all other words
    hold, and `share` the candidate's part of the labels' mass, a tie half. `key` finds the reply in the store.
    """

    score: float | None
    reason: str = ""
    fault: Fault | None = None
    share: float | None = None
    labels: dict[str, float] = {}
    leftover: float | None = None
    retried: bool = False
    key: str = ""


class Judgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A pair, judged. `score` is the mean of both orders, None where either is unread; in `choice` mode that of the
    shares, so that the place weighs less.

    `first` and `second`: the candidate's answer was shown first, second. Both None for the `same_answer`, which ties
    without a call. `judge` is the digest of judge, prompt and rubric. `shortened` are characters that were left out of
    the two answers to fit the judge's context. `lengths` are those of the candidate's and the baseline's answer, in
    characters. `answers` are their store keys, candidate first. `members` are the judgements of a jury's judges.
    """

    case: str
    judge: str
    score: float | None
    first: OrderJudgement | None = None
    second: OrderJudgement | None = None
    same_answer: bool = False
    shortened: int = 0
    lengths: tuple[int, int] = (0, 0)
    answers: tuple[str, str] | None = None
    tags: tuple[str, ...] = ()
    variant_of: str | None = None
    members: tuple[Judgement, ...] = ()

    @property
    def preferred(self) -> Literal["candidate", "baseline", "tie", "unread"]:
        """Whose answer won, over both orders."""
        if self.score is None:
            return "unread"
        return "tie" if self.score == 0.5 else "candidate" if self.score > 0.5 else "baseline"

    @property
    def consistent(self) -> bool:
        """Did the judge say the same in both orders? Answers that are the same need no saying."""
        if self.first is None or self.second is None:
            return self.same_answer
        return self.first.score is not None and self.first.score == self.second.score

    @property
    def reason(self) -> str:
        """What the judge said, in both orders."""
        if self.same_answer:
            return "the same answer, so a tie without a call"
        told = [
            f"{where}: {one.reason or one.fault}"
            for where, one in (("candidate first", self.first), ("candidate second", self.second))
            if one is not None
        ]
        return "\n".join(told)

    def __repr__(self) -> str:
        return f"Judgement({self.case}: {self.preferred}, score {'-' if self.score is None else f'{self.score:g}'})"


class JudgeIdentity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who judged, and by what. `digest` binds the model, the prompt and the rubric: a card is good for it alone."""

    name: str
    kind: JudgeKind
    mode: JudgeMode
    digest: str
    label: str = ""
    reference: str = ""
    engine: str = ""
    dtype: str = ""
    model_digest: str = ""
    prompt_digest: str = ""
    rubric: str = ""
    rubric_digest: str = ""
    family: str | None = None
    members: tuple[JudgeIdentity, ...] = ()


class CardLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that was found out about a judge. `value` is measured over `n`, `bar` what it is held against.

    `passed` is None where nothing is asked of the judge, or where it could not be measured. `fatal`: a judge that does
    not pass may not gate. `fault` is the short name of what is wrong then.
    """

    line: str
    told: str
    value: float | None
    n: int
    bar: float | None = None
    passed: bool | None = None
    fatal: bool = True
    fault: str = ""
    cases: tuple[str, ...] = ()


class HumanAgreement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The judge beside people, on pairs that both judged. None where the numbers allow no value; `notes` say why.

    `corrected` is the win rate of `a` over all pairs of the file, from people's labels and the judge's errors on them.
    """

    pairs: int
    raters: int
    observed: float
    kappa: Agreement | None = None
    ac1: Agreement | None = None
    alternative: AlternativeAnnotator | None = None
    corrected: PpiMean | None = None
    notes: tuple[str, ...] = ()


class JudgeCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A judge's calibration: what it does with pairs whose right verdict is known. Good for `judge.digest` alone.

    `faults` are the short names of all lines that did not pass; `fit`: none of them is fatal.
    """

    judge: JudgeIdentity
    created: str
    harness_version: str
    probes_digest: str
    fit: bool
    faults: tuple[str, ...]
    lines: tuple[CardLine, ...]
    human: HumanAgreement | None = None
    calls: int = 0
    seconds_each: float | None = None
    cost_each: float | None = None
    version: int = 1


class JudgedSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A golden set's pairs (or those of two answer files), judged. `digest` is the set's file.

    `unfit` says why this judge may not gate, empty where it may; `flags` what a reader must know of it besides.
    `asserted`: a suite rests on it. `criterion` is what the gate itself asks of it: of files, where no suite does.
    `total` counts the pairs that there are: more than `judgements` where an early stop saved the rest, on the word of
    `sequence`, in the order of `seed`.
    """

    set: str
    path: str
    digest: str
    judge: JudgeIdentity
    judgements: tuple[Judgement, ...]
    card: JudgeCard | None = None
    unfit: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    asserted: bool = False
    criterion: Literal["not worse", "better"] | None = None
    margin: float = 0.05
    total: int = 0
    sequence: WinRateSequence | None = None
    seed: int | None = None
    calls: int = 0
    calls_saved: int = 0
    cost: float | None = None
    cost_saved: float | None = None
