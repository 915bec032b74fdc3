"""The real-model calibration: nothing is done twice, and a damage counts only when the right criterion blocks it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from drawn import Layout, Truth, draw, record, shipped
from retrains import DAMAGES, Harness, Retrains, damaged_data, page
from trainings import inputs_digest, keep, kept_project

from harness.config import load_project
from harness.record import write_record
from harness.registry import Registry
from harness.store import Store


@pytest.fixture
def project(tmp_path):
    made = kept_project(tmp_path / "kept")
    damaged_data(made)
    return made


class Pretended:
    """Trainings that only count, and gates whose records are drawn: damaged ones lost what their name says."""

    def __init__(self, project, *, stop_after: int = 1000) -> None:
        self.project = project
        self.steps: list[str] = []
        self.left = stop_after
        shapes, policy = shipped()
        self.layout = Layout(name="r", shapes=shapes, policy=msgspec.structs.replace(policy, improve=()), root=True)

    def harness(self) -> Harness:
        return Harness(train=self.train, gate=self.gate)

    def _step(self, what: str) -> None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.steps.append(what)

    def train(self, recipe, overrides):
        self._step(f"train {recipe} {' '.join(overrides)}")
        return f"triage@{'-'.join(overrides)}"

    def gate(self, candidate, baseline):
        self._step(f"gate {candidate} {baseline}")
        lost = {"triage-shuffled": "triage", "triage-truncated": "triage", "triage-rate": "retention/general"}
        name = next((of for word, of in lost.items() if word in candidate), None)
        if candidate == "triage@seed=0" and baseline == "triage@seed=0":
            name = "retention/general"  # the recipe without replay has no other name here
        drops = ((name, 0.4),) if name else ()
        drawn = draw(self.layout, Truth(flips=0.1, drops=drops), 1, np.random.default_rng(len(drops)))
        folder = self.project.reports / f"run-{len(self.steps)}"
        write_record(folder, record(drawn, 0), {})
        return folder


def test_a_killed_run_goes_on_and_does_nothing_twice(project):
    first = Pretended(project, stop_after=7)
    with pytest.raises(KeyboardInterrupt):
        Retrains(project, first.harness(), seeds=3).run()
    second = Pretended(project)
    steps = Retrains(project, second.harness(), seeds=3)
    steps.run()
    assert len(first.steps) == 7
    assert len([*first.steps, *second.steps]) == len(steps.plan()) == 2 * (3 + len(DAMAGES))
    assert not set(first.steps) & set(second.steps)
    third = Pretended(project)
    Retrains(project, third.harness(), seeds=3).run()
    assert third.steps == []


def test_every_step_leaves_a_result(project):
    seen = []
    Retrains(project, Pretended(project).harness(), seeds=2, on_step=seen.append).run()
    assert [len(one["trained"]) for one in seen[:6]] == [1, 2, 3, 4, 5, 6]
    assert (seen[0]["met"], seen[-1]["pairs_done"], seen[-1]["damages_blocked"]) == (False, 2, 4)
    assert seen[-1]["met"]


def test_changed_golden_sets_are_asked_again(project):
    Retrains(project, Pretended(project).harness(), seeds=2).run()
    before = inputs_digest(project)
    golden = project.golden_sets / "triage.jsonl"
    golden.write_text(golden.read_text("utf-8") + "\n", encoding="utf-8")
    assert inputs_digest(project) != before
    assert all(step.startswith("to do") for step in Retrains(project, Pretended(project).harness(), seeds=2).plan())


def test_a_damage_that_another_criterion_blocks_is_not_blocked_for_the_right_reason(project):
    steps = Retrains(project, Pretended(project).harness(), seeds=2)
    steps.run()
    right = steps.result()["damages"]["shuffled labels"]
    assert right["right"]
    assert right["by"][0].startswith("alarm: triage ")
    # The same model, had it lost the general questions instead.
    steps.gated["shuffled labels"] = steps.gated["no replay"]
    assert steps.gated["shuffled labels"]["status"] == "FAIL"
    assert not steps.result()["damages"]["shuffled labels"]["right"]
    assert not steps.result()["met"]


def test_the_page_shows_every_pair_and_every_damage(project):
    steps = Retrains(project, Pretended(project).harness(), seeds=3)
    assert page(steps.result()) == ["Not measured yet: `python benchmarks/retrains.py`."]
    steps.run()
    text = "\n".join(page(steps.result()))
    assert "3 of 3 equal pairs PASS" in text
    assert "4 of 4 damages" in text
    assert all(damage.name in text for damage in DAMAGES)


def test_damaged_rows_keep_the_tickets_and_spoil_the_answers(project):
    def rows(name: str) -> list[dict]:
        return [
            json.loads(line) for line in (project.root / f"data/triage/{name}.jsonl").read_text("utf-8").splitlines()
        ]

    good, shuffled, truncated = rows("train"), rows("shuffled"), rows("truncated")
    asked = [row["messages"][0] for row in good]
    assert asked == [row["messages"][0] for row in shuffled] == [row["messages"][0] for row in truncated]
    answers = [[json.loads(row["messages"][-1]["content"]) for row in of] for of in (good, shuffled)]
    assert [a["reference"] for a in answers[0]] == [a["reference"] for a in answers[1]]
    assert sum(a["category"] != b["category"] for a, b in zip(*answers, strict=True)) > len(good) / 2
    cut = [a["messages"][-1] != b["messages"][-1] for a, b in zip(good, truncated, strict=True)]
    assert sum(cut) == len(good) // 2


def test_answers_and_versions_of_a_demo_are_kept_and_found_again(project, tmp_path):
    from harness.models import Response

    worker = load_project(_copy_of(project.root, tmp_path / "worker"))
    with Store(worker.store) as store:
        store.put_responses({"k" * 64: Response(text="Paris.")})
    for _ in range(2):
        assert keep(worker, project) == []
    with Store(project.store) as store:
        assert store.responses(["k" * 64])["k" * 64].text == "Paris."
    assert Registry(project.registry, root=project.root).labels() == []


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(SystemExit, match="not made by this script"):
        kept_project(tmp_path)


def _copy_of(root: Path, folder: Path) -> Path:
    folder.mkdir()
    (folder / "pyproject.toml").write_text((root / "pyproject.toml").read_text("utf-8"), encoding="utf-8")
    return folder
