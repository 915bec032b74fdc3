"""Two files of answers, made anywhere, as pairs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import msgspec

from harness.errors import Invalid, JudgeError, unknown_name
from harness.judges.prompts import Pair

#: What tools call the same thing; the first name is ours.
_NAMES = {
    "id": ("id", "case", "question_id"),
    "input": ("input", "prompt", "instruction", "question"),
    "output": ("output", "response", "answer", "completion"),
    "target": ("target", "reference"),
    "criteria": ("criteria",),
    "tags": ("tags",),
}
_EXAMPLE = '{"id": "late-delivery", "input": "…", "output": "…"}'


class AnswerFile(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of one file, by id: values as they stand there, and the line of each."""

    label: str
    path: str
    digest: str
    rows: dict[str, dict[str, object]]
    lines: dict[str, int]


def read_answers(path: Path) -> AnswerFile:
    """JSON lines (or one JSON list) with `id`, `input`, `output`, and if you like `target`, `criteria`, `tags`; also
    under the names that other tools use. Rows without an id go by their input.

    Raises JudgeError with `file:line` for anything else, and for an id that stands twice.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise JudgeError(f"{path}: cannot be read ({error.strerror}). A row looks like {_EXAMPLE}") from error
    except UnicodeDecodeError as error:
        raise JudgeError(f"{path}: byte {error.start} is not UTF-8. Save the file as UTF-8.") from error
    rows: dict[str, dict[str, object]] = {}
    lines: dict[str, int] = {}
    for number, document in _documents(path, text):
        where = f"{path.name}:{number}"
        row = _row(document, where)
        name = str(row["id"])
        if name in rows:
            raise JudgeError(f"{where}: {name!r} stands on line {lines[name]} already. Give each answer one id.")
        rows[name], lines[name] = row, number
    if not rows:
        raise JudgeError(f"{path}: there are no answers in it. A row looks like {_EXAMPLE}")
    return AnswerFile(label=path.stem, path=str(path), digest=hashlib.sha256(data).hexdigest(), rows=rows, lines=lines)


def pair_answers(candidate: AnswerFile, baseline: AnswerFile) -> list[Pair]:
    """Pairs by id, in the order of the candidate's file.

    Raises Invalid for an id that only one file has, and for inputs that differ: the comparison could not be trusted.
    JudgeError for a row without an input.
    """
    for ours, theirs in ((candidate, baseline), (baseline, candidate)):
        missing = [name for name in ours.rows if name not in theirs.rows]
        if missing:
            raise Invalid(
                f"{theirs.path}: {len(missing)} of the {len(ours.rows)} answers of {ours.path} have no partner, the "
                f"first {missing[0]!r} (line {ours.lines[missing[0]]}). No pair is dropped: complete the file."
            )
    pairs = []
    for name, row in candidate.rows.items():
        other = baseline.rows[name]
        asked, too = str(row.get("input") or ""), str(other.get("input") or "")
        if asked and too and asked != too:
            raise Invalid(
                f"{candidate.path}:{candidate.lines[name]}: {name!r} was asked something else than in {baseline.path}:"
                f"{baseline.lines[name]}. Pair answers to the same input."
            )
        if not (asked or too):
            raise JudgeError(
                f"{candidate.path}:{candidate.lines[name]}: {name!r} has no input: a judge must know what was asked."
            )
        pairs.append(
            Pair(
                case=name,
                question=asked or too,
                candidate=str(row["output"]),
                baseline=str(other["output"]),
                reference=str(row.get("target") or other.get("target") or ""),
                criteria=str(row.get("criteria") or other.get("criteria") or ""),
                tags=_tags(row) or _tags(other),
                answers=(f"candidate:{name}", f"baseline:{name}"),
            )
        )
    return pairs


def alone(answers: AnswerFile) -> list[Pair]:
    """The answers of one file, each to be graded by itself. Raises JudgeError for a row without an input."""
    found = []
    for name, row in answers.rows.items():
        if not row.get("input"):
            raise JudgeError(f"{answers.path}:{answers.lines[name]}: {name!r} has no input: a judge must know it.")
        found.append(
            Pair(
                case=name,
                question=str(row["input"]),
                candidate=str(row["output"]),
                baseline="",
                reference=str(row.get("target") or ""),
                criteria=str(row.get("criteria") or ""),
            )
        )
    return found


def _documents(path: Path, text: str) -> list[tuple[int, object]]:
    if text.lstrip().startswith("["):
        try:
            listed = json.loads(text)
        except ValueError as error:
            raise JudgeError(f"{path}: not a JSON list ({error}). A row looks like {_EXAMPLE}") from error
        return list(enumerate(listed, start=1))
    found: list[tuple[int, object]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append((number, json.loads(line)))
        except ValueError as error:
            raise JudgeError(f"{path.name}:{number}: not JSON ({error}). A row looks like {_EXAMPLE}") from error
    return found


def _row(document: object, where: str) -> dict[str, object]:
    if not isinstance(document, Mapping):
        raise JudgeError(f"{where}: a row is a JSON object: {_EXAMPLE}")
    row: dict[str, object] = {}
    for ours, names in _NAMES.items():
        given = [name for name in names if document.get(name) is not None]
        if len(given) > 1:
            raise JudgeError(f"{where}: {' and '.join(given)} mean the same. Keep one.")
        if given:
            row[ours] = document[given[0]]
    output = row.get("output")
    if not isinstance(output, str):
        known = [name for names in _NAMES.values() for name in names]
        near = next((f" {unknown_name('key', str(k), known)}." for k in document if k not in known), "")
        raise JudgeError(f"{where}: the row has no output text.{near} A row looks like {_EXAMPLE}")
    if "id" not in row:
        asked = row.get("input")
        if not isinstance(asked, str) or not asked:
            raise JudgeError(f"{where}: neither an id nor an input: nobody knows what it answers. {_EXAMPLE}")
        row["id"] = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return row


def _tags(row: Mapping[str, object]) -> tuple[str, ...]:
    tags = row.get("tags")
    return tuple(str(tag) for tag in tags) if isinstance(tags, list) else ()
