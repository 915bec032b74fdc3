"""Texts of others inside a judge's prompt: fenced, and with everything taken out that could speak for the judge.

A contestant's answer is material. It may not end its fence, write a verdict line, change roles or hide words.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

import msgspec

#: Words that open a verdict line, in the languages that the parser reads.
VERDICT_WORDS = ("verdict", "判定", "裁决", "裁定")

#: Words that open a grade line.
GRADE_WORDS = ("grade", "评分")

#: Unseen characters: zero width, direction, tags, soft hyphen, and all controls but tab and line feed.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_COLON = "[:：∶︰﹕꞉ː˸]"
_VERDICT = re.compile(
    rf"({'|'.join((*VERDICT_WORDS, *GRADE_WORDS))})(['\"”’*_`\s)）\]】」]*?)\s*{_COLON}", re.IGNORECASE
)
#: Opening marks of chat templates: <|im_start|>, <s>, [INST], <<SYS>>, <start_of_turn>, <think>, ### Instruction:
_TAGS = re.compile(
    r"<(?=\s*/?\s*\|)|(?<=\|)\s*>|<(?=\s*/?\s*(?:s|sys|system|user|human|assistant|bos|eos|inst|think|thinking|"
    r"start_of_turn|end_of_turn|model|tool|tool_call|answer|unk|pad|judge|verdict)\b[^<>\n]{0,40}>)",
    re.IGNORECASE,
)
_BRACKETS = re.compile(r"\[(?=\s*/?\s*(?:INST|SYS|SYSTEM|USER|ASSISTANT|JUDGE|AVAILABLE_TOOLS)\b)", re.IGNORECASE)
_ROLES = re.compile(
    rf"^([ \t>*_#-]*)(system|user|human|assistant|developer|judge|instruction|response|系统|用户|助手|助理|裁判|评委)"
    rf"([ \t*_]*){_COLON}",
    re.IGNORECASE | re.MULTILINE,
)
_FENCES = re.compile(r"([<>＜＞])\1{2,}")


class Fenced(msgspec.Struct, frozen=True, kw_only=True):
    """A text ready for a prompt, and how much of it had to be changed."""

    text: str
    changed: int


def neutralise(text: str) -> Fenced:
    """The text with everything taken out that could pass for the prompt's own marks or for a judge's verdict.

    Line ends become line feeds. Compatibility forms (full-width letters, mathematical ones) become ordinary where the
    line would read as a verdict or a role otherwise.
    """
    plain, hidden = _INVISIBLE.subn("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n"))
    changed = hidden
    lines = []
    for line in plain.split("\n"):
        folded = unicodedata.normalize("NFKC", line)
        if folded != line and (_VERDICT.search(folded) or _ROLES.search(folded) or _TAGS.search(folded)):
            line, changed = folded, changed + 1
        lines.append(line)
    plain = "\n".join(lines)
    for pattern, instead in (
        (_VERDICT, r"\1\2 —"),
        (_ROLES, r"\1(\2)\3 —"),
        (_TAGS, lambda found: found[0] + " " if found[0] == "<" else " >"),
        (_BRACKETS, "[ "),
        (_FENCES, r"\1"),
    ):
        plain, times = pattern.subn(instead, plain)
        changed += times
    return Fenced(text=plain, changed=changed)


def fence(text: str, name: str, nonce: str) -> str:
    """The neutralised text between two marks that it cannot contain."""
    return f"<<<{name} {nonce}>>>\n{neutralise(text).text}\n<<<end of {name} {nonce}>>>"


def nonce_of(*texts: str) -> str:
    """A mark that no author of a text could have known: it is made from all of them."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def shorten(one: str, other: str, room: int) -> tuple[str, str, int]:
    """Both texts in `room` tokens together, cut at the same length: the beginning and the end are kept, and the
    place says how much is missing. Also the characters that were left out.

    A text that is shorter than its half leaves the rest of it to the other; the two never lose different rules.
    """
    lengths = (tokens_in(one), tokens_in(other))
    if sum(lengths) <= room:
        return one, other, 0
    half = room // 2
    shorter = min(lengths)
    most = half if shorter >= half else room - shorter
    cut = [_cut(text, most) for text in (one, other)]
    return cut[0][0], cut[1][0], cut[0][1] + cut[1][1]


def tokens_in(text: str) -> int:
    """Roughly how many tokens a text has: four Latin characters make one, and other scripts about one each."""
    wide = sum(ord(character) > 0x2E80 for character in text)
    return wide + (len(text) - wide + 3) // 4


def _cut(text: str, most: int) -> tuple[str, int]:
    tokens = tokens_in(text)
    if tokens <= most:
        return text, 0
    # The text's own density; a little less, for the sentence that says what is missing.
    kept = max(0, int(len(text) * max(0, most - 16) / tokens))
    head, tail = kept - kept // 3, kept // 3
    left = len(text) - head - tail
    middle = f"\n[… {left} characters left out here …]\n"
    return text[:head] + middle + (text[-tail:] if tail else ""), left
