"""Metrics as checks with a bar: BLEU, chrF, ROUGE, and any metric of `evaluate`.

Such a number says how alike two texts are, not whether the answer is right: docs/metrics.md shows a wrong answer that
scores higher than a right one. Prefer a check of what matters where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.checks import arguments
from harness.checks.evaluated import Evaluated
from harness.checks.overlap import ROUGE_KINDS, TOKENIZERS, Bleu, Chrf, Rouge, require, words
from harness.checks.score import Score, check, excerpt, text_of
from harness.errors import CheckError, unknown_name
from harness.models import Response


@check
def bleu(response: Response | str, reference: str | Sequence[str], *, at_least: float, tokenize: str = "auto") -> Score:
    """sacreBLEU's BLEU of the answer against the reference (or the closest of several) reaches `at_least`, of 100.

    `tokenize`: "auto" takes "zh" where the reference has Chinese characters, "char" where it has kana, else "13a".
    """
    references = look_at_bleu(reference, at_least=at_least, tokenize=tokenize)
    metric = Bleu([references], tokenize)
    return _reached("bleu", metric.name, metric.of_one(text_of(response), references), response, at_least=at_least)


@check
def chrf(response: Response | str, reference: str | Sequence[str], *, at_least: float) -> Score:
    """sacreBLEU's chrF of the answer against the reference (or the best of several) reaches `at_least`, of 100."""
    references = look_at_chrf(reference, at_least=at_least)
    metric = Chrf()
    return _reached("chrf", metric.name, metric.of_one(text_of(response), references), response, at_least=at_least)


@check
def rouge(response: Response | str, reference: str | Sequence[str], *, at_least: float, kind: str = "rougeL") -> Score:
    """ROUGE's F-measure of the answer against the reference (or the best of several) reaches `at_least`, of 1.

    `kind`: rouge1, rouge2, rougeL or rougeLsum. Each Chinese character is a word; nothing is stemmed.
    """
    references = look_at_rouge(reference, at_least=at_least, kind=kind)
    metric = Rouge(kind)
    return _reached("rouge", metric.name, metric.of_one(text_of(response), references), response, at_least=at_least)


@check
def metric(
    response: Response | str,
    reference: str | Sequence[str],
    *,
    name: str,
    at_least: float | None = None,
    at_most: float | None = None,
    key: str | None = None,
    options: Mapping[str, object] | None = None,
) -> Score:
    """A metric of `evaluate` (what `evaluate.load` takes: a name on the hub or the path of a script) reaches
    `at_least`, or stays within `at_most`.

    `key` says which of its numbers counts, where it gives several; `options` are its further arguments. Loading a
    metric runs its code.
    """
    references = look_at_metric(reference, name=name, at_least=at_least, at_most=at_most, key=key, options=options)
    value = Evaluated(name, key=key, options=options).of_one(text_of(response), references)
    return _reached("metric", name, value, response, at_least=at_least, at_most=at_most)


def look_at_bleu(reference: object, *, at_least: object, tokenize: object = "auto") -> tuple[str, ...]:
    """`bleu`'s arguments, looked at; gives the references."""
    _bar("bleu", at_least, 100)
    if tokenize not in TOKENIZERS:
        raise CheckError(f"bleu: {unknown_name('tokenizer', str(tokenize), TOKENIZERS)}")
    require("sacrebleu")
    return _references("bleu", reference)


def look_at_chrf(reference: object, *, at_least: object) -> tuple[str, ...]:
    """`chrf`'s arguments, looked at; gives the references."""
    _bar("chrf", at_least, 100)
    require("sacrebleu")
    return _references("chrf", reference)


def look_at_rouge(reference: object, *, at_least: object, kind: object = "rougeL") -> tuple[str, ...]:
    """`rouge`'s arguments, looked at; gives the references."""
    _bar("rouge", at_least, 1)
    if kind not in ROUGE_KINDS:
        raise CheckError(f"rouge: {unknown_name('kind', str(kind), ROUGE_KINDS)}")
    require("rouge_score")
    references = _references("rouge", reference)
    for wanted in references:
        if not words(wanted):
            raise CheckError(f"rouge: the reference {wanted!r} has no word, so nothing overlaps with it. Correct it.")
    return references


def look_at_metric(
    reference: object,
    *,
    name: object,
    at_least: object = None,
    at_most: object = None,
    key: object = None,
    options: object = None,
) -> tuple[str, ...]:
    """`metric`'s arguments, looked at without loading anything; gives the references."""
    arguments.one_text("metric", "name", name)
    bar = arguments.exactly_one("metric", {"at_least": at_least is not None, "at_most": at_most is not None})
    arguments.number("metric", bar, at_least if bar == "at_least" else at_most)
    if key is not None:
        arguments.one_text("metric", "key", key)
    if options is not None and not isinstance(options, Mapping):
        raise CheckError(f"metric: options must be an object of arguments, not {arguments.described(options)}.")
    require("evaluate")
    return _references("metric", reference)


def _references(check_name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (arguments.one_text(check_name, "reference", value),)
    return arguments.some_texts(check_name, "reference", value)


def _bar(check_name: str, at_least: object, top: float) -> None:
    bar = arguments.number(check_name, "at_least", at_least, least=0)
    if not 0 < bar <= top or (top == 100 and bar < 1):
        hint = f" ({100 * bar:g}?)" if top == 100 and 0 < bar < 1 else f" ({bar / 100:g}?)" if 1 < bar <= 100 else ""
        raise CheckError(f"{check_name}: at_least {bar:g}{hint}: it runs from 0 to {top:g}, and 0 is always reached.")


def _reached(
    check_name: str,
    label: str,
    value: float,
    response: Response | str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Score:
    passed = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    bar = f"at least {at_least:g}" if at_least is not None else f"at most {at_most:g}"
    return Score(
        passed=passed,
        check=check_name,
        explanation=f"{label} is {value:.4g}, {bar} is asked for: {excerpt(text_of(response))}",
    )
