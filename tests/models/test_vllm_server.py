"""The server's life: its command line, waiting, death and end. Small scripts stand in for vLLM."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import is_alive

from harness.config import VllmConfig
from harness.errors import GenerationError, ModelError
from harness.models.refs import ModelRef
from harness.models.vllm.server import Server, refuse_taken_port, server_command

Refer = Callable[..., ModelRef]

HEALTHY = """
import http.server, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("worker", child.pid, flush=True)
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *rest): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""
DYING = "import sys; print('loading'); print('no such file: model.safetensors'); sys.exit(3)"
SHOWING = """
import os
print(*(f"{name}={os.environ[name]}" for name in ("VLLM_NO_USAGE_STATS", "VLLM_USE_AOT_COMPILE")))
"""
SILENT = "import time; print('still loading', flush=True); time.sleep(600)"


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def start(port: int, tmp_path: Path) -> Iterator[Callable[[str], Server]]:
    servers: list[Server] = []

    def started(script: str) -> Server:
        command = [sys.executable, "-c", script, str(port)]
        servers.append(Server(command, url=f"http://127.0.0.1:{port}/v1", log=tmp_path / "state" / "log", device="cpu"))
        return servers[-1]

    yield started
    for server in servers:
        server.stop()


def until_dead(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_alive(pid)


def test_it_is_waited_for_and_its_last_line_told_meanwhile(start: Callable[[str], Server]) -> None:
    told: list[tuple[float, str]] = []
    server = start(HEALTHY)
    server.wait_until_healthy(lambda seconds, line: told.append((seconds, line)), timeout=60)
    assert server.is_healthy()
    assert told[0][0] < 60
    assert server.death() is None


def test_stopping_leaves_no_process_behind(start: Callable[[str], Server]) -> None:
    server = start(HEALTHY)
    server.wait_until_healthy(lambda seconds, line: None, timeout=60)
    worker = int(server.last_lines(1).split()[1])
    assert is_alive(worker)
    server.stop()
    assert not is_alive(worker)
    assert not is_alive(server.pid)
    assert not server.is_healthy()


def test_a_server_that_dies_is_told_with_its_last_lines(start: Callable[[str], Server]) -> None:
    with pytest.raises(ModelError, match=r"died \(exit status 3\)[\s\S]*no such file: model\.safetensors"):
        start(DYING).wait_until_healthy(lambda seconds, line: None, timeout=60)


def test_what_the_user_has_set_for_vllm_stays_and_nothing_else_is_told_to_anybody(
    start: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLLM_NO_USAGE_STATS", raising=False)
    monkeypatch.setenv("VLLM_USE_AOT_COMPILE", "1")
    server = start(SHOWING)
    with pytest.raises(GenerationError, match="exit status 0"):
        server.wait_until_dead()
    assert server.last_lines(1) == "VLLM_NO_USAGE_STATS=1 VLLM_USE_AOT_COMPILE=1"


def test_a_server_that_dies_later_is_told_as_well(start: Callable[[str], Server]) -> None:
    server = start(HEALTHY)
    server.wait_until_healthy(lambda seconds, line: None, timeout=60)
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(GenerationError, match=r"died \(signal 9\)"):
        server.wait_until_dead()


def test_a_server_that_takes_too_long_is_not_waited_for(start: Callable[[str], Server]) -> None:
    with pytest.raises(ModelError, match=r"no answer after .* --wait[\s\S]*"):
        start(SILENT).wait_until_healthy(lambda seconds, line: None, timeout=0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_a_killed_parent_takes_the_server_with_it(port: int, tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from harness.models.vllm.server import Server\n"
            "server = Server([sys.executable, '-c', sys.argv[1]], url='http://127.0.0.1:1/v1', log=Path(sys.argv[2]),"
            " device='cpu')\n"
            "print(server.pid, flush=True); time.sleep(600)",
            SILENT,
            str(tmp_path / "log"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    server = int(parent.stdout.readline())
    assert is_alive(server)
    parent.kill()
    parent.communicate()
    assert until_dead(server)


def test_a_port_that_is_taken_is_refused_before_anything_is_loaded(port: int) -> None:
    refuse_taken_port("127.0.0.1", port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(ModelError, match=rf"127\.0\.0\.1:{port} cannot be listened on .*--port"):
            refuse_taken_port("127.0.0.1", port)


def test_the_command_line_serves_base_and_adapters_and_lets_the_user_have_the_last_word(
    refer: Refer, base: Path, adapter: Path
) -> None:
    ref = refer(f"vllm:{base}+{adapter}", vllm=VllmConfig(max_model_len=128, tensor_parallel_size=2))
    command = server_command([ref], host="127.0.0.1", port=81, further=["--tensor-parallel-size", "4"])
    text = " ".join(command)
    assert "-m vllm.entrypoints.openai.api_server --host 127.0.0.1 --port 81" in text
    assert f"--model {base}" in text
    assert "--enable-lora --max-lora-rank 8" in text
    assert "--max-model-len 128" in text
    assert "--generation-config vllm" in text
    assert "trust" not in text
    assert f"--served-model-name {base}" in text
    module = command[command.index("--lora-modules") + 1]
    assert f'"path":"{adapter}"' in module
    assert command[-2:] == ["--tensor-parallel-size", "4"]
    assert text.index("--tensor-parallel-size 2") < text.index("--tensor-parallel-size 4")
