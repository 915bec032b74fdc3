"""What a judge's reply says. The last verdict line wins; whatever else stands there is no verdict. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Literal

import msgspec

from harness.checks.refusals import refuses
from harness.judges.fence import VERDICT_WORDS
from harness.judges.judgement import Fault

Label = Literal["A", "B", "tie"]

_TIES = "tie|tied|draw|equal|平局|平手|打平|相同|一样好"
_LABEL = rf"(?:(?:answer|response|回答|答案)\s*)?([AB]|{_TIES})"
#: A line of its own, with whatever marks a writer puts around it.
_LINE = re.compile(
    rf"^[\s>*_#`\-\[【(（]*(?:{'|'.join(VERDICT_WORDS)})[\s*_`\]】)）]*:[\s*_`\[【(（\"'“]*(.*?)[\s*_`\]】)）\"'”.。!！]*$",
    re.IGNORECASE,
)
_ONE = re.compile(rf"{_LABEL}", re.IGNORECASE)
_THINKING = re.compile(r"<(think|thinking)>.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_JSON_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*?)\n?```\Z", re.DOTALL)

_SHOWN = 400


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict with its reason, or why there is none."""

    label: Label | None
    reason: str
    fault: Fault | None = None


def read_reply(text: str, *, cut_off: bool = False) -> Reply:
    """The verdict of a reply: of a JSON object its `verdict`, else the last line that is one.

    A verdict line that names both, or neither, is none, and it is never passed over for one above it.
    """
    said = _THINKING.sub("", text)
    # Judges close a thought that the template opened.
    said = said.rpartition("</think>")[2].strip()
    if not said:
        return Reply(label=None, reason="", fault="cut off" if cut_off else "nothing")
    document = _json(said)
    if document is not None:
        return document
    lines = said.split("\n")
    for number in range(len(lines) - 1, -1, -1):
        found = _LINE.match(unicodedata.normalize("NFKC", lines[number]).strip())
        if found is None:
            continue
        reason = _shown("\n".join(lines[:number]))
        label = _label(found[1])
        if label is None:
            both = {"a", "b"} <= {word.lower() for word in re.findall(r"(?<![A-Za-z])[ABab](?![A-Za-z])", found[1])}
            return Reply(label=None, reason=_shown(said), fault="both verdicts" if both else "prose")
        return Reply(label=label, reason=reason)
    return Reply(label=None, reason=_shown(said), fault=_why(said, cut_off))


def _label(words: str) -> Label | None:
    found = _ONE.fullmatch(words.strip())
    if found is None:
        return None
    word = found[1]
    if word.upper() == "A":
        return "A"
    return "B" if word.upper() == "B" else "tie"


def _json(said: str) -> Reply | None:
    """The verdict of a reply that is a JSON object; None where it is something else."""
    inner = _JSON_FENCE.fullmatch(said)
    body = (inner[1] if inner else said).strip()
    if not body.startswith("{"):
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        # Braces can open a sentence; what was meant as JSON ends in none of our lines.
        last = unicodedata.normalize("NFKC", body.split("\n")[-1]).strip()
        if _LINE.match(last):
            return None
        return Reply(label=None, reason=_shown(said), fault="malformed JSON")
    verdict = document.get("verdict", document.get("判定")) if isinstance(document, dict) else None
    label = _label(unicodedata.normalize("NFKC", verdict)) if isinstance(verdict, str) else None
    if label is None:
        return Reply(label=None, reason=_shown(said), fault="malformed JSON")
    reason = document.get("reason", "")
    return Reply(label=label, reason=_shown(reason if isinstance(reason, str) else ""))


def _why(said: str, cut_off: bool) -> Fault:
    if cut_off:
        return "cut off"
    return "refusal" if refuses(said) else "prose"


def _shown(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
