"""Judgements that were recorded before: our own JSON lines, or pairwise files of FastChat (CSV, JSONL)."""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import JudgeError, unknown_name
from harness.judges.judgement import Judgement, OrderJudgement

_EXAMPLE = '{"case": "late-delivery", "first": "candidate", "second": "tie"}'
_SCORES = {"candidate": 1.0, "baseline": 0.0, "tie": 0.5}
_KEYS = ("case", "first", "second", "reason", "first_reason", "second_reason", "turn")
_FASTCHAT = ("question_id", "model_1", "model_2", "g1_winner", "g2_winner")

Side = Literal["first", "second"]


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """The judgements of a file, by case. `candidate` and `baseline` are the models' names where the file has them."""

    judgements: dict[str, Judgement]
    candidate: str | None = None
    baseline: str | None = None


@functools.lru_cache(maxsize=8)
def read_recorded(file: str, digest: str) -> Recorded:
    """Rows `{"case", "first", "second"}`: whom the judge preferred with the candidate shown first, and second; one of
    candidate, baseline, tie, error. Or FastChat's columns: there model_1 is the baseline and was shown first in game 1.

    Raises JudgeError with `file:line` for anything else, and for a case given twice.
    """
    path = Path(file)
    judgements: dict[str, Judgement] = {}
    names: set[tuple[str, str]] = set()
    lines: dict[str, int] = {}
    for number, row in _rows(path):
        where = f"{path.name}:{number}"
        if "g1_winner" in row:
            case, first, second, pair = _fastchat(row, where)
            names.add(pair)
            if len(names) > 1:
                raise JudgeError(f"{where}: a second pair of models ({' and '.join(pair)}). Keep one pair in a file.")
        else:
            case, first, second = _own(row, where)
        if case in lines:
            raise JudgeError(f"{where}: case {case!r} was judged on line {lines[case]} already. Keep one.")
        lines[case] = number
        read = first.score is not None and second.score is not None
        score = ((first.score or 0.0) + (second.score or 0.0)) / 2 if read else None
        judgements[case] = Judgement(case=case, judge=digest, score=score, first=first, second=second)
    if not judgements:
        raise JudgeError(f"{path}: there are no judgements in it. A row looks like {_EXAMPLE}")
    baseline, candidate = next(iter(names), (None, None))
    return Recorded(judgements=judgements, candidate=candidate, baseline=baseline)


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise JudgeError(f"{path}: cannot be read as UTF-8 text ({error}).") from error
    if path.suffix.lower() == ".csv":
        reader = csv.DictReader(text.splitlines())
        for row in reader:
            yield reader.line_num, {str(k): v for k, v in row.items() if k is not None}
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except ValueError as error:
            raise JudgeError(f"{path.name}:{number}: not JSON ({error}). A row looks like {_EXAMPLE}") from error
        if not isinstance(document, dict):
            raise JudgeError(f"{path.name}:{number}: a row is a JSON object: {_EXAMPLE}")
        yield number, document


def _own(row: Mapping[str, object], where: str) -> tuple[str, OrderJudgement, OrderJudgement]:
    for key in row:
        if key not in _KEYS:
            raise JudgeError(f"{where}: {unknown_name('key', key, _KEYS)}. A row looks like {_EXAMPLE}")
    case = row.get("case")
    if not isinstance(case, str) or not case:
        raise JudgeError(f"{where}: the row has no case. A row looks like {_EXAMPLE}")
    return case, _said(row, "first", where), _said(row, "second", where)


def _said(row: Mapping[str, object], side: Side, where: str) -> OrderJudgement:
    word = row.get(side)
    reason = str(row.get(f"{side}_reason") or row.get("reason") or "")
    if word in (None, "", "error"):
        return OrderJudgement(score=None, fault="error", reason=reason or "recorded as an error")
    if word not in _SCORES:
        raise JudgeError(f"{where}: {side}: {unknown_name('winner', str(word), (*_SCORES, 'error'))}")
    return OrderJudgement(score=_SCORES[str(word)], reason=reason)


def _fastchat(row: Mapping[str, object], where: str) -> tuple[str, OrderJudgement, OrderJudgement, tuple[str, str]]:
    for key in _FASTCHAT:
        if row.get(key) in (None, ""):
            raise JudgeError(f"{where}: {key} is missing. FastChat's rows have {', '.join(_FASTCHAT)}.")
    turn = str(row.get("turn") or "1")
    case = str(row["question_id"]) + ("" if turn == "1" else f"-turn-{turn}")
    games = []
    for game in ("g1", "g2"):
        word = str(row[f"{game}_winner"])
        # FastChat has undone the swap of game 2 already: the word is a model's in both.
        named = {"model_1": "baseline", "model_2": "candidate", "tie": "tie", "error": None}
        if word not in named:
            raise JudgeError(f"{where}: {game}_winner: {unknown_name('winner', word, named)}")
        told = named[word]
        reason = str(row.get(f"{game}_judgment") or "")
        if told is None:
            games.append(OrderJudgement(score=None, fault="error", reason=reason or "recorded as an error"))
        else:
            games.append(OrderJudgement(score=_SCORES[told], reason=reason))
    # In game 2 the candidate (model_2) was shown first.
    return case, games[1], games[0], (str(row["model_1"]), str(row["model_2"]))
