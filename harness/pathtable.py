"""Several ways to the same answers side by side: quality, tokens, latency, cost, and what an update takes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from harness.config import Price
from harness.errors import ConfigError
from harness.models import Response
from harness.pairs import PairedSet, pair_sets
from harness.policy import GatePolicy
from harness.record import ModelIdentity, Role, RunRecord
from harness.stats.intervals import Interval
from harness.verdict import points, rate_interval


class SetQuality(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One golden set: the pass rate of its rated cases, and the paired change against the first path."""

    set: str
    rate: Interval
    change: Interval | None = None


class Latency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds a request over `n` answers, and how many requests were under way at once (the median)."""

    median: float
    p95: float
    together: float
    n: int


class PathResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One path. Tokens are means per request; None where nobody told. `cost` is of 1,000 requests; None where no
    price is known. `cut_off` counts the cases with an answer that ended at max_tokens; None where nobody counted.
    `update` says what must be done when the knowledge changes."""

    model: ModelIdentity
    quality: tuple[SetQuality, ...]
    prompt_tokens: float | None
    output_tokens: float | None
    latency: Latency | None
    alone: Latency | None
    cost: float | None
    update: tuple[str, ...]
    cut_off: int | None = None


class PathTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The paths in the order that they were named; every change is against the first. `cases` were asked of each."""

    paths: tuple[PathResult, ...]
    cases: int
    arguments: tuple[str, ...] = ()


def path_table(
    records: Sequence[RunRecord],
    policy: GatePolicy,
    *,
    prices: Sequence[Price | None],
    updates: Sequence[tuple[str, ...]],
    alone: Sequence[tuple[float, ...]] = (),
    cut_off: Sequence[int] = (),
) -> PathTable:
    """The table of runs that each compared another path with the same first one.

    `prices`, `updates`, `alone` and `cut_off` are the paths' own, the first path's first. Raises ConfigError
    where the runs have no rated case, or not the same cases.
    """
    first = records[0]
    asked = [(one.name, one.digest, [case.case for case in one.cases]) for one in first.sets]
    for record in records[1:]:
        if [(one.name, one.digest, [case.case for case in one.cases]) for one in record.sets] != asked:
            raise ConfigError(
                f"{record.candidate.label} and {first.candidate.label} were not asked the same cases: a golden set "
                "changed in between. Run again."
            )
    roles: list[tuple[RunRecord, Role]] = [(first, "baseline"), *((record, "candidate") for record in records)]
    paths = []
    for place, (record, role) in enumerate(roles):
        sets = pair_sets(record, policy)
        tokens = {what: _mean(record, role, what) for what in ("prompt tokens", "output tokens")}
        seconds = alone[place] if place < len(alone) else ()
        identity = record.candidate if role == "candidate" else record.baseline
        assert identity is not None, "every run compares with the first path"
        paths.append(
            PathResult(
                model=identity,
                quality=tuple(_qualities(sets, role)),
                prompt_tokens=tokens["prompt tokens"],
                output_tokens=tokens["output tokens"],
                latency=_latency(_values(record, role, "seconds"), _values(record, role, "asked together")),
                alone=_latency(seconds, [1.0] * len(seconds)),
                cost=_cost(prices[place], tokens),
                update=updates[place],
                cut_off=cut_off[place] if place < len(cut_off) else None,
            )
        )
    if not any(path.quality for path in paths):
        raise ConfigError("nothing to compare: no set has a rated case. Add golden cases with checks, or a suite.")
    return PathTable(paths=tuple(paths), cases=sum(len(names) for _, _, names in asked))


def rows(table: PathTable) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What is measured, and how each path did, in words; a row is left out where nobody was measured."""
    first = table.paths[0].model.label
    for place, one in enumerate(table.paths[0].quality):
        found = [path.quality[place] for path in table.paths]
        yield f"{one.set}, {one.rate.n} cases", tuple(_rate(quality.rate) for quality in found)
        yield f"  against {first}, points", tuple(_change(quality.change) for quality in found)
    yield "prompt tokens a request", tuple(_number(path.prompt_tokens) for path in table.paths)
    yield "output tokens a request", tuple(_number(path.output_tokens) for path in table.paths)
    if any(path.latency for path in table.paths):
        yield "seconds, median / p95, as asked", tuple(_seconds(path.latency, load=True) for path in table.paths)
    if any(path.alone for path in table.paths):
        counted = max(path.alone.n for path in table.paths if path.alone)
        yield f"seconds alone, median / p95 of {counted}", tuple(_seconds(path.alone) for path in table.paths)
    if any(path.cut_off for path in table.paths):
        counts = ("not counted" if path.cut_off is None else f"{path.cut_off} of {table.cases}" for path in table.paths)
        yield "cut off at max_tokens", tuple(counts)
    costs = tuple("not priced" if path.cost is None else f"{path.cost:.4g}" for path in table.paths)
    yield "cost of 1,000 requests", costs
    yield "when the knowledge changes", tuple("; ".join(path.update) for path in table.paths)


def markdown(table: PathTable) -> list[str]:
    """The table for a page."""
    head = ["", *(f"`{path.model.label}`" for path in table.paths)]
    lines = [head, ["---", *["---:"] * len(table.paths)]]
    lines += [[name.strip(), *cells] for name, cells in rows(table)]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _qualities(sets: Sequence[PairedSet], role: Role) -> Iterator[SetQuality]:
    for one in sets:
        if not one.cases or role not in one.scores:
            continue
        rate = rate_interval(one.scores[role])
        assert rate is not None, "there are cases"
        compared = one.comparisons.get("baseline") if role == "candidate" else None
        yield SetQuality(set=one.name, rate=rate, change=None if compared is None else compared.interval)


def _values(record: RunRecord, role: Role, what: str) -> list[float]:
    found: list[float] = []
    for one in record.sets:
        for probe in one.probes:
            if probe.probe == what:
                values: Mapping[Role, tuple[float, ...] | None] = {
                    "candidate": probe.candidate,
                    "baseline": probe.baseline,
                    "root": probe.root,
                }
                found += values[role] or ()
    return found


def _mean(record: RunRecord, role: Role, what: str) -> float | None:
    values = _values(record, role, what)
    return float(np.mean(values)) if values else None


def _latency(seconds: Sequence[float], together: Sequence[float]) -> Latency | None:
    if not seconds:
        return None
    return Latency(
        median=float(np.median(seconds)),
        p95=float(np.quantile(seconds, 0.95)),
        together=float(np.median(together)) if together else 1.0,
        n=len(seconds),
    )


def _cost(price: Price | None, tokens: Mapping[str, float | None]) -> float | None:
    read, written = tokens["prompt tokens"], tokens["output tokens"]
    if price is None or read is None or written is None:
        return None
    return 1000 * (read * price.input + written * price.output) / 1_000_000


def cut_off_cases(record: RunRecord, texts: Mapping[str, Response], role: Role) -> int:
    """How many cases have an answer of this model that ended at max_tokens."""
    answers = (case.answers.get(role, ()) for one in record.sets for case in one.cases)
    return sum(any(texts[key].finish_reason == "length" for key in keys if key in texts) for keys in answers)


def _rate(rate: Interval) -> str:
    return f"{points(rate.estimate)}% [{points(rate.low)}, {points(rate.high)}]"


def _change(change: Interval | None) -> str:
    if change is None:
        return "–"
    low, high = points(change.low, sign=True), points(change.high, sign=True)
    return f"{points(change.estimate, sign=True)} [{low}, {high}]".replace("-", "−")


def _number(value: float | None) -> str:
    return "not told" if value is None else f"{value:.1f}"


def _seconds(latency: Latency | None, *, load: bool = False) -> str:
    if latency is None:
        return "not told"
    told = f"{latency.median:.2f} / {latency.p95:.2f}"
    return f"{told}, {latency.together:.0f} at once" if load else told
