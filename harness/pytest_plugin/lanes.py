"""Asking one test of candidate and baseline, and what its outcome means.

rate      a miss is counted, not failed: the set as a whole answers for it
red line  must pass; a break fails the run
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
import pytest

from harness.models import Response
from harness.pytest_plugin.collect import LANE, MODEL_FIXTURES, GoldenItem
from harness.pytest_plugin.session import SESSION, HarnessSession, case_param
from harness.record import Lane

Outcome = Literal["passed", "missed", "failed", "unstable", "inconclusive", "invalid", "error"]

#: Longest explanation kept of a miss, in characters; the whole answer is in the record's texts.
EXPLANATION = 600


class CaseOutcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One test on one case: pass or miss per sample, by role. Travels from worker to controller as builtins."""

    set: str
    case: str
    test: str
    lane: Lane
    status: Outcome
    candidate: tuple[int, ...]
    baseline: tuple[int, ...] | None
    explanation: str
    keys: tuple[str, ...]
    baseline_keys: tuple[str, ...]
    same: bool | None
    cut_off: int


OUTCOME = pytest.StashKey[CaseOutcome]()

#: A test that was skipped because no judge is set.
UNJUDGED = pytest.StashKey[bool]()

#: Attribute of a test report that carries what we know of it to the controller; from a worker as builtins.
TOLD = "harness"


def asks_model(item: pytest.Item) -> bool:
    """Does this item judge a model's answer to one case?"""
    if isinstance(item, GoldenItem):
        return True
    return case_param(item) is not None and not MODEL_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


def hand_over(item: pytest.Item, session: HarnessSession) -> None:
    """Put the case and its answers where pytest would put them after running the fixtures, which it then does not.

    The fixtures of one scripted answer take longer than all else. They still serve other fixtures that ask for them.
    """
    param = case_param(item)
    if param is None or isinstance(item, GoldenItem) or not asks_model(item):
        return
    function: Any = item
    names = function.fixturenames
    # Our fixtures read the request, of which pytest makes a new definition at each reading.
    values: dict[str, object] = {"request": function._request}
    if len(function._fixtureinfo.name2fixturedefs["case"]) == 1:
        values["case"] = param.case
    if "response" in names or "responses" in names:
        values["responses"] = samples = session.responses(param, "candidate")
        values["response"] = samples[0]
    if "baseline_response" in names:
        values["baseline_response"] = session.responses(param, "baseline")[0] if session.refs.baseline else None
    function.funcargs.update(values)


def run_item(item: pytest.Item) -> None:
    """Ask the item's test of every sample of the candidate and of the baseline; raise as its lane demands."""
    param = case_param(item)
    assert param is not None, "only per-case items come here"
    session = item.config.stash[SESSION]
    lane = item.stash[LANE]
    limit = session.samples_of(lane == "red_line")
    answers = session.responses(param, "candidate", limit=limit)
    versus = session.responses(param, "baseline", limit=limit) if session.refs.baseline else ()
    ask = _asker(item, versus)

    candidate, misses = _ask_each(ask, answers, item)
    baseline = _ask_each(ask, versus, item)[0] if versus else None
    miss = next((m for m in misses if m is not None), None)
    status = _status(candidate, lane, session)
    if status == "failed" and lane == "red_line" and session.waives_red_line(param):
        # Somebody answers for it; the record says that it is broken, the verdict who does.
        status = "missed"
    item.stash[OUTCOME] = CaseOutcome(
        set=param.set.name,
        case=param.case.id,
        test=_test_name(item),
        lane=lane,
        status=status,
        candidate=candidate,
        baseline=baseline,
        explanation="" if miss is None else str(miss)[:EXPLANATION],
        keys=session.keys(param, "candidate"),
        baseline_keys=session.keys(param, "baseline"),
        same=[a.text for a in answers] == [b.text for b in versus] if versus else None,
        cut_off=sum(answer.finish_reason == "length" for answer in answers),
    )
    if status == "failed":
        assert miss is not None, "a failed case has a miss"
        raise miss
    if status in ("missed", "unstable"):
        # pytest's own word for "neither passed nor failed"; hooks.py gives it ours.
        raise pytest.skip.Exception(_first_line(miss), _use_item_location=True)


def _status(candidate: tuple[int, ...], lane: Lane, session: HarnessSession) -> Outcome:
    broken = candidate.count(0)
    if not broken:
        return "passed"
    if lane == "rate":
        return "failed" if session.strict else "missed"
    # One broken sample of several may be chance: 4 of 5 is a break, less is unstable and counted.
    confirmed = len(candidate) == 1 or broken >= 0.8 * len(candidate)
    return "failed" if confirmed else "unstable"


def _asker(item: pytest.Item, versus: tuple[Response, ...]) -> Callable[[tuple[Response, ...]], None]:
    """The test as a function of the samples it is to judge."""
    if isinstance(item, GoldenItem):
        golden = item
        return lambda samples: golden.ask(samples[0])
    function: Any = item
    names = function._fixtureinfo.argnames
    funcargs = {name: function.funcargs[name] for name in names}

    def ask(samples: tuple[Response, ...]) -> None:
        if "response" in funcargs:
            funcargs["response"] = samples[0]
        if "responses" in funcargs:
            funcargs["responses"] = samples
        if "baseline_response" in funcargs:
            funcargs["baseline_response"] = versus[0] if versus else None
        function.obj(**funcargs)

    return ask


def _ask_each(
    ask: Callable[[tuple[Response, ...]], None], answers: tuple[Response, ...], item: pytest.Item
) -> tuple[tuple[int, ...], list[BaseException | None]]:
    """1 or 0 per sample, and each miss. A test that reads all samples is asked once."""
    whole = "responses" in getattr(item, "fixturenames", ())
    misses: list[BaseException | None] = []
    for samples in [answers] if whole else [(answer,) for answer in answers]:
        try:
            ask(samples)
        except (AssertionError, pytest.fail.Exception) as miss:
            misses.append(miss)
        else:
            misses.append(None)
    return tuple([int(miss is None) for miss in misses]), misses


def _test_name(item: pytest.Item) -> str:
    """The function, by file, or the check's name: the same for every case of a set."""
    if isinstance(item, GoldenItem):
        return item.name[item.name.index("[") + 1 : -1]
    function: Any = item
    others = [f"{k}={v!r}" for k, v in function.callspec.params.items() if k != "case"]
    suffix = f"[{','.join(others)}]" if others else ""
    return f"{item.nodeid.partition('[')[0]}{suffix}"


def _first_line(miss: BaseException | None) -> str:
    return str(miss).strip().partition("\n")[0][:240]
