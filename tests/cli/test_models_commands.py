"""`harness models`: what a user sees when versions are registered, promoted and rolled back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from adapterfiles import tensors

from harness.cli.main import run
from harness.config import load_project
from harness.policy import GatePolicy
from harness.record import CaseResult, ModelIdentity, RunRecord, SetResult, TestResult, write_record
from harness.registry import Registry


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[tool.harness.gate]\nimprove = ["triage"]\n')
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    (base / "model.safetensors").write_bytes(b"base")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "60")
    return load_project(tmp_path)


def adapter(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "base"}))
    (folder / "adapter_model.safetensors").write_bytes(tensors(weights))
    return folder


@pytest.mark.parametrize("cut", [0, 5, 60, -1])
def test_weights_that_were_cut_off_are_no_version_and_blamed_on_nothing_else(project, tmp_path, capsys, cut):
    folder = adapter(tmp_path / "cut", b"many weights" * 9)
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:cut])
    assert run(["models", "add", str(folder), "--name", "triage"]) == 4
    told = capsys.readouterr().err
    assert f"{weights}: damaged (" in told
    assert "Copy it again" in told
    assert run(["models", "list"]) == 0
    assert "triage@1" not in capsys.readouterr().out
    assert run(["gate", str(folder)]) == 4


def identity(label: str, digest: str) -> ModelIdentity:
    return ModelIdentity(
        label=label, reference=label, digest=digest, base_digest="b", adapter_digest=None, engine="hf", dtype="bfloat16"
    )


def rated(name: str, candidate: float, baseline: float, n: int = 60) -> SetResult:
    def one(i: int) -> CaseResult:
        passed, before = float(i < candidate * n), float(i < baseline * n)
        tests = (TestResult(test="t", lane="rate", candidate=passed, baseline=before),)
        return CaseResult(case=f"case-{i}", line=i + 1, candidate=passed, baseline=before, tests=tests)

    cases = tuple(one(i) for i in range(n))
    digest = hashlib.sha256(GOLDEN).hexdigest()
    return SetResult(name=name, path=f"golden_sets/{name}.jsonl", digest=digest, kind="ask", cases=cases)


GOLDEN = b"the golden sets that were asked"


def gated(project, label: str, run_id: str, guard: float = 1.0, created: str = "2026-01-01T00:00:00+00:00") -> None:
    """A complete run of `label` against today's baseline: triage improves, a guard set passes at `guard`."""
    registry = Registry(project.registry, root=project.root)
    version = registry.version(label)
    policy = GatePolicy(improve=("triage",))
    record = RunRecord(
        run_id=run_id,
        created=created,
        harness_version="0",
        arguments=(),
        candidate=identity(label, version.digest),
        baseline=identity("the baseline", registry.baseline_digest_for(version)),
        root=None,
        policy=policy,
        policy_digest=policy.digest,
        collection_digest="c",
        sets=(rated("triage", 1.0, 0.0), rated("general", guard, 1.0)),
    )
    write_record(project.reports / run_id, record, {})
    project.golden_sets.mkdir(exist_ok=True)
    for one in record.sets:
        (project.root / one.path).write_bytes(GOLDEN)


def test_an_empty_registry_says_how_to_begin(project, capsys):
    assert run(["models", "list"]) == 0
    assert "harness train RECIPE" in capsys.readouterr().out


def test_an_added_adapter_becomes_the_candidate(project, tmp_path, capsys):
    adapter(tmp_path / "triage")
    assert run(["models", "add", "triage"]) == 0
    assert "triage@1 is the candidate" in capsys.readouterr().out
    assert run(["models", "add", "triage"]) == 0
    assert "exactly these weights already" in capsys.readouterr().out


def test_the_list_is_right_at_sixty_columns_and_without_colour(project, tmp_path, capsys):
    for number in range(3):
        run(["models", "add", str(adapter(tmp_path / f"a{number}", bytes([number]))), "--name", "ticket-triage"])
    capsys.readouterr()
    assert run(["models", "list"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 60
    (line,) = [line for line in shown.splitlines() if "candidate" in line]
    assert line.split()[0] == "ticket-triage@3"


def test_a_damaged_version_does_not_hide_the_others(project, tmp_path, capsys):
    run(["models", "add", str(adapter(tmp_path / "a"))])
    run(["models", "add", str(adapter(tmp_path / "b", b"x"))])
    (project.registry / "a" / "1" / "manifest.json").write_text("{")
    capsys.readouterr()
    assert run(["models", "list"]) == 0
    shown = capsys.readouterr().out
    assert "damaged" in shown
    assert "b@1" in shown


def test_show_tells_the_digests_and_the_moves(project, tmp_path, capsys):
    run(["models", "add", str(adapter(tmp_path / "a"))])
    capsys.readouterr()
    assert run(["models", "show"]) == 0
    shown = capsys.readouterr().out
    assert Registry(project.registry).version("a").digest in shown
    assert "candidate: None -> a@1" in shown


def test_notes_of_an_adapter_from_outside_cannot_command_the_terminal(project, tmp_path, capsys):
    folder = adapter(tmp_path / "a")
    (folder / "training.json").write_text(json.dumps({"note": "\x1b[2J", "\x1b]0;title\x07": "x"}))
    run(["models", "add", str(folder)])
    capsys.readouterr()
    assert run(["models", "show"]) == 0
    shown = capsys.readouterr().out
    assert "training note: ⟨U+001B⟩[2J" in shown
    assert "\x1b" not in shown


def test_promotion_without_a_run_is_refused_with_exit_1(project, tmp_path, capsys):
    run(["models", "add", str(adapter(tmp_path / "a"))])
    assert run(["models", "promote"]) == 1
    assert "harness gate a@1" in capsys.readouterr().err


def test_a_pass_on_golden_sets_that_changed_since_promotes_nothing(project, tmp_path, capsys):
    run(["models", "add", str(adapter(tmp_path / "a"))])
    gated(project, "a@1", "one")
    (project.golden_sets / "general.jsonl").write_bytes(b"with a red line more")
    assert run(["models", "promote", "--accept", "never mind"]) == 1
    refusal = capsys.readouterr().err
    assert "golden_sets/general.jsonl is another file now, or gone" in refusal
    assert "Run: harness gate a@1" in refusal


def test_a_pass_from_before_the_policy_named_a_suite_promotes_nothing(project, tmp_path, capsys):
    run(["models", "add", str(adapter(tmp_path / "a"))])
    gated(project, "a@1", "one")
    (project.root / "pyproject.toml").write_text('[tool.harness.gate]\nsuites = ["suites/", "safety/"]\n')
    assert run(["models", "promote"]) == 1
    assert "safety/ is a suite of the policy now" in capsys.readouterr().err


def test_a_pass_is_promoted_and_can_be_undone(project, tmp_path, capsys):
    run(["models", "add", str(adapter(tmp_path / "a"))])
    gated(project, "a@1", "one")
    assert run(["models", "promote", "--owner", "Ada"]) == 0
    assert "a@1 is the baseline now" in capsys.readouterr().out
    assert run(["models", "promote"]) == 0
    assert "already" in capsys.readouterr().out
    assert run(["models", "list"]) == 0
    assert "promote -> a@1, Ada: PASS in run one" in " ".join(capsys.readouterr().out.split())
    assert run(["models", "rollback", "--reason", "users complained"]) == 0
    assert "its own base" in capsys.readouterr().out
    assert Registry(project.registry).log()[-1].reason == "users complained"


def test_a_newer_failure_outranks_an_older_pass(project, tmp_path, capsys):
    run(["models", "add", str(adapter(tmp_path / "a"))])
    gated(project, "a@1", "one")
    gated(project, "a@1", "two", guard=0.0, created="2026-01-02T00:00:00+00:00")
    assert run(["models", "promote"]) == 1
    assert "run two is FAIL" in capsys.readouterr().err


def test_promotion_decides_again_under_todays_policy(project, tmp_path, capsys):
    run(["models", "add", str(adapter(tmp_path / "a"))])
    gated(project, "a@1", "one")
    (tmp_path / "pyproject.toml").write_text('[tool.harness.gate]\nimprove = ["general"]\n')
    assert run(["models", "promote"]) == 1
    assert "run one is" in capsys.readouterr().err


def test_promotion_hears_people(project, tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "review"))
    from reviewed import drawn, reviewed, subject

    from harness.record import read_record
    from harness.review.kept import write_review

    run(["models", "add", str(adapter(tmp_path / "a"))])
    gated(project, "a@1", "one")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.harness.gate]\nimprove = ["triage"]\n[tool.harness.gate.review]\nrequired = true\nmargin = 0.3\n'
    )
    assert run(["models", "promote"]) == 1
    assert "demands a human review" in " ".join(capsys.readouterr().err.split())
    record = read_record(project.reports / "one")
    assert record.baseline is not None
    of = subject(40, texts_digest=record.texts_digest, models=(record.candidate.digest, record.baseline.digest))
    for score, ended in ((0.0, 1), (1.0, 0)):
        write_review(project.reports / "one", reviewed(tmp_path, drawn(of, ("ana",)), {"ana": lambda case, s=score: s}))
        assert run(["models", "promote", "--accept", "they were tired"]) == ended


def test_an_old_record_is_decided_under_another_policy(project, tmp_path, capsys):
    run(["models", "add", str(adapter(tmp_path / "a"))])
    gated(project, "a@1", "one", guard=0.9)
    (tmp_path / "bare.toml").write_text('improve = ["triage"]\nmargin = 0.3\nalpha = 0.0001\n')
    (tmp_path / "full.toml").write_text('[tool.harness.gate]\nimprove = ["triage"]\nfloors = {general = 0.95}\n')
    capsys.readouterr()
    assert run(["gate", "--record", "reports/one", "--policy", "bare.toml"]) == 0
    assert "PASS" in capsys.readouterr().out
    assert run(["gate", "--record", "reports/one/record.json", "--policy", "full.toml"]) == 1
    assert "floor" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("margn = 0.1", "did you mean 'margin'"),
        ("margin = ", "not valid TOML"),
        ("[tool.other]\nx = 1", r"no [tool.harness.gate] in it"),
        (None, "cannot be read"),
    ],
)
def test_a_policy_file_that_is_none_is_told(project, tmp_path, capsys, content, said):
    run(["models", "add", str(adapter(tmp_path / "a"))])
    gated(project, "a@1", "one")
    if content is not None:
        (tmp_path / "p.toml").write_text(content)
    assert run(["gate", "--record", "reports/one", "--policy", "p.toml"]) == 4
    assert said in capsys.readouterr().err
