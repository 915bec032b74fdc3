"""A server that speaks the OpenAI protocol and answers everything alike after a fixed time; it counts.

    python benchmarks/stub.py [LATENCY_S]      # prints its port

GET /counts tells the calls and the most that were open at once since it was last asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

#: What it says: also a judge's verdict, for tools that ask one.
ANSWER = '{"score": 9, "reason": "fine"}'

BODY = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18},
    }
).encode()


class Stub:
    """Answers a POST after `latency` seconds."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.calls = self.open = self.most = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept as long as the client keeps it."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = next((int(x.split(":")[1]) for x in asked.split("\r\n") if x.startswith("content-length")), 0)
                await reader.readexactly(length)
                body = self._counts() if asked.startswith("get") else await self._answer()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                )
                writer.write(body)
        writer.close()

    async def serve(self) -> None:
        """Until it is killed."""
        server = await asyncio.start_server(self.talk, "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    def _counts(self) -> bytes:
        told = json.dumps({"calls": self.calls, "most": self.most}).encode()
        self.calls = self.most = 0
        return told

    async def _answer(self) -> bytes:
        self.calls += 1
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(self.latency)
        self.open -= 1
        return BODY


def counts(port: int) -> dict[str, int]:
    """What the stub saw since it was last asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/counts") as reply:
        return json.loads(reply.read())


@contextlib.contextmanager
def stub(latency: float) -> Iterator[int]:
    """The port of a stub in a process of its own, so that it does not slow its clients."""
    with subprocess.Popen([sys.executable, __file__, str(latency)], stdout=subprocess.PIPE, text=True) as child:
        try:
            yield int(child.stdout.readline())
        finally:
            child.kill()


if __name__ == "__main__":
    asyncio.run(Stub(float(sys.argv[1]) if len(sys.argv) > 1 else 0.2).serve())
