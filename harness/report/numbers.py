"""Numbers as a reader wants them: shares in percent, changes in points with a sign, times in words."""

from __future__ import annotations

import re

from harness.report.visible import visible

_MINUS = re.compile(r"(?<![^\s\[(])-(?=\d)")
#: A rate that should be low is told without a sign.
_MORE = re.compile(r"(?<=: )([\d.]+) points worse(?= over)")
#: A change in whole points, where others beside it have a decimal.
_WHOLE = re.compile(r"([+−]\d+)(?= points\b|, [+−]\d|\])")


def percent(share: float) -> str:
    """A share with one decimal.

    >>> percent(0.7283)
    '72.8%'
    """
    return f"{100 * share:.1f}%"


def change(difference: float) -> str:
    """A difference of shares in points, with a real minus sign and no negative zero.

    >>> change(-0.484), change(-0.0)
    ('−48.4', '+0.0')
    """
    # Adding zero turns -0.0 into 0.0.
    return f"{round(100 * difference, 1) + 0.0:+.1f}".replace("-", "−")


def signs(text: str) -> str:
    """A sentence of the gate with the page's signs: a real minus, real arrows, every change in points with its sign and
    one decimal.

    >>> signs("worse: -24 points over 100 cases [-31.5, -16]")
    'worse: −24.0 points over 100 cases [−31.5, −16.0]'
    """
    text = _MORE.sub(r"+\1 points, and more is worse,", _MINUS.sub("−", text)).replace(" -> ", " → ")
    return _WHOLE.sub(r"\1.0", text)


def value(number: float) -> str:
    """A measured value with three significant digits, never in scientific notation for the usual sizes.

    >>> value(2.34567), value(12.3456), value(1234.5)
    ('2.35', '12.3', '1,234')
    """
    size = abs(number)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{number:,.{digits}f}".replace("-", "−")


def signed(number: float) -> str:
    """`value` with its sign."""
    text = value(number)
    return text if text.startswith("−") else f"+{text}"


def count(passes: float, n: int) -> str:
    """How many of how many; shares of samples may make the first a fraction.

    >>> count(181.0, 250), count(12.75, 20)
    ('181 of 250', '12.75 of 20')
    """
    shown = f"{passes:,.0f}" if passes == int(passes) else f"{passes:,.2f}"
    return f"{shown} of {n:,}"


def moment(created: str) -> str:
    """A record's time for the eye.

    >>> moment("2026-01-02T03:04:05+00:00")
    '2026-01-02 03:04:05 UTC'
    """
    if not created.endswith("+00:00"):
        return visible(created)
    return visible(created.replace("T", " ").removesuffix("+00:00") + " UTC")


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(0.04), duration(95.2), duration(7300)
    ('0.04 s', '1 min 35 s', '2 h 2 min')
    """
    if round(seconds, 1) < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
