"""From messages to token ids and back, as the model's own chat template says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from harness.errors import GenerationError, ModelError
from harness.models import Message, ScoreRequest
from harness.models.tools import chat_messages, functions, tool_names

_MARK = "xyzzy"


class Prompts:
    """The tokenizer of one model, asked in the few ways that answering needs."""

    def __init__(self, tokenizer: Any, *, eos: Sequence[int], limit: int | None, label: str) -> None:
        self.tokenizer = tokenizer
        self.limit = limit
        self._eos = eos
        self._label = label

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end an answer: the model's and the tokenizer's end of sequence, the template's end of
        turn."""
        own = self.tokenizer.eos_token_id
        ids = {*self._eos, *([] if own is None else [own])}
        if self.tokenizer.chat_template:
            ids.update(self._end_of_turn())
        return frozenset(ids)

    @property
    def pad_id(self) -> int:
        """Any valid id: padded positions are masked, so its value never matters."""
        pad = self.tokenizer.pad_token_id
        return int(pad) if pad is not None else min(self.stop_ids, default=0)

    def conversation(
        self, messages: Sequence[Message], *, case: str, tools: Sequence[Mapping[str, Any]] = ()
    ) -> list[int]:
        """Token ids of the conversation, ending where the assistant begins to speak.

        The template writes the special tokens itself, so the tokenizer adds none (no second BOS). Raises
        GenerationError where it leaves out tools or calls of them: the model would be asked something else.
        """
        if not self.tokenizer.chat_template:
            raise ModelError(
                f"{self._label}: its tokenizer has no chat template, so messages cannot be asked. Use an instruct "
                "model, or save the template that it was trained with in its folder (chat_template.jinja)."
            )
        if not messages:
            raise GenerationError(f"{self._label}: case {case!r} has no messages to answer.")
        try:
            text = self.tokenizer.apply_chat_template(
                chat_messages(messages, arguments=dict),
                tools=functions(tools) or None,
                add_generation_prompt=True,
                tokenize=False,
            )
        except Exception as error:
            raise GenerationError(
                f"{self._label}: its chat template refuses case {case!r} ({error}). "
                "Change the roles or their order in that case."
            ) from error
        called = (call.function.name for message in messages for call in message.tool_calls)
        for name in (*tool_names(tools), *called):
            if name not in text:
                raise GenerationError(
                    f"{self._label}: its chat template does not show tools: {name!r} of case {case!r} is nowhere in "
                    "the prompt. Use a model that was trained to call tools, or take this case out."
                )
        return self.plain(text)

    def scored(self, request: ScoreRequest) -> tuple[list[int], list[int]]:
        """What stands before a text that is to be scored, and its own token ids.

        Raises GenerationError for a text without any.
        """
        context = self.conversation(request.messages, case=request.case) if request.messages else self.opening()
        tokens = self.plain(request.text)
        if not tokens:
            raise GenerationError(
                f"{self._label}: case {request.case!r} asks for the score of an empty text. Write one."
            )
        return context, tokens

    def plain(self, text: str) -> list[int]:
        """Token ids of a text, nothing added."""
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def opening(self) -> list[int]:
        """What stands before plain prose, so that its first token has something to follow: BOS, else EOS."""
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id, *self._eos):
            if token is not None:
                return [int(token)]
        raise ModelError(f"{self._label}: its tokenizer has neither BOS nor EOS, so prose cannot be scored.")

    def text(self, ids: Sequence[int]) -> str:
        """The text of an answer, without special tokens and otherwise untouched."""
        decoded = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(decoded)

    def _end_of_turn(self) -> list[int]:
        """The special token that the template writes after an assistant's turn; many models stop with it."""
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}]
        try:
            rendered = self.tokenizer.apply_chat_template(turns, tokenize=False)
        except Exception:
            # A template with demands of its own; the end-of-sequence ids remain.
            return []
        after = self.plain(rendered.rpartition(_MARK)[2])
        return after[:1] if after and after[0] in self.tokenizer.all_special_ids else []
