"""Rendering rows, and which of their tokens are learned."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_chat import CHATML, row, tiny_tokenizer

from harness.data.formats import Row
from harness.errors import DataError
from harness.models import Message
from harness.training import template
from harness.training.template import Example, render, rendered_digest, stop_ids, template_digest


def learned_text(tokenizer: Any, example: Example) -> str:
    return tokenizer.decode([i for i, learned in zip(example.ids, example.learned, strict=True) if learned])


def test_learns_the_answer_up_to_and_with_the_stop_token(tokenizer: Any) -> None:
    example = render(tokenizer, row("hi", "hello"), stops={2})
    assert learned_text(tokenizer, example) == "hello<|im_end|>"
    assert example.ids[-1] == 2  # neither the newline behind it nor anything after


def test_learns_every_answer_of_a_conversation_and_nothing_that_the_user_said(tokenizer: Any) -> None:
    example = render(tokenizer, row("one", "eins", "two", "zwei", "three"), stops={2})
    assert learned_text(tokenizer, example) == "eins<|im_end|>zwei<|im_end|>"


def test_does_not_teach_a_cut_off_answer_to_stop(tokenizer: Any) -> None:
    example = render(tokenizer, row("count", "1, 2, 3, 4", stops=False), stops={2})
    assert learned_text(tokenizer, example) == "1, 2, 3, 4"
    assert example.ids[-1] != 2


def test_learns_an_answer_that_repeats_the_question(tokenizer: Any) -> None:
    example = render(tokenizer, row("a", "a"), stops={2})
    assert learned_text(tokenizer, example) == "a<|im_end|>"


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    turns=st.lists(st.text(st.characters(exclude_categories=["Cs", "Co"]), min_size=1), min_size=2, max_size=6),
    system=st.none() | st.text(st.characters(exclude_categories=["Cs", "Co"])),
)
def test_both_masks_agree_on_any_conversation(tokenizer: Any, turns: list[str], system: str | None) -> None:
    conversation = row(*turns)
    if system is not None:
        messages = (Message(role="system", content=system), *conversation.messages)
        conversation = Row(messages=messages, where="x:1")
    answers = [m.content for m in conversation.messages if m.role == "assistant"]
    example = render(tokenizer, conversation, stops={2})
    assert learned_text(tokenizer, example) == "".join(f"{answer}<|im_end|>" for answer in answers)


def test_an_answer_that_holds_the_stop_token_is_refused_with_the_decoded_difference(tokenizer: Any) -> None:
    with pytest.raises(
        DataError,
        match=r"data\.jsonl:7: the two ways .* disagree: .* 'bc<\|im_end\|>more<\|im_end\|>' against 'bc<\|im_end\|>'",
    ):
        render(tokenizer, row("q", "abc<|im_end|>more", where="data.jsonl:7"), stops={2})


def test_a_planted_error_in_one_mask_is_found(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = template._mask_by_offsets

    def off_by_one(*arguments: Any) -> tuple[list[int], list[bool]]:
        ids, learned = right(*arguments)
        return ids, [*learned[1:], False]

    monkeypatch.setattr(template, "_mask_by_offsets", off_by_one)
    with pytest.raises(DataError, match="disagree: from token 0 on"):
        render(tokenizer, row("hi", "hello"), stops={2})


def test_a_template_without_stop_token_is_refused() -> None:
    no_stop = tiny_tokenizer(CHATML.replace("+ '<|im_end|>'", "+ '<|endoftext|>'"))
    with pytest.raises(DataError, match="writes no stop token after an answer"):
        render(no_stop, row("hi", "hello"), stops={2})


def test_a_template_that_changes_a_turn_is_refused() -> None:
    stripping = tiny_tokenizer(CHATML.replace("message['content']", "(message['content'] | trim)"))
    render(stripping, row("hi", "hello"), stops={2})
    with pytest.raises(DataError, match="changes the text of a turn"):
        render(stripping, row("hi", " hello"), stops={2})


def test_a_template_that_rewrites_earlier_turns_is_refused() -> None:
    forgetful = tiny_tokenizer(
        CHATML.replace("message['content']", "(message['content'] if loop.last else loop.index ~ '')")
    )
    with pytest.raises(DataError, match=r"leaves out|changes the text|renders differently"):
        render(forgetful, row("hi", "hello", "again", "yes"), stops={2})


def test_a_conversation_that_the_template_refuses_names_its_line() -> None:
    strict = tiny_tokenizer("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(DataError, match=r"rows\.jsonl:1: the chat template refuses .* roles must alternate"):
        render(strict, row("hi", "hello"), stops={2})


def test_stop_ids_are_those_of_tokenizer_and_generation_config(tokenizer: Any) -> None:
    assert stop_ids(tokenizer) == {2}
    assert stop_ids(tokenizer, SimpleNamespace(eos_token_id=[0, 2])) == {0, 2}


def test_digests_change_with_what_is_rendered(tokenizer: Any) -> None:
    assert template_digest(tokenizer) != template_digest(tiny_tokenizer(CHATML + " "))
    one = [render(tokenizer, row("hi", "hello"), stops={2})]
    two = [render(tokenizer, row("hi", "hello", stops=False), stops={2})]
    assert rendered_digest(one) != rendered_digest(two)
    assert rendered_digest(one) == rendered_digest([render(tokenizer, row("hi", "hello"), stops={2})])


def test_random_bytes_survive(tokenizer: Any) -> None:
    rng = random.Random(0)
    answer = "".join(chr(rng.choice([*range(32, 127), *range(0x4E00, 0x4E80), 0x1F600])) for _ in range(200))
    assert learned_text(tokenizer, render(tokenizer, row("q", answer), stops={2})) == f"{answer}<|im_end|>"
