"""What users can type is documented, and what the documents name exists."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import click
import msgspec
import pytest

from harness import checks
from harness.cli.main import cli
from harness.config import EndpointConfig, HarnessConfig, JudgeConfig, SamplingConfig
from harness.golden import GoldenCase
from harness.policy import CaseGroup, GatePolicy, Waiver
from harness.pytest_plugin import plugin
from harness.reviewing import ReviewPolicy, ReviewSettings
from harness.training.recipe import DataRecipe, LoraRecipe, OptimRecipe, Recipe, ReplayRecipe

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_the_speed_table_of_endpoints_is_the_kept_result():
    kept = json.loads((ROOT / "benchmarks" / "results" / "endpoint.json").read_bytes())
    table = page("endpoints.md").partition("## Speed")[2].partition("## Cost")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "|" in line][2:]
    expected = [
        [f"{kept['bare_s']:.2f}", "400", str(kept["in_flight"])],
        [f"{kept['pytest_s']:.2f}", str(kept["calls"]), str(kept["most_in_flight"])],
        [f"{kept['second_run_s']:.2f}", str(kept["calls_of_second_run"]), ""],
    ]
    others = sorted(kept["rivals"].items(), key=lambda pair: pair[1]["seconds"])
    expected += [[f"{r['seconds']:.2f}", str(r["calls"]), str(r["most_in_flight"])] for _, r in others]
    assert [row[1:] for row in rows] == expected
    assert f"{kept['start_up_s']} s of it is its start" in rows[1][0]
    assert [row[0].split(",")[0] for row in rows[3:]] == [f"{name} {r['version']}" for name, r in others]


def commands(group: click.Group, path: str = "harness") -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append((f"{path} {name}", command))
        if isinstance(command, click.Group):
            found += commands(command, f"{path} {name}")
    return found


@pytest.mark.parametrize(("name", "command"), commands(cli), ids=[name for name, _ in commands(cli)])
def test_a_command_and_its_options_have_help_and_a_place_in_the_docs(name, command):
    assert command.help, f"{name} has no help"
    assert re.search(rf"{name}\b", page("cli.md")), f"docs/cli.md lacks {name}"
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts[0]} has no help"
            for spelling in option.opts + option.secondary_opts:
                assert f"`{spelling}" in page("cli.md"), f"docs/cli.md lacks {name} {spelling}"


def test_every_option_of_the_plugin_is_documented():
    for name, settings in plugin.OPTIONS:
        assert settings["help"]
        assert f"* `{name}" in page("suites.md"), f"docs/suites.md lacks {name}"


def test_the_marker_is_documented():
    assert f"@pytest.mark.{plugin.MARKER.split(':')[0]}" in page("suites.md")


def fixtures() -> list[str]:
    found = [name for name, value in vars(plugin).items() if type(value).__name__ == "FixtureFunctionDefinition"]
    assert len(found) >= 6
    return found


@pytest.mark.parametrize("name", fixtures())
def test_every_fixture_is_documented(name):
    assert f"* `{name}`:" in page("suites.md")


@pytest.mark.parametrize("name", sorted(checks.CHECKS))
def test_every_check_is_documented_and_public(name):
    assert f"| `{name}` |" in page("checks.md")
    import harness

    assert name in harness.__all__
    assert inspect.getdoc(getattr(harness, name))


@pytest.mark.parametrize("key", GoldenCase.__struct_fields__)
def test_every_key_of_a_golden_case_is_documented(key):
    assert re.search(rf"^\|.*`{key}`.*\|", page("golden-sets.md"), re.MULTILINE)


@pytest.mark.parametrize(
    "struct", [Recipe, DataRecipe, ReplayRecipe, LoraRecipe, OptimRecipe], ids=lambda s: s.__name__
)
def test_every_key_of_a_recipe_is_documented(struct):
    missing = [key for key in struct.__struct_fields__ if not re.search(rf"(^|[\s{{`]){key}[:`]", page("training.md"))]
    assert not missing


@pytest.mark.parametrize(
    "struct",
    [GatePolicy, CaseGroup, Waiver, ReviewPolicy, ReviewSettings, HarnessConfig, SamplingConfig],
    ids=lambda s: s.__name__,
)
def test_every_key_of_the_configuration_is_documented(struct):
    tables = {name for name in HarnessConfig.__struct_fields__ if f"[tool.harness.{name}]" in page("cli.md")}
    tables |= {name for name in GatePolicy.__struct_fields__ if f"[tool.harness.gate.{name}" in page("cli.md")}
    tables |= {"endpoints"} if "[tool.harness.endpoints." in page("cli.md") else set()
    missing = [
        key
        for key in struct.__struct_fields__
        if f"\n{key} = " not in page("cli.md") and f"`{key}" not in page("cli.md") and key not in tables
    ]
    assert not missing


@pytest.mark.parametrize("key", EndpointConfig.__struct_fields__)
def test_every_key_of_an_endpoint_is_documented(key):
    assert re.search(rf"^\|.*`{key}`.*\|", page("endpoints.md"), re.MULTILINE)


@pytest.mark.parametrize("key", JudgeConfig.__struct_fields__)
def test_every_key_of_a_judge_is_documented(key):
    assert re.search(rf"^\|.*`{key}`.*\|", page("judges.md"), re.MULTILINE)


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_link_between_pages_leads_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{path.name} links to {target}"
        if anchor:
            titles = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_room_is_on_the_map():
    text = page("architecture.md")
    for module in (ROOT / "harness").iterdir():
        if module.name.startswith("_") or module.suffix not in ("", ".py"):
            continue
        name = module.name if module.suffix else f"{module.name}/"
        assert f"`{name}`" in text, f"docs/architecture.md lacks {name}"


def test_every_make_target_in_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z]+)\b", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"README names `make {target}`"


def test_every_decision_is_listed():
    index = page("decisions/README.md")
    for note in (DOCS / "decisions").glob("0*.md"):
        assert f"({note.name})" in index


def test_the_default_policy_in_the_docs_is_the_real_one():
    block = re.search(r"```toml\n(.*?)```", page("cli.md"), re.DOTALL)
    assert block is not None
    import tomllib

    table = tomllib.loads(block[1])["tool"]["harness"]
    assert set(table) <= set(HarnessConfig.__struct_fields__)
    config = msgspec.convert(table, HarnessConfig)
    assert config.gate.margin == GatePolicy().margin
    assert config.sampling == SamplingConfig()


def test_every_whole_set_measure_is_documented():
    from harness.scores import Scores

    measures = [
        name
        for name, member in vars(Scores).items()
        if inspect.isfunction(member) and member.__annotations__.get("return") in ("Measured", "Confusion")
    ]
    assert len(measures) >= 8
    for name in measures:
        assert f"`scores.{name}(" in page("metrics.md"), f"docs/metrics.md lacks {name}"
