"""An OpenAI-compatible server on 127.0.0.1 that misbehaves as told, and counts what it is asked."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Reply:
    """What the server sends: `body` as JSON unless it is bytes. `cut` ends the connection after so many bytes."""

    def __init__(
        self, body: Any, *, status: int = 200, headers: dict[str, str] | None = None, cut: int | None = None
    ) -> None:
        self.data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status = status
        self.headers = headers or {}
        self.cut = cut


def completion(text: str | None, *, finish: str = "stop", usage: tuple[int, int] = (10, 5), **message: Any) -> Reply:
    return Reply(
        {
            "choices": [{"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}],
            "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1]},
        }
    )


def refusal(status: int, message: str, code: str = "", **headers: str) -> Reply:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply({"error": {"message": message, "code": code}}, status=status, headers=told)


Behaviour = Callable[[str, int, dict[str, Any]], Reply]


class Server:
    """`behave(question, times_asked, seen)` says what to answer; `seen` has the body and the headers."""

    def __init__(self, behave: Behaviour, *, latency: float = 0.0, models: tuple[str, ...] = ("tiny",)) -> None:
        self.behave = behave
        self.latency = latency
        self.models = models
        self.asked: Counter[str] = Counter()
        self.seen: list[dict[str, Any]] = []
        self.open = 0
        self.most_open = 0
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        told = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                told.answer(self, body)

            def do_GET(self) -> None:
                told.send(self, Reply({"data": [{"id": name} for name in told.models]}))

            def log_message(self, *_: object) -> None:
                """Nothing."""

        class Listening(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_: object) -> None:
                """A client that went away."""

        self._server = Listening(("127.0.0.1", self.port), Answering)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, connection: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        question = body["messages"][-1]["content"] if "messages" in body else str(body["prompt"])
        with self._lock:
            self.asked[question] += 1
            times = self.asked[question]
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            seen = {
                "body": body,
                "headers": {name.lower(): value for name, value in connection.headers.items()},
                "path": connection.path,
            }
            self.seen.append(seen)
        try:
            if self.latency:
                time.sleep(self.latency)
            reply = self.behave(question, times, seen)
        finally:
            with self._lock:
                self.open -= 1
        self.send(connection, reply)

    def send(self, connection: BaseHTTPRequestHandler, reply: Reply) -> None:
        connection.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.data)), **reply.headers}.items():
            connection.send_header(name, value)
        connection.end_headers()
        connection.wfile.write(reply.data if reply.cut is None else reply.data[: reply.cut])
        if reply.cut is not None:
            connection.wfile.flush()
            connection.close_connection = True
            connection.connection.shutdown(socket.SHUT_RDWR)
