"""`harness serve`: a model behind vLLM's OpenAI-compatible server, for suites that run elsewhere."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.status import PASSED
from harness.errors import GenerationError, ModelError

if TYPE_CHECKING:
    from harness.config import Project
    from harness.models import TokenScores
    from harness.models.refs import ModelRef
    from harness.models.vllm.server import Server


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("model")
@click.argument("vllm_options", nargs=-1, type=click.UNPROCESSED)
@click.option("--also", metavar="REF", multiple=True, help="Serve this adapter too; it must be on the same base.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="The port to listen on.")
@click.option("--dtype", help="Number format: auto (bfloat16), float16, float32 (default: [tool.harness] dtype).")
@click.option("--device", help="cpu, cuda or auto (default: [tool.harness] device).")
@click.option(
    "--wait",
    type=click.IntRange(min=1),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="How long the server may take to load.",
)
@click.option("--parity/--no-parity", default=True, help="Compare the served adapters with the training stack first.")
def serve(
    model: str,
    vllm_options: tuple[str, ...],
    also: tuple[str, ...],
    host: str,
    port: int,
    dtype: str | None,
    device: str | None,
    wait: int,
    parity: bool,
) -> int:
    """Serve MODEL with vLLM until Ctrl-C, and say how to run the suites against it.

    An adapter is served beside its base. Options that are not listed here go to vLLM as they are:
    harness serve candidate --tensor-parallel-size 2 --max-num-seqs 512

    Exit status: 0 stopped, 4 cannot be served, 11 the served adapter does not answer as it was trained.
    """
    from harness.config import load_project
    from harness.models.vllm.preflight import require_vllm
    from harness.models.vllm.server import Server, refuse_taken_port, server_command

    project = load_project(Path.cwd())
    refs = _refs(project, (model, *also), dtype, device)
    require_vllm(refs[0].label)
    command = server_command(refs, host=host, port=port, further=vllm_options)
    refuse_taken_port(host, port)
    adapters = [ref for ref in refs if ref.adapter is not None] if parity else []
    trained = _training_stack(project, adapters)
    url = f"http://{host}:{port}/v1"
    with _stopped_by_signals():
        log = project.store.parent / f"serve-{port}.log"
        server = Server(command, url=url, log=log, device=refs[0].device)
        try:
            click.echo(f"starting vLLM (process {server.pid}); its output: {server.log}")
            server.wait_until_healthy(_Waiting(url), timeout=wait)
            _compare(server, adapters, trained)
            for line in _ready(refs, url):
                click.echo(line)
            server.wait_until_dead()
        except _Stopped:
            click.echo("stopping the server")
        finally:
            server.stop()
    return PASSED


class _Stopped(Exception):
    """Ctrl-C or SIGTERM: the ordinary way to end."""


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Within it, both signals raise _Stopped, once: what is being stopped is not interrupted again."""

    def stop(number: int, frame: object) -> None:
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.signal(again, signal.SIG_IGN)
        raise _Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Waiting:
    """Says every ten seconds how long it took so far, and what the server said last."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._next = 0.0

    def __call__(self, seconds: float, line: str) -> None:
        if seconds < self._next:
            return
        self._next = seconds + 10
        from harness.report.visible import visible

        click.echo(f"waiting for {self._url} ({seconds:.0f} s): {visible(line)[-100:]}")


def _refs(project: Project, names: Sequence[str], dtype: str | None, device: str | None) -> list[ModelRef]:
    """The models to serve, all on the base of the first."""
    from harness.models.refs import VLLM
    from harness.naming import local_models

    local = local_models(project, device, dtype)
    refs = [local(name if name.startswith(f"{VLLM}:") else f"{VLLM}:{name}") for name in names]
    for ref in refs[1:]:
        if ref.root.digest != refs[0].root.digest:
            raise ModelError(f"--also {ref.text}: it is on another base than {refs[0].text}. Serve it by itself.")
    return refs


def _ready(refs: Sequence[ModelRef], url: str) -> Iterator[str]:
    from harness.models.vllm.server import served_name

    names = list(dict.fromkeys(served_name(ref) for ref in (*refs, refs[0].root)))
    yield f"serving {', '.join(names)} at {url}; stop with Ctrl-C"
    baseline = f" --baseline=openai:{names[1]}@{url}" if len(names) > 1 else ""
    yield f"pytest suites/ --model=openai:{names[0]}@{url}{baseline}"


def _training_stack(
    project: Project, adapters: Sequence[ModelRef]
) -> list[tuple[list[TokenScores], list[TokenScores]]]:
    """Scores of the parity probes by transformers, base and adapter; kept in the store, so loaded once per adapter."""
    from harness.generation import GenerationPlan, run
    from harness.parity import PROBES, training_stack
    from harness.store import Store

    plan = GenerationPlan()
    pairs = [(there.root, there) for there in map(training_stack, adapters)]
    for ref in (ref for pair in pairs for ref in pair):
        for probe in PROBES:
            plan.score(ref, probe)
    if not len(plan):
        return []
    with Store(project.store) as store:
        answers = run(plan, store, on_progress=None)
    base_and_adapter = []
    for base, adapted in pairs:
        base_and_adapter.append(
            ([answers.scores(base, probe) for probe in PROBES], [answers.scores(adapted, probe) for probe in PROBES])
        )
    return base_and_adapter


def _compare(
    server: Server, adapters: Sequence[ModelRef], trained: Sequence[tuple[list[TokenScores], list[TokenScores]]]
) -> None:
    """Raises GenerationError where the server does not apply an adapter as it was trained (T14)."""
    from harness.models.hf.reading import read_prompts
    from harness.models.vllm.server import served_name, served_scores
    from harness.parity import CODE, PROBES, judge

    for ref, (trained_base, trained_adapter) in zip(adapters, trained, strict=True):
        prompts = read_prompts(ref)
        probes = [prompts.scored(probe) for probe in PROBES]
        parity = judge(
            served_name(ref),
            "vllm",
            base=served_scores(server.url, served_name(ref.root), probes),
            adapted=served_scores(server.url, served_name(ref), probes),
            trained_base=trained_base,
            trained=trained_adapter,
        )
        if parity.fault is not None:
            raise GenerationError(f"{CODE}, {parity.model}: {parity.fault}")
        click.echo(
            f"{parity.model}: applied as trained ({parity.error:.2g} nats per token apart, {parity.noise:.2g} on the "
            f"base; the adapter's effect is {parity.effect:.2g})"
        )
