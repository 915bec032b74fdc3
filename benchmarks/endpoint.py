"""400 calls of a server that takes 0.2 s: the harness under plain pytest, a bare asyncio client, and other tools.

One local stub counts calls and the most that were open at once. The bare client writes HTTP by hand over asyncio
streams, 64 at a time. The harness runs `pytest` in a process of its own on 400 ordinary items; its start-up is what
the same command takes for one item less one latency. A second run must make no call. Each tool, and the harness, has
a virtual environment of its own below `--venvs`, made where it is not there: all are measured with what they need and
nothing else. The other tools (rivals.py) are asked the same questions over the same stub, as their documentation says
is fastest.

    python benchmarks/endpoint.py [--rounds 3] [--venvs .venvs] [--alone]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rivals
from machine import save, versions
from stub import counts, stub

ROOT = Path(__file__).resolve().parent.parent
CALLS, LATENCY_S, IN_FLIGHT = 400, 0.2, 64
TIMES_BARE, START_UP_S = 1.3, 1.0

SUITE = """
import pytest
from harness import includes

@pytest.mark.golden("facts")
def test_it(case, response):
    assert includes(response, "fine")
"""


def questions(count: int) -> list[dict[str, str]]:
    """As many rows of a golden set."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [
        {"id": f"fact-{letters[i // 26]}{letters[i % 26]}", "input": f"What is {i}?", "target": "fine"}
        for i in range(count)
    ]


async def exchange(port: int, body: bytes, connection: tuple | None) -> tuple[bytes, tuple]:
    """One request over a connection that is kept; the reply's body and the connection."""
    reader, writer = connection or await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    reply = await reader.readuntil(b"\r\n\r\n")
    length = int(next(x for x in reply.lower().split(b"\r\n") if x.startswith(b"content-length")).split(b":")[1])
    return await reader.readexactly(length), (reader, writer)


async def bare(port: int) -> float:
    """Seconds of the bare client, 64 connections."""
    asked = iter(questions(CALLS))

    async def worker() -> asyncio.StreamWriter:
        connection = None
        for row in asked:
            body = json.dumps({"model": "m", "messages": [{"role": "user", "content": row["input"]}]}).encode()
            reply, connection = await exchange(port, body, connection)
            assert "fine" in json.loads(reply)["choices"][0]["message"]["content"]
        return connection[1]

    started = time.perf_counter()
    writers = await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    seconds = time.perf_counter() - started
    for writer in writers:
        writer.close()
        await writer.wait_closed()
    return seconds


def suite(python: Path, folder: Path, port: int, cases: int) -> tuple[float, float]:
    """Seconds of one whole `pytest` command, and of its generation by the run's record."""
    (folder / "suites").mkdir(parents=True, exist_ok=True)
    (folder / "golden_sets").mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text("[tool.harness]\n")
    (folder / "suites" / "test_facts.py").write_text(SUITE)
    rows = "".join(json.dumps(row) + "\n" for row in questions(cases))
    (folder / "golden_sets" / "facts.jsonl").write_text(rows)
    command = [str(python), "-m", "pytest", "-q", "suites", f"--model=openai:m@http://127.0.0.1:{port}/v1"]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=rivals.environment(), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    record = max((folder / "reports").glob("*/record.json"), key=lambda file: file.stat().st_mtime)
    return seconds, json.loads(record.read_bytes())["phases"]["generate"]


def measure_ours(python: Path, place: Path, port: int, rounds: int) -> dict[str, object]:
    """Ours against the bare client, in turn; one run before that, for the compiled modules."""
    suite(python, place / "warm", port, 1)
    counts(port)
    rows = []
    for number in range(rounds):
        bare_s = asyncio.run(bare(port))
        counts(port)
        folder = place / str(number)
        whole_s, generate_s = suite(python, folder, port, CALLS)
        first = counts(port)
        again_s, _ = suite(python, folder, port, CALLS)
        again = counts(port)["calls"]
        one_s, _ = suite(python, folder / "one", port, 1)
        counts(port)
        rows.append((bare_s, whole_s, generate_s, one_s - LATENCY_S, first["calls"], first["most"], again, again_s))
    bare_s, whole_s, generate_s, start_up_s, calls, most, again, again_s = (
        statistics.median(column) for column in zip(*rows, strict=True)
    )
    return {
        "calls": int(calls),
        "calls_of_second_run": int(max(row[6] for row in rows)),
        "most_in_flight": int(most),
        "bare_s": round(bare_s, 2),
        "pytest_s": round(whole_s, 2),
        "second_run_s": round(again_s, 2),
        "generate_s": round(generate_s, 2),
        "start_up_s": round(start_up_s, 2),
        "times_bare_less_start_up": round(statistics.median((r[1] - r[3]) / r[0] for r in rows), 2),
        "generate_times_bare": round(statistics.median(r[2] / r[0] for r in rows), 2),
    }


def measure_rivals(pythons: dict[str, Path], place: Path, port: int) -> dict[str, object]:
    """Each tool over the same questions; one run to fill its caches of compiled modules, one that counts."""
    found: dict[str, object] = {}
    for tool, python in pythons.items():
        rivals.timed(tool, python, place / tool / "warm", port, rows=questions(2), in_flight=IN_FLIGHT)
        counts(port)
        told = rivals.timed(tool, python, place / tool, port, rows=questions(CALLS), in_flight=IN_FLIGHT)
        seen = counts(port)
        found[tool] = {
            **told,
            "calls": seen["calls"],
            "most_in_flight": seen["most"],
            "version": rivals.installed_version(python, tool),
        }
    return found


def main() -> int:
    """Measure, print, keep; exit status 1 when over budget or when a second run calls."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--venvs", type=Path, default=ROOT / ".venvs", help="where the tools are installed")
    parser.add_argument("--alone", action="store_true", help="leave the other tools out")
    parser.add_argument("--install", action="store_true", help="install and end")
    options = parser.parse_args()
    ours = rivals.install(options.venvs / "ours", ("--editable", f"{ROOT}[openai]"))
    others = {} if options.alone else rivals.PACKAGES
    pythons = {tool: rivals.install(options.venvs / tool, packages) for tool, packages in others.items()}
    if options.install:
        return 0
    with stub(LATENCY_S) as port, tempfile.TemporaryDirectory() as name:
        result = measure_ours(ours, Path(name) / "ours", port, options.rounds)
        result["rivals"] = measure_rivals(pythons, Path(name), port)
    result |= {"latency_s": LATENCY_S, "in_flight": IN_FLIGHT, "rounds": options.rounds}
    result |= versions("finetune-harness")
    result["versions"] = {n: rivals.installed_version(ours, n) for n in ("finetune-harness", "aiohttp", "pytest")}
    print(json.dumps(result, indent=2))
    save("endpoint", result)
    over = result["times_bare_less_start_up"] > TIMES_BARE or result["start_up_s"] > START_UP_S
    return int(over or result["calls_of_second_run"] > 0 or result["calls"] != CALLS)


if __name__ == "__main__":
    sys.exit(main())
