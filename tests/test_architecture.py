"""The rules of docs/architecture.md, read from the source of every module; each is shown a breach as well."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "harness").rglob("*.py"))

#: From the top of the house to the cellar. A room imports from the lines below its own only.
FLOORS = (
    {"cli", "pytest_plugin"},
    {"naming", "ci", "tables"},
    {"report", "registry", "starter", "environment"},
    {"promotion"},
    {"aliases"},
    {"explain"},
    {"gate"},
    {"controls", "foresight", "noise", "parity", "repeats", "validity"},
    {"budgets", "groups", "pathtable", "review", "slices", "worst"},
    {"scores", "retention", "comparisons", "judgedfiles", "scorefiles"},
    {"verdict"},
    {"pairs"},
    {"waivers"},
    {"record"},
    {"judges"},
    {"lineage"},
    {"measures"},
    {"checks"},
    {"training"},
    {"data"},
    {"latency"},
    {"generation"},
    {"spending"},
    {"store"},
    {"golden"},
    {"models"},
    {"stats"},
    {"config"},
    {"policy"},
    {"answers", "cells", "columns", "reviewing", "settings", "yamlfile"},
    {"errors"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

#: Rooms that may use less than all that lies below them.
ONLY = {
    "training": {"data", "generation", "store", "golden", "models", "config", "yamlfile", "errors"},
    "data": {"golden", "models", "config", "errors"},
    "models": {"config", "yamlfile", "errors"},
    "stats": {"answers", "errors"},
}

#: A library, and the only places that know it.
HOMES = {
    **dict.fromkeys(
        ("torch", "transformers", "peft", "accelerate", "bitsandbytes"),
        ("models/hf", "models/smollm2", "models/devices", "training/"),
    ),
    "vllm": ("models/vllm/",),
    "aiohttp": ("models/openai/wire",),
    # The store, and the check that runs an answer's SQL in memory.
    "sqlite3": ("store", "checks/sql"),
    "sacrebleu": ("checks/overlap",),
    "rouge_score": ("checks/overlap",),
    "evaluate": ("checks/evaluated",),
    "bm25s": ("models/prompting/",),
    "jinja2": ("report/", "review/"),
    "click": ("cli/",),
    "pytest": ("pytest_plugin/",),
    "_pytest": ("pytest_plugin/",),
    # A record's cases as a table, where a user asks for one.
    "pandas": ("record",),
    "tensorboard": ("ci/trackers",),
    "wandb": ("ci/trackers",),
    "matplotlib": ("training/", "report/plots"),
}

PURE = (
    "budgets.py",
    "cells.py",
    "columns.py",
    "gate.py",
    "groups.py",
    "pairs.py",
    "pathtable.py",
    "slices.py",
    "validity.py",
    "verdict.py",
    "waivers.py",
    "worst.py",
    "explain/",
    "stats/",
    "report/brief.py",
    "report/cases.py",
    "report/changes.py",
    "report/chinese",
    "report/choices.py",
    "report/facts.py",
    "report/forest.py",
    "report/headline.py",
    "report/judged.py",
    "report/links.py",
    "report/numbers.py",
    "report/opinions.py",
    "report/pages.py",
    "report/people.py",
    "report/probes.py",
    "report/rules.py",
    "report/sets.py",
    "report/sight.py",
    "report/summary.py",
    "report/tables.py",
    "report/visible.py",
    "report/wording.py",
    "report/words.py",
    "review/blinding",
    "review/criteria",
    "review/findings",
    "review/harvest",
    "review/opinions",
    "review/plain",
    "review/selection",
)
#: A golden file's items run themselves by their lane, and lanes know such items.
KNOTS = {("harness.pytest_plugin.collect", "harness.pytest_plugin.lanes")}

IMPURE = {
    "os", "io", "pathlib", "tempfile", "subprocess", "socket", "time", "datetime", "random",
    "pytest", "secrets", "uuid",
}  # fmt: skip

#: "Base" at the front is an abstract class; at the end it is the model below an adapter.
NO_NOUN = re.compile(r"(Manager|Handler|Helpers?|Utils?)(?=[A-Z]|$)|^_?Base(?=[A-Z]|$)")
NO_VERB = re.compile(r"_?(process|handle|do)(_.*)?")


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the arrow"
            assert node.module is not None
            if node.module == "harness":
                yield from ((node.lineno, f"harness.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module


def _room(path: str) -> str:
    return path.split("/")[0].removesuffix(".py")


def arrow_breaches(path: str, source: str) -> list[str]:
    """Imports that point upwards or sideways; `path` is relative to harness/."""
    room = _room(path)
    if room in ("__init__", "__main__"):
        return []
    if room not in FLOOR:
        return [f"{path}: room {room!r} has no floor: give it one here and a line in docs/architecture.md"]
    breaches = []
    for line, name in _imports(ast.parse(source)):
        if not name.startswith("harness."):
            continue
        target = name.split(".")[1]
        if target == room:
            continue
        allowed = FLOOR.get(target, -1) > FLOOR[room] and target in ONLY.get(room, {target})
        if not allowed:
            breaches.append(f"{path}:{line}: {room} must not import {target}")
    return breaches


def library_breaches(path: str, source: str) -> list[str]:
    """Imports of a library outside its own room."""
    found = []
    for line, name in _imports(ast.parse(source)):
        homes = HOMES.get(name.split(".")[0])
        if homes is not None and not path.startswith(homes):
            found.append(f"{path}:{line}: {name} belongs in {', '.join(homes)}")
    return found


def purity_breaches(path: str, source: str) -> list[str]:
    """Files, clocks, pytest and unseeded randomness in a module that must be a function of its arguments."""
    if not path.startswith(PURE):
        return []
    tree = ast.parse(source)
    found = [
        f"{path}:{line}: a pure module imports {name}" for line, name in _imports(tree) if name.split(".")[0] in IMPURE
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            unseeded = called.endswith("default_rng") and not node.args
            if called == "open" or unseeded or re.search(r"\brandom\.(?!default_rng|Generator)", called):
                found.append(f"{path}:{node.lineno}: a pure module calls {called}")
    return found


def name_breaches(path: str, source: str) -> list[str]:
    """Names that say nothing, and unfinished work."""
    found = []
    if re.fullmatch(r"(utils?|helpers?|common|misc|base)", Path(path).stem):
        found.append(f"{path}: a module is one noun of the field")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and NO_NOUN.search(node.name):
            found.append(f"{path}:{node.lineno}: class {node.name}")
        if isinstance(node, ast.FunctionDef) and NO_VERB.fullmatch(node.name):
            found.append(f"{path}:{node.lineno}: function {node.name}")
    for number, line in enumerate(source.splitlines(), start=1):
        if re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", line):
            found.append(f"{path}:{number}: unfinished: {line.strip()}")
    return found


def length_breaches(path: str, source: str) -> list[str]:
    """A module past 450 lines is two concepts."""
    lines = source.count("\n")
    return [f"{path}: {lines} lines, 450 at most: split it by concept"] if lines > 450 else []


RULES = (arrow_breaches, library_breaches, purity_breaches, name_breaches, length_breaches)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule):
    breaches = []
    for module in MODULES:
        breaches += rule(module.relative_to(ROOT / "harness").as_posix(), module.read_text(encoding="utf-8"))
    assert not breaches, "\n".join(breaches)


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (arrow_breaches, "checks/text.py", "from harness.gate import decide"),
        (arrow_breaches, "checks/text.py", "def f():\n    import harness.cli.main"),
        (arrow_breaches, "report/html.py", "from harness.registry import Registry"),
        (arrow_breaches, "training/trainer.py", "from harness.checks import includes"),
        (arrow_breaches, "stats/paired.py", "from harness.policy import GatePolicy"),
        (arrow_breaches, "shed/rake.py", ""),
        (library_breaches, "gate.py", "def f():\n    import torch.nn"),
        (library_breaches, "cli/models.py", "from sqlite3 import connect"),
        (library_breaches, "registry.py", "import pytest"),
        (library_breaches, "models/endpoints.py", "import aiohttp"),
        (purity_breaches, "gate.py", "import time"),
        (purity_breaches, "stats/x.py", "open('x')"),
        (purity_breaches, "stats/x.py", "import numpy as np\nnp.random.default_rng()"),
        (purity_breaches, "stats/x.py", "import numpy as np\nnp.random.normal()"),
        (name_breaches, "store.py", "class StoreManager: pass"),
        (name_breaches, "store.py", "class BaseStore: pass"),
        (name_breaches, "store.py", "def handle_row(row): pass"),
        (name_breaches, "checks/utils.py", ""),
        (name_breaches, "store.py", "# TODO: later"),
        (length_breaches, "store.py", "\n" * 451),
    ],
)
def test_a_breach_is_found(rule, path, source):
    assert rule(path, source)


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (
            arrow_breaches,
            "gate.py",
            "from harness.stats.paired import tango\nfrom harness.errors import HarnessError",
        ),
        (library_breaches, "training/trainer.py", "import torch"),
        (purity_breaches, "stats/x.py", "import numpy as np\nnp.random.default_rng(7)"),
        (
            name_breaches,
            "models/refs.py",
            "def base_digest(): pass\ndef download(): pass\nclass LoadedBase: pass",
        ),
    ],
)
def test_what_is_allowed_is_no_breach(rule, path, source):
    assert rule(path, source) == []


def circle_among(sources: dict[str, str], knots: Set[tuple[str, str]] = frozenset()) -> list[str]:
    """The modules of one circle of imports, those made late included; none where there is none. `sources` are by path
    below harness/, `knots` the imports (from, of) that are left out. What only a type checker reads is no import."""
    names = {path: _dotted(path) for path in sources}
    graph: dict[str, set[str]] = {}
    for path, source in sources.items():
        named = set()
        for node in ast.walk(_at_run_time(ast.parse(source))):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                named |= whole if whole <= set(names.values()) else whole | {node.module or ""}
        mine = names[path]
        graph[mine] = {one for one in named & set(names.values()) if one != mine and (mine, one) not in knots}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _dotted(path: str) -> str:
    return ".".join(("harness", *Path(path).with_suffix("").parts)).removesuffix(".__init__")


def _at_run_time(tree: ast.Module) -> ast.Module:
    kept = [node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")]
    return ast.Module(body=kept, type_ignores=[])


def _sources() -> dict[str, str]:
    return {module.relative_to(ROOT / "harness").as_posix(): module.read_text(encoding="utf-8") for module in MODULES}


def test_no_modules_import_each_other_in_a_circle():
    sources = _sources()
    assert circle_among(sources, KNOTS) == []
    for knot in KNOTS:
        assert circle_among(sources, KNOTS - {knot}) != [], f"{knot} is a knot no more: take it off the list"


@pytest.mark.parametrize(
    ("there", "back"),
    [
        ("from harness.verdict import Verdict", "def f():\n    from harness import gate"),
        ("import harness.verdict", "import harness.gate"),
        ("from harness.verdict import Verdict", "from harness.gate import decide"),
    ],
)
def test_a_circle_is_found_and_types_draw_none(there, back):
    assert circle_among({"gate.py": there, "verdict.py": back}) != []
    assert circle_among({"gate.py": f"if TYPE_CHECKING:\n    {there}", "verdict.py": back}) == []


def test_rules_are_of_places_that_are_there():
    """A rule that names a module which moved away guards nothing."""
    paths = [module.relative_to(ROOT / "harness").as_posix() for module in MODULES]
    places = {place for homes in HOMES.values() for place in homes} | set(PURE)
    assert [place for place in sorted(places) if not any(path.startswith(place) for path in paths)] == []
    assert (set(FLOOR) | set(ONLY)) - {_room(path) for path in paths} == set()


def _modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    # -S would hide the package; -I keeps the user's environment out.
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_plugin_loads_only_pytest_and_the_standard_library():
    bare = _modules_after("import pytest")
    plugin = _modules_after("import harness.pytest_plugin.plugin")
    assert plugin - bare - set(sys.stdlib_module_names) <= {"harness"}


def test_the_command_line_starts_without_any_of_the_heavy_libraries():
    heavy = {
        "torch",
        "transformers",
        "peft",
        "accelerate",
        "bitsandbytes",
        "numpy",
        "scipy",
        "jinja2",
        "msgspec",
    }
    assert not heavy & _modules_after("from harness.cli.main import run\nrun(['--help'])")


@pytest.mark.parametrize(
    "module", ["harness", "harness.gate", "harness.registry", "harness.report.html", "harness.generation"]
)
def test_deciding_and_reporting_need_no_deep_learning_library(module):
    assert not {"torch", "transformers", "peft", "accelerate", "aiohttp"} & _modules_after(f"import {module}")


def test_test_modules_have_names_of_their_own() -> None:
    """pytest refuses the second of two modules of one name, and the order of folders hides which."""
    names = Counter(file.name for file in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
