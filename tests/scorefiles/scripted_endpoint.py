"""An OpenAI-compatible endpoint on 127.0.0.1 whose answers are written down: model -> question -> answers in turn."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: What each model says; a question asked again gets the next answer, and after the last the first.
Script = Mapping[str, Mapping[str, Sequence[str]]]


@contextlib.contextmanager
def scripted_endpoint(script: Script) -> Iterator[str]:
    """The endpoint's base URL, up while the context lasts."""
    asked: Counter[tuple[str, str]] = Counter()
    lock = threading.Lock()

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            question = body["messages"][-1]["content"]
            if not isinstance(question, str):
                question = "".join(part["text"] for part in question)
            model = body["model"]
            with lock:
                turn = asked[model, question]
                asked[model, question] += 1
            answers = script[model][question.strip()]
            message = {"role": "assistant", "content": answers[turn % len(answers)]}
            self._reply(
                {
                    "id": f"answer-{turn}",
                    "object": "chat.completion",
                    "created": 0,
                    "model": model,
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                }
            )

        def _reply(self, document: object) -> None:
            data = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing: the tools log their own requests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
