"""What BLEU, chrF and ROUGE say of answers whose worth is known, on the triage set, beside checks of what matters.

No model: each row is the set's targets, changed in one way. Some changes break what routing needs (the category, the
reference); others change only how the JSON is written. Prints the table of docs/metrics.md.

    python benchmarks/bleu_misleads.py
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from machine import save, versions

from harness.golden import GoldenCase, load_golden_set
from harness.measures import CaseAnswers
from harness.models import Response
from harness.scores import Scores

ROOT = Path(__file__).resolve().parent.parent
Ticket = Mapping[str, str]


def compact(ticket: Ticket) -> str:
    """As the targets are written."""
    return json.dumps(ticket, ensure_ascii=False)


def next_category(ticket: Ticket, categories: Sequence[str]) -> dict[str, str]:
    """The ticket with another category: every one is wrong."""
    place = categories.index(ticket["category"])
    return {**ticket, "category": categories[(place + 1) % len(categories)]}


def other_reference(ticket: Ticket) -> dict[str, str]:
    """The ticket with one digit of its reference changed: it leads to somebody else's order."""
    reference = ticket["reference"]
    return {**ticket, "reference": reference[:-1] + str((int(reference[-1]) + 1) % 10)}


def changes(categories: Sequence[str]) -> dict[str, Callable[[Ticket], str]]:
    """Name of a kind of answer -> how it is made from the right ticket."""
    return {
        "the target itself": compact,
        "right, keys in another order": lambda t: compact(dict(reversed(t.items()))),
        "right, no blanks": lambda t: json.dumps(t, separators=(",", ":")),
        "right, one key a line": lambda t: json.dumps(t, indent=2),
        "wrong category": lambda t: compact(next_category(t, categories)),
        "wrong reference": lambda t: compact(other_reference(t)),
        "wrong in both": lambda t: compact(other_reference(next_category(t, categories))),
        "not JSON: no closing brace": lambda t: compact(t)[:-1],
    }


def scored(cases: Sequence[GoldenCase], answers: Sequence[str]) -> dict[str, float]:
    """Every measure of one kind of answer, and the share that routing could use."""
    given = tuple(
        CaseAnswers(case=case, candidate=(Response(text=text),)) for case, text in zip(cases, answers, strict=True)
    )
    names = tuple(case.id for case in cases)
    scores = Scores(
        golden_set="triage", cases=names, clusters=names, candidate=(), baseline=None, margin=0.1, given=given
    )
    return {
        "bleu": scores.bleu().candidate,
        "chrf": scores.chrf().candidate,
        "rougeL": scores.rouge().candidate,
        "macro-F1 of category": scores.macro_f1("category").candidate,
        "F1 of reference": scores.field_f1("reference").candidate,
    }


def with_checks(case: GoldenCase) -> GoldenCase:
    """The case with what its target says as checks, category and reference."""
    ticket = json.loads(case.target or "")
    fields = tuple({"json_field": {"path": path, "equals": ticket[path]}} for path in ("category", "reference"))
    return GoldenCase(id=case.id, input=case.input, target=case.target, checks=fields)


def table(results: Mapping[str, Mapping[str, float]]) -> str:
    """The results in Markdown."""
    lines = [
        "| every answer is | BLEU | chrF | ROUGE-L | macro-F1 of category | F1 of reference |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in results.items():
        lines.append(
            f"| {name} | {row['bleu']:.1f} | {row['chrf']:.1f} | {row['rougeL']:.2f} | "
            f"{row['macro-F1 of category']:.2f} | {row['F1 of reference']:.2f} |"
        )
    return "\n".join(lines)


def measure() -> dict[str, dict[str, float]]:
    """All kinds of answers on all cases of the triage set."""
    home = ROOT / "golden_sets"
    cases = [with_checks(case) for case in load_golden_set(home / "triage.jsonl", root=home).cases]
    tickets = [json.loads(case.target or "") for case in cases]
    categories = sorted({ticket["category"] for ticket in tickets})
    return {name: scored(cases, [change(ticket) for ticket in tickets]) for name, change in changes(categories).items()}


def main() -> None:
    results = measure()
    print(table(results))
    save("bleu_misleads", {**versions("sacrebleu", "rouge-score"), "answers": results})


if __name__ == "__main__":
    main()
