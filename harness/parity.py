"""Does the engine apply the adapter as it was trained? (T14)

An engine that drops an adapter, or applies it otherwise, answers fluently, and every figure is then about another
model. So a few texts are scored by four: base and adapter, each by the training stack (transformers with PEFT) and by
the engine. How far the two stacks are apart on the base is the engine's own noise; on the adapter they may be apart
little more. The scores are planned and kept like all others, once for each engine, number format and adapter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import msgspec

from harness.errors import GenerationError
from harness.generation import Answers, GenerationPlan
from harness.models import Message, ScoreRequest, TokenScores
from harness.models.refs import VLLM, ModelRef
from harness.record import AdapterParity

#: The detector's name wherever its findings appear.
CODE = "T14"

#: So many times the engine's own noise are allowed: adapters add roundings of their own. On SmolLM2 in bfloat16 an
#: adapter that is applied well adds next to nothing (0.046 nats per token beside 0.045).
ALLOWED = 2.0
#: Nats per token below which two stacks are alike: float32 noise lies far below.
LEAST = 1e-3

REMEDY = "Merge the adapter into its base and name the merged folder (docs/vllm.md), or ask through transformers (hf:)."

_ASKED = (
    ("What is the capital of France?", "The capital of France is Paris."),
    ("Write one sentence about rain.", "The rain fell softly on the roof, and nobody in the house wanted to get up."),
    ("What is 12 times 8?", "12 times 8 is 96."),
    ("我可以退货吗？", "可以，收到商品后七天内可以退货。"),
    ("Give me the order as JSON.", '{"order": "A-1043", "status": "shipped", "items": 2}'),
)
_PROSE = (
    "The committee met on Tuesday to discuss the budget for the coming year, and put off every decision that mattered.",
    "def mean(values):\n    if not values:\n        raise ValueError('none')\n    return sum(values) / len(values)",
    "Water boils at a lower temperature on a mountain, because the air above it weighs less.",
)

PROBES = (
    *(
        ScoreRequest(text=answer, messages=(Message(role="user", content=question),), case="adapter parity")
        for question, answer in _ASKED
    ),
    *(ScoreRequest(text=text, case="adapter parity") for text in _PROSE),
)


def training_stack(ref: ModelRef) -> ModelRef:
    """The same weights, asked through transformers and PEFT in the same number format."""
    return msgspec.structs.replace(
        ref, engine="hf", label=f"{ref.label} (training stack)", dtype=ref.number_format, options=""
    )


def plan_parity(refs: Iterable[ModelRef], plan: GenerationPlan) -> None:
    """Add to the plan the probes of every adapter that is asked through another engine than it was trained with."""
    for ref in _in_question(refs):
        for asked in _four(ref):
            for probe in PROBES:
                plan.score(asked, probe)


def measure_parity(refs: Iterable[ModelRef], answers: Answers) -> tuple[AdapterParity, ...]:
    """What came of the planned probes, adapter by adapter.

    Raises GenerationError for a likelihood that is not a number.
    """
    return tuple(_compare(ref, answers) for ref in _in_question(refs))


def _in_question(refs: Iterable[ModelRef]) -> Iterator[ModelRef]:
    seen = set()
    for ref in refs:
        # Asked once more, or through a YAML, it is still the same adapter on the same engine.
        first = msgspec.structs.replace(ref, replica=0, prompting=(), prompting_digest=None)
        if ref.engine == VLLM and ref.adapter is not None and (first.digest, first.dtype) not in seen:
            seen.add((first.digest, first.dtype))
            yield first


def _four(ref: ModelRef) -> tuple[ModelRef, ModelRef, ModelRef, ModelRef]:
    """Base and adapter in the engine, then both in the training stack."""
    there = training_stack(ref)
    return ref.root, ref, there.root, there


def _compare(ref: ModelRef, answers: Answers) -> AdapterParity:
    base, adapted, trained_base, trained = ([answers.scores(one, probe) for probe in PROBES] for one in _four(ref))
    return judge(ref.label, ref.engine, base=base, adapted=adapted, trained_base=trained_base, trained=trained)


def judge(
    label: str,
    engine: str,
    *,
    base: list[TokenScores],
    adapted: list[TokenScores],
    trained_base: list[TokenScores],
    trained: list[TokenScores],
) -> AdapterParity:
    """Compare the four, text by text: `base` and `adapted` by the engine, the other two by the training stack."""
    parity = AdapterParity(
        model=label,
        engine=engine,
        tokens=sum(len(scores.logprobs) for scores in trained),
        effect=_apart(trained, trained_base, label),
        moved=_apart(adapted, base, label),
        noise=_apart(base, trained_base, label),
        error=_apart(adapted, trained, label),
    )
    return msgspec.structs.replace(parity, fault=_fault(parity))


def _apart(some: list[TokenScores], others: list[TokenScores], label: str) -> float:
    """Mean absolute difference per token in nats."""
    pairs = [
        abs(a - b)
        for one, other in zip(some, others, strict=True)
        for a, b in zip(one.logprobs, other.logprobs, strict=True)
    ]
    apart = math.fsum(pairs) / len(pairs)
    if not math.isfinite(apart):
        raise GenerationError(
            f"{label}: a likelihood of the parity probes is not a number. The weights are damaged, or the number "
            "format is too narrow for them: try --dtype=float32."
        )
    return apart


def _fault(parity: AdapterParity) -> str | None:
    allowed = max(ALLOWED * parity.noise, LEAST)
    told = (
        f"per token, the adapter moves the training stack by {parity.effect:.2g} nats and {parity.engine} by "
        f"{parity.moved:.2g}; the two are {parity.error:.2g} apart with it and {parity.noise:.2g} without"
    )
    if parity.moved == 0 and parity.effect > 0:
        return f"{parity.engine} answers as the base, the adapter is ignored ({told}). {REMEDY}"
    if parity.error > allowed:
        told += f"; {allowed:.2g} are allowed"
        return f"{parity.engine} does not apply the adapter as it was trained ({told}). {REMEDY}"
    return None
