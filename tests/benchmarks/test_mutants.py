"""Planted faults: one at a time, in the places that matter, and a survivor is not lost."""

from __future__ import annotations

import ast
import json
import tomllib
from pathlib import Path

import mutants
import pytest
from machine import RESULTS
from mutations import Mutant, mutated, offers
from mutations import mutants as faults
from sections import PAGE, section

SOURCE = '''"""A docstring about less and 0.05."""

LEVEL: float = 0.05
Side = Literal["less", "greater"]


def test_of(candidate, baseline, n, *, clusters=None):
    """Never changed: 0.05."""
    if n < 1:
        raise ValueError(f"{n} < 1")
    found = compare(candidate, baseline, clusters=clusters)
    return holm(min(found.low, 1.0)) / (n - 1)
'''


@pytest.fixture
def planted(tmp_path) -> list[Mutant]:
    (tmp_path / "small.py").write_text(SOURCE, encoding="utf-8")
    return faults(tmp_path / "small.py", tmp_path)


def test_faults_of_every_kind_are_offered_and_words_are_left_alone(planted):
    told = {f"{one.operator}: {one.before} -> {one.after}" for one in planted}
    assert {
        "comparison: n < 1 -> n <= 1",
        "check dropped: if n < 1 -> if False",
        "arguments swapped: compare(candidate, baseline, clusters=clusters) -> "
        "compare(baseline, candidate, clusters=clusters)",
        "argument dropped: compare(candidate, baseline, clusters=clusters) -> compare(candidate, baseline)",
        "call dropped: holm(min(found.low, 1.0)) -> min(found.low, 1.0)",
        "call swapped: min(found.low, 1.0) -> max(found.low, 1.0)",
        "sides swapped: found.low -> found.high",
        "minus one dropped: n - 1 -> n",
        "constant: LEVEL: float = 0.05 -> LEVEL: float = 0.1",
        "constant: LEVEL: float = 0.05 -> LEVEL: float = 0.95",
    } <= told
    assert not any(word in one for one in told for word in ("docstring", "Never", "ValueError", "greater"))


def test_a_mutant_differs_from_its_module_in_one_place(planted):
    plain = ast.unparse(ast.parse(SOURCE)).splitlines()
    for one in planted:
        changed = ast.unparse(mutated(SOURCE, one)).splitlines()
        assert sum(a != b for a, b in zip(plain, changed, strict=True)) == 1, one.name
    assert len({one.name for one in planted}) == len(planted)


def test_the_same_fault_twice_in_a_function_has_two_names(tmp_path):
    (tmp_path / "twice.py").write_text("def f(a):\n    return g(a < 1), h(a < 1)\n", encoding="utf-8")
    names = [one.name for one in faults(tmp_path / "twice.py", tmp_path) if one.after == "a <= 1"]
    assert names == [
        "twice.py f: comparison: a < 1 -> a <= 1",
        "twice.py f: comparison: a < 1 -> a <= 1 (no. 2)",
    ]


def test_sums_of_words_are_no_arithmetic():
    (joined,) = ast.parse("f'{a}' + b").body
    assert list(offers(joined.value)) == []


def test_the_choice_is_even_over_kinds_and_repeats():
    chosen = mutants.choose(60)
    kinds = [one.operator for one in chosen]
    assert chosen == mutants.choose(60)
    assert max(kinds.count(kind) for kind in kinds) - min(kinds.count(kind) for kind in kinds) <= 1


def test_a_mutant_is_tried_by_the_tests_that_reach_its_lines_a_file_at_a_time_slow_ones_last():
    def mutant(function: str | None, first: int) -> Mutant:
        place = {"file": "a.py", "place": 0, "choice": 0, "function": function, "first": first, "last": first + 1}
        return Mutant(operator="constant", before="1", after="2", **place)

    reach = {
        "t1.py::slow": (2.0, {"a.py": {5}}),
        "t1.py::one": (0.1, {"a.py": {4, 9}}),
        "t2.py::one": (0.1, {"a.py": {4}}),
        "t2.py::two": (0.05, {"a.py": {5}}),
        "t3.py::elsewhere": (0.1, {"a.py": {9}, "b.py": {4}}),
    }
    assert mutants.tests_for(mutant("f", 4), reach) == [["t2.py::two", "t2.py::one"], ["t1.py::one"], ["t1.py::slow"]]
    # Done on import: whoever uses the file may notice. A default argument's line is reached by nobody.
    everything = sorted(reach)
    for top in (mutant(None, 1), mutant("f", 100)):
        assert sorted(test for tests in mutants.tests_for(top, reach) for test in tests) == everything


def test_a_child_tells_its_status_and_is_stopped_by_its_own_processor_time():
    assert mutants._forked(lambda: 3, seconds=30) == 3

    def endless() -> int:
        while True:
            pass

    assert mutants._forked(endless, seconds=0.1) is None


def test_a_survivor_without_explanation_is_not_enough():
    told = [{"mutant": f"m{i}", "operator": "constant", "fate": "killed"} for i in range(19)]
    told.append({"mutant": "s", "operator": "constant", "fate": "survived"})
    assert not mutants.explain(told, {})["met"]
    known = mutants.explain(told, {"s": "equal by symmetry"})
    assert known["met"]
    assert (known["killed"], known["survived"], known["explained"]) == (19, 1, 1)
    assert "equal by symmetry" in "\n".join(mutants.page(known))
    few = [*told[:8], told[-1]]
    assert not mutants.explain(few, {"s": "equal by symmetry"})["met"]


@pytest.mark.skipif(not (RESULTS / "mutants.json").is_file(), reason="not measured yet")
def test_the_committed_page_shows_the_committed_result():
    result = json.loads((RESULTS / "mutants.json").read_text(encoding="utf-8"))
    assert section("mutants", PAGE.read_text(encoding="utf-8")) == "\n".join(mutants.page(result)).strip()
    known = tomllib.loads(Path(mutants.EXPLAINED).read_text(encoding="utf-8"))["survivors"]
    assert all(known[one["mutant"]] == one["explanation"] for one in result["mutants"] if "explanation" in one)
