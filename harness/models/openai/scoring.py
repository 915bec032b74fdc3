"""How likely a text is, asked of servers whose /completions tell the log-probabilities of what they are given."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from harness.config import EndpointConfig
from harness.models import Message, ScoreRequest, TokenScores
from harness.models.openai.replies import Fault, read_echo, read_refusal, read_tokens
from harness.models.openai.wire import Wire
from harness.models.tools import chat_messages

#: What of `extra_body` changes how a conversation is rendered.
_RENDERING = ("chat_template", "chat_template_kwargs", "tools")


class Scorer:
    """Asks for texts' log-probabilities over one wire.

    Prose is sent as it is. For an answer in a conversation, the server is asked for the tokens of the rendered prompt
    and for those of the text, apart as for a local model, and then for the log-probabilities of both joined.
    """

    def __init__(self, wire: Wire, endpoint: EndpointConfig) -> None:
        self._wire = wire
        self._endpoint = endpoint
        self._prompts: dict[tuple[Message, ...], asyncio.Task[list[int] | Fault]] = {}

    async def ask(self, request: ScoreRequest) -> TokenScores | Fault:
        """The scores of one text; a prompt that several texts follow is rendered once."""
        if not request.messages:
            return await self._echo(request.text, last=None)
        prompt = await self._prompt(request.messages)
        if isinstance(prompt, Fault):
            return prompt
        text = await self._tokens({"prompt": request.text, "add_special_tokens": False})
        if isinstance(text, Fault):
            return text
        if not text:
            return Fault(kind="rejected", told="the text to be scored has no tokens")
        return await self._echo([*prompt, *text], last=len(text))

    async def _prompt(self, messages: tuple[Message, ...]) -> list[int] | Fault:
        task = self._prompts.get(messages)
        if task is None:
            rendering = {k: v for k, v in self._endpoint.extra_body.items() if k in _RENDERING}
            asked = {"messages": chat_messages(messages, arguments=str), **rendering}
            task = asyncio.create_task(self._tokens({**asked, "add_generation_prompt": True}))
            self._prompts[messages] = task
        found = await task
        if isinstance(found, Fault):
            # The next attempt asks again.
            self._prompts.pop(messages, None)
        return found

    async def _tokens(self, asked: dict[str, Any]) -> list[int] | Fault:
        body = msgspec.json.encode({"model": self._endpoint.model, **asked})
        # Beside the protocol, not in it: above /v1.
        found = await self._wire.exchange("/tokenize", body, root=True)
        if isinstance(found, Fault):
            return found
        if found.status == 200:
            return read_tokens(found.body)
        return _unscored("/tokenize", read_refusal(found.status, found.body, found.headers))

    async def _echo(self, prompt: str | list[int], *, last: int | None) -> TokenScores | Fault:
        body = {
            "model": self._endpoint.model,
            "prompt": prompt,
            "echo": True,
            "logprobs": 1,
            # 0 means "no limit" to some; the one token more is cut off again.
            "max_tokens": 1,
            "temperature": 0.0,
        }
        found = await self._wire.exchange("/completions", msgspec.json.encode(body))
        if isinstance(found, Fault):
            return found
        if found.status == 200:
            return read_echo(found.body, last=last)
        return _unscored("/completions", read_refusal(found.status, found.body, found.headers))


def _unscored(path: str, fault: Fault) -> Fault:
    """A server that has no such path, or does not take what is asked there, will not give scores for any text."""
    absent = fault.kind == "unknown" and "model" not in fault.told.casefold()
    if absent or fault.kind == "rejected":
        return Fault(kind="unscored", told=f"its {path} gives no token scores ({fault.told})")
    return fault
