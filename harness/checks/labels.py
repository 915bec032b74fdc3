"""Which of a closed set of labels an answer gives, in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from harness.checks import arguments
from harness.checks.folding import find_words, fold, unmarked
from harness.checks.score import Score, check, excerpt, listed, quote, text_of
from harness.checks.text import bare
from harness.errors import CheckError, unknown_name
from harness.models import Response

NO_LABEL, SEVERAL_LABELS = "no label", "several labels"

#: What turns the name that follows into its opposite, at the end of the text before it.
_DENIED = re.compile(
    r"(?:(?<![^\W_])(?:not|never|no|nor|neither|without|cannot be|can't be|other than|rather than|instead of)"
    r"|n't)(?: (?:be|been|a|an|the|really|quite|about|of|under|in|any|to be))* ['\"]?$"
    r"|(?:不是|并非|不属于|不算|不能算|并不|而非|绝非|没有|不|非|无|未)[\"'「『《]?$"
)


class LabelReading(msgspec.Struct, frozen=True, kw_only=True):
    """The label that an answer gives; None where it gives none or several, which `state` tells apart."""

    label: str | None
    found: tuple[str, ...]

    @property
    def state(self) -> str | None:
        """Why there is no label; None where there is one."""
        if self.label is not None:
            return None
        return SEVERAL_LABELS if self.found else NO_LABEL


@check
def labels(response: Response | str, of: Sequence[str] | Mapping[str, str | Sequence[str]], *, equals: str) -> Score:
    """The answer gives the label `equals` and no other of the closed set `of`.

    `of` is a list of labels, or an object from each label to what it may be called: `{"billing": ["billing", "账单"],
    …}`. An answer that is nothing but a name gives that label; in a longer one names are looked for as whole words,
    the longest first ("not urgent" is not "urgent"), and a name that is denied ("not billing", "不是账单") is not
    given. An answer with none of the labels, or with several, is wrong, and is counted as such: never as a class.
    """
    names = label_names(of)
    if not isinstance(equals, str) or equals not in names:
        if isinstance(equals, str) and equals:
            raise CheckError(f"labels: equals: {unknown_name('label', equals, names)}")
        raise CheckError(f"labels: equals must be one of the labels, not {arguments.described(equals)}.")
    reading = read_label(text_of(response), names)
    if reading.label is not None:
        wrong = "" if reading.label == equals else f", not {quote(equals)}"
        explanation = f"the label is {quote(reading.label)}{wrong}: {excerpt(text_of(response))}"
    else:
        what = f"several labels ({listed(reading.found)})" if reading.found else f"none of {listed(list(names))}"
        explanation = f"{what} in {excerpt(text_of(response))}"
    return Score(passed=reading.label == equals, check="labels", explanation=explanation)


def label_names(of: object) -> dict[str, tuple[str, ...]]:
    """Each label with its names, folded. Raises CheckError for fewer than two labels, and where two labels share a
    name."""
    if isinstance(of, Mapping):
        for label in of:
            arguments.one_text("labels", "a label", label)
        spelled = {
            label: arguments.some_texts("labels", f"of.{label}", [names] if isinstance(names, str) else names)
            for label, names in of.items()
        }
    else:
        given = arguments.some_texts("labels", "of", of)
        if len(set(given)) < len(given):
            raise CheckError("labels: of names a label twice. Name each once.")
        spelled = {label: (label,) for label in given}
    if len(spelled) < 2:
        raise CheckError("labels: of must have two or more labels, of which the answer gives one.")
    owner: dict[str, str] = {}
    folded: dict[str, tuple[str, ...]] = {}
    for label, names in spelled.items():
        folded[label] = tuple(dict.fromkeys(map(fold, names)))
        for name in folded[label]:
            if owner.setdefault(name, label) != label:
                raise CheckError(
                    f"labels: {quote(name)} names both {quote(owner[name])} and {quote(label)}. "
                    "Nobody could tell which is meant: give each label names of its own."
                )
    return folded


def read_label(text: str, names: Mapping[str, Sequence[str]]) -> LabelReading:
    """Which label the answer gives; `names` are those that `label_names` made."""
    whole = bare(text)
    for label, spelled in names.items():
        if any(whole == bare(name) for name in spelled):
            return LabelReading(label=label, found=(label,))
    folded = fold(unmarked(text))
    found: dict[str, int] = {}
    for length, name, label in sorted(((len(n), n, label) for label, ns in names.items() for n in ns), reverse=True):
        start = find_words(name, folded)
        while start >= 0:
            if not _DENIED.search(folded[max(0, start - 40) : start]):
                found.setdefault(label, start)
            # Overwritten, so that a shorter name is not found inside a longer one.
            folded = f"{folded[:start]}{chr(0) * length}{folded[start + length :]}"
            start = find_words(name, folded)
    given = tuple(sorted(found, key=found.__getitem__))
    return LabelReading(label=given[0] if len(given) == 1 else None, found=given)
