"""`harness compare`: the same words, record, report and exit status as the gate, from files alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import run
from harness.record import read_record

PRODUCED = Path(__file__).resolve().parent.parent / "scorefiles" / "produced"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def table(name: str, passed: list[int]) -> str:
    rows = "".join(f"q{i:03},{score}\n" for i, score in enumerate(passed))
    Path(name).write_text(f"id,score\n{rows}")
    return name


def only_record():
    (folder,) = Path("reports").iterdir()
    return folder, read_record(folder)


@pytest.mark.parametrize(
    ("ours", "word", "status"),
    [
        ([1] * 396 + [0] * 4, "PASS", 0),
        ([1] * 200 + [0] * 200, "FAIL", 1),
        ([1] * 20 + [0], "INCONCLUSIVE", 10),
    ],
)
def test_verdict_and_exit_status_are_the_gates(capsys, ours, word, status):
    theirs = [1] * (len(ours) - 3) + [0] * 3
    assert run(["compare", table("a.csv", ours), table("b.csv", theirs), "--margin", ".02"]) == status
    printed = capsys.readouterr().out
    assert printed.startswith(f"{word}: a against b\n")
    folder, record = only_record()
    assert record.policy.margin == 0.02
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert f"{word} · a" in page
    assert "harness compare" in page
    assert "pytest" not in page
    assert f"report: {folder / 'index.html'}" in printed
    # The record decides and reports again like any other, under the policy of the comparison.
    assert run(["gate", "--record", str(folder)]) == status
    assert run(["report", str(folder)]) == 0
    assert (folder / "index.html").read_text(encoding="utf-8") == page


def test_the_report_speaks_the_projects_language(capsys):
    Path("pyproject.toml").write_text('[tool.harness]\nlanguage = "zh"\n')
    assert run(["compare", table("a.csv", [1] * 200 + [0] * 200), table("b.csv", [1] * 400)]) == 1
    folder, _ = only_record()
    assert "不能发布" in (folder / "index.html").read_text(encoding="utf-8")


def test_lm_eval_results_are_compared_task_by_task_with_texts_in_the_report(capsys):
    sides = [str(PRODUCED / "lm-eval" / side) for side in ("candidate", "baseline")]
    metrics = ["--metric", "exact_match,none", "--metric", "exact_match,number"]
    assert run(["compare", *sides, *metrics, "--margin", ".02"]) in (1, 10)
    folder, record = only_record()
    assert [(one.name, len(one.cases)) for one in record.sets] == [("harness_capitals", 12), ("harness_sums", 8)]
    printed = capsys.readouterr().out
    assert "newly missed: harness_capitals 3: 3, 6, 7\n" in printed
    assert "newly missed: harness_sums 1: 5\n" in printed
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "Cusco" in page
    assert "lm-evaluation-harness 0.4.13" in page


def test_inspect_logs_are_compared(capsys):
    sides = [str(PRODUCED / "inspect-json" / side) for side in ("candidate", "baseline")]
    assert run(["compare", *sides, "--metric", "includes"]) == 10
    _, record = only_record()
    assert {case.case: (case.baseline, case.candidate) for case in record.sets[0].cases} == {
        "france": (1, 1), "japan": (1, 1), "kenya": (0, 1), "peru": (1, 0),
    }  # fmt: skip


def test_a_target_must_improve_and_a_policy_file_is_read(capsys):
    Path("policy.toml").write_text("margin = 0.2\nfloors = { scores = 0.9 }\n")
    ours, theirs = table("a.csv", [1] * 50), table("b.csv", [0] * 40 + [1] * 10)
    assert run(["compare", ours, theirs, "--policy", "policy.toml", "--improve", "scores"]) == 0
    printed = capsys.readouterr().out
    assert "target" in printed
    assert "floor" in printed


def test_lower_is_better_and_another_scale(capsys):
    Path("a.csv").write_text("id,wer\n" + "".join(f"q{i},{i % 3}\n" for i in range(90)))
    Path("b.csv").write_text("id,wer\n" + "".join(f"q{i},{40 + i % 3}\n" for i in range(90)))
    options = ["--score", "wer", "--range", "0", "100", "--lower-is-better", "wer"]
    assert run(["compare", "a.csv", "b.csv", *options]) == 0
    assert "lower wer is better" in capsys.readouterr().out
    assert run(["compare", "b.csv", "a.csv", *options]) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["a.csv", "gone.csv"], 4, "gone.csv: there is no such file or folder"),
        (["a.csv", "b.csv", "--margin", "5"], 4, "--margin = 5.0: a margin is a share between 0 and 1"),
        (["a.csv", "b.csv", "--range", "1", "0"], 4, "give the lowest score first"),
        (["a.csv", "b.csv", "--metric", "acc"], 4, "--metric is for the tools' own files"),
        (["a.csv", "b.csv", "--score", "points"], 4, "unknown column 'points'"),
        (["a.csv", "a.csv"], 11, "the same, byte for byte"),
        (["a.csv", "short.csv"], 11, "1 of 3 cases are not in short.csv: q002"),
    ],
)
def test_a_mistake_is_one_sentence_and_writes_nothing(capsys, arguments, status, said):
    table("a.csv", [1, 1, 0])
    table("b.csv", [1, 1, 1])
    table("short.csv", [1, 0])
    assert run(["compare", *arguments]) == status
    printed = capsys.readouterr()
    assert printed.err.startswith("harness: error: ")
    assert said in printed.err
    assert "Traceback" not in printed.err
    assert not Path("reports").exists()


@pytest.mark.parametrize("typed", ["WER", "zz"])
def test_a_lower_is_better_that_names_no_score_is_refused(capsys, typed):
    for name in ("a.csv", "b.csv"):
        Path(name).write_text(f"id,wer\nq1,0.1\nq2,{0.2 if name == 'a.csv' else 0.3}\n")
    assert run(["compare", "a.csv", "b.csv", "--score", "wer", "--lower-is-better", typed]) == 4
    said = capsys.readouterr().err
    assert said == f"harness: error: --lower-is-better: unknown score column {typed!r}: Known: wer\n"
    assert not Path("reports").exists()


def test_an_improve_that_names_no_set_is_invalid(capsys):
    assert run(["compare", table("a.csv", [1, 1]), table("b.csv", [1, 0]), "--improve", "refunds"]) == 11
    assert "no set 'refunds' in the run" in capsys.readouterr().out


def test_a_comparison_is_no_proof_for_a_promotion(capsys):
    assert run(["compare", table("a.csv", [1] * 300), table("b.csv", [1] * 299 + [0])]) == 0
    folder, record = only_record()
    assert record.source == "scores"
    capsys.readouterr()
    assert run(["gate", "--record", str(folder)]) == 0
    assert "no version can be promoted on them" in capsys.readouterr().out


def test_comparing_loads_no_deep_learning_library():
    table("a.csv", [1, 1, 0])
    table("b.csv", [1, 1, 1])
    code = (
        "import sys\nfrom harness.cli.main import run\nrun(['compare', 'a.csv', 'b.csv'])\n"
        "print(sorted({'torch', 'transformers', 'inspect_ai', 'lm_eval', 'pytest'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
