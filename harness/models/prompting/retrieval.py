"""Which passages fit a question: BM25 over words, and over characters and their pairs where words have no gaps."""

from __future__ import annotations

import importlib.util
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from harness.errors import ModelError
from harness.models.prompting.passages import Passage

#: Scripts that are written without gaps between words: Han, kana, and Thai to Khmer; Hangul joins particles to words.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
)
_RUN = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|(?P<word>[^\W_{_UNSPACED}]+)")


def terms(text: str) -> list[str]:
    """What a text is found by: its words, folded; of a run without gaps every character and every pair.

    >>> terms("Refund 退款单")
    ['refund', '退', '款', '单', '退款', '款单']
    """
    found: list[str] = []
    for run in _RUN.finditer(unicodedata.normalize("NFKC", text).casefold()):
        letters = run[0]
        if run.lastgroup == "word":
            found.append(letters)
            continue
        found += letters
        found += [letters[i : i + 2] for i in range(len(letters) - 1)]
    return found


class Index:
    """Passages by what they say."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = tuple(passages)
        self._bm25 = _bm25([terms(passage.shown) for passage in passages])

    def best(self, question: str, top_k: int) -> list[Passage]:
        """At most `top_k` passages, the best first; none that shares no term with the question.

        Of equally good ones the earlier comes first, so that the same question always has the same prompt.
        """
        asked = terms(question)
        if not asked:
            return []
        scores = self._bm25.get_scores(asked)
        order = (-scores).argsort(kind="stable")[:top_k]
        return [self._passages[i] for i in order if scores[i] > 0]


def require_library() -> None:
    """Raises ModelError where the library is not installed; does not import it, which takes a while."""
    if importlib.util.find_spec("bm25s") is None:
        raise ModelError("a retriever needs the package bm25s. Install it: pip install 'finetune-harness[retrieval]'")


def _bm25(corpus: list[list[str]]) -> Any:
    import bm25s

    index = bm25s.BM25(backend="numpy", csc_backend="numpy")
    # A passage of punctuation alone has no term, and the library wants at least one.
    index.index([found or [""] for found in corpus], show_progress=False)
    return index
