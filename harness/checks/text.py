"""Checks on the words of an answer, right for Chinese as for English.

All but `matches` compare folded texts: full-width and half-width forms, case, curly and straight quotation
marks, and white space make no difference.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.checks import arguments
from harness.checks.folding import find_words, fold, is_han_or_kana, plain, starts_with_words, unmarked
from harness.checks.score import Score, check, excerpt, listed, quote, text_of
from harness.errors import CheckError
from harness.models import Response

#: `matches` searches this many characters of an answer. Python's `re` has no time limit.
LONGEST_SEARCHED = 100_000

_EDGE_PUNCTUATION = " \t\r\n.,;:!?'\"`*_~()[]{}<>…。、,．・｡「」『』【】《》〈〉¡¿"


@check
def includes(
    response: Response | str,
    text: str | None = None,
    *,
    any: Sequence[str] | None = None,
    all: Sequence[str] | None = None,
) -> Score:
    """The answer contains `text` as whole words; with `any`, at least one of the texts; with `all`, every
    one.

    "cat" is not in "concatenate" nor in "cats" (give both to `any`), "4" not in "48" or "4.5". Chinese is
    searched without word edges. Markdown's bold and italic asterisks are transparent.
    """
    return _includes("includes", response, text, any, all)


@check
def excludes(response: Response | str, text: str | None = None, *, any: Sequence[str] | None = None) -> Score:
    """The answer does not contain `text`; with `any`, not one of the texts. The complement of `includes`."""
    found = _includes("excludes", response, text, any, None)
    return Score(passed=not found.passed, check="excludes", explanation=found.explanation)


@check
def equals(response: Response | str, text: str, *, exact: bool = False) -> Score:
    """The whole answer is `text`, after folding and without white space around it; with `exact`, character by
    character."""
    wanted = arguments.one_text("equals", "text", text)
    answer = text_of(response)
    exact = arguments.flag("equals", "exact", exact)
    same = answer == wanted if exact else fold(answer) == fold(wanted)
    return Score(
        passed=same,
        check="equals",
        explanation=f"the answer {'is' if same else f'{excerpt(answer)} is not'} {quote(wanted)}",
    )


@check
def starts_with(response: Response | str, text: str | None = None, *, any: Sequence[str] | None = None) -> Score:
    """The answer begins with `text`, and a word ends there ("Yes" does not start "Yesterday"); with `any`,
    with one of the texts."""
    wanted = _wanted("starts_with", {"text": text, "any": any})
    answer = text_of(response)
    folded = fold(unmarked(answer)).lstrip("'\"_* ")
    hit = next((text for text, needle in wanted.items() if starts_with_words(needle, folded)), None)
    if hit is not None:
        return Score(passed=True, check="starts_with", explanation=f"{excerpt(answer)} starts with {quote(hit)}")
    either = listed(list(wanted)) if len(wanted) == 1 else f"any of {listed(list(wanted))}"
    return Score(passed=False, check="starts_with", explanation=f"{excerpt(answer)} does not start with {either}")


@check
def one_of(response: Response | str, options: Sequence[str]) -> Score:
    """The whole answer is one of the options, whatever punctuation stands around it ("B.", "**yes**")."""
    wanted = arguments.some_texts("one_of", "options", options)
    answer = bare(text_of(response))
    hit = next((option for option in wanted if bare(option) == answer), None)
    if hit is not None:
        return Score(passed=True, check="one_of", explanation=f"the answer is {quote(hit)}")
    return Score(
        passed=False,
        check="one_of",
        explanation=f"the answer {excerpt(text_of(response))} is none of {listed(wanted)}",
    )


@check
def matches(response: Response | str, pattern: str) -> Score:
    """The regular expression `pattern` (Python's `re`) is found in the answer as it stands: no folding; write
    `(?i)` to ignore case, `^…$` or `\\A…\\Z` for the whole answer.

    The first 100,000 characters are searched. `re` has no time limit: nested repeats such as `(a+)+$` can
    take for ever on an answer that almost matches.
    """
    expression = arguments.pattern("matches", "pattern", pattern)
    answer = text_of(response)
    hit = expression.search(answer, 0, LONGEST_SEARCHED)
    part = f" (first {LONGEST_SEARCHED:,} characters)" if len(answer) > LONGEST_SEARCHED else ""
    if hit is None:
        return Score(passed=False, check="matches", explanation=f"/{pattern}/ is not found in {excerpt(answer)}{part}")
    return Score(
        passed=True,
        check="matches",
        explanation=f"/{pattern}/ is found in {excerpt(answer, hit.start(), hit.end())}{part}",
    )


@check
def max_words(response: Response | str, limit: int) -> Score:
    """The answer has at most `limit` words. Each Chinese character or kana is a word; elsewhere words are
    what stands between blanks, if it has a letter or digit."""
    most = arguments.number("max_words", "limit", limit, least=0)
    if most != int(most):
        raise CheckError(f"max_words: limit must be a whole number, not {limit}.")
    count = count_words(text_of(response))
    return Score(
        passed=count <= most,
        check="max_words",
        explanation=f"{count} words, {int(most)} allowed: {excerpt(text_of(response))}",
    )


def count_words(text: str) -> int:
    """Words as `max_words` counts them: "iPhone 手机" has three."""
    count, inside = 0, False
    for character in plain(text):
        if is_han_or_kana(character):
            count, inside = count + 1, False
        elif character == " ":
            inside = False
        elif not inside and character.isalnum():
            count, inside = count + 1, True
    return count


def _includes(
    name: str,
    response: Response | str,
    text: str | None,
    any: Sequence[str] | None,
    all: Sequence[str] | None,
) -> Score:
    wanted = _wanted(name, {"text": text, "any": any} if name == "excludes" else {"text": text, "any": any, "all": all})
    answer = unmarked(text_of(response))
    folded = fold(answer)
    places = {text: find_words(needle, folded) for text, needle in wanted.items()}
    found = [text for text, place in places.items() if place >= 0]
    missing = [text for text, place in places.items() if place < 0]
    if missing if all is not None else not found:
        none_of = "none of " if any is not None and len(wanted) > 1 else ""
        not_found = "found" if none_of else "not found"
        return Score(
            passed=False, check=name, explanation=f"{none_of}{listed(missing)} {not_found} in {excerpt(answer)}"
        )
    start = places[found[0]]
    # Folding can change lengths (ß becomes ss): the text with its case is shown only where the places agree.
    shown = plain(answer) if len(plain(answer)) == len(folded) else folded
    return Score(
        passed=True,
        check=name,
        explanation=f"{listed(found)} found in {excerpt(shown, start, start + len(wanted[found[0]]))}",
    )


def _wanted(name: str, forms: dict[str, str | Sequence[str] | None]) -> dict[str, str]:
    """The texts to look for, each with its folded form, from the one argument that was given."""
    form = arguments.exactly_one(name, {key: value is not None for key, value in forms.items()})
    value = forms[form]
    texts = (arguments.one_text(name, form, value),) if form == "text" else arguments.some_texts(name, form, value)
    return {text: fold(text) for text in texts}


def bare(text: str) -> str:
    """The text folded, without punctuation or emphasis around it; "-" and "+" belong to numbers, a bullet does not."""
    folded = re.sub(r"^[-+*•] ", "", fold(text))
    return folded.strip(_EDGE_PUNCTUATION) or folded
