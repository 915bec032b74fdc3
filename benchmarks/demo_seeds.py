"""Does the demo's story hold with other seeds? `harness demo` over five of them.

Two at a time with one thread each, every worker in a folder of its own that keeps its store, so the base is asked
once per worker. The story: the base fails triage; the candidate without replay reaches the targets, is blocked by
retention and cannot be promoted; the candidate with replay passes and is promoted. It must hold in four of five. What
was trained and asked is kept for `retrains.py`. The result says which commits the policy, the sets and the recipes come
from, and what was changed after a recipe that it judges.

    python benchmarks/demo_seeds.py [--seeds 0 1 2 3 4] [--folder demo-seeds]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from machine import save, versions
from origins import origins
from trainings import FOLDER, KEPT, ROOT, keep, kept_project

from harness.config import Project, load_project

WORKERS = 2
NEEDED = 0.8
#: One demo at a time hands over what it trained.
_keeping = threading.Lock()


def run(seed: int, folder: Path, kept: Project) -> dict[str, Any]:
    """One demo and its story; one that an interrupted run has finished is read again."""
    result = folder.parent / f"story-{seed}.json"
    if result.is_file():
        story: dict[str, Any] = json.loads(result.read_text())
        print(line(story), flush=True)
        return story
    log = folder.parent / f"demo-{seed}.log"
    with log.open("w") as out:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "harness",
                "demo",
                "--seed",
                str(seed),
                "--folder",
                str(folder),
                "--json",
                str(result),
            ],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )
    if not result.is_file():
        raise SystemExit(f"seed {seed}: the demo ended early ({done.returncode}); see {log}")
    with _keeping:
        keep(load_project(folder), kept)
    story = json.loads(result.read_text())
    print(line(story), flush=True)
    return story


def line(story: dict[str, Any]) -> str:
    """One seed in one line."""

    def told(judged: dict[str, Any]) -> str:
        rates = " ".join(
            f"{name.partition('/')[2] or name} {s['candidate']:.0%}"
            for name, s in judged["sets"].items()
            if s["candidate"] is not None
        )
        promoted = "promoted" if judged["promote_exit"] == 0 else "refused"
        return f"{judged['status']} ({promoted}): {rates}, red lines broken {len(judged['red_lines_broken'])}"

    held = "held" if not story["deviations"] else "; ".join(story["deviations"])
    return (
        f"seed {story['seed']}: {held}\n  without replay {told(story['no_replay'])}\n"
        f"  with replay    {told(story['replay'])}"
    )


def main() -> int:
    """Run, print, keep; exit status 1 when the story holds too seldom."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    # Before hours of work, not after them: the files may be edited meanwhile.
    came_from = origins(ROOT)
    kept = kept_project(folder / KEPT)
    shares = [options.seeds[i::WORKERS] for i in range(WORKERS)]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        parts = pool.map(lambda i: [run(seed, folder / f"worker-{i}", kept) for seed in shares[i]], range(WORKERS))
        stories = sorted((story for part in parts for story in part), key=lambda story: story["seed"])
    held = sum(not story["deviations"] for story in stories)
    print(f"the story held in {held} of {len(stories)} seeds")
    for recipe, newer in came_from.get("newer_than_recipe", {}).items():
        if newer:
            print(f"changed after {recipe}: {', '.join(newer)}")
    result = {"held": held, "seeds": len(stories), "origins": came_from, "stories": stories}
    save("demo_seeds", {**result, **versions("torch", "transformers", "peft", "finetune-harness")})
    return int(held < NEEDED * len(stories))


if __name__ == "__main__":
    sys.exit(main())
