"""A file or folder of scores, whatever tool wrote it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from harness.errors import ScoreFileError, unknown_name
from harness.scorefiles import inspect_log, lm_eval, tables
from harness.scorefiles.text import as_json
from harness.scorefiles.values import Columns, ScoredSet, ScoreFile

KINDS = "CSV, JSONL, samples_*.jsonl of lm-evaluation-harness, .eval or JSON logs of inspect_ai"


def read_scores(path: Path, columns: Columns) -> ScoreFile:
    """Everything that was scored in `path`.

    A folder may be the output of lm-evaluation-harness or inspect_ai, one set for each task, or hold tables, one set
    for each file. Raises ScoreFileError, with file and line, for the first thing that cannot be used.
    """
    if not path.exists():
        raise ScoreFileError(f"{path}: there is no such file or folder. Name one with scores: {KINDS}.")
    files = _found_in(path) if path.is_dir() else [path]
    parts = [_read(file, columns) for file in files]
    tools = sorted({part.tool for part in parts})
    if len({tool.split(" ")[0] for tool in tools}) > 1:
        raise ScoreFileError(f"{path}: files of several tools ({', '.join(tools)}). Name a file, or a folder of one.")
    labels = list(dict.fromkeys(part.label for part in parts))
    if path.is_dir() and parts[0].tool == "table":
        labels = [path.resolve().name]
        parts = [_named_by_file(part) for part in parts]
    if len(labels) > 1:
        raise ScoreFileError(
            f"{path}: scores of several models ({', '.join(labels)}). Name the folder or the files of one of them."
        )
    sets = [one for part in parts for one in part.sets]
    homes: dict[str, str] = {}
    for one in sets:
        if one.name in homes:
            raise ScoreFileError(
                f"{path}: set {one.name!r} stands in {homes[one.name]} and in {one.path}: two runs of one task? "
                "Name the file of the run that counts, or move the other away."
            )
        homes[one.name] = one.path
    return ScoreFile(
        path=str(path),
        label=labels[0],
        tool=", ".join(tools),
        digest=parts[0].digest if len(parts) == 1 else _joint_digest(path, files, parts),
        sets=tuple(sets),
    )


def refuse_unknown(columns: Columns, files: Sequence[ScoreFile]) -> None:
    """Refuse a name under `lower_is_better` that nothing was scored by: overlooked, it would turn the verdict round."""
    known = {name for file in files for one in file.sets for name in (one.metric, one.metric.partition(",")[0])}
    kind = "score column" if all(file.tool == "table" for file in files) else "metric"
    for name in columns.lower_is_better:
        if name not in known:
            raise ScoreFileError(f"--lower-is-better: {unknown_name(kind, name, known)}")


def _found_in(folder: Path) -> list[Path]:
    """The score files below a folder: of the first kind there is, so that a tool's other files do not disturb."""
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
    samples = [file for file in files if lm_eval.task_of(file.name) is not None]
    logs = [file for file in files if file.suffix == ".eval"]
    json_logs = [file for file in files if file.suffix == ".json" and _is_log(_bytes(file))] if not samples else []
    rows = [file for file in files if file.suffix in (".csv", ".tsv", ".jsonl")] if not samples else []
    if samples and logs:
        raise ScoreFileError(f"{folder}: holds {samples[0].name} and {logs[0].name}. Name the folder of one tool.")
    found = samples or [*logs, *json_logs] or rows
    if not found:
        raise ScoreFileError(f"{folder}: no scores in this folder. What can be read: {KINDS}.")
    return found


def _read(path: Path, columns: Columns) -> ScoreFile:
    data, file = _bytes(path), str(path)
    digest = hashlib.sha256(data).hexdigest()
    task = lm_eval.task_of(path.name)
    if task is None and path.suffix == ".jsonl" and _is_samples(data):
        task = path.stem.removeprefix("samples_")
    if task is not None:
        return _lm_eval(path, data, task, columns, digest)
    if path.suffix == ".eval" or (path.suffix == ".json" and _is_log(data)):
        log = (
            inspect_log.parse_eval_log(data, file) if path.suffix == ".eval" else inspect_log.parse_json_log(data, file)
        )
        version = log.header.eval.packages.get("inspect_ai", "")
        return ScoreFile(
            path=file,
            label=log.header.eval.model,
            tool=f"{inspect_log.TOOL} {version}".strip(),
            digest=digest,
            sets=(inspect_log.scored_set(log, file, columns),),
        )
    parse = {".csv": tables.parse_csv, ".tsv": tables.parse_csv, ".jsonl": tables.parse_jsonl}.get(path.suffix)
    if parse is None:
        hint = "These are averages; lm_eval writes the cases with --log_samples. " if _is_results(data) else ""
        raise ScoreFileError(
            f"{file}: no scores of single cases stand in such a file. {hint}What can be read: {KINDS}."
        )
    if columns.metrics:
        raise ScoreFileError(f"{file}: --metric is for the tools' own files. Name a table's column with --score.")
    return ScoreFile(path=file, label=path.stem, tool="table", digest=digest, sets=tuple(parse(data, file, columns)))


def _lm_eval(path: Path, data: bytes, task: str, columns: Columns, digest: str) -> ScoreFile:
    beside = path.with_name(f"results_{lm_eval.time_of(path.name)}.json")
    results = lm_eval.parse_results(_bytes(beside), str(beside)) if beside.is_file() else lm_eval.Results()
    return ScoreFile(
        path=str(path),
        label=results.model_name or path.resolve().parent.name,
        tool=f"{lm_eval.TOOL} {results.lm_eval_version}".strip(),
        digest=digest,
        sets=(lm_eval.parse_samples(data, str(path), task, columns, results),),
    )


def _named_by_file(part: ScoreFile) -> ScoreFile:
    stem = Path(part.path).stem
    return replace(part, sets=tuple(replace(one, name=one.name or stem) for one in part.sets))


def _joint_digest(folder: Path, files: Sequence[Path], parts: Sequence[ScoreFile]) -> str:
    named = (f"{file.relative_to(folder).as_posix()} {part.digest}\n" for file, part in zip(files, parts, strict=True))
    return hashlib.sha256("".join(named).encode()).hexdigest()


def _is_samples(data: bytes) -> bool:
    """Do the lines look like lm-evaluation-harness' samples, under whatever name?"""
    try:
        first = msgspec.json.decode(data.partition(b"\n")[0])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(first, dict) and first.keys() >= lm_eval.MARKS


def _is_log(data: bytes) -> bool:
    """Does a JSON file look like a log of inspect_ai?"""
    start = data[:4096]
    return b'"status"' in start and b'"eval"' in start and b'"version"' in start


def _is_results(data: bytes) -> bool:
    try:
        return "lm_eval_version" in as_json(data, dict, "")
    except ScoreFileError:
        return False


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ScoreFileError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error


def named_alike(candidate: tuple[ScoredSet, ...], baseline: tuple[ScoredSet, ...]) -> tuple[ScoredSet, ...]:
    """`candidate` with a name for a set that has none: the other side's where it has one set, else "scores"."""
    if len(candidate) == 1 and not candidate[0].name:
        other = baseline[0].name if len(baseline) == 1 else ""
        return (replace(candidate[0], name=other or "scores"),)
    return tuple(replace(one, name=one.name or "scores") for one in candidate)
