"""Train an adapter. Read from top to bottom: rows, schedule, loop, save (model and loss: model.py)."""

from __future__ import annotations

import contextlib
import math
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import torch
from accelerate import Accelerator, PartialState

from harness.data.learned import write_rows
from harness.errors import DataError, HarnessError, ModelError
from harness.generation import Progress
from harness.models.bases import pinned
from harness.models.hf.memory import is_out_of_memory
from harness.models.refs import ModelRef
from harness.training.batches import pad, plan_epoch
from harness.training.checkpoints import (
    EpochRecord,
    State,
    StepRecord,
    Weights,
    latest_checkpoint,
    read_checkpoint,
    read_state,
    write_checkpoint,
)
from harness.training.diagnosis import out_of_memory, plot_curve, read_curve
from harness.training.model import AnswerLoss, add_adapter, load_base, load_tokenizer, quiet_layers
from harness.training.packing import lay_rows_end_to_end
from harness.training.plan import Prepared, Sources, prepare
from harness.training.progress import Listener, Silent
from harness.training.recipe import OptimRecipe, Recipe
from harness.training.saving import describe, refuse_inert, save_adapter
from harness.training.template import Example, rendered_digest, stop_ids


class TrainingInterruptedError(HarnessError):
    """Ctrl-C: a checkpoint was written, and the same command goes on from it."""


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """What a run made: a PEFT folder with its loss plot, and everything to be written into training.json."""

    adapter: Path
    training: dict[str, Any]
    findings: tuple[str, ...]


# ---- rows ---------------------------------------------------------------------------------------------------


def prepare_rows(
    recipe: Recipe,
    sources: Sources,
    base: ModelRef,
    *,
    store: Path,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[Any, Prepared]:
    """The base's tokenizer, and every row ready to be trained on. The main process goes first, so that replay
    prompts are answered once and the others find them in the store."""
    from transformers import GenerationConfig

    tokenizer = load_tokenizer(base)
    name, revision = pinned(base.base)
    try:
        config = GenerationConfig.from_pretrained(name, revision=revision)  # type: ignore[arg-type]
    except OSError:
        config = None  # many models have none
    stops = stop_ids(tokenizer, config)
    with PartialState(cpu=base.device == "cpu").main_process_first():
        prepared = prepare(recipe, sources, base, tokenizer, stops, store=store, on_progress=on_progress)
    return tokenizer, prepared


# ---- schedule ----------------------------------------------------------------------------------------------


def rate_at(step: int, total: int, optim: OptimRecipe) -> float:
    """The learning rate of update `step` (from 0): linear warm-up, then a cosine from `lr` towards 0."""
    warmup = math.ceil(optim.warmup * total)
    if step < warmup:
        return optim.lr * (step + 1) / (warmup + 1)
    return optim.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


# ---- loop --------------------------------------------------------------------------------------------------


class Trainer:
    """One run: the model, its optimizer, and where it stands."""

    def __init__(
        self,
        recipe: Recipe,
        prepared: Prepared,
        model: Any,
        *,
        pad_id: int,
        checkpoints: Path | None = None,
        checkpoint_every: int = 25,
        listener: Listener | None = None,
    ) -> None:
        self.recipe = recipe
        self.prepared = prepared
        self.model = model
        self.pad_id = pad_id
        self.checkpoints = checkpoints
        self.checkpoint_every = checkpoint_every
        self.listener = listener or Silent()
        self.device = next(model.parameters()).device
        self.parameters: Weights = {n: p for n, p in model.named_parameters() if p.requires_grad}
        # Precision is ours (autocast below), so that accelerate does not convert outputs behind our back.
        self.accelerator = Accelerator(mixed_precision="no", cpu=self.device.type == "cpu")
        optim = recipe.optim
        optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=optim.lr, weight_decay=optim.weight_decay, betas=(0.9, 0.999)
        )
        self.optimizer: Any = self.accelerator.prepare_optimizer(optimizer)
        #: Padding is left out where the model can read rows that lie end to end.
        quiet_layers(model)
        self.end_to_end = lay_rows_end_to_end(model)
        self.loss: Any = self.accelerator.prepare_model(AnswerLoss(model))
        self.state = State(rows=rendered_digest([*prepared.train, *prepared.validation]))
        self.best: Weights | None = None
        self.interrupted = False
        #: False while the weights are being changed: half old, half new.
        self.whole = True
        lengths = [len(example.ids) for example in prepared.train]
        self.epochs = [
            plan_epoch(
                lengths,
                batch_size=optim.batch_size,
                micro_batch_size=optim.micro_batch_size,
                seed=recipe.seed,
                epoch=epoch,
            )
            for epoch in range(optim.epochs)
        ]
        self.total = sum(len(windows) for windows in self.epochs)

    def resume(self) -> bool:
        """Take up the newest checkpoint, where there is one that was made from these very rows. The files can be
        unchanged and the rows others: replay answers are the base's, and rounding differs from machine to machine."""
        checkpoint = None if self.checkpoints is None else latest_checkpoint(self.checkpoints)
        if checkpoint is None:
            return False
        if (found := read_state(checkpoint)).rows != self.state.rows:
            self.listener.note(
                f"{checkpoint}: this checkpoint, after step {found.step}, was made from other rows than today's (the "
                "base answered the replay prompts otherwise, or tokenizer or template changed). Training begins anew."
            )
            self.accelerator.wait_for_everyone()
            if self.accelerator.is_main_process:
                shutil.rmtree(checkpoint)
            self.accelerator.wait_for_everyone()
            return False
        self.state, self.best = read_checkpoint(checkpoint, self.parameters, self.optimizer.optimizer)
        return True

    def run(self) -> None:
        """Train to the end. Raises TrainingInterruptedError after Ctrl-C, DataError where the loss is not a number,
        ModelError where memory runs out."""
        self.listener.start(done=self.state.step, total=self.total)
        self.model.train()
        begun, before, tokens_before = time.perf_counter(), self.state.seconds, self._tokens()
        step = 0
        with self._ctrl_c():
            for epoch, windows in enumerate(self.epochs):
                for window in windows:
                    step += 1
                    if step <= self.state.step or self.state.stopped:
                        continue
                    with self._memory(step, self._rows_of(window), keep=True):
                        record = self._update(step, epoch, window)
                    if record is not None:
                        self.state.step = step
                        self.state.seconds = before + time.perf_counter() - begun
                        self.state.history.append(msgspec.structs.replace(record, seconds=self.state.seconds))
                        elapsed = max(1e-9, self.state.seconds - before)
                        self.listener.step(self.state.history[-1], (self._tokens() - tokens_before) / elapsed)
                        if window is windows[-1]:
                            with self._memory(step, self.prepared.validation, keep=False):
                                self._end_epoch(epoch)
                            self.state.seconds = before + time.perf_counter() - begun
                    if self.interrupted:
                        self._stop_here()
                    # The last one too: should registering fail, the training is not lost.
                    if step % self.checkpoint_every == 0 or step == self.total or self.state.stopped:
                        self._checkpoint()
        if self.best is not None:
            with torch.no_grad():
                for name, parameter in self.parameters.items():
                    parameter.copy_(self.best[name])

    def _update(self, step: int, epoch: int, window: Sequence[Sequence[int]]) -> StepRecord | None:
        """One optimizer step over a window of rows; None where Ctrl-C came before it was complete."""
        optim, accelerator = self.recipe.optim, self.accelerator
        # Seeded at every step, not once: then dropout is a function of the step, and a resumed run needs no saved
        # generator states, on any number of devices.
        torch.manual_seed((self.recipe.seed * 1_000_003 + step) * 1009 + accelerator.process_index)
        rate = rate_at(step - 1, self.total, optim)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        # By the window's targets, not per micro-batch: else a target in a short micro-batch would weigh more.
        targets = sum(self.prepared.train[i].targets for micro in window for i in micro)
        tokens = sum(len(self.prepared.train[i].ids) for micro in window for i in micro)
        mine, padding = self._share(window)
        summed = torch.zeros((), device=self.device)
        self.optimizer.zero_grad()
        for k, micro in enumerate(mine):
            # Of several processes, none may leave alone: they agree below.
            if self.interrupted and accelerator.num_processes == 1:
                return None
            last = k == len(mine) - 1
            with contextlib.nullcontext() if last else accelerator.no_sync(self.loss):
                loss = self._loss(micro)
                if k >= len(mine) - padding:
                    loss = loss * 0.0
                # DDP averages gradients over processes, and we want their sum.
                accelerator.backward(loss * accelerator.num_processes / targets)
            summed += loss.detach()
        told = accelerator.reduce(torch.stack([summed, torch.full_like(summed, self.interrupted)]), reduction="sum")
        mean, self.interrupted = float(told[0]) / targets, bool(told[1])
        norm = float(torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), optim.max_grad_norm))
        if not (math.isfinite(mean) and math.isfinite(norm)):
            self._refuse_nan(step, mean, norm, window)
        self.whole = False
        self.optimizer.step()
        self.whole = True
        return StepRecord(step=step, epoch=epoch, loss=mean, rate=rate, norm=norm, tokens=tokens, seconds=0.0)

    def _share(self, window: Sequence[Sequence[int]]) -> tuple[list[list[int]], int]:
        """This process's micro-batches, and how many at the end are only there so that every process has as many:
        one that runs out of work earlier would leave the others waiting for its gradients."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        micros = [list(micro) for micro in window]
        if world == 1:
            return micros, 0
        rows = [i for micro in micros for i in micro]
        size = max(1, min(len(micros[0]), math.ceil(len(rows) / world)))
        pieces = [rows[i : i + size] for i in range(0, len(rows), size)]
        each = math.ceil(len(pieces) / world)
        mine = pieces[rank::world]
        padding = each - len(mine)
        return mine + [pieces[0]] * padding, padding

    def _loss(self, rows: Sequence[int], examples: Sequence[Example] | None = None) -> torch.Tensor:
        chosen = self.prepared.train if examples is None else examples
        ids, labels = pad([chosen[i] for i in rows], self.pad_id)
        keep = self.recipe.replay is not None and self.recipe.replay.learn == "distribution"
        kept = [keep and chosen[i].row.kind == "replay" for i in rows]
        # The last id of a row is only ever a target.
        lengths = torch.tensor([len(chosen[i].ids) - 1 for i in rows], device=self.device)
        half = self.recipe.dtype == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            loss: torch.Tensor = self.loss(
                torch.tensor(ids, device=self.device),
                torch.tensor(labels, device=self.device),
                torch.tensor(kept, device=self.device),
                lengths if self.end_to_end else None,
            )
        return loss

    def validation_loss(self) -> float:
        """Nats per target over the held-out rows. Every process computes all of it."""
        examples = self.prepared.validation
        order = sorted(range(len(examples)), key=lambda i: -len(examples[i].ids))
        size = self.recipe.optim.micro_batch_size or self.recipe.optim.batch_size
        quiet_layers(self.model)
        with torch.no_grad():
            total = sum(float(self._loss(order[i : i + size], examples)) for i in range(0, len(order), size))
        self.model.train()
        return total / sum(example.targets for example in examples)

    def _end_epoch(self, epoch: int) -> None:
        if not self.prepared.validation:
            return
        record = EpochRecord(epoch=epoch, step=self.state.step, validation_loss=self.validation_loss())
        self.state.epochs.append(record)
        self.listener.epoch(record)
        patience = self.recipe.optim.early_stopping
        if patience is None:
            return
        best = min(self.state.epochs, key=lambda e: e.validation_loss)
        if best is record:
            self.best = {name: p.detach().clone() for name, p in self.parameters.items()}
            self.state.best_epoch = epoch
        if epoch - best.epoch >= patience and epoch + 1 < self.recipe.optim.epochs:
            self.state.stopped = True
            self.listener.note(f"stopped early: no better validation loss since epoch {best.epoch + 1}")

    def _tokens(self) -> int:
        return sum(step.tokens for step in self.state.history)

    # Interruptions and mistakes.

    @contextlib.contextmanager
    def _ctrl_c(self) -> Iterator[None]:
        """Ctrl-C asks for a stop between micro-batches: in the middle of an update the weights are half old, half
        new. A second Ctrl-C ends at once."""

        def ask(number: int, frame: FrameType | None) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True

        try:
            before = signal.signal(signal.SIGINT, ask)
        except ValueError:  # not the main thread: whoever runs us there decides
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _stop_here(self) -> None:
        """Keep what is done and leave."""
        kept = self._checkpoint()
        where = f" A checkpoint is kept in {kept}." if kept else ""
        raise TrainingInterruptedError(
            f"training stopped after step {self.state.step} of {self.total}.{where} The same "
            "command goes on from there."
        )

    def _checkpoint(self) -> Path | None:
        if self.checkpoints is None:
            return None
        kept = None
        if self.accelerator.is_main_process and self.state.step:
            kept = write_checkpoint(self.checkpoints, self.state, self.parameters, self.optimizer.optimizer, self.best)
        self.accelerator.wait_for_everyone()
        return kept

    @contextlib.contextmanager
    def _memory(self, step: int, examples: Sequence[Example], *, keep: bool) -> Iterator[None]:
        """Say what to lower when memory runs out in step `step`. With `keep`, what is done is kept: a lone process
        has it all, of several the others may still be at work."""
        try:
            yield
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            kept = latest_checkpoint(self.checkpoints) if self.checkpoints is not None else None
            if keep and self.whole and self.accelerator.num_processes == 1:
                kept = self._checkpoint() or kept
            sentence = out_of_memory(self.recipe, max(len(example.ids) for example in examples))
            raise ModelError(
                f"step {step} of {self.total}: {sentence}"
                + (f" {kept} is kept: with more memory free, the same command goes on from it." if kept else "")
            ) from error

    def _rows_of(self, window: Sequence[Sequence[int]]) -> list[Example]:
        return [self.prepared.train[i] for micro in window for i in micro]

    def _refuse_nan(self, step: int, mean: float, norm: float, window: Sequence[Sequence[int]]) -> None:
        rows = sorted({self.prepared.train[i].row.where for micro in window for i in micro})
        shown = ", ".join(rows[:8]) + (f" and {len(rows) - 8} more" if len(rows) > 8 else "")
        what = f"the loss is {mean}" if not math.isfinite(mean) else f"the gradient norm is {norm}"
        raise DataError(
            f"step {step}: {what}, and nothing was registered. The rows of this step: {shown}. Lower optim.lr "
            f"({self.recipe.optim.lr:g}) or raise optim.warmup; if it stays at this step, look at these rows."
        )


# ---- save ---------------------------------------------------------------------------------------------------


def train(
    recipe: Recipe,
    prepared: Prepared,
    base: ModelRef,
    tokenizer: Any,
    *,
    digest: str,
    folder: Path,
    checkpoint_every: int = 25,
    listener: Listener | None = None,
) -> Trained:
    """Run a prepared recipe, from its newest checkpoint in `folder` where there is one.

    The result lies in `folder`/result; the caller registers it and may then delete `folder`. On several processes,
    every one of them calls this, and only the main one writes.
    """
    listener = listener or Silent()
    model = add_adapter(load_base(recipe, base), recipe)
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    trainer = Trainer(
        recipe,
        prepared,
        model,
        pad_id=pad_id,
        checkpoints=folder,
        checkpoint_every=checkpoint_every,
        listener=listener,
    )
    if trainer.resume():
        listener.note(f"resumed after step {trainer.state.step} of {trainer.total}")
    trainer.run()
    state = trainer.state
    findings = read_curve(state.history, state.epochs)
    result = folder / "result"
    training = describe(
        recipe,
        prepared,
        base,
        tokenizer,
        state,
        digest=digest,
        findings=findings,
        device=trainer.device,
        processes=trainer.accelerator.num_processes,
        parameters=sum(p.numel() for p in trainer.parameters.values()),
    )
    if trainer.accelerator.is_main_process:
        unfinished = Path(tempfile.mkdtemp(prefix=".result-", dir=_made(folder)))
        try:
            save_adapter(model, recipe, unfinished)
            probe = torch.tensor([prepared.train[0].ids[:256]], device=trainer.device)
            refuse_inert(model, unfinished, probe, trained=recipe.optim.lr > 0)
            plot_curve(state.history, state.epochs, unfinished / "loss.svg", title=recipe.name)
            write_rows(unfinished, (example.row for example in prepared.train))
            shutil.rmtree(result, ignore_errors=True)
            unfinished.rename(result)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    return Trained(adapter=result, training=training, findings=tuple(findings))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
