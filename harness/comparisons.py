"""A golden set's answers compared in pairs by a judge: what `comparisons.not_worse()` in a suite asks."""

from __future__ import annotations

from collections.abc import Container, Mapping

import msgspec

from harness.answers import Answer
from harness.errors import Advisory, ConfigError, JudgeError, unknown_name
from harness.generation import Answers, case_requests
from harness.golden import GoldenCase, GoldenSet
from harness.judges.cards import unfit_because
from harness.judges.judgement import JudgeCard, JudgedSet, Judgement
from harness.judges.prompts import Pair
from harness.judges.refs import JudgeRef, flags_of
from harness.judges.summary import PairSummary, rate_of, summarise, win_rate_answer
from harness.models import Sampling
from harness.models.refs import ModelRef
from harness.policy import GatePolicy
from harness.record import Role
from harness.stats.winrate import WinRate
from harness.store import response_key


class Comparisons(msgspec.Struct, frozen=True, kw_only=True):
    """A set's pairs, each judged in both orders. `judged` is what the record keeps of them.

    Answers are INVALID where the judge may not gate (no card, a failed one, too much that could not be read), unless
    the policy lowers that to a warning. `incomparable` says why the two models cannot be compared.
    """

    judged: JudgedSet
    policy: GatePolicy
    incomparable: str | None = None
    tag: str | None = None

    @property
    def golden_set(self) -> str:
        """The set's name."""
        return self.judged.set

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """One per case, in the order of the set; of `by(tag)`, those of the tag."""
        return tuple(j for j in self.judged.judgements if self.tag is None or self.tag in j.tags)

    @property
    def summary(self) -> PairSummary:
        """The numbers behind the answers."""
        return summarise(self.judgements)

    def win_rate(self, confidence: float = 0.95) -> WinRate:
        """How often the candidate is preferred, ties half. Raises JudgeError where no judgement could be read."""
        found = rate_of(self.judgements, confidence=confidence)
        if found is None:
            raise JudgeError(f"{self._name}: none of {len(self.judgements)} judgements could be read.")
        return found

    def not_worse(self, margin: float | None = None) -> Answer:
        """Is a win rate of `margin` below one half (default: the policy's margin) ruled out? One-sided 95%."""
        allowed = self.judged.margin if margin is None else margin
        if not 0 < allowed < 0.5:
            raise ConfigError(f"not_worse({allowed:g}): a margin of a win rate lies between 0 and 0.5, 5 points = 0.05")
        return self._told(win_rate_answer(self.judgements, "not worse", allowed))

    def better(self) -> Answer:
        """Is the candidate preferred for certain? The two-sided 95% interval must lie above one half."""
        return self._told(win_rate_answer(self.judgements, "better", self.judged.margin))

    def by(self, tag: str) -> Comparisons:
        """The pairs of the cases with this tag."""
        tags = {one for j in self.judged.judgements for one in j.tags}
        if tag not in tags:
            raise ConfigError(f"{self.golden_set}: {unknown_name('tag', tag, tags)}")
        return msgspec.structs.replace(self, tag=tag)

    def disagreements(self) -> tuple[Judgement, ...]:
        """Pairs on which the orders, or the judges of a jury, say otherwise."""
        return tuple(
            j
            for j in self.judgements
            if not j.same_answer and (not j.consistent or len({member.preferred for member in j.members}) > 1)
        )

    def judgement(self, case: str) -> Judgement:
        """The judgement of one case, by its id."""
        found = {j.case: j for j in self.judgements}
        if case not in found:
            raise ConfigError(f"{self._name}: {unknown_name('case', case, found)}")
        return found[case]

    @property
    def _name(self) -> str:
        return self.golden_set if self.tag is None else f"{self.golden_set}[{self.tag}]"

    def _told(self, answer: Answer) -> Answer:
        judge = self.judged.judge
        reason = f"{self._name}: {answer.reason}, judged by {judge.name}"
        if self.incomparable is not None:
            return Answer(status="INVALID", reason=f"{self._name}: {self.incomparable}")
        if judge.kind == "reference":
            raise Advisory(f"advisory, no judge: {reason} (similarity to the target)")
        if self.judged.unfit:
            why = "; ".join(self.judged.unfit)
            if self.policy.on_unfit_judge == "block":
                return Answer(status="INVALID", reason=f"{self._name}: {why}")
            reason += f". Warning: {why}"
        return Answer(status=answer.status, reason=reason)

    def __repr__(self) -> str:
        rate = rate_of(self.judgements)
        told = "nothing could be read" if rate is None else repr(rate)
        return f"Comparisons({self._name}, {len(self.judgements)} pairs judged by {self.judged.judge.name}: {told})"


def pairs_of(
    golden_set: GoldenSet,
    answers: Answers,
    refs: Mapping[Role, ModelRef],
    *,
    sampling: Sampling,
    only: Container[str] | None = None,
) -> list[Pair]:
    """The set's cases (or `only` those with these ids) with both answers, each model's first sample."""
    pairs = []
    for case in golden_set.cases:
        if only is not None and case.id not in only:
            continue
        request = case_requests(case, sampling, 1)[0]
        candidate, baseline = (answers.response(refs[role], request) for role in ("candidate", "baseline"))
        keys = (response_key(refs["candidate"], request), response_key(refs["baseline"], request))
        pairs.append(
            Pair(
                case=case.id,
                question=question_of(case),
                candidate=candidate.text,
                baseline=baseline.text,
                reference=case.target or "",
                criteria=criteria_of(case),
                tags=case.tags,
                variant_of=case.variant_of,
                answers=keys,
            )
        )
    return pairs


def question_of(case: GoldenCase) -> str:
    """What was asked, as a judge reads it: of a conversation, every turn with who spoke."""
    turns = case.conversation
    if len(turns) == 1:
        return turns[0].content
    return "\n\n".join(f"[{turn.role}] {turn.content}" for turn in turns)


def criteria_of(case: GoldenCase) -> str:
    """What matters in this case, from its metadata: `criteria`, a text or a list of them."""
    criteria = case.metadata.get("criteria", "")
    if isinstance(criteria, list | tuple):
        return "\n".join(f"- {one}" for one in criteria)
    return str(criteria)


def judged_set(
    golden_set: GoldenSet,
    judge: JudgeRef,
    judgements: tuple[Judgement, ...],
    card: JudgeCard | None,
    refs: Mapping[Role, ModelRef],
    policy: GatePolicy,
    *,
    path: str,
) -> JudgedSet:
    """What the record keeps of a judged set, with the judge's standing to decide."""
    contestants = [(role, refs[role]) for role in ("candidate", "baseline") if role in refs]
    own = policy.own_margin(golden_set.name)
    return JudgedSet(
        set=golden_set.name,
        path=path,
        digest=golden_set.digest,
        judge=judge.identity,
        judgements=judgements,
        card=card,
        unfit=unfit_because(judge, card, summarise(judgements), [model for _, model in contestants]),
        flags=flags_of(judge, contestants),
        margin=policy.margin if own is None else own,
        total=len(judgements),
    )
