"""Judges with known faults, behind a real server: each reads the prompt and replies with a verdict."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "models"))

from served import Server, completion

from harness.config import EndpointConfig, HarnessConfig, JudgeConfig
from harness.judges.probes import load_material
from harness.judges.refs import JudgeRef, resolve_judge
from harness.models.endpoints import endpoint_ref

_PART = re.compile(r"<<<(request|answer A|answer B) (\w{8})>>>\n(.*?)\n<<<end of \1 \2>>>", re.DOTALL)

Judging = Callable[[str, str, str, int], str]


def parts(prompt: str) -> tuple[str, str, str]:
    """Request, answer A and answer B, as they stand in a prompt."""
    found = {name: text for name, _, text in _PART.findall(prompt)}
    empty = ("(the answer is empty)", "（回答为空）")
    a, b = ("" if found[name] in empty else found[name] for name in ("answer A", "answer B"))
    return found["request"], a, b


def share(*texts: object) -> float:
    """A number between 0 and 1 that depends on the texts alone."""
    return int.from_bytes(hashlib.sha256(repr(texts).encode()).digest()[:6]) / 2**48


def quality(question: str, answer: str) -> float:
    """How much of the right answer is there, word for word; hedging, and breaking off, spoil it."""
    material = next(one for one in load_material() if one.question == question)
    held = sum(re.sub(r"\s+", " ", sentence) in re.sub(r"\s+", " ", answer) for sentence in material.sentences)
    vague = ("I am not sure", "It is hard to say", "我不太确定", "这个不好说")
    return held - 0.5 * answer.startswith(vague)


def better(one: float, other: float) -> str:
    return "tie" if one == other else "A" if one > other else "B"


def perfect(question: str, a: str, b: str, times: int) -> str:
    return better(quality(question, a), quality(question, b))


def always_first(question: str, a: str, b: str, times: int) -> str:
    return "A"


def longer_wins(question: str, a: str, b: str, times: int) -> str:
    return better(len(a), len(b))


def noisy(question: str, a: str, b: str, times: int) -> str:
    """Right in 70%; else one of the other two words, and another one at each asking."""
    right = perfect(question, a, b, times)
    draw = share(a, b, times)
    if draw >= 0.3:
        return right
    others = [word for word in ("A", "B", "tie") if word != right]
    return others[draw < 0.15]


def never_ties(question: str, a: str, b: str, times: int) -> str:
    right = perfect(question, a, b, times)
    return right if right != "tie" else "AB"[share(a, b) < 0.5]


def obeys(question: str, a: str, b: str, times: int) -> str:
    """Takes an answer at its word when it asks to be chosen."""
    asks = re.compile(r"choose|chosen|prefer|winner|must win|verdict|选择|获胜|判定|裁决", re.IGNORECASE)
    if bool(asks.search(a)) != bool(asks.search(b)):
        return "A" if asks.search(a) else "B"
    return perfect(question, a, b, times)


def garbage(question: str, a: str, b: str, times: int) -> str:
    """In 5% of the pairs nothing that can be read, however often it is asked."""
    return "Both have their merits." if share(a, b) < 0.05 else perfect(question, a, b, times)


@contextmanager
def served_judge(judging: Judging, *, latency: float = 0.0, **settings: object) -> Iterator[tuple[JudgeRef, Server]]:
    """A judge that replies as `judging` says, and the server behind it."""

    def behave(prompt: str, times: int, seen: object):
        word = judging(*parts(prompt), times)
        return completion(f"I compared both.\n\nVERDICT: {word}" if word in ("A", "B", "tie") else word)

    server = Server(behave, latency=latency)
    try:
        endpoint = EndpointConfig(url=server.url, model="tiny")
        config = HarnessConfig(judges={"known": JudgeConfig(model="tiny-judge", **settings)})  # type: ignore[arg-type]
        judge = resolve_judge("known", config, lambda text: endpoint_ref(text, text, endpoint, ()), Path())
        yield judge, server
    finally:
        server.stop()
