"""What answers: requests in, responses out.

A model is asked once per run, with every request at hand, because engines are fast only in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec


class FunctionCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What is called, and with what: `arguments` is the text of a JSON object, as servers send it."""

    name: str
    arguments: str = "{}"


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A call that the assistant made. Without an id it gets one when it is sent."""

    function: FunctionCall
    id: str = ""
    type: Literal["function"] = "function"


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One turn of a conversation. An assistant's may call tools; a tool's says what came of a call."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


class Sampling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """How tokens are chosen. Greedy unless a temperature is set; `generation_config.json` is ignored.

    `schema` is a JSON Schema, as JSON, that an answer is held to while it is written (structured output).
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    # Unset it is no part of the JSON, so that the keys of answers that no schema holds stay what they were.
    schema: str | msgspec.UnsetType = msgspec.UNSET


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One conversation to be continued.

    `case` names the golden case for messages to the user and for scripted models; it is no part of the store
    key. `sample` counts independent samples of one case. `replica` exists so that the same question can be
    asked again. `tools` are definitions of what the model may call.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    case: str = ""
    sample: int = 0
    replica: int = 0
    tools: tuple[dict[str, Any], ...] = ()


class Timing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """How long an answer took, in `seconds`, and how many requests were under way with it.

    Of a server: from the request that was answered until its answer was whole. Of a local batch: from the batch's
    start until this answer was whole, so that it is what a user would wait only where `together` is 1.
    """

    seconds: float
    together: int


class Response(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What the model said. `finish_reason` "length" means that it was cut off at `max_tokens`.

    `tool_calls` are the calls that a server told apart; where nothing was said beside them, `text` is their JSON.
    `timing` is None where no engine was asked.
    """

    text: str
    finish_reason: Literal["stop", "length"] = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tool_calls: tuple[ToolCall, ...] = ()
    timing: Timing | None = None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        shown = self.text if len(self.text) <= 160 else self.text[:157] + "..."
        cut = ", cut off at max_tokens" if self.finish_reason == "length" else ""
        return f"Response({shown!r}{cut})"


class ScoreRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Ask for the log-likelihood of `text` as the assistant's answer to `messages`; with no messages, as
    plain prose.

    With `kl`, the token-wise divergence from the base (adapter off) is measured in the same pass.
    """

    text: str
    messages: tuple[Message, ...] = ()
    case: str = ""
    kl: bool = False


class TokenScores(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Teacher-forced log-probabilities of each token of `text` in nats.

    `kl_to_base[t]` is `sum_v p_base log(p_base / p)` at each token, where it was asked for and can be
    measured.
    """

    logprobs: tuple[float, ...]
    kl_to_base: tuple[float, ...] | None = None

    @property
    def total(self) -> float:
        """Log-likelihood of the whole text in nats."""
        return sum(self.logprobs)

    @property
    def nll(self) -> float:
        """Mean negative log-likelihood per token in nats."""
        return -self.total / len(self.logprobs)


class Model(Protocol):
    """Whatever answers. Built by `open_models`; closed by whoever opened it."""

    def generate(self, requests: Sequence[Request], *, on_done: Callable[[int, Response], None]) -> list[Response]:
        """Answer all requests in order. `on_done(index, response)` is called as each answer or small batch
        finishes, in any order, so that an interrupted run keeps what was done."""
        ...

    def close(self) -> None:
        """Free the memory. The model cannot be used afterwards."""
        ...


@runtime_checkable
class ScoringModel(Model, Protocol):
    """A model that can also tell how likely a given text is."""

    def score(
        self, requests: Sequence[ScoreRequest], *, on_done: Callable[[int, TokenScores], None]
    ) -> list[TokenScores]:
        """Teacher-forced scores in order; `on_done` as for `generate`."""
        ...
