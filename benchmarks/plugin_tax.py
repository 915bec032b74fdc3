"""What installing the plugin costs a pytest run that does not use it.

200 trivial tests in an empty project, with the plugin loaded and with it off, in turn; whole processes, wall time.
The tax is the median of the paired differences; the budget is 50 ms.

    python benchmarks/plugin_tax.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import save, versions

BUDGET_MS = 50.0


def seconds(folder: Path, *options: str) -> float:
    """Wall time of one quiet pytest process."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def main() -> int:
    """Measure, print, keep; exit status 1 when over budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_plain.py").write_text(
            "import pytest\n\n@pytest.mark.parametrize('n', range(200))\ndef test_adds(n):\n    assert n + 1 > n\n"
        )
        seconds(folder)
        pairs = [(seconds(folder), seconds(folder, "-p", "no:harness")) for _ in range(rounds)]
    taxes = sorted(1000 * (on - off) for on, off in pairs)
    result = {
        "tax_ms_median": round(statistics.median(taxes), 1),
        "tax_ms_quartiles": [round(q, 1) for q in statistics.quantiles(taxes, n=4)],
        "plain_ms_median": round(1000 * statistics.median(off for _, off in pairs), 1),
        "budget_ms": BUDGET_MS,
        "rounds": rounds,
        **versions("pytest", "finetune-harness"),
    }
    print(json.dumps(result, indent=2))
    save("plugin_tax", result)
    return int(result["tax_ms_median"] > BUDGET_MS)


if __name__ == "__main__":
    sys.exit(main())
