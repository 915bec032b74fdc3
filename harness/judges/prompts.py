"""What a judge is asked: the rubric around two fenced answers, and how to reply."""

from __future__ import annotations

import functools
import hashlib

import msgspec

from harness.judges.fence import fence, nonce_of, shorten, tokens_in
from harness.judges.judgement import JudgeMode
from harness.judges.rubric import Language, Rubric, language_of
from harness.models import Message

LABELS = ("A", "B", "tie")

#: However long the request, each answer is shown at least this many tokens.
_LEAST_ROOM = 128
#: Fences, the reminder, and what a chat template adds.
_AROUND = 160

_VERDICT: dict[Language, str] = {
    "en": (
        "Compare both answers in at most four sentences. Then end with one line and nothing after it: the word "
        "VERDICT, a colon, and A where answer A is better, B where answer B is better, or tie."
    ),
    "zh": (
        "请用不超过四句话比较两个回答。最后单独写一行，其后不要再写任何内容："
        "VERDICT 一词、冒号，然后是 A（回答 A 更好）、B（回答 B 更好）或 tie（平局）。"
    ),
}
_STRUCTURED: dict[Language, str] = {
    "en": (
        'Reply with one JSON object and nothing else: its "reason" compares both answers in at most four sentences, '
        'its "verdict" is "A" where answer A is better, "B" where answer B is better, or "tie".'
    ),
    "zh": (
        '只用一个 JSON 对象回复，不要写其他内容："reason" 用不超过四句话比较两个回答，'
        '"verdict" 为 "A"（回答 A 更好）、"B"（回答 B 更好）或 "tie"（平局）。'
    ),
}
_CHOICE: dict[Language, str] = {
    "en": "Which answer is better? Reply with one word and nothing else: A, B or tie.",
    "zh": "哪个回答更好？只回复一个词，不要写其他内容：A、B 或 tie（平局）。",
}
_AGAIN: dict[Language, str] = {
    "en": "Your last reply had no verdict that could be read. Keep exactly to this form.",
    "zh": "你上一次的回复中没有可以读取的裁决。请严格遵守上述格式。",
}
_NOTHING: dict[Language, str] = {"en": "(the answer is empty)", "zh": "（回答为空）"}

#: The form of a reply that servers can be held to, as a JSON Schema.
SCHEMA = msgspec.json.encode(
    {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "verdict": {"type": "string", "enum": LABELS}},
        "required": ["reason", "verdict"],
        "additionalProperties": False,
    }
).decode()


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two answers to one request. `reference` is a right answer, `criteria` what matters in this case."""

    case: str
    question: str
    candidate: str
    baseline: str
    reference: str = ""
    criteria: str = ""
    tags: tuple[str, ...] = ()
    variant_of: str | None = None
    answers: tuple[str, str] | None = None


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """One question to a judge. `shortened` are characters of the answers that had no room."""

    messages: tuple[Message, ...]
    shortened: int


def pair_prompt(
    pair: Pair,
    rubric: Rubric,
    *,
    mode: JudgeMode,
    candidate_first: bool,
    structured: bool = False,
    context: int,
    max_tokens: int,
    again: bool = False,
) -> Prompt:
    """The pair as one judge sees it, in one order, in the language of the request."""
    language = language_of(pair.question)
    instruction = _instruction(mode, structured)[language] + (f"\n\n{_AGAIN[language]}" if again else "")
    frame = rubric.fill(language, dict.fromkeys(("reference", "criteria", "answer_a", "answer_b"), "…"))
    taken = sum(tokens_in(text) for text in (frame, instruction, pair.question, pair.reference, pair.criteria))
    room = max(2 * _LEAST_ROOM, context - taken - (0 if mode == "choice" else max_tokens) - _AROUND)
    candidate, baseline, shortened = shorten(pair.candidate, pair.baseline, room)
    first, second = (candidate, baseline) if candidate_first else (baseline, candidate)
    # The same mark in both orders, whoever is the candidate, and one that no contestant could have written.
    nonce = nonce_of(pair.question, *sorted((pair.candidate, pair.baseline)))
    values = {
        "question": fence(pair.question, "request", nonce),
        "reference": fence(pair.reference, "reference", nonce) if pair.reference.strip() else "",
        "criteria": fence(pair.criteria, "criteria", nonce) if pair.criteria.strip() else "",
        "answer_a": fence(first if first.strip() else _NOTHING[language], "answer A", nonce),
        "answer_b": fence(second if second.strip() else _NOTHING[language], "answer B", nonce),
    }
    text = f"{rubric.fill(language, values)}\n\n---\n\n{instruction}"
    return Prompt(messages=(Message(role="user", content=text),), shortened=shortened)


@functools.cache
def prompt_digest(mode: JudgeMode, structured: bool) -> str:
    """sha256 of all that is said around a rubric, and of the code's own version of it."""
    said = (_VERSION, _instruction(mode, structured), _AGAIN, _NOTHING, LABELS)
    return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()


#: Raise it when fences, shortening or the reading of replies change.
_VERSION = 1


def _instruction(mode: JudgeMode, structured: bool) -> dict[Language, str]:
    if mode == "choice":
        return _CHOICE
    return _STRUCTURED if structured else _VERDICT
