"""A model that is asked through a YAML: requests are changed on their way in, answers come back as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from harness.models import Model, Request, Response, ScoreRequest, ScoringModel, TokenScores
from harness.models.prompting.layers import Prompting, load_prompting
from harness.models.refs import ModelRef


class PromptedModel:
    """`model`, with what `prompting` says around every question."""

    def __init__(self, model: Model, prompting: Prompting) -> None:
        self._model = model
        self._prompting = prompting

    def generate(self, requests: Sequence[Request], *, on_done: Callable[[int, Response], None]) -> list[Response]:
        """The model's own answers to the changed requests."""
        return self._model.generate([self._prompting.request(request) for request in requests], on_done=on_done)

    def close(self) -> None:
        """Free the model's memory."""
        self._model.close()


class PromptedScoringModel(PromptedModel):
    """The same over a model that can tell how likely a text is."""

    def __init__(self, model: ScoringModel, prompting: Prompting) -> None:
        super().__init__(model, prompting)
        self._scoring = model

    def score(
        self, requests: Sequence[ScoreRequest], *, on_done: Callable[[int, TokenScores], None]
    ) -> list[TokenScores]:
        """Scores of texts as answers to the changed conversations; prose answers nothing, so it stays as it is."""
        changed = [
            msgspec.structs.replace(request, messages=self._prompting.messages(request.messages))
            if request.messages
            else request
            for request in requests
        ]
        return self._scoring.score(changed, on_done=on_done)


def prompted(ref: ModelRef, model: Model) -> Model:
    """The loaded `model` as `ref` means it: asked through its YAML, where it has one. Raises ModelError."""
    if not ref.prompting or ref.prompting_digest is None:
        return model
    prompting = load_prompting(ref.prompting, ref.prompting_digest)
    if isinstance(model, ScoringModel):
        return PromptedScoringModel(model, prompting)
    return PromptedModel(model, prompting)
