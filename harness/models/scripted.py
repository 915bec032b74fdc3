"""A model that answers from a list: for tests, for trying a suite out, and for answers made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import GenerationError, ModelError
from harness.models import Request, Response


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a scripted file; exactly one of `id` and `input`, exactly one of `output` and `outputs`.

    `again`: what is answered when the same is asked again, the first, second, … time; the last one stays.
    """

    id: str | None = None
    input: str | None = None
    output: str | None = None
    outputs: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    finish_reason: Literal["stop", "length"] = "stop"


class ScriptedModel:
    """Answers each case with the text written for it.

    `answers` maps a case's id or its input (the last user message) to the answer, or to a list with one
    answer per sample. The id is looked up first. `again` has, by the same keys, what is answered to the first,
    second, … replica instead; the last one stays, and a key that it lacks is answered as always. `name` is what
    messages call this model. It answers and scores nothing: sets of choices or prose need another.

    >>> model = ScriptedModel({"What is 2+2?": "4"})
    """

    def __init__(
        self,
        answers: Mapping[str, str | Response | Sequence[str | Response]],
        *,
        again: Mapping[str, Sequence[str | Response]] | None = None,
        name: str = "the scripted model",
    ) -> None:
        self._name = name
        self._answers = {key: _responses(value) for key, value in answers.items()}
        self._again = {key: _responses(value) for key, value in (again or {}).items()}

    @classmethod
    def from_file(cls, path: Path) -> ScriptedModel:
        """Read rows `{"id" or "input": …, "output" or "outputs": …, "again": […], "finish_reason": "stop" | "length"}`;
        `again` and `finish_reason` are optional.

        Raises ModelError with file and line for anything that is not such a row, and for a key given twice.
        """
        decoder = msgspec.json.Decoder(_Row)
        answers: dict[str, tuple[Response, ...]] = {}
        again: dict[str, tuple[Response, ...]] = {}
        lines: dict[str, int] = {}
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror}). Check the file name.") from error
        for number, line in enumerate(content.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                row = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ModelError(f"{path}:{number}: {error}. A row looks like {_EXAMPLE}") from error
            key = row.id if row.id is not None else row.input
            if key is None or (row.id is not None and row.input is not None):
                raise ModelError(f"{path}:{number}: give either id or input. A row looks like {_EXAMPLE}")
            if (row.output is None) == (not row.outputs):
                raise ModelError(f"{path}:{number}: give either output or outputs. A row looks like {_EXAMPLE}")
            if key in lines:
                raise ModelError(f"{path}:{number}: {key!r} is answered twice (first on line {lines[key]}).")
            lines[key] = number
            texts = row.outputs or (row.output or "",)
            if row.again:
                again[key] = tuple(Response(text=text, finish_reason=row.finish_reason) for text in row.again)
            answers[key] = tuple(Response(text=text, finish_reason=row.finish_reason) for text in texts)
        if not answers:
            raise ModelError(f"{path}: no rows. A row looks like {_EXAMPLE}")
        return cls(answers, again=again, name=str(path))

    def generate(self, requests: Sequence[Request], *, on_done: Callable[[int, Response], None]) -> list[Response]:
        """The scripted answers; GenerationError names the first case that has none."""
        finished = []
        for index, request in enumerate(requests):
            response = self._answer(request)
            finished.append(response)
            on_done(index, response)
        return finished

    def close(self) -> None:
        """Nothing to free."""

    def _answer(self, request: Request) -> Response:
        key = request.case
        samples = self._answers.get(key)
        if samples is None:
            key = asked = next((m.content for m in reversed(request.messages) if m.role == "user"), "")
            samples = self._answers.get(asked)
            if samples is None:
                shown = asked if len(asked) <= 80 else asked[:77] + "..."
                raise GenerationError(
                    f"{self._name}: no answer for case {request.case!r} (input {shown!r}). "
                    "Add a row with that id or input."
                )
        if request.replica and key in self._again:
            later = self._again[key]
            return later[min(request.replica, len(later)) - 1]
        if len(samples) == 1:
            return samples[0]
        if request.sample >= len(samples):
            raise GenerationError(
                f"{self._name}: case {request.case!r} has {len(samples)} outputs, but sample "
                f"{request.sample + 1} was asked for. Add outputs, or ask for fewer samples."
            )
        return samples[request.sample]


_EXAMPLE = '{"input": "What is 2+2?", "output": "4"}'


def _responses(value: str | Response | Sequence[str | Response]) -> tuple[Response, ...]:
    items = (value,) if isinstance(value, str | Response) else tuple(value)
    return tuple(item if isinstance(item, Response) else Response(text=item) for item in items)
