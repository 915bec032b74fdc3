"""Answers as reviewers read them: formatting evened out, and nothing in them that names a model."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from harness.record import ModelIdentity

#: What stands where something was hidden.
HIDDEN = "▇▇▇"

# What follows a family's name: a version, a size, a kind ("Qwen2.5-7B-Instruct").
_KIND = r"(?:\d+(?:\.\d+)?[BM]|Instruct|Chat|Base|Turbo|Mini|Nano|Opus|Sonnet|Haiku|Flash|Pro)"
_VERSION = rf"(?:[ -]?v?\d+(?:\.\d+)*[a-z]?)?(?:[ -]{_KIND})*"

#: Assistants and model families that answers are known to name. Words of other meanings ("phi") need a version.
_FAMILIES = (
    r"Chat-?GPT", r"GPT(?=[ -]?\d)", r"Claude", r"Gemini", r"Gemma", r"Phi(?=[ -]?\d)", r"Yi(?=-\d)", r"Llama",
    r"Mi[sx]tral", r"Qwen", r"通义千问", r"千问", r"DeepSeek", r"文心一言", r"ERNIE(?: Bot)?", r"Kimi", r"豆包",
    r"Doubao", r"Smol ?LM", r"(?:Chat)?GLM(?=-?\d)", r"ChatGLM", r"智谱清言", r"Intern ?LM", r"书生·?浦语",
    r"Baichuan", r"百川(?:大模型|智能)", r"混元", r"讯飞星火",
)  # fmt: skip

#: Who makes them, in the maker's own letters: "meta" is a word too.
_MAKERS = (
    r"OpenAI", r"Anthropic", r"Google(?: DeepMind)?", r"DeepMind", r"Meta(?: AI)?", r"Mistral AI", r"Microsoft",
    r"Hugging ?Face(?:TB)?", r"Alibaba(?: Cloud| Group)?", r"阿里云", r"阿里巴巴(?:集团)?", r"深度求索",
    r"百度", r"Baidu", r"字节跳动", r"ByteDance", r"月之暗面", r"Moonshot AI", r"智谱(?:清言|AI|华章)?",
    r"Zhipu(?: ?AI)?", r"零一万物", r"腾讯", r"Tencent", r"上海人工智能实验室", r"科大讯飞",
)  # fmt: skip

_BLANK_LINES = re.compile(r"\n{3,}")
_BULLET = re.compile(r"^([ ]*)[*+•‣▪·–]\s+", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} +", re.MULTILINE)
_BOLD = re.compile(r"(?<![\w*])\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*(?![\w*])")
_FENCE = re.compile(r"(^```.*?^```[ ]*$)", re.MULTILINE | re.DOTALL)
# Characters that are seen nowhere and so could carry a mark; the joiners of Persian and emoji stay.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def even(text: str) -> str:
    """The text with one kind of line end, and blanks for tabs, which spreadsheets drop."""
    return text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)


def plain(text: str) -> str:
    """The text with line ends, blanks, bullets, headings and bold letters made the same for every model.

    Code between fences keeps its letters. Two answers that differ in nothing else become the same text.
    """
    text = unicodedata.normalize("NFC", even(text).replace("\u00a0", " "))
    text = _INVISIBLE.sub("", text)
    parts = _FENCE.split(text)
    for i in range(0, len(parts), 2):
        part = _BULLET.sub(r"\1- ", _HEADING.sub("", parts[i]))
        parts[i] = _BOLD.sub(r"\1", part)
    lines = "\n".join(line.rstrip() for line in "".join(parts).split("\n"))
    return _BLANK_LINES.sub("\n\n", lines).strip()


class Veil:
    """Blacks out what would tell a reviewer whose answer it is: model names, and what the project lists."""

    def __init__(self, identities: Iterable[ModelIdentity | None], hide: Sequence[str] = ()) -> None:
        names = {name for one in identities if one is not None for name in _names(one)}
        own = [re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name))]
        self._own = [re.compile(rf"(?<!\w){name}(?!\w)", re.IGNORECASE) for name in own]
        self._makers = [re.compile(rf"(?<![A-Za-z0-9]){name}(?![A-Za-z0-9])") for name in _MAKERS]
        self._families = [
            re.compile(rf"(?<![A-Za-z0-9]){name}{_VERSION}(?![A-Za-z0-9])", re.IGNORECASE) for name in _FAMILIES
        ]
        self._listed = [re.compile(pattern) for pattern in hide]

    def over(self, answer: str, question: str) -> str:
        """The answer without giveaways. A model family that the question itself speaks of is a subject, no giveaway; so
        are makers where it speaks of any.
        """
        for pattern in (*self._listed, *self._own):
            answer = pattern.sub(HIDDEN, answer)
        subjects = [pattern for pattern in (*self._makers, *self._families) if pattern.search(question)]
        for pattern in (*([] if subjects else self._makers), *self._families):
            if pattern not in subjects:
                answer = pattern.sub(HIDDEN, answer)
        return answer


def _names(one: ModelIdentity) -> set[str]:
    """What the record calls a model; words of everyday language ("triage") are no names."""
    label = one.label.removesuffix(" (adapter off)")
    found = {label, label.partition("@")[0], one.reference, one.reference.rstrip("/").rpartition("/")[2]}
    return {name for name in found if len(name) > 3 and not name.isalpha()} | {
        name for name in found if "lm" in name.lower() and name.isalnum() and len(name) > 4
    }
