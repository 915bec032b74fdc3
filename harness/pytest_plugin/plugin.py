"""Options, marker, fixtures and the hooks that decide whether anything else is loaded.

pytest imports this module in every run of every project, so it imports pytest and the standard library only; all
thinking is behind imports inside functions, reached once a golden marker, a golden file or `--model` is seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.comparisons import Comparisons
    from harness.golden import GoldenCase
    from harness.judges.judgement import Judgement
    from harness.models import Response
    from harness.pytest_plugin.session import HarnessSession
    from harness.retention import Retention
    from harness.scores import Scores


MARKER = (
    "golden(*patterns, lane=None): run this test on the golden sets named by the patterns ('refunds', 'retention/*'); "
    "lane='red_line' or 'rate' overrides the cases' own red_line"
)
NO_MODEL = "golden cases need a model to answer them: add --model=REF (candidate, smollm2, a PEFT folder, …)"

CANDIDATE = (
    "the candidate: candidate, NAME@VERSION, smollm2, a PEFT folder, hf:PATH[+ADAPTER], vllm:REF, openai:MODEL@URL, "
    "scripted:FILE"
)
BASELINE = "what to compare with (default: the alias 'baseline', else the candidate's own base)"
MAX_COST = "stop asking once new answers have cost this much, by the endpoints' prices: INVALID, answers are kept"
SAMPLES = "independent samples per case; needs a temperature in [tool.harness.sampling]"

NO_JUDGE = (
    "no judge compares the answers: add --judge=NAME (of [tool.harness.judges], or a model reference), or set "
    "[tool.harness] judge; the rest of the gate stands. See docs/judges.md"
)
JUDGE = (
    "who compares the answers in pairs: a name of [tool.harness.judges], several with commas between, a model "
    "reference, reference, replay:FILE (default: [tool.harness] judge)"
)

AA = "ask the baseline against itself: again, batch (another size) or dtype (another format); see harness gate --aa"

OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--model", {"metavar": "REF", "help": CANDIDATE}),
    ("--baseline", {"metavar": "REF", "help": BASELINE}),
    ("--judge", {"metavar": "NAME", "help": JUDGE}),
    ("--samples", {"metavar": "K", "type": int, "default": 1, "help": SAMPLES}),
    ("--aa", {"metavar": "HOW", "choices": ("again", "batch", "dtype"), "help": AA}),
    ("--store-only", {"action": "store_true", "help": "use stored answers only; never load a model"}),
    ("--max-cost", {"metavar": "AMOUNT", "type": float, "help": MAX_COST}),
    ("--strict-cases", {"action": "store_true", "help": "every missed case fails the run, baseline or not"}),
    ("--report-dir", {"metavar": "DIR", "help": "where records and reports go (default: [tool.harness] reports)"}),
    ("--device", {"metavar": "DEVICE", "help": "where local models run: auto, cpu, cuda, cuda:1"}),
    ("--dtype", {"metavar": "DTYPE", "help": "number format of local models: auto (bfloat16), float32, float16"}),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("harness", "Finetune Harness")
    for name, settings in OPTIONS:
        # Where another plugin owns the name, argparse would end every run, ours or not. Unrelated runs must not
        # notice; ours say so when a model is needed.
        if _option_owner(parser, name) is None:
            group.addoption(name, dest=_dest(name), **settings)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    if config.getoption(_dest("--model"), None) is not None:
        from harness.pytest_plugin.hooks import activate

        activate(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("golden") is not None:
        from harness.pytest_plugin.collect import parametrize

        parametrize(metafunc)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix != ".jsonl":
        return None
    from harness.pytest_plugin.collect import golden_file

    return golden_file(file_path, parent)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("golden") is None or item.config.getoption(_dest("--model"), None) is not None:
        return
    owner = _option_owner(item.config._parser, "--model")
    if owner is not None:
        raise pytest.UsageError(
            f"golden cases need --model, but the option belongs to another plugin ({owner}): "
            f"turn that plugin off with -p no:NAME, or set PYTEST_DISABLE_PLUGIN_AUTOLOAD"
        )
    pytest.skip(NO_MODEL)


@pytest.hookimpl(tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Why nothing was asked, also with -q, where pytest only counts what was skipped."""
    skipped = terminalreporter.stats.get("skipped", ())
    unasked = sum(isinstance(report.longrepr, tuple) and NO_MODEL in report.longrepr[2] for report in skipped)
    if unasked:
        terminalreporter.ensure_newline()
        terminalreporter.write_line(f"{unasked} not asked: {NO_MODEL}")


@pytest.fixture
def case(request: pytest.FixtureRequest) -> GoldenCase:
    """The golden case: `case.input`, `case.target`, `case.tags`, `case.metadata`."""
    return _param(request).case  # type: ignore[no-any-return]


@pytest.fixture
def response(request: pytest.FixtureRequest, case: GoldenCase) -> Response:
    """The model's answer to the case. The test is asked again with the baseline's, and once per sample."""
    return _session(request).responses(_param(request), "candidate")[0]


@pytest.fixture
def responses(request: pytest.FixtureRequest, case: GoldenCase) -> tuple[Response, ...]:
    """All samples of the model's answer to the case (`--samples K`)."""
    return _session(request).responses(_param(request), "candidate")


@pytest.fixture
def baseline_response(request: pytest.FixtureRequest, case: GoldenCase) -> Response | None:
    """The baseline's answer to the case; None where there is no baseline."""
    session = _session(request)
    return session.responses(_param(request), "baseline")[0] if session.refs.baseline else None


@pytest.fixture
def scores(request: pytest.FixtureRequest) -> Scores:
    """The golden set's own checks over all its cases, candidate and baseline: `scores.not_worse()`."""
    return _session(request).scores(request.param)


@pytest.fixture
def comparisons(request: pytest.FixtureRequest) -> Comparisons:
    """Both models' answers to the golden set, compared in pairs by a judge: `comparisons.not_worse()`."""
    return _judged_session(request).comparisons(request.param)


@pytest.fixture
def judgement(request: pytest.FixtureRequest, case: GoldenCase) -> Judgement:
    """What the judge said of this case: `judgement.preferred`, `judgement.score`, `judgement.reason`."""
    param = _param(request)
    return _judged_session(request).comparisons(param.set).judgement(param.case.id)


@pytest.fixture
def retention(request: pytest.FixtureRequest) -> Retention:
    """Forgetting probes over all golden sets of the marker, against baseline and root base."""
    return _session(request).retention(request.param)


def _param(request: pytest.FixtureRequest) -> Any:
    # `response` depends on `case`, so the parameter sits on the item; `request.param` exists only for `case` itself.
    callspec = getattr(request.node, "callspec", None)
    if callspec is None or "case" not in callspec.params:
        raise pytest.UsageError(
            f"{request.node.nodeid}: the fixtures case and response need a golden set: "
            f'add @pytest.mark.golden("NAME") to the test or pytestmark to the file'
        )
    return callspec.params["case"]


def _session(request: pytest.FixtureRequest) -> HarnessSession:
    from harness.pytest_plugin.session import SESSION

    session = request.config.stash.get(SESSION, None)
    if session is None:
        pytest.skip(NO_MODEL)
    return session


def _judged_session(request: pytest.FixtureRequest) -> HarnessSession:
    """The session, where it has a judge; else the test is skipped, and the run says so."""
    session = _session(request)
    if session.judge is None:
        from harness.pytest_plugin.lanes import UNJUDGED

        request.node.stash[UNJUDGED] = True
        pytest.skip(NO_JUDGE)
    return session


def _dest(option: str) -> str:
    return "harness_" + option.removeprefix("--").replace("-", "_")


def _option_owner(parser: Any, option: str) -> str | None:
    """The group that registered `option`, where that is not ours."""
    for group in (parser._anonymous, *parser._groups):
        if group.name != "harness" and any(option in o.names() for o in group.options):
            return str(group.name or "unnamed")
    return None
