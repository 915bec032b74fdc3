"""Unrelated runs load nothing of ours but the plugin module."""

from __future__ import annotations

import subprocess
import sys


def test_the_plugin_imports_pytest_and_the_standard_library_only():
    code = (
        "import sys, pytest; before = set(sys.modules); import harness.pytest_plugin.plugin; "
        "new = {m.partition('.')[0] for m in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['harness']"


def test_an_unrelated_run_loads_no_room_of_ours(pytester):
    pytester.makepyfile(
        test_plain="import sys\ndef test_plain():\n"
        "    assert {m for m in sys.modules if m.startswith('harness')} == "
        "{'harness', 'harness.pytest_plugin', 'harness.pytest_plugin.plugin'}\n"
        "    assert not {'msgspec', 'numpy', 'torch', 'sqlite3'} & set(sys.modules)\n"
    )
    pytester.runpytest_subprocess("-p", "no:hypothesispytest", "-p", "no:hypothesis").assert_outcomes(passed=1)


def test_a_run_with_a_model_loads_no_heavy_library_until_it_is_needed():
    code = (
        "import sys, harness.pytest_plugin.hooks, harness.report.html; "
        "print({'scipy', 'torch', 'transformers', 'pandas', 'jsonschema', 'yaml', 'rich', 'click'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
