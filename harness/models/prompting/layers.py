"""What is put around a question, by one YAML or by several on top of each other."""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path

import msgspec

from harness.errors import ModelError
from harness.models import Message, Request
from harness.models.prompting.examples import read_examples
from harness.models.prompting.passages import Passage, document_files, documents_digest, read_passages
from harness.models.prompting.retrieval import Index, require_library
from harness.models.prompting.settings import ModelFile, RetrieverSettings, read_model_file

#: Part of every digest: raise it when the same YAML makes other prompts.
PROMPTING_VERSION = 1


class Layer:
    """One YAML, read with all it refers to. Its index is built when the first question is asked.

    `documents` is how many files the retriever reads, `passages` what they were cut into.
    """

    def __init__(
        self, file: ModelFile, examples: tuple[Message, ...], passages: tuple[Passage, ...], digest: str, documents: int
    ) -> None:
        self.file = file
        self.examples = examples
        self.passages = passages
        self.digest = digest
        self.documents = documents

    @classmethod
    def read(cls, path: Path) -> Layer:
        """Read the YAML, its examples and its documents. Raises ModelError naming what is wrong and where."""
        file = read_model_file(path)
        examples = read_examples(file.examples, path)
        documents: list[Path] = []
        passages: tuple[Passage, ...] = ()
        known = ""
        if file.retriever is not None:
            require_library()
            folder = path.parent / file.retriever.folder
            documents = document_files(folder, wanted_by=path)
            known = documents_digest(folder, documents)
            passages = read_passages(documents, file.retriever.max_characters)
        # What the model is, and where the documents lie, is left out: the one has a digest, the other makes no prompt.
        shape = None if file.retriever is None else msgspec.structs.replace(file.retriever, folder="")
        identity = (PROMPTING_VERSION, file.system, examples, shape, known, file.sampling)
        digest = hashlib.sha256(msgspec.json.encode(identity)).hexdigest()
        return cls(file, examples, passages, digest, len(documents))

    @functools.cached_property
    def index(self) -> Index:
        """The passages, to be found by what they say."""
        return Index(self.passages)

    def messages(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The conversation as it is sent: system prompt, examples, then the case with its passages.

        A system message of the case's own follows the YAML's in the same message.
        """
        own = messages[0].content if messages[0].role == "system" else None
        turns = messages if own is None else messages[1:]
        parts = [part for part in (self.file.system, own) if part]
        if self.file.retriever is not None:
            turns, more = self._with_passages(turns, self.file.retriever)
            parts += more
        system = (Message(role="system", content="\n\n".join(part.strip() for part in parts)),) if parts else ()
        return (*system, *self.examples, *turns)

    def _with_passages(
        self, turns: tuple[Message, ...], settings: RetrieverSettings
    ) -> tuple[tuple[Message, ...], list[str]]:
        """The turns, and what the system prompt says besides; both unchanged where no passage fits."""
        place = next((i for i in reversed(range(len(turns))) if turns[i].role == "user"), None)
        if place is None:
            return turns, []
        question = turns[place].content
        found = self.index.best(question, settings.top_k)
        if not found:
            return turns, []
        text = _filled(settings.template, "\n\n".join(passage.shown for passage in found), question)
        if "{question}" not in settings.template:
            return turns, [text]
        asked = msgspec.structs.replace(turns[place], content=text)
        return (*turns[:place], asked, *turns[place + 1 :]), []


def _filled(template: str, passages: str, question: str) -> str:
    """In one pass, so that a passage that speaks of {question} stays as it is."""
    return re.sub(r"\{(passages|question)\}", lambda m: passages if m[1] == "passages" else question, template)


class Prompting:
    """All that stands around a question; `layers` from the outermost YAML to the one that names a model itself.

    Prompts grow from the inside out: the innermost YAML's system prompt comes first, since it is the model that the
    others build on. Of sampling, the outermost word counts.
    """

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self.layers = layers

    @property
    def digest(self) -> str:
        """sha256 of all that makes the prompts; the model's own digest is no part of it."""
        return hashlib.sha256("\n".join(layer.digest for layer in self.layers).encode()).hexdigest()

    def messages(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The conversation as it is sent."""
        for layer in self.layers:
            messages = layer.messages(messages)
        return messages

    def request(self, request: Request) -> Request:
        """The request as it is sent. Raises ModelError where several samples are asked of a greedy model."""
        sampling = request.sampling
        for layer in reversed(self.layers):
            sampling = layer.file.sampling.over(sampling)
        if request.sample and sampling.temperature == 0:
            raise ModelError(
                "several samples of a model YAML with temperature 0 are the same answer. Set its sampling, temperature "
                "(0.7, say), or drop --samples."
            )
        return msgspec.structs.replace(request, messages=self.messages(request.messages), sampling=sampling)


@functools.lru_cache(maxsize=8)
def load_prompting(files: tuple[str, ...], digest: str) -> Prompting:
    """What the YAML files of a resolved reference say; they are read again, and must be what they were.

    Raises ModelError where they, or what they refer to, changed since the reference was resolved.
    """
    prompting = Prompting(tuple(Layer.read(Path(file)) for file in files))
    if prompting.digest != digest:
        raise ModelError(
            f"{files[0]}: it, or what it refers to, changed while the run went on. Run again: answers are kept by what "
            "was asked."
        )
    return prompting
