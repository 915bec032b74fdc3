"""From a marker or a golden file to pytest items; ids are case ids, never indices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.checks import Spec, check_names, run_check, validate
from harness.config import Project, load_project
from harness.errors import ConfigError, HarnessError, unknown_name
from harness.golden import GoldenCase, GoldenSet, find_golden_sets, load_golden_set, select_golden_sets
from harness.models import Response
from harness.policy import matches
from harness.record import Lane
from harness.scores import scorable

PROJECT = pytest.StashKey[Project]()
SETS = pytest.StashKey[dict[str, tuple[GoldenSet, ...]]]()

#: The lane of a planned per-case item.
LANE = pytest.StashKey[Lane]()


#: Fixtures that give answers.
MODEL_FIXTURES = frozenset({"response", "responses", "baseline_response"})


class CaseParam:
    """The parameter of a per-case item: which case of which set."""

    __slots__ = ("case", "set")

    def __init__(self, golden_set: GoldenSet, case: GoldenCase) -> None:
        self.set = golden_set
        self.case = case


def project(config: pytest.Config) -> Project:
    """The project that pytest was started in, read once."""
    if PROJECT not in config.stash:
        config.stash[PROJECT] = load_project(config.rootpath)
    return config.stash[PROJECT]


def refuse_unknown_sets(project: Project) -> None:
    """Raise ConfigError for settings and policy of a set that is no file: now, not after everything was asked."""
    names = find_golden_sets(project.golden_sets) if project.golden_sets.is_dir() else []
    policy = project.config.gate
    named: dict[str, Iterable[str]] = {
        "[tool.harness.sets]": project.config.sets,
        "[tool.harness.gate] improve": policy.improve,
        "[tool.harness.gate.margins]": policy.margins,
        "[tool.harness.gate.floors]": policy.floors,
        "[tool.harness.gate.budgets]": policy.budgets,
    }
    for key, patterns in named.items() if names else ():
        for pattern in patterns:
            if not any(matches(name, (pattern,)) for name in names):
                raise ConfigError(
                    f"{project.root / 'pyproject.toml'}: {key}: {unknown_name('golden set', pattern, names)}"
                )


def golden_sets(config: pytest.Config, patterns: tuple[str, ...]) -> tuple[GoldenSet, ...]:
    """The golden sets that the patterns name, each file read once per run."""
    loaded = config.stash.setdefault(SETS, {})
    key = "\0".join(patterns)
    if key not in loaded:
        loaded[key] = tuple(select_golden_sets(project(config).golden_sets, patterns, validate_check=validate))
    return loaded[key]


def patterns_of(item: Any) -> tuple[str, ...]:
    """The patterns of the closest golden marker; raises where there are none."""
    marker = item.get_closest_marker("golden")
    patterns = tuple(marker.args) if marker is not None else ()
    if not patterns or not all(isinstance(p, str) for p in patterns):
        raise pytest.Collector.CollectError(
            f'{item.nodeid}: @pytest.mark.golden needs the names of golden sets: golden("refunds", "retention/*")'
        )
    return patterns


def lane_of(item: pytest.Item, case: GoldenCase) -> Lane:
    """The marker's lane where it names one, else the case's own."""
    marker = item.get_closest_marker("golden")
    lane = marker.kwargs.get("lane") if marker is not None else None
    if lane is None:
        return "red_line" if case.red_line else "rate"
    if lane not in ("rate", "red_line"):
        raise pytest.UsageError(f"{item.nodeid}: golden(lane={lane!r}): a lane is 'rate' or 'red_line'")
    return lane  # type: ignore[no-any-return]


def parametrize(metafunc: pytest.Metafunc) -> None:
    """One item per case, or per set for `scores` and `comparisons`; `retention` sees all sets of the marker at once."""
    names = metafunc.fixturenames
    if not {"case", "scores", "comparisons", "retention"} & set(names):
        return
    try:
        sets = golden_sets(metafunc.config, patterns_of(metafunc.definition))
    except HarnessError as error:
        raise pytest.Collector.CollectError(str(error)) from error
    if "case" in names:
        _refuse_fixtures_of_answers(metafunc)
        asked = [s for s in sets if s.kind == "ask"]
        if not asked:
            raise pytest.Collector.CollectError(
                f"{metafunc.definition.nodeid}: {', '.join(s.name for s in sets)} holds no cases with an input; "
                "multiple choice and prose are measured by the retention fixture"
            )
        params = [CaseParam(s, c) for s in asked for c in s.cases]
        ids = [p.case.id if len(asked) == 1 else f"{p.set.name}:{p.case.id}" for p in params]
        metafunc.parametrize("case", params, ids=ids, indirect=True)
    if "scores" in names:
        scored = [s for s in sets if scorable(s)]
        metafunc.parametrize("scores", scored, ids=[s.name for s in scored], indirect=True)
    if "comparisons" in names:
        compared = [s for s in sets if s.kind == "ask"]
        metafunc.parametrize("comparisons", compared, ids=[s.name for s in compared], indirect=True)
    if "retention" in names:
        metafunc.parametrize("retention", [sets], ids=["+".join(patterns_of(metafunc.definition))], indirect=True)


def _refuse_fixtures_of_answers(metafunc: pytest.Metafunc) -> None:
    """A fixture runs once, with the candidate's answer; the test is then asked again with the baseline's."""
    definition: Any = metafunc.definition
    for name, found in definition._fixtureinfo.name2fixturedefs.items():
        overrides = name in MODEL_FIXTURES and len(found) > 1
        if overrides or any(not MODEL_FIXTURES.isdisjoint(one.argnames) for one in found):
            raise pytest.Collector.CollectError(
                f"{definition.nodeid}: the fixture {name} works on an answer, but a fixture runs once, and the test is "
                "asked of each sample and of the baseline: make it a function that the test calls"
            )


def golden_file(path: Path, parent: pytest.Collector) -> GoldenFile | None:
    """A collector for a golden set below the project's golden sets folder; None for any other file."""
    home = project(parent.config).golden_sets
    if not (home.is_dir() and path.is_relative_to(home)):
        return None
    collector: GoldenFile = GoldenFile.from_parent(parent, path=path)
    return collector


class GoldenFile(pytest.File):
    """A golden set collected without any Python: one item per case and check."""

    def collect(self) -> Iterator[pytest.Item]:
        try:
            golden = load_golden_set(self.path, root=project(self.config).golden_sets, validate_check=validate)
        except HarnessError as error:
            raise self.CollectError(str(error)) from error
        if golden.kind != "ask":
            return
        for case, line in zip(golden.cases, golden.lines, strict=True):
            for spec, check in zip(case.checks, check_names(case.checks), strict=True):
                name = f"{case.id}[{check}]"
                yield GoldenItem.from_parent(self, name=name, param=CaseParam(golden, case), spec=spec, line=line)


class GoldenItem(pytest.Item):
    """One check of one case, as data."""

    def __init__(self, *, param: CaseParam, spec: Spec, line: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.param = param
        self.spec = spec
        self.line = line
        self.add_marker(pytest.mark.golden(param.set.name))

    def ask(self, response: Response) -> None:
        """Assert that the check holds for this answer."""
        score = run_check(self.spec, response, self.param.case.target)
        if not score:
            raise AssertionError(score.explanation)

    def runtest(self) -> None:
        # With a model, the lanes decide who is asked; see hooks.py. Without one the item was skipped in setup.
        from harness.pytest_plugin.lanes import run_item

        run_item(self)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, AssertionError):
            return f"{self.path.name}:{self.line}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, self.line - 1, self.name
