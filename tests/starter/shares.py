"""What the starter takes from this repository's own sets and data. Run it after changing those:

python tests/starter/shares.py
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = ROOT / "harness" / "starter" / "files"

#: Starter file, the repository's file, and which of its lines.
SHARES = (
    ("en/golden_sets/triage.jsonl", "golden_sets/triage.jsonl", slice(None)),
    ("en/golden_sets/retention/general.jsonl", "golden_sets/retention/general.jsonl", slice(None, None, 2)),
    ("en/golden_sets/retention/choices.jsonl", "golden_sets/retention/choices.jsonl", slice(None, None, 2)),
    ("en/golden_sets/retention/refusals.jsonl", "golden_sets/retention/refusals.jsonl", slice(None, None, 2)),
    ("en/golden_sets/retention/texts.jsonl", "golden_sets/retention/texts.jsonl", slice(None, None, 4)),
    ("en/data/triage/train.jsonl", "data/triage/train.jsonl", slice(80)),
    ("en/data/general_prompts.jsonl", "data/general_prompts.jsonl", slice(None, None, 3)),
    ("en/suites/test_triage.py.template", "suites/test_triage.py", slice(None)),
    ("en/suites/test_retention.py.template", "suites/test_retention.py", slice(None)),
    # A Chinese model is to keep its English too.
    ("zh/golden_sets/retention/english.jsonl", "golden_sets/retention/general.jsonl", slice(1, None, 4)),
)


def share(source: str, lines: slice) -> str:
    """The lines that the starter takes of the repository's file."""
    return "".join((ROOT / source).read_text(encoding="utf-8").splitlines(keepends=True)[lines])


if __name__ == "__main__":
    for target, source, lines in SHARES:
        (FILES / target).parent.mkdir(parents=True, exist_ok=True)
        (FILES / target).write_text(share(source, lines), encoding="utf-8")
