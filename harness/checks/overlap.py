"""How much of a reference an answer repeats: BLEU and chrF (sacreBLEU), ROUGE (rouge-score), with Chinese read right.

A metric gives each answer a row of numbers and the rows of many answers one value, so that a whole set is scored as
the papers do (BLEU and chrF add counts up, ROUGE takes the mean), and drawn again cheaply.
"""

from __future__ import annotations

import importlib.util
import re
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from harness.checks.folding import fold, is_han_or_kana
from harness.errors import CheckError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: sacreBLEU's tokenizers that need no further package and no download.
TOKENIZERS = ("auto", "13a", "zh", "char", "intl", "none")
ROUGE_KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")

_KANA = re.compile("[\u3041-\u30ff\u31f0-\u31ff]")


class TextMetric(Protocol):
    """A number for answers, given what they should say. `scale` is the difference of best and worst, None where
    nobody knows."""

    name: str
    scale: float | None
    higher_is_better: bool

    @property
    def rounds(self) -> int:
        """How many draws of a bootstrap it can afford."""

    def rows(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[list[float]]:
        """What each answer contributes."""

    def value(self, rows: NDArray[np.float64]) -> float:
        """The metric over all the answers that the rows stand for."""


class Bleu:
    """sacreBLEU's BLEU, 0 to 100; one answer is scored with the n-gram orders that it is long enough for."""

    scale: float | None = 100.0
    higher_is_better = True
    rounds = 10_000

    def __init__(self, references: Iterable[Sequence[str]], tokenize: str = "auto") -> None:
        self.tokenize = tokenizer_for(references) if tokenize == "auto" else tokenize
        self.name = f"BLEU (tokenize={self.tokenize})"
        self._bleu = library("sacrebleu").BLEU(tokenize=self.tokenize)
        self._of_one = library("sacrebleu").BLEU(tokenize=self.tokenize, effective_order=True)

    def of_one(self, answer: str, references: Sequence[str]) -> float:
        """One answer's score."""
        return float(self._of_one.sentence_score(answer, list(references)).score)

    def rows(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[list[float]]:
        return _sacrebleu_rows(self._bleu, answers, references)

    def value(self, rows: NDArray[np.float64]) -> float:
        return float(self._bleu._compute_score_from_stats(rows.sum(axis=0).tolist()).score)


class Chrf:
    """sacreBLEU's chrF, 0 to 100: n-grams of characters, for which no words need to be told apart."""

    scale: float | None = 100.0
    higher_is_better = True
    rounds = 10_000
    name = "chrF"

    def __init__(self) -> None:
        self._chrf = library("sacrebleu").CHRF()

    def of_one(self, answer: str, references: Sequence[str]) -> float:
        """One answer's score."""
        return float(self._chrf.sentence_score(answer, list(references)).score)

    def rows(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[list[float]]:
        return _sacrebleu_rows(self._chrf, answers, references)

    def value(self, rows: NDArray[np.float64]) -> float:
        return float(self._chrf._compute_score_from_stats(rows.sum(axis=0).tolist()).score)


class Rouge:
    """rouge-score's F-measure, 0 to 1, without stemming; of several references the best counts."""

    scale: float | None = 1.0
    higher_is_better = True
    rounds = 10_000

    def __init__(self, kind: str = "rougeL") -> None:
        self.name = self.kind = kind
        self._scorer = library("rouge_score.rouge_scorer").RougeScorer([kind], tokenizer=_Words())

    def of_one(self, answer: str, references: Sequence[str]) -> float:
        """One answer's score."""
        return max(float(self._scorer.score(reference, answer)[self.kind].fmeasure) for reference in references)

    def rows(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[list[float]]:
        return [[self.of_one(answer, wanted)] for answer, wanted in zip(answers, references, strict=True)]

    def value(self, rows: NDArray[np.float64]) -> float:
        return float(rows.mean())


def tokenizer_for(references: Iterable[Sequence[str]]) -> str:
    """The sacreBLEU tokenizer for what should be said: `zh` where Chinese characters stand in it, `char` where kana do,
    else `13a`. The answers have no say, so that two models are always measured alike."""
    text = "\n".join(reference for wanted in references for reference in wanted)
    if _KANA.search(text):
        return "char"
    return "zh" if any(map(is_han_or_kana, text)) else "13a"


def words(text: str) -> list[str]:
    """The words that ROUGE compares: each Chinese character or kana is one; elsewhere runs of letters and digits.

    On ASCII this is what rouge-score's own tokenizer does. That one drops every other letter, so two equal Chinese
    sentences have no word in common and score 0.

    >>> words("退款在 30 天内到账, café!")
    ['退', '款', '在', '30', '天', '内', '到', '账', 'café']
    """
    found: list[str] = []
    inside = False
    for character in fold(text):
        if is_han_or_kana(character):
            found.append(character)
            inside = False
        elif character.isalnum() or (inside and unicodedata.category(character)[0] == "M"):
            if inside:
                found[-1] += character
            else:
                found.append(character)
            inside = True
        else:
            inside = False
    return found


class _Words:
    """`words` in the shape that rouge-score asks for."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


def library(name: str) -> Any:
    """A package of the extra `metrics`; CheckError, saying how to get it, where it is not there."""
    require(name)
    with warnings.catch_warnings():
        # What these libraries' imports warn of is not the user's to mend.
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def require(name: str) -> None:
    """Raise CheckError where a package of the extra `metrics` is not installed; imports nothing."""
    package = name.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        raise CheckError(f"{package} is not installed. Run: pip install 'finetune-harness[metrics]'")


def _sacrebleu_rows(metric: Any, answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[list[float]]:
    # One call a case, because sacreBLEU wants the same number of references for each of a call.
    rows: list[list[float]] = []
    for answer, wanted in zip(answers, references, strict=True):
        rows += metric._extract_corpus_statistics([answer], [[reference] for reference in wanted])
    return rows
