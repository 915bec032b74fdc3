"""When two texts say the same: width, case, quotation marks, and where a word ends in scripts with and
without spaces."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Iteration marks and zero; kana; bopomofo; Chinese characters with their extensions and compatibility forms.
_HAN_KANA = (
    r"\u3005\u3007\u3041-\u30ff\u31f0-\u31ff\u3105-\u312f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0003ffff"
)
#: Scripts without spaces between words (with Thai, Lao, Tibetan, Burmese, Khmer), and Hangul, which ties particles to
#: its words.
_UNSPACED = _HAN_KANA + r"\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"

_HAN_KANA_CHARACTER = re.compile(f"[{_HAN_KANA}]")
_UNSPACED_CHARACTER = re.compile(f"[{_UNSPACED}]")
_WORD_OR_CHARACTER = re.compile(rf"[{_HAN_KANA}]|(?:(?![{_HAN_KANA}])[^\W_])+")
_CHINESE_NUMERALS = frozenset("〇零一二三四五六七八九十百千万亿两")

_LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′＇`´", "'"),
        **dict.fromkeys("“”„‟″＂«»", '"'),
        **dict.fromkeys("‐‑‒–−﹣－", "-"),
        "⁄": "/",
        # Invisible: zero-width characters, soft hyphen, byte order mark, emoji variation selectors.
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0e\ufe0f"),
    }
)
_POWER = re.compile(r"(?<=\d)(?=[⁰¹²³⁴-⁹])")
_MIXED_FRACTION = re.compile(r"(?<=\d)(?=[¼-¾⅐-⅞])")
_BLANK_AT_HAN = re.compile(rf"(?<=[{_HAN_KANA}]) (?=[A-Za-z0-9])|(?<=[A-Za-z0-9%]) (?=[{_HAN_KANA}])")
_EMPHASIS = re.compile(r"(?<![A-Za-z0-9*\\])(\*{1,3})(?=[^\s*])([^*\n]+)(?<=\S)\1(?![A-Za-z0-9*])")
_TENS = re.compile(r"(?<![^\W_])(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)[ -]$")
_ONES = re.compile(r"[ -](?:one|two|three|four|five|six|seven|eight|nine)(?![^\W_])")


def is_han_or_kana(character: str) -> bool:
    """Is it a Chinese character, kana or bopomofo: written without spaces, counted one by one?"""
    return _HAN_KANA_CHARACTER.match(character) is not None


def words_and_characters(folded: str) -> list[str]:
    """Its words, and Chinese and kana character by character.

    >>> words_and_characters("3 days, 三天abc")
    ['3', 'days', '三', '天', 'abc']
    """
    return _WORD_OR_CHARACTER.findall(folded)


def is_word_character(character: str) -> bool:
    """Is the character part of a word that ends only where something else begins? False for scripts without
    spaces."""
    if character.isascii():
        return character.isalnum()
    if _UNSPACED_CHARACTER.match(character):
        return False
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def joined_by_hyphen(before: str) -> bool:
    """Is a hyphen after this character (or nothing) no sign of a number: "3-5", "x-5", "--5"?"""
    return before in (")", "-") or (before != "" and is_word_character(before))


@lru_cache(maxsize=512)
def plain(text: str) -> str:
    """The text with one form for what looks the same; case is kept.

    NFKC (full-width letters and digits become ordinary ones), straight quotation marks and hyphens, no
    invisible characters, one blank for any white space, none between Chinese and Latin ("30 天" and "30天"
    are the same). A raised digit after a digit becomes a power (10² is 10^2, not 102).
    """
    if text.isascii():
        return " ".join(text.translate(_LOOKALIKES).split() if "`" in text else text.split())
    text = _MIXED_FRACTION.sub(" ", _POWER.sub("^", text)).translate(_LOOKALIKES)
    text = unicodedata.normalize("NFKC", text).translate(_LOOKALIKES)
    return _BLANK_AT_HAN.sub("", " ".join(text.split()))


@lru_cache(maxsize=512)
def fold(text: str) -> str:
    """`plain`, and without case: two texts that fold to the same are equal for every reader."""
    text = plain(text).casefold()
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def unmarked(text: str) -> str:
    """The text without Markdown's asterisks of emphasis: "**30** days" is "30 days", 2**3 stays."""
    return _EMPHASIS.sub(r"\2", text) if "*" in text else text


def find_words(needle: str, text: str) -> int:
    """Where `needle` stands in `text` as whole words, or -1; both must be folded.

    An edge of the needle that is a letter or digit of a spaced script must be the edge of a word there: "cat"
    is not in "concatenate", "4" is not in "48", "4.5", "4,000" or "-4", "can" is not in "can't", "four" is
    not in "twenty-four". Chinese and other scripts without spaces are searched as they stand, but a needle of
    Chinese numerals must be the whole number ("十二" is not in "二十二").
    """
    start = text.find(needle)
    while start >= 0:
        if _stands_alone(text, start, start + len(needle)):
            return start
        start = text.find(needle, start + 1)
    return -1


def starts_with_words(needle: str, text: str) -> bool:
    """Does `text` begin with `needle` and does a word end there? Both must be folded."""
    return text.startswith(needle) and _stands_alone(text, 0, len(needle))


def _stands_alone(text: str, start: int, end: int) -> bool:
    before, needle, after = text[max(0, start - 16) : start], text[start:end], text[end : end + 16]
    if is_word_character(needle[0]) and (_same_word(before[::-1]) or _number_comes_before(before, needle + after)):
        return False
    if is_word_character(needle[-1]) and (_same_word(after) or _word_goes_on(needle, after)):
        return False
    if needle[0] in _CHINESE_NUMERALS and _CHINESE_NUMERALS.issuperset(needle):
        return before[-1:] not in _CHINESE_NUMERALS and after[:1] not in _CHINESE_NUMERALS
    return True


def _same_word(neighbours: str) -> bool:
    """Is the nearest neighbour part of the same word? An underscore is only between two word characters, so
    that `_Paris_` is emphasis and `user_id` one word."""
    nearest = neighbours.lstrip("_")[:1]
    return nearest != "" and is_word_character(nearest)


def _number_comes_before(before: str, rest: str) -> bool:
    """Is what begins here the end of a number: of a decimal, a group of thousands, after a sign, after
    "twenty-"?"""
    if not rest[0].isdigit():
        return _TENS.search(before) is not None and _ONES.match(f"-{rest}") is not None
    if before[-1:] in (".", ",") and before[-2:-1].isdigit():
        return before[-1] == "." or re.match(r"\d{3}(?!\d)", rest) is not None
    return before[-1:] == "-" and not joined_by_hyphen(before[-2:-1])


def _word_goes_on(needle: str, after: str) -> bool:
    """Does what ends here go on: "4.5", "4,000", "can't", "twenty-four"?"""
    if needle[-1].isdigit():
        return re.match(r"\.\d|,\d{3}(?!\d)", after) is not None
    return re.match(r"'t(?![^\W_])", after) is not None or (
        _TENS.search(f"{needle[-8:]}-") is not None and _ONES.match(after) is not None
    )
