"""`harness compare-paths`: the table, its shapes and its errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("aiohttp")

sys.path.append(str(Path(__file__).parent.parent / "models"))

from served import Server, completion

from harness.cli.main import run
from harness.cli.paths import _resolved
from harness.config import load_project
from harness.pathtable import PathTable, markdown

N = 12
SUITE = """
import pytest
from harness import includes

@pytest.mark.golden("facts")
def test_names_the_answer(case, response):
    assert includes(response, case.target)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two golden sets, a good and a bad scripted model, and YAMLs over them."""
    (tmp_path / "pyproject.toml").write_text('[tool.harness.gate]\nmargin = 0.1\nsuites = ["suites/"]\n')
    for folder in ("suites", "golden_sets", "docs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "suites/test_facts.py").write_text(SUITE)
    names = [f"fact-{chr(97 + i)}" for i in range(N)]
    case = [
        {"id": n, "input": f"{n}?", "target": f"answer {n}", "checks": [{"includes": f"answer {n}"}]} for n in names
    ]
    text = "".join(json.dumps(one) + "\n" for one in case)
    (tmp_path / "golden_sets/facts.jsonl").write_text(text)
    (tmp_path / "golden_sets/others.jsonl").write_text(text.replace("fact-", "other-"))
    for name, right in (("bad", 3), ("good", 11)):
        said = [
            {"id": f"{kind}{n[4:]}", "output": f"answer {kind}{n[4:]}" if i < right else "no"}
            for kind in ("fact", "other")
            for i, n in enumerate(names)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in said))
    (tmp_path / "bare.yaml").write_text("model: scripted:bad.jsonl\nsystem: Answer.\n")
    (tmp_path / "docs/facts.md").write_text("# One\n\nfact-a is the first\n\n# Two\n\nfact-b is the second\n")
    (tmp_path / "rag.yaml").write_text("model: scripted:good.jsonl\nretriever: {folder: docs}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(capsys: pytest.CaptureFixture[str], *arguments: str) -> PathTable:
    assert run(["compare-paths", *arguments, "--json"]) == 0
    return msgspec.json.decode(capsys.readouterr().out, type=PathTable)


def test_every_path_is_asked_the_suite_and_compared_with_the_first(project, capsys):
    found = table(capsys, "bare.yaml", "rag.yaml", "scripted:good.jsonl")
    assert [path.model.label for path in found.paths] == ["bare.yaml", "rag.yaml", "scripted:good.jsonl"]
    (first,), (second,), _ = (path.quality for path in found.paths)
    assert (first.set, first.rate.estimate, first.change) == ("facts", 3 / N, None)
    assert second.rate.estimate == 11 / N
    assert second.change is not None
    assert second.change.estimate == pytest.approx(8 / N)
    assert second.change.low > 0
    assert found.cases == N
    assert not [left.name for left in (project / ".harness").iterdir() if left.name.startswith("aside-")]

    lines = {line.split("|")[1].strip(): line for line in markdown(found)}
    assert "edit the prompt" in lines["when the knowledge changes"]
    assert "edit a document: 2 passages are indexed again in" in lines["when the knowledge changes"]
    assert lines["cost of 1,000 requests"].count("not priced") == 3
    assert lines["output tokens a request"].count("not told") == 3
    assert "25% [8.9, 53.2]" in lines["facts, 12 cases"]
    assert "| – | +66.7 [" in lines["against bare.yaml, points"]


def test_sets_are_asked_by_their_own_checks_and_a_second_table_asks_nothing(project, capsys):
    sets = ("--set", "fact*", "--set", "others")
    found = table(capsys, "bare.yaml", "rag.yaml", *sets)
    assert [one.set for one in found.paths[0].quality] == ["facts", "others"]
    assert found.cases == 2 * N

    assert run(["compare-paths", "bare.yaml", "rag.yaml", *sets, "--store-only"]) == 0
    out = capsys.readouterr().out
    assert "24 cases each" in out
    for words in ("bare.yaml", "rag.yaml", "facts, 12 cases", "not priced"):
        assert words in out

    (project / "docs/facts.md").write_text("another document")
    assert run(["compare-paths", "bare.yaml", "rag.yaml", *sets, "--store-only"]) == 11
    assert "only the store may be used" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bare.yaml"], "name two models or more"),
        (["bare.yaml", "scripted:bad.jsonl", "bare.yaml"], "are the same weights, asked in the same way"),
        (["bare.yaml", "rag.yaml", "--set", "fakts"], "did you mean 'facts'?"),
        (["bare.yaml", "rag.yaml", "--suite", "gone.py"], "there is no such suite"),
        (["bare.yaml", "rag.yaml", "--suite", "suites", "--set", "facts"], "leave one of them out"),
        (["bare.yaml", "raq.yaml"], "no such model YAML"),
    ],
)
def test_a_mistake_is_one_sentence(project, capsys, arguments, words):
    assert run(["compare-paths", *arguments]) == 4
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err


def test_an_engine_that_breaks_ends_as_invalid(project, capsys):
    (project / "empty.jsonl").write_text('{"id": "fact-a", "output": "x"}\n')
    assert run(["compare-paths", "bare.yaml", "scripted:empty.jsonl"]) == 11
    assert "no answer for case" in capsys.readouterr().err


def test_tokens_price_and_waiting_are_those_of_the_server(project, capsys):
    def behave(question, times, seen):
        wordy = seen["body"]["messages"][0]["role"] == "system"
        said = f"answer {question.removesuffix('?')}"
        cut = wordy and question.startswith(("fact-a", "fact-b"))
        return completion(said, usage=(30 if wordy else 10, 5), finish="length" if cut else "stop")

    server = Server(behave)
    try:
        settings = f'url = "{server.url}"\nmodel = "tiny"\nprice = {{ input = 2.0, output = 4.0 }}\n'
        (project / "pyproject.toml").write_text(f"[tool.harness]\n[tool.harness.endpoints.shop]\n{settings}")
        (project / "wordy.yaml").write_text("model: shop\nsystem: Think hard.\n")
        found = table(capsys, "shop", "wordy.yaml", "--set", "facts", "--alone", "4")
    finally:
        server.stop()
    plain, wordy = found.paths
    assert (plain.cut_off, wordy.cut_off) == (0, 2)
    assert (plain.prompt_tokens, wordy.prompt_tokens, wordy.output_tokens) == (10, 30, 5)
    assert (plain.cost, wordy.cost) == pytest.approx((1000 * 40e-6, 1000 * 80e-6))
    assert plain.latency is not None
    assert plain.latency.n == N
    assert plain.alone is not None
    assert (plain.alone.n, plain.alone.together) == (4, 1)
    # 12 in the run, 4 alone and one before them, each.
    assert len(server.seen) == 2 * (N + 4 + 1)


def test_a_path_on_vllm_is_asked_as_the_project_sets_that_engine(project):
    """Else the weights of the table would go by another name than those of the run behind it."""
    (project / "base").mkdir()
    (project / "base" / "config.json").write_text('{"model_type": "llama"}')
    (project / "base" / "model.safetensors").write_bytes(b"weights")
    settings = project / "pyproject.toml"
    settings.write_text(settings.read_text() + "\n[tool.harness.vllm.engine_args]\nseed = 3\n")
    _, through_vllm = _resolved(load_project(project), ["scripted:good.jsonl", "vllm:base"], None, None)
    assert through_vllm.dtype == "bfloat16 seed=3"


def test_a_yaml_is_no_version(project, capsys):
    for command in (["models", "promote", "rag.yaml"], ["models", "add", "rag.yaml"]):
        assert run(command) == 4
        assert "harness gate rag.yaml" in capsys.readouterr().err
