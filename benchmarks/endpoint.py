"""400 calls of a server that takes 0.2 s: the harness under plain pytest against a bare asyncio client.

One local stub counts calls and the most that were open at once. The bare client writes HTTP by hand over asyncio
streams, 64 at a time. The harness runs `pytest` in a process of its own on 400 ordinary items; its start-up is what
the same command takes for one item less one latency. A second run must make no call.

    python benchmarks/endpoint.py [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from machine import save, versions

CALLS, LATENCY_S, IN_FLIGHT = 400, 0.2, 64
TIMES_BARE, START_UP_S = 1.3, 1.0

SUITE = """
import pytest
from harness import includes

@pytest.mark.golden("facts")
def test_it(case, response):
    assert includes(response, "fine")
"""


class Stub:
    """Answers after LATENCY_S; runs in a process of its own (`--serve`), and tells its counts at /counts."""

    def __init__(self) -> None:
        self.calls = self.open = self.most = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = next((int(x.split(":")[1]) for x in asked.split("\r\n") if x.startswith("content-length")), 0)
                await reader.readexactly(length)
                if asked.startswith("get"):
                    body = {"calls": self.calls, "most": self.most}
                    self.calls = self.most = 0
                else:
                    self.calls += 1
                    self.open += 1
                    self.most = max(self.most, self.open)
                    await asyncio.sleep(LATENCY_S)
                    self.open -= 1
                    message = {"role": "assistant", "content": "fine"}
                    body = {
                        "choices": [{"message": message, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 9, "completion_tokens": 1},
                    }
                data = json.dumps(body).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data)
                )
                writer.write(data)
        writer.close()

    async def serve(self) -> None:
        server = await asyncio.start_server(self.talk, "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


async def exchange(port: int, head: bytes, body: bytes = b"", connection: tuple | None = None) -> tuple[bytes, tuple]:
    """One request over a connection that is kept; the reply's body and the connection."""
    reader, writer = connection or await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b"Host: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    reply = await reader.readuntil(b"\r\n\r\n")
    length = int(next(x for x in reply.lower().split(b"\r\n") if x.startswith(b"content-length")).split(b":")[1])
    return await reader.readexactly(length), (reader, writer)


async def bare(port: int) -> float:
    """Seconds of the bare client, 64 connections."""
    asked = iter(range(CALLS))

    async def worker() -> None:
        connection = None
        for number in asked:
            body = json.dumps({"model": "m", "messages": [{"role": "user", "content": f"{number}"}]}).encode()
            reply, connection = await exchange(port, b"POST /v1/chat/completions HTTP/1.1\r\n", body, connection)
            json.loads(reply)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - started


def counts(port: int) -> dict[str, int]:
    """What the stub saw since it was last asked."""
    return json.loads(asyncio.run(exchange(port, b"GET /counts HTTP/1.1\r\n"))[0])


def suite(folder: Path, port: int, cases: int) -> tuple[float, float]:
    """Seconds of one whole `pytest` command, and of its generation by the run's record."""
    (folder / "suites").mkdir(parents=True, exist_ok=True)
    (folder / "golden_sets").mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text("[tool.harness]\n")
    (folder / "suites" / "test_facts.py").write_text(SUITE)
    rows = (
        json.dumps({"id": f"fact-{chr(97 + i // 26)}{chr(97 + i % 26)}", "input": f"What is {i}?", "target": "fine"})
        + "\n"
        for i in range(cases)
    )
    (folder / "golden_sets" / "facts.jsonl").write_text("".join(rows))
    reference = f"--model=openai:m@http://127.0.0.1:{port}/v1"
    started = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "suites", reference]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    record = max((folder / "reports").glob("*/record.json"), key=lambda file: file.stat().st_mtime)
    return seconds, json.loads(record.read_bytes())["phases"]["generate"]


@contextlib.contextmanager
def stub() -> Iterator[int]:
    """The port of a stub in a process of its own, so that it does not slow its clients."""
    child = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        yield int(child.stdout.readline())
    finally:
        child.kill()
        child.wait()


def main() -> int:
    """Measure, print, keep; exit status 1 when over budget or when a second run calls."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help="be the stub")
    options = parser.parse_args()
    if options.serve:
        asyncio.run(Stub().serve())
    rows = []
    with stub() as port, tempfile.TemporaryDirectory() as name:
        for number in range(options.rounds):
            bare_s = asyncio.run(bare(port))
            counts(port)
            folder = Path(name) / str(number)
            whole_s, generate_s = suite(folder, port, CALLS)
            first = counts(port)
            suite(folder, port, CALLS)
            again = counts(port)
            one_s, _ = suite(folder / "one", port, 1)
            counts(port)
            rows.append((bare_s, whole_s, generate_s, one_s - LATENCY_S, first["calls"], first["most"], again["calls"]))
    middle = [statistics.median(column) for column in zip(*rows, strict=True)]
    start_up = statistics.median(row[3] for row in rows)
    result = {
        "calls": int(middle[4]),
        "calls_of_second_run": int(max(row[6] for row in rows)),
        "most_in_flight": int(middle[5]),
        "bare_s": round(middle[0], 2),
        "pytest_s": round(middle[1], 2),
        "generate_s": round(middle[2], 2),
        "start_up_s": round(start_up, 2),
        "times_bare_less_start_up": round(statistics.median((r[1] - r[3]) / r[0] for r in rows), 2),
        "generate_times_bare": round(statistics.median(r[2] / r[0] for r in rows), 2),
        **versions("openai", "pytest", "finetune-harness"),
    }
    print(json.dumps(result, indent=2))
    save("endpoint", result)
    over = result["times_bare_less_start_up"] > TIMES_BARE or start_up > START_UP_S
    return int(over or result["calls_of_second_run"] > 0 or result["calls"] != CALLS)


if __name__ == "__main__":
    sys.exit(main())
