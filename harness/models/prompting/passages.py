"""Documents cut into passages: by heading, then by paragraph, then by sentence."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.errors import ModelError, unknown_name
from harness.models.prompting.jsonl import read_lines, read_text

MARKDOWN = (".md", ".markdown")
_ENDINGS = (*MARKDOWN, ".jsonl")

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(```|~~~)")
#: After the end of a sentence, in English and in Chinese.
_SENTENCE = re.compile(r"(?<=[。！？；])|(?<=[.!?])\s+")


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a document. `title` is the trail of its headings; `where` its "file:line", for people."""

    title: str
    text: str
    where: str

    @property
    def shown(self) -> str:
        """The passage as it stands in a prompt."""
        return f"{self.title}\n{self.text}" if self.title else self.text


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of a JSONL document."""

    text: str
    title: str = ""
    id: str | None = None
    source: str | None = None
    tags: tuple[str, ...] = ()


def document_files(folder: Path, *, wanted_by: Path) -> list[Path]:
    """All Markdown and JSONL below the folder, hidden files left out, in the order of their names.

    Raises ModelError where the folder is missing or has none.
    """
    if not folder.is_dir():
        raise ModelError(f"{wanted_by}: retriever: there is no folder {folder}. Create it, or correct the path.")
    files = [
        path
        for path in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix())
        if path.suffix.lower() in _ENDINGS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not files:
        raise ModelError(
            f"{wanted_by}: retriever: {folder} has no document ({', '.join(_ENDINGS)}). Put some in, or leave the "
            "key retriever out."
        )
    return files


def documents_digest(folder: Path, files: list[Path]) -> str:
    """sha256 over the documents' names below the folder and their bytes."""
    digest = hashlib.sha256()
    for path in files:
        name = path.relative_to(folder).as_posix()
        # Read as text first, so that a file that cannot be read is told in words.
        digest.update(f"{name}\n{hashlib.sha256(read_text(path).encode()).hexdigest()}\n".encode())
    return digest.hexdigest()


def read_passages(files: list[Path], max_characters: int) -> tuple[Passage, ...]:
    """Every passage of these documents, in order. Raises ModelError where there is no text in any."""
    found = [p for path in files for p in (_rows(path) if path.suffix.lower() == ".jsonl" else _sections(path))]
    passages = tuple(
        msgspec.structs.replace(passage, text=text)
        for passage in found
        for text in _pieces(passage.text, max_characters)
    )
    if not passages:
        raise ModelError(f"{files[0].parent}: the documents have no text. Write some, or leave the retriever out.")
    return passages


def _rows(path: Path) -> Iterator[Passage]:
    for where, table in read_lines(path):
        for key in table:
            if key not in _Row.__struct_fields__:
                raise ModelError(f"{where}: {unknown_name('key', key, _Row.__struct_fields__)}")
        try:
            row = msgspec.convert(table, _Row)
        except msgspec.ValidationError as error:
            raise ModelError(f'{where}: {error}. A passage is {{"text": …}}, with a "title" if it has one.') from error
        yield Passage(title=row.title, text=row.text, where=where)


def _sections(path: Path) -> Iterator[Passage]:
    """The parts between headings; one that has no text of its own is only in the trail of those below it."""
    trail: list[tuple[int, str]] = []
    lines: list[str] = []
    start, fence = 1, ""

    def section() -> Passage:
        return Passage(
            title=" > ".join(title for _, title in trail if title), text="\n".join(lines), where=f"{path}:{start}"
        )

    for number, line in enumerate(read_text(path).splitlines(), start=1):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1] == fence):
            fence = "" if fence else mark[1]
        heading = None if fence or mark else _HEADING.match(line)
        if heading is None:
            lines.append(line)
            continue
        yield section()
        depth = len(heading[1])
        trail = [*(one for one in trail if one[0] < depth), (depth, heading[2])]
        lines, start = [], number
    yield section()


def _pieces(text: str, most: int) -> Iterator[str]:
    """The text, or where it is longer than `most` characters, its paragraphs gathered up to there."""
    piece = ""
    for part, joint in _parts(text.strip(), most):
        if piece and len(piece) + len(joint) + len(part) > most:
            yield piece
            piece = part
        else:
            piece = f"{piece}{joint}{part}" if piece else part
    if piece:
        yield piece


def _parts(text: str, most: int) -> Iterator[tuple[str, str]]:
    """Paragraphs, and the sentences of those that are too long; each with what joins it to the one before."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        paragraph = paragraph.strip("\n")
        if len(paragraph) <= most:
            if paragraph.strip():
                yield paragraph, "\n\n"
            continue
        joint = "\n\n"
        for sentence in _SENTENCE.split(paragraph):
            # A sentence without an end in sight is cut where there is no more room.
            for start in range(0, len(sentence), most):
                yield sentence[start : start + most], joint
                joint = "" if start + most < len(sentence) or sentence.endswith(("。", "！", "？", "；")) else " "
