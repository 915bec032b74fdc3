"""A small project with scripted models, for running the plugin in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

# pytester forgets the modules that a run in this process has imported, and numpy and scipy cannot be imported twice.
import scipy.special  # noqa: F401

import harness.pytest_plugin.hooks
import harness.report.html  # noqa: F401
from harness.record import RunRecord, read_record

#: Suites run in this process: one under such a name would be taken for our module.
OUR_TESTS = frozenset(path.name for path in Path(__file__).parents[1].rglob("test_*.py"))

SUITE = """
import pytest
from harness import includes

@pytest.mark.golden("facts")
def test_names_the_answer(case, response):
    assert includes(response, case.target)
"""

CONFIG = """
[tool.harness.gate]
margin = 0.10
suites = ["suites/"]
[tool.pytest.ini_options]
disable_test_id_escaping_and_forfeit_all_rights_to_community_support = true
"""


class Project:
    """Golden set `facts` of n cases; models are scripted by the cases that they get wrong."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path: Path = pytester.path
        self.cases: list[dict[str, object]] = []
        self.write("pyproject.toml", CONFIG)
        self.write("suites/test_facts.py", SUITE)
        self.facts(6)

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        assert path.name not in OUR_TESTS, f"{path.name}: a module of this name may be imported already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def golden(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        self.write(f"golden_sets/{name}.jsonl", "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))

    def facts(self, n: int, **fields: object) -> None:
        """A set of n cases with ids fact-a, fact-b, …; `fields` are added to each."""
        names = [f"fact-{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(n)]
        self.cases = [{"id": x, "input": f"What is {x}?", "target": f"answer {x}", **fields} for x in names]
        self.golden("facts", self.cases)

    def model(
        self, name: str, wrong: Sequence[str] = (), says: Callable[[str], str] = "no idea about {}".format
    ) -> str:
        """Script a model that answers all but the `wrong` cases well; gives its reference."""
        rows = [
            {
                "id": c["id"],
                "output": says(str(c["id"])) if c["id"] in wrong else f"It is {c['target']}, {name}.",
            }
            for c in self.cases
        ]
        self.write(f"{name}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return f"scripted:{name}.jsonl"

    def ids(self, n: int) -> list[str]:
        return [str(c["id"]) for c in self.cases[:n]]

    def run(self, *arguments: str) -> pytest.RunResult:
        """pytest in this process, which is quick, unless it is to have workers."""
        if "-n2" in arguments:
            return self.pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)
        return self.pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)

    def record(self) -> RunRecord:
        folders = sorted((self.path / "reports").iterdir(), key=lambda p: (p.stat().st_mtime_ns, p.name))
        return read_record(folders[-1])

    @staticmethod
    def generated(result: pytest.RunResult) -> int:
        """How many answers the run had to generate, from its summary line."""
        found = re.search(r"(\d+) answers generated", result.stdout.str())
        assert found is not None, result.stdout.str() + result.stderr.str()
        return int(found[1])


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester)
