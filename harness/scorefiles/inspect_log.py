"""inspect_ai logs: `.eval`, a zip of JSON files compressed with Zstandard, and the same as one JSON file."""

from __future__ import annotations

import io
import math
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterable
from typing import Any

import msgspec

from harness.errors import ScoreFileError, unknown_name
from harness.scorefiles.text import as_json, digest_of
from harness.scorefiles.values import Columns, Sample, ScoredSet, gather

TOOL = "inspect_ai"

#: The zip format's number for Zstandard; Python's own zipfile knows it from 3.14 on.
ZSTANDARD = 93
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")

#: How inspect_ai writes a grade: correct, partly, incorrect, no answer.
GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One scorer's word on one sample."""

    value: Any = None
    answer: str | None = None
    explanation: str | None = None


class LoggedSample(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of a sample; its events are skipped unread."""

    id: int | str
    epoch: int = 1
    input: Any = None
    target: Any = None
    output: Any = None
    scores: dict[str, Score] | None = None
    error: Any = None
    invalidation: Any = None


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """Which task was asked of which model."""

    task: str
    model: str
    packages: dict[str, str] = {}


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many samples there were to be."""

    total_samples: int | None = None


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The log without its samples."""

    status: str
    eval: Spec
    results: Counts | None = None


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """One log: its header and samples."""

    header: Header
    samples: list[LoggedSample]


class _JsonLog(Header, frozen=True, kw_only=True):
    samples: list[LoggedSample] | None = None


def parse_json_log(data: bytes, file: str) -> Log:
    """A log written with `--log-format json`."""
    found = as_json(data, _JsonLog, file)
    return Log(header=found, samples=found.samples or [])


def parse_eval_log(data: bytes, file: str) -> Log:
    """A log in inspect_ai's own format."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, RuntimeError, ValueError, struct.error) as error:
        raise ScoreFileError(f"{file}: not an .eval log ({error}). Copy the file again.") from error
    with archive:
        if "header.json" not in archive.namelist():
            raise ScoreFileError(
                f"{file}: the log has no header.json, so the evaluation has not ended. "
                "Let it end (inspect eval-retry), then compare."
            )
        header = as_json(_entry(archive, data, "header.json", file), Header, f"{file}: header.json")
        # An entry written again stands twice in the archive; the last one counts.
        names = [name for name in dict.fromkeys(archive.namelist()) if name.startswith("samples/")]
        samples = [as_json(_entry(archive, data, name, file), LoggedSample, f"{file}: {name}") for name in names]
    return Log(header=header, samples=samples)


def scored_set(log: Log, file: str, columns: Columns) -> ScoredSet:
    """The log's samples under one scorer. Raises ScoreFileError where several could be meant, listing them."""
    task, status, results = log.header.eval.task, log.header.status, log.header.results
    if not log.samples:
        raise ScoreFileError(f"{file}: the log has no samples. Log them (--log-samples), then compare.")
    metric = _choose(log.samples, file, task, columns.metrics)
    unfinished = "" if status == "success" else f"{file}: the evaluation's status is {status!r}"
    total = None if results is None else results.total_samples
    if not unfinished and total is not None and total > len(log.samples):
        unfinished = f"{file}: {len(log.samples)} of {total} samples are in the log"
    return gather(
        (_sample(sample, metric, file) for sample in log.samples),
        name=task,
        path=file,
        metric=metric,
        scale=columns.scale(metric),
        unfinished=unfinished,
    )


def _choose(samples: Iterable[LoggedSample], file: str, task: str, wanted: tuple[str, ...]) -> str:
    names: dict[str, None] = {}
    for sample in samples:
        for scorer, score in (sample.scores or {}).items():
            parts = [f"{scorer}/{key}" for key in score.value] if isinstance(score.value, dict) else [scorer]
            names.update(dict.fromkeys(parts))
    fitting = [name for name in names if name in wanted] if wanted else list(names)
    if len(fitting) == 1:
        return fitting[0]
    if not names:
        raise ScoreFileError(
            f"{file}: no sample of task {task} has a score. Score the log (inspect score), then compare."
        )
    if not fitting:
        raise ScoreFileError(f"{file}: task {task}: {unknown_name('scorer', wanted[0], names)}")
    raise ScoreFileError(
        f"{file}: task {task} has several scorers. Choose one with --metric. Scorers: {', '.join(names)}"
    )


def _sample(sample: LoggedSample, metric: str, file: str) -> Sample:
    where = f"{file}: sample {str(sample.id)!r}, epoch {sample.epoch}"
    score, unscored = _value(sample, metric, where)
    asked, target = _said(sample.input), _said(sample.target)
    return Sample(
        case=str(sample.id),
        where=where,
        sample=str(sample.epoch),
        score=score,
        unscored=unscored,
        answer=_answer(sample.output),
        prompt=asked,
        target=target,
        document=digest_of(asked, target),
    )


def _value(sample: LoggedSample, metric: str, where: str) -> tuple[float | None, str]:
    """The score, or None and why there is none: "not scored" is a state, never 0."""
    if sample.error is not None:
        message = sample.error.get("message", "") if isinstance(sample.error, dict) else ""
        return (
            None,
            f"the sample ended in an error ({str(message)[:80]})" if message else "the sample ended in an error",
        )
    if sample.invalidation is not None:
        return None, "the sample was invalidated"
    scorer, _, key = metric.partition("/")
    scores = sample.scores or {}
    score = scores.get(metric, scores.get(scorer))
    if score is None:
        return None, f"no score of {metric}"
    value = score.value.get(key) if isinstance(score.value, dict) else score.value
    if isinstance(value, str):
        value = _grade(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None, f"{metric} gave no score"
    if not isinstance(value, bool | int | float):
        raise ScoreFileError(
            f"{where}: {metric} is {score.value!r:.80}, which is no single number. Choose another scorer with --metric."
        )
    try:
        return float(value), ""
    except OverflowError:
        raise ScoreFileError(f"{where}: {metric} has too many digits. Choose another scorer with --metric.") from None


def _grade(text: str) -> float | str:
    """A grade or number in words; the text itself where it is neither."""
    if text in GRADES or text.lower() in GRADES:
        return GRADES.get(text, GRADES.get(text.lower(), 0.0))
    try:
        return float(text)
    except ValueError:
        return text


def _said(value: object) -> str | None:
    """A prompt or target as text: a string, a list of strings, or the turns of a conversation."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list):
        return str(value)
    parts = [part.get("content", "") if isinstance(part, dict) else part for part in value]
    return "\n\n".join(part if isinstance(part, str) else _parts(part) for part in parts)


def _parts(content: object) -> str:
    """The texts of a message that has parts; of images and the like only the kind."""
    if not isinstance(content, list):
        return str(content)
    return "\n".join(
        str(part.get("text", f"[{part.get('type', 'part')}]")) if isinstance(part, dict) else str(part)
        for part in content
    )


def _answer(output: object) -> str | None:
    if not isinstance(output, dict):
        return None
    said = output.get("completion")
    if isinstance(said, str):
        return said
    choices = output.get("choices")
    message = (
        choices[0].get("message") if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    )
    return _said([message]) if isinstance(message, dict) and message else None


def _entry(archive: zipfile.ZipFile, data: bytes, name: str, file: str) -> bytes:
    """One file of the archive, whatever it is compressed with."""
    info = archive.getinfo(name)
    if info.compress_type == ZSTANDARD and sys.version_info < (3, 14):
        return _zstandard(info, data, f"{file}: {name}")
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, struct.error, ValueError) as error:
        raise ScoreFileError(f"{file}: {name} is damaged ({error}). Copy the file again.") from error


def _zstandard(info: zipfile.ZipInfo, data: bytes, where: str) -> bytes:
    """An entry that Python before 3.14 cannot unpack by itself."""
    try:
        import zstandard
    except ImportError:
        raise ScoreFileError(
            f"{where} is compressed with Zstandard, which this Python cannot read by itself. "
            "Run: pip install 'finetune-harness[inspect]' (or write the log as JSON: inspect log convert --to json)"
        ) from None
    damaged = f"{where} is damaged. Copy the file again."
    header = data[info.header_offset : info.header_offset + _LOCAL_HEADER.size]
    if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
        raise ScoreFileError(damaged)
    *_, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    start = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    packed = io.BytesIO(data[start : start + info.compress_size])
    try:
        # Long entries come in several frames. Never more than was announced, whatever the frames claim.
        with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as reader:
            plain = bytes(reader.read(info.file_size + 1))
    except zstandard.ZstdError as error:
        raise ScoreFileError(damaged) from error
    if len(plain) != info.file_size or zlib.crc32(plain) != info.CRC:
        raise ScoreFileError(damaged)
    return plain
