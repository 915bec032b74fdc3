"""The run record: the one artefact from which verdicts and reports are derived."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib.metadata
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from harness.answers import Status
from harness.errors import RecordError
from harness.golden import Kind
from harness.judges.judgement import JudgedSet
from harness.lineage import Lineage
from harness.measures.classes import Classification
from harness.models import Response
from harness.models.thinking import Thinking
from harness.policy import GatePolicy

if TYPE_CHECKING:
    import pandas

Lane = Literal["rate", "red_line"]
Role = Literal["candidate", "baseline", "root"]

RECORD_VERSION = 1
RECORD_FILE = "record.json"
TEXTS_FILE = "texts.json.gz"

_LOOKED_THROUGH = 50

TABLE_COLUMNS = (
    *("run", "set", "case", "place", "role", "model", "sample", "score", "red_line", "weight", "tags", "variant_of"),
    *("prompt_tokens", "completion_tokens", "seconds", "cut_off", "answer"),
)


class ModelIdentity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which weights answered, in which engine; `prompting_digest` is of the model YAML through which they were
    asked."""

    label: str
    reference: str
    digest: str
    base_digest: str
    adapter_digest: str | None
    engine: str
    dtype: str
    prompting_digest: str | None = None


class TestResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One test (function or data check) on one case. Scores are shares of passed samples in [0, 1].

    `unstable`: a red line that failed in some samples and not in the others, so that no break is confirmed.
    """

    __test__ = False  # not a pytest class

    test: str
    lane: Lane
    candidate: float
    baseline: float | None = None
    root: float | None = None
    explanation: str = ""
    unstable: bool = False


class CaseResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One case of one set. A case passes a sample when all its tests do; scores are shares of passed samples.

    `answers[role]` are the store keys of the samples' texts, found in the texts file beside the record.
    `same_answer`: the candidate's and the baseline's texts are byte-identical. `cut_off`: the candidate's
    answers that ended at max_tokens. `samples`: of how many
    samples the scores are shares.
    """

    case: str
    line: int
    candidate: float
    baseline: float | None = None
    root: float | None = None
    weight: float = 1.0
    tags: tuple[str, ...] = ()
    variant_of: str | None = None
    tests: tuple[TestResult, ...] = ()
    answers: dict[Role, tuple[str, ...]] = {}
    same_answer: bool | None = None
    same_answer_as_root: bool | None = None
    cut_off: int = 0
    samples: int = 1


class Probe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A further measurement on a set's cases, aligned by `cases`.

    `role`: "alarm" raises the gate's alarm when the candidate is significantly worse; "advisory" is only
    shown. Values are per case in `unit`; None where a model could not be measured.
    """

    probe: str
    role: Literal["alarm", "advisory"]
    unit: str
    higher_is_better: bool
    cases: tuple[str, ...]
    candidate: tuple[float, ...]
    baseline: tuple[float, ...] | None = None
    root: tuple[float, ...] | None = None


class SetResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that was seen of one golden set. `cases` is empty for a set of prose, which only has probes.

    `unavailable` says what could not be measured and why ("target_nll: MODEL gives no token scores"): never
    passed, never guessed.
    """

    name: str
    path: str
    digest: str
    kind: Kind
    retention: bool = False
    cases: tuple[CaseResult, ...] = ()
    probes: tuple[Probe, ...] = ()
    unavailable: tuple[str, ...] = ()


class SuiteAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one whole-set or ordinary test of the suites said (`assert scores.better()`)."""

    test: str
    status: Status
    reason: str


class NoiseVariant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A set's baseline against itself, in one way: cases that scored differently, and how many texts changed."""

    how: str
    flipped: tuple[str, ...]
    changed: int


class SetNoise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The noise floor of one set, of `n` rated cases. `stale` says why it no longer counts; None where it does."""

    name: str
    digest: str
    n: int
    variants: tuple[NoiseVariant, ...]
    stale: str | None = None

    @property
    def flips(self) -> int:
        """The most cases that flipped in any one way."""
        return max((len(variant.flipped) for variant in self.variants), default=0)


class AdapterParity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An adapter in the engine beside the same adapter in the training stack, on `tokens` of a few probe texts.

    All are mean absolute differences per token in nats: `effect`, what the adapter does in the training stack;
    `moved`, what it does in the engine; `noise`, between the two on the base; `error`, between the two on the adapter.
    `fault` says why the engine cannot be trusted with it; None where it can.
    """

    model: str
    engine: str
    tokens: int
    effect: float
    moved: float
    noise: float
    error: float
    fault: str | None = None


class RunRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run, complete or partial. `partial` says why it can carry no verdict; None = complete.

    `errors` are infrastructure's (engine, crashed check): they make the run INVALID. `root` is the base with
    no adapter; None where candidate and base are the same weights. `phases` are seconds; `usage` are the tokens of new
    answers and, where prices were told, their cost. `source` "scores": other
    tools asked and scored, "judged": a judge compared two files of answers; the models' digests are those of their
    files, and no version can be promoted on it.
    `judged` are the pairs that a judge compared. `noise` is what was known of the baseline's noise floor; `parity`
    whether engines apply the adapters as trained. `thinking`
    says whether checks read the thinking text in answers; the texts beside the record have it either way.
    `lineage` is what is known of how the models were made.
    `notes` are what a reader of the verdict must know besides. `asked` are the store keys of what was asked beside the
    cases' own answers: scored texts, and answers of which only a probe or a whole-set test knows.
    """

    run_id: str
    created: str
    harness_version: str
    arguments: tuple[str, ...]
    candidate: ModelIdentity
    baseline: ModelIdentity | None
    root: ModelIdentity | None
    policy: GatePolicy
    policy_digest: str
    collection_digest: str
    sets: tuple[SetResult, ...]
    answers: tuple[SuiteAnswer, ...] = ()
    errors: tuple[SuiteAnswer, ...] = ()
    classifications: tuple[Classification, ...] = ()
    judged: tuple[JudgedSet, ...] = ()
    partial: str | None = None
    samples: int = 1
    noise: tuple[SetNoise, ...] = ()
    parity: tuple[AdapterParity, ...] = ()
    thinking: Thinking = "keep"
    phases: dict[str, float] = {}
    usage: dict[str, float] = {}
    versions: dict[str, str] = {}
    texts_digest: str = ""
    source: Literal["suites", "scores", "judged"] = "suites"
    notes: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    lineage: Lineage | None = None
    version: int = RECORD_VERSION

    def to_frame(self, texts: Mapping[str, Response] | None = None) -> pandas.DataFrame:
        """One row for each case, model and sample, as a pandas DataFrame; `table_rows` tells the columns.

        `texts` are those of `read_texts`: without them there is nothing of the answers but their scores. Raises
        RecordError where pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise RecordError(
                "a table needs pandas, which is not installed: pip install 'finetune-harness[tables]'"
            ) from error
        return pandas.DataFrame(table_rows(self, texts or {}), columns=list(TABLE_COLUMNS))

    def answer_keys(self) -> set[str]:
        """Store keys of the cases' own answers, whose texts lie beside the record."""
        return {key for s in self.sets for case in s.cases for keys in case.answers.values() for key in keys}


def table_rows(record: RunRecord, texts: Mapping[str, Response]) -> Iterator[dict[str, object]]:
    """One row for each case, model and sample; a case that was scored without an answer has one with sample 0.

    `score` is the case's, the share of its samples that pass: single samples are not scored apart. What the texts do
    not tell is None.
    """
    roles = {"candidate": record.candidate, "baseline": record.baseline, "root": record.root}
    for one in record.sets:
        for case in one.cases:
            scores = {"candidate": case.candidate, "baseline": case.baseline, "root": case.root}
            for role, identity in roles.items():
                score = scores[role]
                if score is None or identity is None:
                    continue
                fixed = (record.run_id, one.name, case.case, f"{one.path}:{case.line}", role, identity.label)
                red = any(test.lane == "red_line" for test in case.tests)
                told = (score, red, case.weight, " ".join(case.tags), case.variant_of)
                for sample, key in enumerate(case.answers.get(role, ()) or ("",)):  # type: ignore[call-overload]
                    yield dict(zip(TABLE_COLUMNS, (*fixed, sample, *told, *_told(texts.get(key))), strict=True))


def _told(response: Response | None) -> tuple[object, ...]:
    """What is known of one answer: tokens read and written, seconds, whether it was cut off, and its text."""
    if response is None:
        return (None, None, None, None, None)
    tokens = (response.prompt_tokens, response.completion_tokens) if response.completion_tokens else (None, None)
    seconds = None if response.timing is None else response.timing.seconds
    return (*tokens, seconds, response.finish_reason == "length", response.text)


def write_record(folder: Path, record: RunRecord, texts: Mapping[str, Response]) -> RunRecord:
    """Write `record` and the texts it refers to (store key -> response) into `folder`; returns the record
    with the digest that binds them.

    Each file appears whole or not at all, the record last: a folder without record.json is an unfinished run.
    Raises RecordError for a score that is not a number, and where the disk refuses.
    """
    for where, value in _numbers(record):
        if value is not None and not math.isfinite(value):
            raise RecordError(f"{where} is {value}, not a number: nothing was written. Mend what measured it.")
    try:
        plain = msgspec.json.encode(dict(texts), order="sorted")
        record = msgspec.structs.replace(record, texts_digest=hashlib.sha256(plain).hexdigest())
        encoded = msgspec.json.encode(record, order="sorted")
    except UnicodeEncodeError as error:
        raise RecordError(f"run {record.run_id}: a text cannot be written as UTF-8 ({error}).") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # No file name and no time in the header: the same texts give the same bytes.
        _write(folder / TEXTS_FILE, gzip.compress(plain, mtime=0))
        _write(folder / RECORD_FILE, encoded)
    except OSError as error:
        with contextlib.suppress(OSError):  # not empty: another's
            folder.rmdir()
        raise RecordError(
            f"{folder}: the record cannot be written ({error.strerror}). Make room or name another folder "
            "with --report-dir, then run again: what the store has is not asked again."
        ) from error
    return record


def read_record(path: Path) -> RunRecord:
    """The record in a run's folder, or in the given record.json.

    Raises RecordError where there is none, where it is damaged, and where a newer harness wrote it.
    """
    file = path / RECORD_FILE if path.is_dir() else path
    data = _read(file, "Runs write theirs to reports/<run-id>/record.json.")
    try:
        found = msgspec.json.decode(data, type=_Versioned)
        if found.version > RECORD_VERSION:
            by = f"finetune-harness {found.harness_version}" if found.harness_version else "a newer harness"
            raise RecordError(
                f"{file}: record version {found.version}, written by {by}: this is a newer harness than yours. "
                f"finetune-harness {importlib.metadata.version('finetune-harness')} reads up to version "
                f"{RECORD_VERSION}. Upgrade finetune-harness."
            )
        return msgspec.json.decode(data, type=RunRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RecordError(f"{file}: not a run record ({error}). Run the suites again for a new one.") from error


def newest_record(reports: Path) -> RunRecord | None:
    """The newest complete run below `reports` that compared two models; None where there is none.

    Records that cannot be read are passed over: a damaged one says nothing of the sets. Of a long row of partial runs
    only the last are looked through.
    """
    files: list[tuple[float, str, Path]] = []
    for file in reports.glob(f"*/{RECORD_FILE}"):
        with contextlib.suppress(OSError):
            files.append((file.stat().st_mtime, file.parent.name, file))
    for _, _, file in sorted(files, reverse=True)[:_LOOKED_THROUGH]:
        try:
            record = read_record(file)
        except RecordError:
            continue
        compared = record.baseline is not None and record.baseline.digest != record.candidate.digest
        if record.partial is None and compared:
            return record
    return None


def read_texts(folder: Path, record: RunRecord) -> dict[str, Response]:
    """The texts that `record` refers to, by store key.

    Raises RecordError where they are missing or are not the ones that the record was written with.
    """
    file = folder / TEXTS_FILE
    data = _read(file, "It lies beside record.json; copy both.")
    try:
        plain = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise RecordError(f"{file}: damaged ({error}). Copy it again, or run the suites again.") from error
    found = hashlib.sha256(plain).hexdigest()
    if found != record.texts_digest:
        raise RecordError(
            f"{file}: these are not the texts of run {record.run_id} (digest {found[:12]}, the record says "
            f"{record.texts_digest[:12] or 'none'}). Copy both files of one run, or run the suites again."
        )
    try:
        return msgspec.json.decode(plain, type=dict[str, Response])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RecordError(f"{file}: not a file of texts ({error}). Run the suites again.") from error


class _Versioned(msgspec.Struct):
    """All that must be understood of a record before its version is known."""

    version: int
    harness_version: str = ""


def _numbers(record: RunRecord) -> Iterator[tuple[str, float | None]]:
    """Every measured number and where it stands; JSON would turn NaN into null without a word."""
    for one in record.sets:
        for case in one.cases:
            where = f"{one.name}: case {case.case!r}"
            yield f"{where}: weight", case.weight
            yield from _scores(where, case)
            for test in case.tests:
                yield from _scores(f"{where}: {test.test}", test)
        for probe in one.probes:
            for values in (probe.candidate, probe.baseline, probe.root):
                for case_id, value in zip(probe.cases, values or (), strict=False):
                    yield f"{one.name}: {probe.probe}: case {case_id!r}", value
    for phase, seconds in record.phases.items():
        yield f"phase {phase!r}", seconds
    for what, amount in record.usage.items():
        yield f"usage {what!r}", amount


def _scores(where: str, scored: CaseResult | TestResult) -> Iterator[tuple[str, float | None]]:
    yield f"{where}: candidate", scored.candidate
    yield f"{where}: baseline", scored.baseline
    yield f"{where}: root", scored.root


def _write(file: Path, data: bytes) -> None:
    """Whole or not at all: written beside `file`, then renamed."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(file)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _read(file: Path, hint: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise RecordError(f"{file}: cannot be read ({error.strerror}). {hint}") from error
