"""What new answers cost, while they come in."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import ConfigError, GenerationError
from harness.models import Response
from harness.models.endpoints import endpoint_of, price_of
from harness.models.refs import ModelRef


class Bill:
    """Tokens and cost of a run's new answers; stored ones were paid before.

    With `max_cost`, every endpoint that is to be asked must have a price: ConfigError otherwise, before the first
    request.
    """

    def __init__(self, refs: Sequence[ModelRef], max_cost: float | None) -> None:
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.cost: float | None = None
        self._max = max_cost
        self._prices = {ref: price for ref in refs if (price := price_of(ref)) is not None}
        unpriced = [ref.label for ref in refs if endpoint_of(ref) is not None and ref not in self._prices]
        if max_cost is not None and unpriced:
            raise ConfigError(
                f"--max-cost {max_cost:g}: the price of {unpriced[0]} is not known. Add it to its table "
                "[tool.harness.endpoints.NAME]: price = { input = 0.5, output = 1.5 } (per million tokens)."
            )

    def add(self, ref: ModelRef, answer: Response, *, left: int) -> None:
        """Take in one answer, kept already; `left` are still to come from this model.

        Raises GenerationError once the limit is reached and something is left to ask, and where a server that must
        be limited does not tell its tokens.
        """
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens
        price = self._prices.get(ref)
        if price is None:
            return
        self.cost = (self.cost or 0.0) + price.of(answer.prompt_tokens, answer.completion_tokens)
        if self._max is None or not left:
            return
        if not answer.prompt_tokens:
            raise GenerationError(
                f"{ref.label}: the server does not tell how many tokens it used, so --max-cost {self._max:g} cannot be "
                "kept. Finished answers are kept. Ask without it, or have the server report usage."
            )
        if self.cost >= self._max:
            raise GenerationError(
                f"{ref.label}: --max-cost {self._max:g} is reached ({self.cost:.4g} spent), and {left} answers are "
                "missing. Finished answers are kept: run again with more to spend, and only the missing are asked."
            )

    def before(self, ref: ModelRef, *, scored: int) -> None:
        """Is anything left to spend on this model, and can all of it be counted? GenerationError otherwise.

        What it costs to have `scored` texts scored, servers do not tell text by text.
        """
        price = self._prices.get(ref)
        if self._max is not None and scored and price is not None and price.input:
            raise GenerationError(
                f"{ref.label}: --max-cost {self._max:g} cannot be kept while {scored} texts are to be scored, which is "
                "not counted. Ask without it, or remove token_scores from the endpoint."
            )
        if self._max is not None and ref in self._prices and (self.cost or 0.0) >= self._max:
            raise GenerationError(
                f"{ref.label}: --max-cost {self._max:g} is reached ({self.cost or 0.0:.4g} spent) before it was asked. "
                "Finished answers are kept: run again with more to spend, and only the missing are asked."
            )
