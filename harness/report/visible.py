"""Text from models and users, made safe to look at: nothing invisible, nothing that reorders what stands around it.

Escaping for HTML is the template's work; this is about characters that no escaping changes.
"""

from __future__ import annotations

import re

#: Longest text shown of one answer, in characters; the whole one is in the texts file beside the record.
LONGEST = 6000

# Controls but tab and newline, bidirectional marks and overrides, zero-width and invisible operators, interlinear
# and tag characters, lone surrogates and noncharacters. The joiners U+200C and U+200D stay: Persian and emoji
# need them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """The text with every hidden character spelled out as ⟨U+202E⟩; an ordinary line end is kept.

    >>> visible("pay\\u202e005")
    'pay⟨U+202E⟩005'
    """
    text = text.replace("\r\n", "\n")
    return _HIDDEN.sub(lambda match: f"⟨U+{ord(match.group()):04X}⟩", text) if _HIDDEN.search(text) else text


def shown(text: str, longest: int = LONGEST) -> str:
    """`visible`, and no longer than a reader can use; says how much was left out."""
    if len(text) <= longest:
        return visible(text)
    return f"{visible(text[:longest])}\n… {len(text) - longest:,} more characters"


def one_line(text: str, longest: int = 140) -> str:
    """`visible` on one line, for rows and summaries."""
    # Longer texts are cut first, so that a megabyte of answer costs nothing.
    flat = " ".join(text[: 4 * longest].split())
    return visible(flat if len(flat) <= longest else flat[: longest - 1] + "…")
