"""From conversations to token ids and the tokens that are learned.

The mask is built twice, by methods that share nothing but the tokenizer, and both must agree on every row: a wrong
mask still trains, with a falling loss, and makes a model that never stops or that has learned the questions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from harness.data.formats import Row
from harness.errors import DataError
from harness.models import Message


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A row as the model sees it. `learned[t]` says whether `ids[t]` is a target (to be predicted from the ids
    before it). Ids after the last target are cut: nothing is computed from them."""

    ids: tuple[int, ...]
    learned: tuple[bool, ...]
    row: Row

    @property
    def targets(self) -> int:
        """Number of tokens that carry loss."""
        return sum(self.learned)


def render(tokenizer: Any, row: Row, *, stops: Collection[int]) -> Example:
    """One row through the chat template: loss on the assistant's tokens up to and with the stop token.

    `stops` are the ids that end an answer. Raises DataError with "file:line" where the two masks differ (with the
    decoded difference), or where the template writes no stop token after an answer.
    """
    text, spans = _spans(tokenizer, row, stops)
    ids, by_offset = _mask_by_offsets(tokenizer, text, spans)
    serving_ids, by_prefix = _mask_by_prefixes(tokenizer, row, stops)
    if ids != serving_ids:
        raise DataError(
            f"{row.where}: the training render and the serving path disagree: "
            f"{_difference(tokenizer, ids, serving_ids)}. Is a begin-of-text token added twice?"
        )
    if by_offset != by_prefix:
        first = [i for i, learned in zip(ids, by_offset, strict=True) if learned]
        second = [i for i, learned in zip(ids, by_prefix, strict=True) if learned]
        raise DataError(
            f"{row.where}: the two ways to find the assistant's tokens disagree: "
            f"{_difference(tokenizer, first, second)}. Does the answer hold a special token or begin with white space?"
        )
    learned = list(by_offset)
    if not row.stops:
        # The answer was cut off at a token limit: learning its stop token would teach to stop in mid-sentence.
        learned[_last(learned)] = False
    if not any(learned):
        raise DataError(f"{row.where}: no token of this row would be learned. Remove the row.")
    end = _last(learned) + 1
    return Example(ids=tuple(ids[:end]), learned=tuple(learned[:end]), row=row)


def stop_ids(tokenizer: Any, config: Any = None) -> frozenset[int]:
    """Ids that end an answer: the tokenizer's end-of-text and those of the generation config, where there is one."""
    found: set[int] = set()
    for value in (tokenizer.eos_token_id, getattr(config, "eos_token_id", None)):
        found.update([value] if isinstance(value, int) else value or [])
    if not found:
        raise DataError("the tokenizer names no end-of-text token, so no answer could learn to stop.")
    return frozenset(found)


def template_digest(tokenizer: Any) -> str:
    """sha256 of the chat template and the special tokens: what decides how a row is rendered."""
    parts = [str(tokenizer.chat_template), *(f"{k}={v}" for k, v in sorted(tokenizer.special_tokens_map.items()))]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def rendered_digest(examples: Iterable[Example]) -> str:
    """sha256 over the token ids and masks: what was really trained on, whatever the files said."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(msgspec.json.encode((example.ids, example.learned)))
    return digest.hexdigest()


def _spans(tokenizer: Any, row: Row, stops: Collection[int]) -> tuple[str, list[tuple[int, int]]]:
    """The rendered text and the character spans of the answers, each with its stop token.

    The template is rendered once with a mark in the place of each content: what lies between the marks is the
    template's own text. Searching for the contents in the real render would find "a" inside of "assistant".
    """
    marks = [f"\ue000{i}\ue001" for i in range(len(row.messages))]
    marked = _text(
        tokenizer, [Message(role=m.role, content=mark) for m, mark in zip(row.messages, marks, strict=True)], row
    )
    stop_texts = sorted((tokenizer.convert_ids_to_tokens(i) for i in stops), key=len, reverse=True)
    text, spans, rest = "", [], marked
    for message, mark in zip(row.messages, marks, strict=True):
        before, found, rest = rest.partition(mark)
        if not found:
            raise DataError(f"{row.where}: the chat template leaves out the {message.role} turn.")
        text += before
        start = len(text)
        text += message.content
        if message.role == "assistant":
            stop = next((s for s in stop_texts if rest.startswith(s)), None)
            if stop is None:
                raise DataError(
                    f"{row.where}: the chat template writes no stop token after an answer (expected one of "
                    f"{', '.join(stop_texts)}), so the model would never learn to stop. Fix the template."
                )
            # Up to the stop token, not to the newline that ChatML writes behind it: nobody ever generates that.
            spans.append((start, len(text) + len(stop)))
    text += rest
    if text != _text(tokenizer, row.messages, row):
        raise DataError(
            f"{row.where}: the chat template changes the text of a turn (does it strip white space or thinking?), so "
            f"training would differ from serving. Write the row as the template renders it."
        )
    return text, spans


def _mask_by_offsets(tokenizer: Any, text: str, spans: list[tuple[int, int]]) -> tuple[list[int], list[bool]]:
    """Method one: tokenize the whole text; a token is learned when it lies inside an answer's span."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    learned = [
        any(start <= left and right <= end for start, end in spans) and left < right
        for left, right in encoded["offset_mapping"]
    ]
    return list(encoded["input_ids"]), learned


def _mask_by_prefixes(tokenizer: Any, row: Row, stops: Collection[int]) -> tuple[list[int], list[bool]]:
    """Method two: an answer is what the ids of a conversation have and those of its prompt do not."""
    ids = _ids(tokenizer, row.messages, row)
    learned = [False] * len(ids)
    for k, message in enumerate(row.messages):
        if message.role != "assistant":
            continue
        prompt = _ids(tokenizer, row.messages[:k], row, ask=True)
        answered = _ids(tokenizer, row.messages[: k + 1], row)
        for part in (prompt, answered):
            if ids[: len(part)] != part:
                raise DataError(
                    f"{row.where}: the start of this conversation renders differently on its own: "
                    f"{_difference(tokenizer, part, ids[: len(part)])}. The template rewrites earlier turns, or the "
                    f"answer begins with white space."
                )
        for t in range(len(prompt), len(answered)):
            learned[t] = True
            if ids[t] in stops:
                break
        else:
            raise DataError(f"{row.where}: no stop token after an answer, so the model would never learn to stop.")
    return ids, learned


def _text(tokenizer: Any, messages: Iterable[Message], row: Row) -> str:
    turns = [{"role": m.role, "content": m.content} for m in messages]
    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False))
    except Exception as error:  # templates raise their own kinds for conversations that they refuse
        raise DataError(f"{row.where}: the chat template refuses this conversation: {error}") from error


def _ids(tokenizer: Any, messages: Iterable[Message], row: Row, *, ask: bool = False) -> list[int]:
    turns = [{"role": m.role, "content": m.content} for m in messages]
    try:
        encoded = tokenizer.apply_chat_template(turns, add_generation_prompt=ask, tokenize=True, return_dict=False)
    except Exception as error:
        raise DataError(f"{row.where}: the chat template refuses this conversation: {error}") from error
    return list(encoded)


def _last(learned: list[bool]) -> int:
    return max(t for t, is_learned in enumerate(learned) if is_learned)


def _difference(tokenizer: Any, first: list[int], second: list[int]) -> str:
    """Where two id lists part, decoded with a little of what follows."""
    at = next((t for t, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second)))
    shown = [tokenizer.decode(ids[max(0, at - 3) : at + 6]) for ids in (first, second)]
    return f"from token {at} on {shown[0]!r} against {shown[1]!r}"
