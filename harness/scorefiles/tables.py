"""CSV and JSON Lines: one row for each scored answer, columns named by whoever wrote them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import ScoreFileError, unknown_name
from harness.scorefiles.text import as_text, digest_of, json_lines
from harness.scorefiles.values import Columns, Sample, ScoredSet, gather

#: Names under which people write these columns, the likeliest first.
IDS = ("id", "case_id", "case", "doc_id", "sample_id", "question_id", "qid")
SCORES = ("score", "correct", "is_correct", "passed", "pass", "accuracy", "acc", "exact_match", "em", "f1", "value")
SETS = ("set", "task", "dataset", "suite", "benchmark")
SAMPLES = ("sample", "epoch", "repeat", "trial", "attempt")
ANSWERS = ("answer", "output", "response", "completion", "prediction")
PROMPTS = ("input", "prompt", "question")
TARGETS = ("target", "expected", "reference", "gold")

#: Words for yes and no that count as scores.
WORDS = {
    "true": 1.0, "yes": 1.0, "pass": 1.0, "passed": 1.0, "correct": 1.0, "✓": 1.0, "对": 1.0, "正确": 1.0,
    "false": 0.0, "no": 0.0, "fail": 0.0, "failed": 0.0, "incorrect": 0.0, "wrong": 0.0, "✗": 0.0, "错": 0.0,
    "错误": 0.0,
}  # fmt: skip

Rows = Iterator[tuple[int, dict[str, Any]]]


def parse_csv(data: bytes, file: str, columns: Columns) -> list[ScoredSet]:
    """The sets of a CSV file with a header; semicolons and tabs separate as well as commas."""
    return _sets(_csv_rows(as_text(data, file), file), file, columns)


def parse_jsonl(data: bytes, file: str, columns: Columns) -> list[ScoredSet]:
    """The sets of a JSON Lines file, one object for each scored answer."""
    return _sets(json_lines(data, file), file, columns)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which column means what; None where there is none."""

    id: str
    score: str
    set: str | None
    sample: str | None
    cluster: str | None
    answer: str | None
    prompt: str | None
    target: str | None


def _sets(rows: Rows, file: str, columns: Columns) -> list[ScoredSet]:
    layout: _Layout | None = None
    by_set: dict[str, list[Sample]] = {}
    for line, row in rows:
        if layout is None:
            layout = _layout(list(row), file, columns)
        name = "" if layout.set is None else _label(row.get(layout.set), layout.set, f"{file}:{line}")
        by_set.setdefault(name, []).append(_sample(row, layout, f"{file}:{line}", line))
    if layout is None:
        raise ScoreFileError(f"{file}: there are no scores in it. Write one row for each case, with its id and score.")
    scale = columns.scale(layout.score)
    return [gather(samples, name=name, path=file, metric=layout.score, scale=scale) for name, samples in by_set.items()]


def _layout(names: Sequence[str], file: str, columns: Columns) -> _Layout:
    def named(wanted: str | None, option: str, usual: Sequence[str]) -> str | None:
        if wanted is not None:
            if wanted not in names:
                raise ScoreFileError(f"{file}: {option}: {unknown_name('column', wanted, names)}")
            return wanted
        lowered = {name.lower(): name for name in reversed(names)}
        return next((lowered[name] for name in usual if name in lowered), None)

    case = named(columns.id, "--id", IDS)
    score = named(columns.score, "--score", SCORES)
    for found, what, option in ((case, "case's id", "--id"), (score, "score", "--score")):
        if found is None:
            raise ScoreFileError(
                f"{file}: which column is the {what}? Name it with {option}. Columns: {', '.join(names) or 'none'}"
            )
    assert case is not None, "refused above"
    assert score is not None, "refused above"
    taken = {case, score}

    def shown(usual: Sequence[str]) -> str | None:
        found = named(None, "", usual)
        return None if found in taken else found

    return _Layout(
        id=case,
        score=score,
        set=named(columns.set, "--set-column", SETS),
        sample=named(columns.sample, "--sample", SAMPLES),
        cluster=named(columns.cluster, "--cluster", ("cluster", "variant_of")),
        answer=shown(ANSWERS),
        prompt=shown(PROMPTS),
        target=shown(TARGETS),
    )


def _sample(row: dict[str, Any], layout: _Layout, where: str, line: int) -> Sample:
    case = _label(row.get(layout.id), layout.id, where)
    score = _score(row.get(layout.score), layout.score, where)
    prompt = _shown(row, layout.prompt)
    cluster = None if layout.cluster is None else row.get(layout.cluster)
    return Sample(
        case=case,
        where=where,
        line=line,
        score=score,
        sample="" if layout.sample is None else str(row.get(layout.sample, "")),
        unscored="" if score is not None else f"no {layout.score} at {where}",
        answer=_shown(row, layout.answer),
        prompt=prompt,
        target=_shown(row, layout.target),
        document="" if prompt is None else digest_of(prompt),
        cluster=None if cluster in (None, "") else str(cluster),
    )


def _label(value: object, column: str, where: str) -> str:
    """An id or name: text or a whole number."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ScoreFileError(f"{where}: the {column} is {value!r}. Give text or a whole number, the same in both files.")


def _score(value: object, column: str, where: str) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool | int | float):
        return _float(value, where)
    if isinstance(value, str):
        word = value.strip().casefold()
        if word in WORDS:
            return WORDS[word]
        try:
            # "1_0" and "１" are numbers to Python, and typing mistakes in a table.
            if word.isascii() and "_" not in word:
                return float(word)
        except ValueError:
            pass
    raise ScoreFileError(
        f"{where}: the {column} is {_short(value)}, which is no score. Write a number, or true and false."
    )


def _float(value: float, where: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ScoreFileError(f"{where}: the score has too many digits. Write a number on the metric's scale.") from None


def _shown(row: dict[str, Any], column: str | None) -> str | None:
    value = None if column is None else row.get(column)
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _csv_rows(text: str, file: str) -> Rows:
    header_line = text.partition("\n")[0]
    delimiter = max(",;\t", key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for row in reader:
            start, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = [cell.strip() for cell in row]
                twice = next((name for name in header if header.count(name) > 1), None)
                if twice is not None:
                    raise ScoreFileError(f"{file}:{start}: the column {twice!r} stands twice. Rename or delete one.")
                continue
            if len(row) != len(header):
                raise ScoreFileError(
                    f"{file}:{start}: {len(row)} values, but the header names {len(header)} columns. "
                    "Quote values that hold the separator, or mend the row."
                )
            yield start, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise ScoreFileError(f"{file}:{line}: not CSV ({error}). Mend the quotes of the row.") from error


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
