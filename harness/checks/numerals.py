"""Numbers as people write them, in Latin digits and in Chinese."""

from __future__ import annotations

import math
import re

from harness.checks.folding import is_word_character, joined_by_hyphen, plain

_UNITS = {
    "千": 1e3,
    "万": 1e4,
    "亿": 1e8,
    "万亿": 1e12,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
}
_NUMBER = re.compile(
    r"""
    (?P<no_number> \d+ (?: [./-] \d+ ){2,} )                       # a version or a date
  | (?: (?P<number> (?: \d{1,3} (?: ,\d{3} )+ (?!\d) | \d+ ) (?: \.\d+ )? | \.\d+ )
        (?: e (?P<exponent> [+-]?\d{1,6} ) (?![^\W_])
          | \^ (?P<power> [+-]?\d{1,6} )
          | \s? [x×*] \s? 10\^ (?P<ten> [+-]?\d{1,6} )
          | (?: \s (?P<over> \d{1,9} ) )? / (?P<under> \d{1,9} ) (?! [\d/] ) )?
        \s? (?P<unit> 万亿 | 亿 | 万 | 千 | (?: thousand | million | billion | trillion ) (?![^\W_]) )? )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MINUS_WORD = re.compile(r"(?:(?<![^\W_])(?:minus|negative) |负)$", re.IGNORECASE)
_GROUP_GAP = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")

_CHINESE_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_CHINESE_UNITS = {"十": 10, "百": 100, "千": 1000}
_CHINESE_MYRIADS = {"万": 10**4, "亿": 10**8}
_CHINESE_NUMBER = re.compile(
    r"(?P<minus>负?)(?P<whole>[〇零一二三四五六七八九十百千万亿两]+)"
    r"(?:点(?P<part>[〇零一二三四五六七八九]+))?"
)


def last_number(text: str) -> float | None:
    """The last number in the text, or None. `numeric_close` says what is read as a number; infinite where
    it is beyond a double.
    """
    text = plain(_GROUP_GAP.sub("", text))
    found = [value for match in _NUMBER.finditer(text) if (value := _value(match, text)) is not None]
    if found:
        return found[-1]
    return _last_chinese_number(text)


def _value(match: re.Match[str], text: str) -> float | None:
    start = match.start()
    if match["no_number"] or (start and (is_word_character(text[start - 1]) or text[start - 1] == "_")):
        return None
    value = float(match["number"].replace(",", ""))
    if match["over"]:
        value += int(match["over"]) / int(match["under"]) if int(match["under"]) else math.inf
    elif match["under"]:
        value = value / int(match["under"]) if int(match["under"]) else math.inf
    try:
        if match["power"]:
            value = value ** int(match["power"])
        elif exponent := match["exponent"] or match["ten"]:
            value *= 10.0 ** int(exponent)
    except (OverflowError, ZeroDivisionError):
        value = math.inf
    value *= _UNITS[match["unit"].lower()] if match["unit"] else 1
    return -value if _is_negative(text[:start]) else value


def _is_negative(before: str) -> bool:
    """Is what follows below zero: "-5", "-$5", "minus 5", "负5"? In "3-5" and "x-5" the hyphen is no sign."""
    before = before[-16:]
    if _MINUS_WORD.search(before):
        return True
    before = before.rstrip("$€£¥")
    return before.endswith("-") and not joined_by_hyphen(before[-2:-1])


def _last_chinese_number(text: str) -> float | None:
    found = [
        (match.group(), value) for match in _CHINESE_NUMBER.finditer(text) if (value := _chinese(match)) is not None
    ]
    # A lone 一 is mostly a word of its own (一起, 看一看); it counts where there is nothing else.
    telling = [value for written, value in found if written != "一"] or [value for _, value in found]
    return telling[-1] if telling else None


def _chinese(match: re.Match[str]) -> float | None:
    written, after = match["whole"], match.string[match.end() : match.end() + 1]
    if after == "点" and not match["part"]:
        return None  # 一点, 三点: an expression or a time
    if len(written) > 1 and all(digit in _CHINESE_DIGITS for digit in written):
        value = float("".join(str(_CHINESE_DIGITS[digit]) for digit in written))  # 一九四九
    else:
        value = _with_units(written)
    if match["part"]:
        value += float("0." + "".join(str(_CHINESE_DIGITS[digit]) for digit in match["part"]))
    return -value if match["minus"] else value


def _with_units(written: str) -> float:
    """三千零五十六 and 两亿三千万: digits times units within a myriad, myriads on top."""
    total, section, digit = 0, 0, None
    for character in written:
        if character in _CHINESE_DIGITS:
            digit = _CHINESE_DIGITS[character]
        elif character in _CHINESE_UNITS:
            section += (1 if digit is None else digit) * _CHINESE_UNITS[character]
            digit = None
        else:
            section += digit or 0
            myriad = _CHINESE_MYRIADS[character]
            if myriad > 10**4 and total:  # 三万亿
                total, section = (total + section) * myriad, 0
            else:
                total, section = total + (section or 1) * myriad, 0
            digit = None
    try:
        return float(total + section + (digit or 0))
    except OverflowError:
        return math.inf
