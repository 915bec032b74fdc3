"""A suite against a server: what may be sent where, what it costs, and what is left after a kill."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

sys.path.append(str(Path(__file__).parent.parent / "models"))

from served import Reply, Server, completion, refusal

from harness.pytest_plugin.results import INVALID
from harness.record import read_record, read_texts

KEY = "sk-planted-in-the-environment"


@pytest.fixture
def serve():
    servers = []

    def start(behave, **settings):
        servers.append(Server(behave, **settings))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def right(question, times, seen):
    return completion(f"It is answer {question.removeprefix('What is ').removesuffix('?')}.", usage=(1000, 500))


def configure(project, server, **settings):
    lines = {"url": server.url, "model": "tiny", **settings}
    table = "".join(f"{k} = {v if k == 'price' else repr(v)}\n" for k, v in lines.items())
    text = (project.path / "pyproject.toml").read_text()
    project.write("pyproject.toml", f"[tool.harness.endpoints.shop]\n{table}\n{text}")


def test_a_suite_asks_a_server_once_and_then_the_store(project, serve):
    server = serve(right)
    project.facts(12)
    reference = f"--model=openai:tiny@{server.url}"
    first = project.run("suites", reference, f"--baseline=openai:base@{server.url}")
    assert first.ret in (0, 10)
    assert len(server.seen) == 24
    project.run("suites", reference, f"--baseline=openai:base@{server.url}")
    assert len(server.seen) == 24
    assert any("weights cannot be verified" in note for note in project.record().notes)


def test_what_an_answer_took_is_recorded_and_held_to_the_budget(project, serve):
    def wordy(question, times, seen):
        text = question.removeprefix("What is ").removesuffix("?")
        return completion(f"answer {text}", usage=(12, 40 if seen["body"]["model"] == "wordy" else 20))

    server = serve(wordy)
    text = (project.path / "pyproject.toml").read_text()
    project.write("pyproject.toml", f"[tool.harness.gate.budgets]\nfacts = {{output_tokens = 0.5}}\n{text}")
    run = project.run("suites", f"--model=openai:wordy@{server.url}", f"--baseline=openai:brief@{server.url}")
    probes = {probe.probe: probe for probe in project.record().sets[0].probes}
    assert probes["output tokens"].candidate == (40.0,) * 6
    assert probes["output tokens"].baseline == (20.0,) * 6
    assert probes["prompt tokens"].candidate == (12.0,) * 6
    assert all(seconds > 0 for seconds in probes["seconds"].candidate)
    assert max(probes["asked together"].candidate) <= 6
    assert run.ret == 1
    run.stdout.fnmatch_lines(["*FAIL         budget    facts output tokens 20 -> 40*"])


def test_a_host_that_is_not_allowed_is_refused_before_anything_is_sent(project):
    result = project.run("suites", "--model=openai:tiny@https://api.example.com/v1")
    text = result.stdout.str() + result.stderr.str()
    assert result.ret == 4
    assert 'egress = ["api.example.com"]' in text
    assert "Traceback" not in text


def test_a_secret_in_a_url_is_refused_and_not_repeated(project):
    result = project.run("suites", f"--model=openai:tiny@http://user:{KEY}@127.0.0.1/v1")
    text = result.stderr.str()
    assert result.ret == 4
    assert "every report would show" in text
    assert KEY not in text


def test_a_server_that_fails_is_invalid_and_its_key_is_nowhere(project, serve, monkeypatch):
    monkeypatch.setenv("PLANTED", KEY)
    server = serve(lambda *_: refusal(401, f"bad key {KEY}"))
    configure(project, server, api_key_env="PLANTED")
    result = project.run("suites", "--model=shop", f"--baseline={project.model('base')}")
    assert result.ret == INVALID
    assert "refuses the key" in result.stdout.str()
    assert KEY not in result.stdout.str() + result.stderr.str()
    assert all(KEY.encode() not in file.read_bytes() for file in project.path.rglob("*") if file.is_file())


def hang(*_):
    time.sleep(1.0)
    return completion("too late")


OVERFLOW = "This model's maximum context length is 2048 tokens. However, you requested 3000 tokens"


@pytest.mark.parametrize(
    ("behave", "told"),
    [
        (lambda *_: refusal(429, "slow down"), "too many requests"),
        (lambda *_: refusal(500, "oops"), "the server failed (500: oops)"),
        (lambda *_: refusal(500, "CUDA out of memory"), "Lower in_flight"),
        (hang, "no answer within 0.2 s"),
        (lambda *_: Reply({"choices": [{"message": {"content": "x" * 500}}]}, cut=40), "connection ended before"),
        (lambda *_: Reply(b"<html>not JSON"), "not a chat completion"),
        (lambda *_: Reply({"choices": []}), "no choices"),
        (lambda *_: refusal(404, "no such model"), "The server lists this model"),
        (lambda *_: refusal(400, OVERFLOW, "context_length_exceeded"), "'fact-aa': longer than the model's context"),
        (lambda *_: completion("half", finish="content_filter"), "'fact-aa': a content filter"),
    ],
    ids="429 500 memory hang half-closed malformed empty unknown overflow filter".split(),  # noqa: SIM905
)
def test_whatever_the_server_does_is_explained_and_never_held_against_the_model(project, serve, behave, told):
    """One case fails; the others are kept, and a healthy server is asked for the missing one only."""
    healthy = []
    server = serve(lambda question, *seen: right(question, *seen) if healthy or "aa" not in question else behave())
    configure(project, server, timeout=0.2, attempts=1, cooldown=0)
    arguments = ("suites", "--model=shop", f"--baseline={project.model('base')}")
    result = project.run(*arguments)
    assert result.ret == INVALID
    assert told in result.stdout.str()
    assert "Traceback" not in result.stdout.str()
    healthy.append(True)
    before = len(server.seen)
    assert project.run(*arguments).ret in (0, 10)
    assert len(server.seen) - before == 1


def test_a_run_says_what_its_new_answers_cost(project, serve):
    configure(project, serve(right), price="{ input = 1.0, output = 2.0 }")
    result = project.run("suites", "--model=shop", f"--baseline={project.model('base')}")
    assert "new answers cost 0.012: 6,000 tokens read, 3,000 written" in result.stdout.str()
    assert project.record().usage["cost"] == pytest.approx(0.012)


def test_max_cost_stops_invalid_and_keeps_what_was_answered(project, serve):
    server = serve(right)
    project.facts(20)
    configure(project, server, price="{ input = 1.0, output = 2.0 }", in_flight=1, max_in_flight=1)
    baseline = f"--baseline={project.model('base')}"
    result = project.run("suites", "--model=shop", baseline, "--max-cost=0.01")
    assert result.ret == INVALID
    assert "--max-cost 0.01 is reached" in result.stdout.str()
    asked = len(server.seen)
    assert asked == 5
    project.run("suites", "--model=shop", baseline)
    assert len(server.seen) == 20


def test_max_cost_without_a_price_is_refused(project, serve):
    configure(project, serve(right))
    result = project.run("suites", "--model=shop", f"--baseline={project.model('base')}", "--max-cost=1")
    assert "the price of shop is not known" in result.stdout.str()
    assert result.ret == INVALID


def held(server) -> list[object]:
    """The schemas of the requests, in the order of the questions."""
    asked = sorted(server.seen, key=lambda seen: seen["body"]["messages"][-1]["content"])
    formats = [seen["body"].get("response_format") for seen in asked]
    return [None if f is None else f["json_schema"]["schema"] for f in formats]


def test_a_schema_of_a_set_and_of_a_case_reaches_the_server_and_answers_are_kept_apart(project, serve):
    server = serve(right)
    project.facts(3)
    project.cases[1]["schema"] = {"type": "array"}
    project.golden("facts", project.cases)
    reference = f"--model=openai:tiny@{server.url}"
    project.run("suites", reference)
    assert held(server) == [None, {"type": "array"}, None]
    project.write("schemas/fact.json", '{"type": "object"}')
    config = (project.path / "pyproject.toml").read_text()
    project.write("pyproject.toml", config + '[tool.harness.sets]\n"fact*" = { schema = "schemas/fact.json" }\n')
    server.seen.clear()
    project.run("suites", reference)
    assert held(server) == [{"type": "object"}, {"type": "object"}]
    project.run("suites", reference)
    assert len(server.seen) == 2


def test_a_schema_that_is_not_there_is_named(project, serve):
    config = (project.path / "pyproject.toml").read_text()
    project.write("pyproject.toml", config + '[tool.harness.sets]\nfacts = { schema = "missing.json" }\n')
    result = project.run("suites", f"--model=openai:tiny@{serve(right).url}")
    assert result.ret == 4
    assert "missing.json: the schema of facts cannot be read" in result.stderr.str()


def test_the_calls_of_an_answer_are_there_for_a_test_and_in_the_record(project, serve):
    call = {"function": {"name": "refund", "arguments": '{"order": 7}'}}
    server = serve(lambda *_: completion(None, finish="tool_calls", tool_calls=[call]))
    project.facts(1)
    project.write(
        "suites/test_facts.py",
        """
        import pytest
        from harness import valid_json

        @pytest.mark.golden("facts")
        def test_it(case, response):
            assert response.tool_calls[0].function.name == "refund"
            assert valid_json(response)
        """.replace("\n        ", "\n"),
    )
    for _ in range(2):
        # The second time from the store.
        result = project.run("suites", f"--model=openai:tiny@{server.url}")
        assert result.ret == 0, result.stdout.str()
    folder = max((project.path / "reports").glob("*/record.json")).parent
    texts = read_texts(folder, read_record(folder))
    assert any(t.tool_calls and t.tool_calls[0].function.arguments == '{"order": 7}' for t in texts.values())
    assert len(server.seen) == 1


def stored(project) -> int:
    with contextlib.closing(sqlite3.connect(project.path / ".harness" / "store.sqlite")) as connection:
        kept = connection.execute("SELECT value FROM answers").fetchall()
    return sum(b'"prompt_tokens":1000' in value for (value,) in kept)


def test_after_a_kill_only_the_missing_and_what_was_open_are_asked_again(project, serve):
    """kill -9 while answers 11 to 14 are open: ten are in the store."""
    hold, held = threading.Event(), threading.Semaphore(0)
    lock, count = threading.Lock(), [0]

    def behave(question, times, seen):
        with lock:
            count[0] += 1
            mine = count[0]
        if 10 < mine <= 14:
            held.release()
            hold.wait(600)
        return right(question, times, seen)

    server = serve(behave)
    project.facts(30)
    configure(project, server, in_flight=4, max_in_flight=4)
    command = [sys.executable, "-m", "pytest", "suites", "--model=shop", f"--baseline={project.model('base')}"]
    child = subprocess.Popen(command, cwd=project.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(4):
            assert held.acquire(timeout=300)
        # The four are open together, so the ten before them were answered; they are written as they come.
        deadline = time.monotonic() + 300
        while stored(project) < 10 and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    hold.set()
    assert len(server.seen) == 14
    result = project.run("suites", "--model=shop", f"--baseline={project.model('base')}")
    assert project.generated(result) in (20, 50)
    assert len(server.seen) == 14 + 20
    assert sum(times == 2 for times in server.asked.values()) == 4
