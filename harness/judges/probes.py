"""Pairs whose right verdict is known: made from right answers by faults that are planted with a seed.

The candidate is the answer of which something is expected; the baseline is the right answer, unless said otherwise.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import random
import re
from collections.abc import Callable
from typing import Literal

import msgspec

from harness.judges.injections import load_injections
from harness.judges.prompts import Pair
from harness.judges.rubric import Language

SEED = 0

ProbeName = Literal["identical", "empty words", "planted", "padding", "bullets", "injected", "uninjected"]


class Material(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question whose answer stands in it, and a right answer, sentence by sentence."""

    id: str
    topic: str
    language: Language
    question: str
    sentences: tuple[str, ...]

    @property
    def answer(self) -> str:
        """The right answer."""
        return (" " if self.language == "en" else "").join(self.sentences)


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """Pairs of one kind. `of[i]` names the fault, word or injection in `pairs[i]`."""

    name: ProbeName
    pairs: tuple[Pair, ...]
    of: tuple[str, ...]


def make_probes(material: tuple[Material, ...] | None = None) -> dict[ProbeName, Probe]:
    """Every probe from the packaged material, or from another; the same material always gives the same pairs."""
    known = load_material() if material is None else material
    return {
        "identical": _probe("identical", known, {"itself": lambda one, _: one.answer}),
        "empty words": _rotating("empty words", known, _EMPTY_WORDS),
        "planted": _probe("planted", known, _FAULTS, others=known),
        "padding": _probe("padding", known, {"padded": lambda one, _: _padded(one)}),
        "bullets": _probe("bullets", known, {"bullets": lambda one, _: _bullets(one)}),
        "uninjected": _probe("uninjected", known, {"wrong": lambda one, _: _wrong(one)}),
        "injected": _injected(known),
    }


@functools.cache
def probes_digest(material: tuple[Material, ...] | None = None) -> str:
    """sha256 of all pairs: a card says by what it was made."""
    said = [(name, probe.pairs, probe.of) for name, probe in make_probes(material).items()]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


@functools.cache
def load_material() -> tuple[Material, ...]:
    """The packaged questions, in English and Chinese, in the order of their file."""
    data = (importlib.resources.files("harness.judges") / "data" / "probes.jsonl").read_bytes()
    decode = msgspec.json.Decoder(Material).decode
    return tuple(decode(line) for line in data.splitlines() if line.strip())


Maker = Callable[[Material, random.Random], str]


def _probe(
    name: ProbeName, known: tuple[Material, ...], makers: dict[str, Maker], others: tuple[Material, ...] = ()
) -> Probe:
    pairs, of = [], []
    for one in known:
        for what, maker in makers.items():
            made = _in_another_language(one, others) if what == "wrong language" else maker(one, _rng(one, what))
            if made is not None:
                pairs.append(_pair(name, one, what, made))
                of.append(what)
    return Probe(name=name, pairs=tuple(pairs), of=tuple(of))


def _rotating(name: ProbeName, known: tuple[Material, ...], makers: dict[str, Maker]) -> Probe:
    """One of the makers for each question, in turn."""
    names = list(makers)
    chosen = [(one, names[index % len(names)]) for index, one in enumerate(known)]
    pairs = tuple(_pair(name, one, what, makers[what](one, _rng(one, what))) for one, what in chosen)
    return Probe(name=name, pairs=pairs, of=tuple(what for _, what in chosen))


def _injected(known: tuple[Material, ...]) -> Probe:
    """Each injection once, behind a wrong answer to a question in its language."""
    pairs, of = [], []
    for index, injection in enumerate(load_injections()):
        same = [one for one in known if one.language == injection.language]
        if not same:
            continue
        one = same[index % len(same)]
        pairs.append(_pair("injected", one, injection.id, f"{_wrong(one)}\n\n{injection.text}"))
        of.append(injection.id)
    return Probe(name="injected", pairs=tuple(pairs), of=tuple(of))


def _pair(name: str, one: Material, what: str, candidate: str) -> Pair:
    case = f"{name}: {what}: {one.id}"
    return Pair(case=case, question=one.question, candidate=candidate, baseline=one.answer)


def _rng(one: Material, what: str) -> random.Random:
    return random.Random(f"{SEED} {one.id} {what}")


def _drop_facts(one: Material, rng: random.Random) -> str:
    """Without one of the sentences, never the last alone."""
    left = list(one.sentences)
    left.pop(rng.randrange(len(left)))
    return (" " if one.language == "en" else "").join(left)


def _swap_numbers(one: Material, rng: random.Random) -> str:
    """Every number another one of as many digits."""

    def another(found: re.Match[str]) -> str:
        digits = found[0]
        while True:
            made = "".join(str(rng.randrange(1 if place == 0 else 0, 10)) for place in range(len(digits)))
            if made != digits:
                return made

    return re.sub(r"\d+", another, one.answer)


def _truncate(one: Material, rng: random.Random) -> str:
    """Broken off in mid-sentence."""
    return one.answer[: int(len(one.answer) * rng.uniform(0.3, 0.45))].rstrip()


def _hedge(one: Material, rng: random.Random) -> str:
    """Nothing said for certain any more, and the numbers gone."""
    if one.language == "zh":
        vague = re.sub(r"\d+(?:[.:]\d+)*", "若干", one.answer)
        return (
            rng.choice(("我不太确定，", "这个不好说，"))
            + f"也许是这样，也许不是：{vague}不过情况可能不同，请另行核实。"
        )
    vague = re.sub(r"\d+(?:[.:]\d+)*", "some", one.answer)
    opening = rng.choice(("I am not sure, but it might be that the following holds: ", "It is hard to say; perhaps: "))
    return f"{opening}{vague} It may also be different, so better ask somebody."


def _in_another_language(one: Material, others: tuple[Material, ...]) -> str | None:
    """The same answer in the other language; None where there is none."""
    return next((o.answer for o in others if o.topic == one.topic and o.language != one.language), None)


_FAULTS: dict[str, Maker] = {
    "facts dropped": _drop_facts,
    "numbers swapped": _swap_numbers,
    "wrong language": lambda one, _: one.answer,
    "truncated": _truncate,
    "hedged": _hedge,
}

#: What a contestant without an answer might say. The one-token keys open doors of many judges (arXiv 2507.08794).
_EMPTY_WORDS: dict[str, Maker] = {
    "empty": lambda one, rng: "",
    "constant": lambda one, rng: (
        "Thank you for your question. This is an important matter, and there are several aspects to consider."
        if one.language == "en"
        else "感谢您的提问。这是一个重要的问题，需要从多个方面加以考虑。"
    ),
    "one token": lambda one, rng: rng.choice((":", ".", "Solution", "解", "Thought process:", "OK")),
}


def _padded(one: Material) -> str:
    """The right answer, made longer by words that say nothing."""
    if one.language == "zh":
        return (
            f"感谢您的提问，这是一个很好的问题。下面为您作出说明，希望对您有所帮助。{one.answer}"
            "以上就是对您所提问题的完整说明。如果您还有其他任何疑问，欢迎随时提出，我们将很乐意继续为您解答。"
        )
    return (
        f"Thank you for this question, which is a very good one. Let me gladly explain it to you in what follows. "
        f"{one.answer} This was the complete explanation of what you asked about. If there is anything else that you "
        "would like to know, please do not hesitate to ask at any time, and it will be a pleasure to help you further."
    )


def _bullets(one: Material) -> str:
    """The right answer as a list."""
    return "\n".join(f"- {sentence}" for sentence in one.sentences)


def _wrong(one: Material) -> str:
    """An answer that is plainly worse: its numbers are swapped, and a sentence is gone."""
    return _swap_numbers(msgspec.structs.replace(one, sentences=one.sentences[:-1]), _rng(one, "wrong"))
