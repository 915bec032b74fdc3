"""Which words moved, and which reasons recur: counts over many texts, for a reader who cannot read them all. Pure.

English by words, Chinese by its characters. Nothing here is part of a verdict.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from harness.report.visible import visible

#: Words and reasons shown of each kind.
MOST = 8
#: Characters of one text that are looked at.
LOOKED_AT = 2000
#: Fewer texts say nothing about what recurs.
FEWEST = 3
#: Differences below this many standard deviations of a fair coin are left out.
STEPS = 3.0

_WORD = re.compile(r"[㐀-鿿]+|[^\W\d_]+(?:['’][^\W\d_]+)?|\d+|\*\*|[{}#|?!]|^[-*] ", re.MULTILINE)
#: The same where a text has nothing else, in half the time.
_ASCII_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+|\*\*|[{}#|?!]|^[-*] ", re.MULTILINE)
_HAN = re.compile(r"[㐀-鿿]")
#: Words that say nothing by themselves; a phrase neither begins nor ends with one.
_EMPTY = frozenset(
    re.findall(
        r"\w+",
        "a an the and or but of to in on at by for from with as is are was were be been it its this that these those "
        "he she they their his her i you we which who than then there here while whereas both also more most very so "
        "such not no does do did has have had can could would will should may might being answer answers response "
        "responses assistant b one two first second",
    )
)
_EMPTY_HAN = frozenset("的了是在和与或而但更较也都就比对于其中以及所这那个一二两为从到把被有没不很")


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A word that one model uses and the other does not: in how many answers of each alone."""

    word: str
    candidate: int
    baseline: int


class Wording(msgspec.Struct, frozen=True, kw_only=True):
    """Words that came into the answers and that went out of them, over `n` pairs of different answers."""

    n: int
    came: tuple[Moved, ...]
    went: tuple[Moved, ...]


class Phrase(msgspec.Struct, frozen=True, kw_only=True):
    """What reasons have in common: how many reasons of this side have it, and of the other."""

    text: str
    here: int
    elsewhere: int


def moved(pairs: Iterable[tuple[str, str]]) -> Wording:
    """Words of (candidate's, baseline's) answers that moved for more than a fair coin would."""
    came: Counter[str] = Counter()
    went: Counter[str] = Counter()
    n = 0
    for candidate, baseline in pairs:
        if candidate == baseline:
            continue
        n += 1
        mine, theirs = _words(candidate), _words(baseline)
        came.update(mine - theirs)
        went.update(theirs - mine)

    def rank(mine: Counter[str], theirs: Counter[str], candidates: bool) -> tuple[Moved, ...]:
        found = []
        for word, count in mine.items():
            other = theirs[word]
            steps = (count - other) / (count + other) ** 0.5
            if count >= FEWEST and steps >= STEPS:
                found.append((-steps, word, count, other))
        return tuple(
            Moved(word=visible(word.strip()), candidate=count if candidates else other,
                  baseline=other if candidates else count)
            for _, word, count, other in _without_parts(sorted(found))
        )  # fmt: skip

    return Wording(n=n, came=rank(came, went, True), went=rank(went, came, False))


def recurring(here: Sequence[str], elsewhere: Sequence[str]) -> tuple[Phrase, ...]:
    """Phrases that the reasons `here` share, and that are rarer among those `elsewhere`."""
    mine, theirs = (_counted(texts) for texts in (here, elsewhere))
    found = []
    for phrase, count in mine.items():
        expected = theirs[phrase] * len(here) / max(1, len(elsewhere))
        surplus = count - expected
        if count >= max(FEWEST, 0.02 * len(here)) and count > 1.5 * expected:
            # Longer phrases say more than the words in them.
            found.append((-surplus * (1 + 0.35 * phrase.count(" ") + 0.1 * len(_HAN.findall(phrase))), phrase, count))
    chosen: list[Phrase] = []
    for _, phrase, count in sorted(found):
        if not any(phrase in one.text or one.text in phrase for one in chosen):
            chosen.append(Phrase(text=visible(phrase), here=count, elsewhere=theirs[phrase]))
        if len(chosen) == MOST:
            break
    return tuple(chosen)


def _without_parts(found: Sequence[tuple[float, str, int, int]]) -> list[tuple[float, str, int, int]]:
    """The first of them, without pieces of Chinese words that are there already."""
    chosen: list[tuple[float, str, int, int]] = []
    for one in found:
        if _HAN.search(one[1]) and any(set(one[1]) & set(other[1]) for other in chosen):
            continue
        chosen.append(one)
        if len(chosen) == MOST:
            break
    return chosen


def _words(text: str) -> set[str]:
    text = text[:LOOKED_AT].lower()
    if text.isascii():
        return set(_ASCII_WORD.findall(text)) - _EMPTY
    found: set[str] = set()
    for word in set(_WORD.findall(text)) - _EMPTY:
        if "㐀" <= word[0] <= "鿿":
            found.update(word[i : i + 2] for i in range(max(1, len(word) - 1)))
        else:
            found.add(word)
    return found


def _counted(texts: Iterable[str]) -> Counter[str]:
    """In how many texts each phrase occurs."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_phrases(text[:LOOKED_AT].lower()))
    return counts


def _phrases(text: str) -> set[str]:
    found: set[str] = set()
    for clause in re.split(r"[^\w\s'’-]+|\n", text):
        run: list[str] = []
        for word in _WORD.findall(clause):
            if "㐀" <= word[0] <= "鿿":
                found |= {
                    word[i : i + size]
                    for size in (2, 3, 4)
                    for i in range(len(word) - size + 1)
                    if not _EMPTY_HAN & set(word[i : i + size])
                }
            else:
                run.append(word)
        for size in (1, 2, 3):
            for i in range(len(run) - size + 1):
                phrase = run[i : i + size]
                if phrase[0] in _EMPTY or phrase[-1] in _EMPTY or (size == 1 and len(phrase[0]) < 4):
                    continue
                found.add(" ".join(phrase))
    return found
