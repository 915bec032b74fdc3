"""One answer by itself, graded from 1 to 5 by the rubric that pairs are judged by.

Grades drift and bunch; a comparison in pairs tells more, so no gate rests on them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

import msgspec

from harness.errors import JudgeError
from harness.generation import Answers, GenerationPlan, Progress, run
from harness.judges.fence import GRADE_WORDS, fence, nonce_of, shorten
from harness.judges.judgement import Fault
from harness.judges.prompts import Pair
from harness.judges.refs import JudgeRef
from harness.judges.rubric import Language, language_of
from harness.models import Message, Request, Sampling
from harness.models.opening import OpenModels
from harness.stats.intervals import Interval, mean_interval
from harness.store import Store

LOWEST, HIGHEST = 1, 5

_ASKED: dict[Language, str] = {
    "en": (
        "There is one answer only, answer A. Grade it by the criteria above, in at most four sentences. Then end with "
        "one line and nothing after it: the word GRADE, a colon, and a number from 1 (useless) to 5 (nothing to "
        "improve)."
    ),
    "zh": (
        "这里只有一个回答，即回答 A。请按上述标准用不超过四句话评价它。最后单独写一行，其后不要再写任何内容："
        "GRADE 一词、冒号，然后是 1（毫无用处）到 5（无可改进）之间的一个数字。"
    ),
}
_AGAIN: dict[Language, str] = {
    "en": "Your last reply had no grade that could be read. Keep exactly to this form.",
    "zh": "你上一次的回复中没有可以读取的评分。请严格遵守上述格式。",
}
_LINE = re.compile(rf"^[\s>*_#`\-]*(?:{'|'.join(GRADE_WORDS)})[\s*_`]*:[\s*_`]*(.*?)[\s*_`.。]*$", re.IGNORECASE)
_SHOWN = 400


class Grade(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The grade of one answer, 1 to 5; None where the judge's reply could not be read, and `fault` says why."""

    case: str
    judge: str
    grade: int | None
    reason: str = ""
    fault: Fault | None = None
    retried: bool = False
    shortened: int = 0


class Graded(msgspec.Struct, frozen=True, kw_only=True):
    """All grades of a file, the mean of those that could be read, and what they cost."""

    grades: tuple[Grade, ...]
    mean: Interval | None
    calls: int
    cost: float | None

    @property
    def unread(self) -> tuple[str, ...]:
        """The cases without a grade."""
        return tuple(one.case for one in self.grades if one.grade is None)


def grade_answers(
    judge: JudgeRef,
    answers: Sequence[Pair],
    store: Store,
    *,
    max_cost: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Graded:
    """Grade each pair's candidate; its baseline is not looked at. What cannot be read is asked for once more.

    Raises JudgeError for a judge that cannot grade: a jury, a record of pairs, a similarity.
    """
    model, rubric = judge.model, judge.rubric
    if model is None or rubric is None:
        raise JudgeError(f"{judge.name} ({judge.kind}) compares pairs and gives no grades. Name one model as judge.")
    found: dict[int, Grade] = {}
    calls, costs = 0, list[float]()
    with OpenModels() as models:
        for again in (False, True):
            wanted = [i for i in range(len(answers)) if i not in found or (again and found[i].grade is None)]
            asked = {i: _request(judge, answers[i], again) for i in wanted}
            plan = GenerationPlan()
            for request, _ in asked.values():
                plan.ask(model, request)
            if not asked:
                break
            said: Answers = run(plan, store, max_cost=max_cost, on_progress=on_progress, models=models)
            calls += said.stats.generated
            costs += [] if said.stats.cost is None else [said.stats.cost]
            for i, (request, shortened) in asked.items():
                reply = said.response(model, request)
                grade, fault = read_grade(reply.text)
                found[i] = Grade(
                    case=answers[i].case,
                    judge=judge.digest,
                    grade=grade,
                    reason=reply.text.strip()[:_SHOWN],
                    fault=fault,
                    retried=again,
                    shortened=shortened,
                )
    grades = tuple(found[i] for i in range(len(answers)))
    read = [float(one.grade) for one in grades if one.grade is not None]
    mean = mean_interval(read) if len(read) > 1 else None
    return Graded(grades=grades, mean=mean, calls=calls, cost=sum(costs) if costs else None)


def read_grade(text: str) -> tuple[int | None, Fault | None]:
    """The grade on the last grade line of a reply, or why there is none."""
    lines = text.rpartition("</think>")[2].strip().split("\n")
    for line in reversed(lines):
        found = _LINE.match(unicodedata.normalize("NFKC", line).strip())
        if found is not None:
            number = re.fullmatch(r"([1-5])(?:\s*/\s*5)?", found[1])
            return (int(number[1]), None) if number else (None, "prose")
    return None, "prose" if any(line.strip() for line in lines) else "nothing"


def _request(judge: JudgeRef, pair: Pair, again: bool) -> tuple[Request, int]:
    """What is asked, and the characters of the answer that had no room."""
    assert judge.rubric is not None, "looked at before"
    language = language_of(pair.question)
    room = max(256, judge.context - judge.max_tokens - 1024)
    answer, _, shortened = shorten(pair.candidate, "", room)
    nonce = nonce_of(pair.question, pair.candidate)
    values = {
        "question": fence(pair.question, "request", nonce),
        "reference": fence(pair.reference, "reference", nonce) if pair.reference.strip() else "",
        "criteria": fence(pair.criteria, "criteria", nonce) if pair.criteria.strip() else "",
        "answer_a": fence(answer, "answer A", nonce),
    }
    text = f"{judge.rubric.fill(language, values)}\n\n---\n\n{_ASKED[language]}" + (
        f"\n\n{_AGAIN[language]}" if again else ""
    )
    sampling = Sampling(max_tokens=judge.max_tokens, temperature=0.0)
    return Request(messages=(Message(role="user", content=text),), sampling=sampling, case=pair.case), shortened
