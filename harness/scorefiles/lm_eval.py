"""lm-evaluation-harness: `samples_TASK_TIME.jsonl`, written with `--log_samples`, and `results_TIME.json` beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from harness.errors import ScoreFileError, unknown_name
from harness.scorefiles.text import as_json, json_lines
from harness.scorefiles.values import Columns, Sample, ScoredSet, gather

_NAME = re.compile(r"samples_(?P<task>.+?)_(?P<time>\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl")
TOOL = "lm-evaluation-harness"

#: What every line of such a file has.
MARKS = {"doc_id", "filtered_resps"}

#: What else a line has that is no metric; earlier releases name neither their filter nor their metrics.
_BESIDES = MARKS | {
    "doc", "target", "arguments", "resps", "filter", "metrics", "doc_hash", "prompt_hash", "target_hash",
}  # fmt: skip


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What the results file adds: who answered, which version scored, which way each task's metrics point."""

    model_name: str = ""
    lm_eval_version: str = ""
    higher_is_better: dict[str, dict[str, bool | None]] = {}
    results: dict[str, dict[str, Any]] = {}


def task_of(name: str) -> str | None:
    """The task's name from a file's, or None where this is no file of samples."""
    found = _NAME.fullmatch(name)
    return None if found is None else found["task"]


def time_of(name: str) -> str:
    """When the file of samples was begun: the results file of that run carries the same time."""
    found = _NAME.fullmatch(name)
    return "" if found is None else found["time"]


def parse_results(data: bytes, file: str) -> Results:
    """The results file of a run."""
    return as_json(data, Results, file)


def parse_samples(data: bytes, file: str, task: str, columns: Columns, results: Results) -> ScoredSet:
    """The documents of one task under one metric and filter.

    Raises ScoreFileError where several could be meant, listing them.
    """
    lines = list(json_lines(data, file))
    if not lines:
        raise ScoreFileError(f"{file}: there are no samples in it. Run lm_eval with --log_samples again.")
    for number, line in lines:
        if lacking := MARKS - line.keys():
            raise ScoreFileError(
                f"{file}:{number}: no sample of {TOOL}: it lacks {', '.join(sorted(lacking))}. Copy the file again."
            )
    scored = _scored(lines)
    metric, wanted = _choose(scored, file, task, columns.metrics)
    higher = results.higher_is_better.get(task, {}).get(metric)
    name = metric if wanted == "none" else f"{metric},{wanted}"
    return gather(
        (_sample(line, metric, f"{file}:{number}", number) for number, line in lines if _filter(line) == wanted),
        name=task,
        path=file,
        metric=name,
        scale=columns.scale(name, lower_is_better=higher is False),
    )


def _scored(lines: Sequence[tuple[int, Mapping[str, Any]]]) -> list[tuple[str, str]]:
    """(metric, filter) that give each document a number; corpus metrics such as BLEU keep texts instead."""
    found: dict[tuple[str, str], bool] = {}
    for _, line in lines:
        named = line.get("metrics")
        for metric in named if isinstance(named, list) else [key for key in line if key not in _BESIDES]:
            key = (str(metric), _filter(line))
            found[key] = found.get(key, False) or isinstance(line.get(str(metric)), bool | int | float)
    return [key for key, numeric in found.items() if numeric]


def _filter(line: Mapping[str, Any]) -> str:
    """The filter that the answer went through; "none" as the tool itself says."""
    return str(line.get("filter", "none"))


def _choose(scored: list[tuple[str, str]], file: str, task: str, wanted: tuple[str, ...]) -> tuple[str, str]:
    names = {key[0] if key[1] == "none" else ",".join(key): key for key in scored}
    if not names:
        raise ScoreFileError(
            f"{file}: no metric of task {task} scores single documents, so nothing can be paired. "
            "Corpus metrics (BLEU, perplexity) have no score for one document."
        )
    # What is named in full goes before a bare name, which may mean another task's metric.
    exactly = [key for key in scored if ",".join(key) in wanted]
    fitting = exactly or [key for name, key in names.items() if not wanted or {name, key[0]} & set(wanted)]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(names)
    if not fitting:
        raise ScoreFileError(f"{file}: task {task}: {unknown_name('metric', wanted[0], names)}")
    raise ScoreFileError(f"{file}: task {task} has several metrics. Choose one with --metric. Metrics: {listed}")


def _sample(line: Mapping[str, Any], metric: str, where: str, number: int) -> Sample:
    score = line.get(metric)
    if not isinstance(score, bool | int | float | None):
        raise ScoreFileError(f"{where}: {metric} is {type(score).__name__}, not a number. Choose another --metric.")
    return Sample(
        case=str(line["doc_id"]),
        where=where,
        line=number,
        score=None if score is None else float(score),
        unscored="" if score is not None else f"no {metric} at {where}",
        answer=_answer(line.get("resps")),
        prompt=_prompt(line.get("arguments")),
        target=line["target"] if isinstance(line.get("target"), str) else None,
        document=str(line.get("doc_hash", "")),
        rendered=str(line.get("prompt_hash", "")),
    )


def _answer(responses: object) -> str | None:
    """What the model said, unfiltered; None for likelihoods, and where it was asked several times."""
    for _ in range(2):
        responses = responses[0] if isinstance(responses, list) and len(responses) == 1 else None
    return responses if isinstance(responses, str) else None


def _prompt(arguments: object) -> str | None:
    """The first request's prompt; chat templates are kept as the tool wrote them."""
    first: object = arguments
    for key in ("gen_args_0", "arg_0"):
        first = first.get(key) if isinstance(first, dict) else None
    if isinstance(first, list):
        first = first[0] if first else None
    return first if isinstance(first, str) else None
