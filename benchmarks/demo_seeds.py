"""Does the demo's story hold, or was it one lucky seed? The whole demo, once per seed.

    python benchmarks/demo_seeds.py            five seeds; results/demo_seeds.json and a table
    python benchmarks/demo_seeds.py 0 1        these seeds

Both recipes are trained anew for every seed. The base does not depend on the seed: its answers are generated once and
come from the store afterwards, so the seconds of the first seed are those of a fresh machine. A seed that is done is
written at once; a run that was cut short is repeated from the first seed missing (delete the file to begin again).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import RESULTS, save, versions

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".harness-demo"
#: Lines of pyproject.toml that decide: margins, targets, floors.
POLICY = r"^(margin|alpha|improve|margins|floors|on_inconclusive) ="


def commit_of(*paths: str, lines: str | None = None) -> str:
    """The last commit that touched the paths (there, the lines that match), and its date."""
    only = [] if lines is None else ["-E", f"-G{lines}"]
    command = ["git", "log", "-1", "--format=%h %cI", *only, "--", *paths]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def unchanged(*paths: str) -> bool:
    """Are the paths exactly as committed?"""
    command = ["git", "status", "--porcelain", "--", *paths]
    return not subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def one(seed: int) -> dict[str, object]:
    """The demo with one seed, as it wrote it down."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "story.json"
        command = [sys.executable, "-m", "harness", "demo", "--seed", str(seed), "--folder", str(FOLDER)]
        ended = subprocess.run([*command, "--json", str(result)], cwd=ROOT, check=False).returncode
        if not result.is_file():
            sys.exit(f"seed {seed}: the demo ended with {ended} and wrote nothing; its message is above")
        story: dict[str, object] = json.loads(result.read_text(encoding="utf-8"))
    return story


def origins() -> dict[str, object]:
    """What was committed before what."""
    sets, recipes = ("golden_sets", "suites"), ("recipes", "data")
    return {
        "golden sets and suites": commit_of(*sets),
        "policy (pyproject.toml)": commit_of("pyproject.toml", lines=POLICY),
        "recipes and data": commit_of(*recipes),
        "all as committed": unchanged(*sets, "pyproject.toml", *recipes),
    }


def table(stories: list[dict]) -> str:
    """One line per candidate: verdict, rates, and whether it was promoted."""
    lines = ["seed  candidate   verdict       triage  reworded  general (base)  promoted  train s  gate s"]
    for story in stories:
        for name, key in (("no replay", "no_replay"), ("replay", "replay")):
            judged = story[key]
            sets = judged["sets"]
            general = sets["retention/general"]
            base = general["root"] if general["root"] is not None else general["baseline"]
            lines.append(
                f"{story['seed']:>4}  {name:<10}  {judged['status']:<12}  {sets['triage']['candidate']:>6.0%}"
                f"  {sets['triage_reworded']['candidate']:>8.0%}  {general['candidate']:>7.0%} ({base:>4.0%})"
                f"  {'yes' if judged['promote_exit'] == 0 else 'no':>8}"
                f"  {story['seconds'][f'train, {name}']:>7.0f}  {story['seconds'][f'gate, {name}']:>6.0f}"
            )
        lines += [f"      deviated: {deviation}" for deviation in story["deviations"]]
    held = sum(not story["deviations"] for story in stories)
    lines.append(f"the story held in {held} of {len(stories)} seeds")
    return "\n".join(lines)


def main() -> None:
    seeds = [int(word) for word in sys.argv[1:]] or [0, 1, 2, 3, 4]
    file = RESULTS / "demo_seeds.json"
    came_from = origins()
    stories: list[dict] = []
    if file.is_file():
        earlier = json.loads(file.read_text(encoding="utf-8"))
        if earlier["origins"] == came_from:
            stories = [story for story in earlier["stories"] if story["seed"] in seeds]
    for seed in seeds:
        if seed not in {story["seed"] for story in stories}:
            stories.append(one(seed))
            stories.sort(key=lambda story: story["seed"])
            save(
                "demo_seeds",
                {
                    **versions("finetune-harness", "torch", "transformers", "peft"),
                    "origins": came_from,
                    "shared": "the base's answers: generated with the first seed, from the store afterwards",
                    "held": sum(not story["deviations"] for story in stories),
                    "of": len(stories),
                    "stories": stories,
                },
            )
    print(table(stories))


if __name__ == "__main__":
    main()
