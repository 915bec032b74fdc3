"""The rules by which answers were checked, for people who did not write them. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from harness.record import RunRecord
from harness.report.visible import one_line
from harness.report.words import Words

#: What each check asks of an answer.
ASKS = {
    "likeliest_choice": "the model finds the right choice likelier than every other; nothing is written",
    "includes": "the answer has the expected words somewhere in it",
    "excludes": "the answer has none of these words",
    "equals": "the answer is the expected text, but for case and punctuation",
    "starts_with": "the answer begins with the expected words",
    "one_of": "the answer is one of these options",
    "matches": "the answer matches a pattern",
    "max_words": "the answer is no longer than this",
    "valid_json": "the answer is JSON that can be read",
    "json_schema": "the answer is JSON of this schema",
    "json_equals": "the answer is JSON with this value",
    "json_field": "this field of the answer's JSON has the expected value",
    "numeric_close": "the answer's number is near enough",
    "labels": "the answer names the right class and no other",
    "refuses": "the answer declines, as its wording shows",
    "not:refuses": "the answer does not decline; whatever else it says passes",
    "sql_equals": "the answer's SQL finds the same rows",
}
#: Rules shown; the most asked come first.
MOST = 12


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of check: of how many cases it is asked, and what it asks."""

    name: str
    n: str
    asks: str


def rules_of(record: RunRecord, words: Words) -> tuple[Rule, ...]:
    """The kinds of checks of a run, the most asked first."""
    counts = Counter(
        kind
        for of in record.sets
        for case in of.cases
        for kind in dict.fromkeys(_kind(test.test) for test in case.tests)
    )
    found = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple(
        Rule(
            name=one_line(kind, 80),
            n=f"{n:,}",
            asks=words(ASKS[kind]) if kind in ASKS else words("a test of your suites") if "::" in kind else "",
        )
        for kind, n in found[:MOST]
    )


def _kind(test: str) -> str:
    """The check without its arguments: "includes:Tokyo" is an `includes`."""
    if "::" in test:
        return test.partition("[")[0]
    first, _, rest = test.partition(":")
    return f"{first}:{rest.partition(':')[0]}" if first == "not" and rest else first
