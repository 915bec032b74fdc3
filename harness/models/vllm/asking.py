"""All requests at once into the engine, answers out as they finish."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from harness.errors import GenerationError
from harness.models import Request, Response, ScoreRequest, Timing, TokenScores
from harness.models.hf.generating import sample_seed
from harness.models.hf.prompts import Prompts

#: A text to score: the tokens before it, and its own.
_Scored = tuple[list[int], list[int]]
_Told = Callable[[int, Sequence[float]], None]
#: The engine gives the likelihoods of so many next tokens at once.
MOST_NEXT_TOKENS = 128


class VllmModel:
    """One model that answers: the engine's base, or one adapter on it.

    `scores_together` is False where an adapter of the engine changes the head: of several prompts at once, vLLM then
    gives no right likelihoods.
    """

    def __init__(
        self,
        llm: Any,
        prompts: Prompts,
        *,
        label: str,
        lora: Any,
        scores_together: bool = True,
    ) -> None:
        self._llm = llm
        self._prompts = prompts
        self._label = label
        self._lora = lora
        self._scores_together = scores_together

    def generate(self, requests: Sequence[Request], *, on_done: Callable[[int, Response], None]) -> list[Response]:
        """Answers in order, by the model's own chat template. The engine chooses its batches itself, and rounding
        depends on them: a near-tie can end in another text when it is asked again."""
        prompts = [self._prompt(request) for request in requests]
        params = [self._sampling(request, prompt) for request, prompt in zip(requests, prompts, strict=True)]
        responses: dict[int, Response] = {}
        started = time.perf_counter()

        def finished(index: int, output: Any) -> None:
            timing = Timing(seconds=round(time.perf_counter() - started, 6), together=len(requests))
            responses[index] = self._response(requests[index], output, timing)
            on_done(index, responses[index])

        self._work(prompts, params, finished)
        return [responses[index] for index in range(len(requests))]

    def score(
        self, requests: Sequence[ScoreRequest], *, on_done: Callable[[int, TokenScores], None]
    ) -> list[TokenScores]:
        """Log-likelihoods in order. The engine gives those of the text's own tokens only, so `kl_to_base` is None.

        Texts of one token each after the same context, such as a judge's labels, are one question together: the engine
        says how likely each is as the next token, reads the context once, and may have it in its prefix cache.
        """
        asked = [self._scored(request) for request in requests]
        scores: dict[int, TokenScores] = {}

        def told(index: int, logprobs: Sequence[float]) -> None:
            scores[index] = TokenScores(logprobs=tuple(logprobs))
            on_done(index, scores[index])

        together = _next_tokens(asked) if self._scores_together else []
        self._score_next_tokens(asked, together, told)
        known = {index for group in together for index in group}
        self._score_texts(asked, [index for index in range(len(asked)) if index not in known], told)
        return [scores[index] for index in range(len(requests))]

    def close(self) -> None:
        """Let go of the engine, which stops when its last model is closed."""
        self._llm = None

    def _score_next_tokens(self, asked: list[_Scored], groups: list[list[int]], told: _Told) -> None:
        from vllm import SamplingParams

        wanted = [[asked[index][1][0] for index in group] for group in groups]
        params = [
            SamplingParams(max_tokens=1, temperature=0.0, logprob_token_ids=list(dict.fromkeys(ids)), detokenize=False)
            for ids in wanted
        ]

        def finished(place: int, output: Any) -> None:
            (next_token,) = output.outputs[0].logprobs
            for index, token in zip(groups[place], wanted[place], strict=True):
                told(index, [next_token[token].logprob])

        self._work([asked[group[0]][0] for group in groups], params, finished)

    def _score_texts(self, asked: list[_Scored], indices: list[int], told: _Told) -> None:
        from vllm import SamplingParams

        params = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False)

        def finished(index: int, _: int, output: Any) -> None:
            context, text = asked[index]
            places = output.prompt_logprobs[len(context) :]
            told(index, [place[token].logprob for place, token in zip(places, text, strict=True)])

        prompts = [context + text for context, text in (asked[index] for index in indices)]
        if self._scores_together:
            self._work(prompts, [params] * len(prompts), lambda place, output: finished(indices[place], place, output))
        else:
            for index, prompt in zip(indices, prompts, strict=True):
                self._work([prompt], [params], functools.partial(finished, index))

    def _work(self, prompts: list[list[int]], params: list[Any], finished: Callable[[int, Any], None]) -> None:
        """Hand everything to the engine and take each answer as it comes. What is interrupted is taken back, so that
        the engine can be asked again."""
        if not prompts:
            return
        engine = self._llm.llm_engine
        with warnings.catch_warnings():
            # Those of libraries are not the user's.
            warnings.simplefilter("ignore")
            self._ask(engine, prompts, params, finished)

    def _ask(
        self, engine: Any, prompts: list[list[int]], params: list[Any], finished: Callable[[int, Any], None]
    ) -> None:
        ids = self._llm.enqueue(
            [{"prompt_token_ids": prompt} for prompt in prompts], params, lora_request=self._lora, use_tqdm=False
        )
        # The engine's own ids end in something random; before it stands a counter, which outputs go by.
        places = {str(name).partition("-")[0]: index for index, name in enumerate(ids)}
        try:
            while engine.has_unfinished_requests():
                for output in engine.step():
                    if output.finished:
                        finished(places[str(output.request_id)], output)
        except BaseException:
            engine.abort_request(list(ids), internal=True)
            raise

    def _prompt(self, request: Request) -> list[int]:
        prompt = self._prompts.conversation(request.messages, case=request.case, tools=request.tools)
        if request.sampling.max_tokens < 1:
            raise GenerationError(
                f"{self._label}: max_tokens = {request.sampling.max_tokens} leaves no room for an answer. Set 1 or "
                "more."
            )
        limit = self._prompts.limit
        if limit is not None and len(prompt) >= limit:
            raise GenerationError(
                f"{self._label}: case {request.case!r} has {len(prompt)} prompt tokens, and the engine reads at most "
                f"{limit}. Shorten the case, or raise max_model_len in [tool.harness.vllm]."
            )
        return prompt

    def _sampling(self, request: Request, prompt: Sequence[int]) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        sampling, limit = request.sampling, self._prompts.limit
        room = sampling.max_tokens if limit is None else min(sampling.max_tokens, limit - len(prompt))
        return SamplingParams(
            max_tokens=room,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            # A signed 64-bit number.
            seed=sample_seed(request) >> 1 if sampling.temperature > 0 else None,
            stop=list(sampling.stop),
            stop_token_ids=sorted(self._prompts.stop_ids),
            # Text is needed along the way only to see a stop string; else it is made once, of all tokens.
            detokenize=bool(sampling.stop),
            structured_outputs=StructuredOutputsParams(json=sampling.schema)
            if isinstance(sampling.schema, str)
            else None,
        )

    def _response(self, request: Request, output: Any, timing: Timing) -> Response:
        answer = output.outputs[0]
        tokens = list(answer.token_ids)
        if tokens and tokens[-1] in self._prompts.stop_ids:
            tokens.pop()
        return Response(
            text=str(answer.text) if request.sampling.stop else self._prompts.text(tokens),
            finish_reason="length" if answer.finish_reason == "length" else "stop",
            prompt_tokens=len(output.prompt_token_ids),
            completion_tokens=len(tokens),
            timing=timing,
        )

    def _scored(self, request: ScoreRequest) -> _Scored:
        context, tokens = self._prompts.scored(request)
        limit = self._prompts.limit
        # The engine insists on a token of its own after them.
        if limit is not None and len(context) + len(tokens) >= limit:
            raise GenerationError(
                f"{self._label}: case {request.case!r} has {len(context) + len(tokens)} tokens, and the engine reads "
                f"at most {limit - 1}. Split the text, or raise max_model_len in [tool.harness.vllm]."
            )
        return context, tokens


def _next_tokens(asked: Sequence[_Scored]) -> list[list[int]]:
    """Places of the texts that are one token after the same context, where there are several."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, (context, text) in enumerate(asked):
        if context and len(text) == 1:
            groups.setdefault(tuple(context), []).append(index)
    return [group for group in groups.values() if 1 < len(group) <= MOST_NEXT_TOKENS]
