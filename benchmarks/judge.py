"""The judge's cost: 805 pairs from two files with a judge of 0.2 s a call, and what an early stop saves.

One local stub counts calls. `harness judge run` is a process of its own, start-up included; a second run must make
no call. Early stops are those of the same function on drawn verdicts of 805 pairs: at a true win rate of .7 the median
of pairs judged, at .5 the share of false alarms.

    python benchmarks/judge.py [--draws 1000]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from machine import save, versions

from harness.config import HarnessConfig
from harness.judges.early import judge_until_decided
from harness.judges.prompts import Pair
from harness.judges.refs import resolve_judge

PAIRS, LATENCY_S, SEED = 805, 0.2, 2026
LONGEST_S, MEDIAN_PAIRS, FALSE_ALARMS = 8.0, 60, 0.05


async def serve() -> None:
    """A stub judge: every reply a tie after LATENCY_S; tells its counts at GET."""
    counts = {"calls": 0, "open": 0, "most": 0}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = next((int(x.split(":")[1]) for x in head.split("\r\n") if x.startswith("content-length")), 0)
                await reader.readexactly(length)
                body: dict[str, object] = dict(counts)
                if head.startswith("get"):
                    counts.update(calls=0, most=0)
                else:
                    counts["calls"] += 1
                    counts["open"] += 1
                    counts["most"] = max(counts["most"], counts["open"])
                    await asyncio.sleep(LATENCY_S)
                    counts["open"] -= 1
                    message = {"role": "assistant", "content": "Both are as good.\nVERDICT: tie"}
                    body = {
                        "choices": [{"message": message, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 400, "completion_tokens": 10},
                    }
                data = json.dumps(body).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data)
                )
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def stub() -> Iterator[int]:
    """The port of a stub in a process of its own."""
    child = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        yield int(child.stdout.readline())
    finally:
        child.terminate()
        child.wait()


def counts(port: int) -> dict[str, int]:
    """Calls since the last time, and the most that were open at once."""
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as reply:
        found: dict[str, int] = json.load(reply)
    return found


def judge_run(folder: Path, *options: str) -> float:
    """Seconds of one `harness judge run` as a user types it. INCONCLUSIVE or INVALID is its word on a tie."""
    command = [sys.executable, "-m", "harness", "judge", "run", "new.jsonl", "old.jsonl", *options]
    started = time.perf_counter()
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if ended.returncode not in (0, 10):
        raise SystemExit(f"harness judge run ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return seconds


def timed(port: int, *options: str) -> dict[str, object]:
    """A fresh project's first and second run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pyproject.toml").write_text(
            f'[tool.harness]\njudge = "stub"\n[tool.harness.gate]\non_unfit_judge = "warn"\n'
            f'[tool.harness.endpoints.tiny]\nurl = "http://127.0.0.1:{port}/v1"\nmodel = "tiny"\n'
            '[tool.harness.judges.stub]\nmodel = "tiny"\n'
        )
        for side in ("new", "old"):
            rows = [
                {"id": f"q{i}", "input": f"Question {i}?", "output": f"The {side} answer {i}."} for i in range(PAIRS)
            ]
            (folder / f"{side}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        counts(port)
        first = judge_run(folder, *options)
        after_first = counts(port)
        second = judge_run(folder, *options)
        after_second = counts(port)
    return {
        "seconds": round(first, 2),
        "calls": after_first["calls"],
        "most_in_flight": after_first["most"],
        "second_run_seconds": round(second, 2),
        "second_run_calls": after_second["calls"],
    }


def drawn(rate: float, draws: int) -> dict[str, object]:
    """Early stops on verdicts drawn with this win rate."""
    rng = np.random.default_rng(SEED)
    pairs = [Pair(case=f"q{i}", question="?", candidate="new", baseline="old") for i in range(PAIRS)]
    judged, decided = [], []
    with tempfile.TemporaryDirectory() as name:
        for draw in range(draws):
            wins = rng.random(PAIRS) < rate
            file = Path(name) / f"{draw}.jsonl"
            words = ["candidate" if won else "baseline" for won in wins]
            rows = [{"case": p.case, "first": w, "second": w} for p, w in zip(pairs, words, strict=True)]
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
            judge = resolve_judge(f"replay:{file}", HarnessConfig(), None, Path())  # type: ignore[arg-type]
            found = judge_until_decided(judge, pairs, None, seed=draw)
            judged.append(len(found.judgements))
            decided.append(found.sequence.decided)
            file.unlink()
    return {
        "draws": draws,
        "median_pairs": statistics.median(judged),
        "decided": round(sum(side is not None for side in decided) / draws, 4),
        "wrong_side": round(sum(side == "below" for side in decided) / draws, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    os.environ.pop("OPENAI_API_KEY", None)
    with stub() as port:
        everything = timed(port, "--all")
        looking = timed(port)
    preferred, equal = drawn(0.7, options.draws), drawn(0.5, options.draws)
    ok = {
        "805 pairs in 8 s": everything["seconds"] <= LONGEST_S and everything["calls"] == 2 * PAIRS,  # type: ignore[operator]
        "a second run makes no call": everything["second_run_calls"] == looking["second_run_calls"] == 0,
        "median of 60 pairs at .7": preferred["median_pairs"] <= MEDIAN_PAIRS,  # type: ignore[operator]
        "false alarms of 5% at .5": equal["decided"] <= FALSE_ALARMS,  # type: ignore[operator]
    }
    result = {
        **versions("finetune-harness", "numpy", "scipy", "aiohttp"),
        "pairs": PAIRS,
        "latency_s": LATENCY_S,
        "all_pairs": everything,
        "looking_after_each_batch": looking,
        "early_stop_at_0.7": preferred,
        "early_stop_at_0.5": equal,
        "met": ok,
    }
    print(json.dumps(result, indent=2))
    print(save("judge", result))
    sys.exit(0 if all(ok.values()) else 1)


if __name__ == "__main__":
    main()
