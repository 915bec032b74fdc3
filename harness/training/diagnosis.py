"""What a loss curve says, in words and as a picture."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from pathlib import Path

from harness.training.checkpoints import EpochRecord, StepRecord
from harness.training.recipe import Recipe


def read_curve(history: Sequence[StepRecord], epochs: Sequence[EpochRecord] = ()) -> list[str]:
    """Sentences about what looks wrong, each with its likely cause and a remedy; none for a healthy curve.

    Healthy for chat fine-tuning: a training loss of 0.5-2.0 nats early on, gradient norms of 0.1-10.
    """
    if len(history) < 4:
        return []
    findings = []
    losses, norms = [s.loss for s in history], [s.norm for s in history]
    early, late = (
        statistics.median(losses[: len(losses) // 4 + 1]),
        statistics.median(losses[-(len(losses) // 4 + 1) :]),
    )
    flat = late > 0.97 * early
    if flat and max(norms) < 1e-3:
        findings.append(
            "The loss is flat and the gradient is zero: nothing is being trained. Look at lora.targets and at the rate."
        )
    elif flat and early > 0.1:
        findings.append(
            f"The loss is flat ({early:.2f} to {late:.2f}) though there is a gradient: raise optim.lr, or train longer."
        )
    for before, step in itertools.pairwise(history):
        if step.loss > 3 * before.loss and step.loss > 2 * early:
            findings.append(
                f"The loss jumps at step {step.step} ({before.loss:.2f} to {step.loss:.2f}): lower optim.lr or raise "
                f"optim.warmup; if it is always this step, look at its rows."
            )
            break
    worst = max(history, key=lambda s: s.norm)
    if worst.norm > 100:
        findings.append(f"The gradient norm reached {worst.norm:.0f} at step {worst.step}: lower optim.lr.")
    if len(epochs) >= 2:
        best = min(epochs, key=lambda e: e.validation_loss)
        last = epochs[-1]
        if best.epoch < last.epoch and last.validation_loss > 1.1 * best.validation_loss:
            findings.append(
                f"The validation loss rose from {best.validation_loss:.3f} (epoch {best.epoch + 1}) to "
                f"{last.validation_loss:.3f} while training went on: fewer epochs, a lower rank, more replay, or "
                f"optim.early_stopping."
            )
    return findings


def out_of_memory(recipe: Recipe, longest: int) -> str:
    """What did not fit, and what to lower; `longest` is in tokens, the longest row of the batch."""
    at_once = recipe.optim.micro_batch_size or recipe.optim.batch_size
    lower = [f"max_length ({recipe.max_length}; the longest row here has {longest} tokens)"]
    if at_once > 1:
        lower.insert(0, f"optim.micro_batch_size (--set optim.micro_batch_size={at_once // 2} changes no gradient)")
    other = "a smaller base" if recipe.method == "qlora" else "method: qlora"
    rows = "1 row" if at_once == 1 else f"{at_once} rows"
    return f"out of memory with {rows} at a time. Lower {' or '.join(lower)}, or use {other}."


def plot_curve(history: Sequence[StepRecord], epochs: Sequence[EpochRecord], path: Path, *, title: str) -> None:
    """The loss of every update and of every validation, as SVG. Same numbers, same bytes."""
    # Neither pyplot nor a display: the figure draws itself, and nothing global is touched.
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "harness", "svg.fonttype": "none"}):
        figure = Figure(figsize=(7, 3.5), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.plot([s.step for s in history], [s.loss for s in history], color="#4477aa", label="training")
        if epochs:
            steps, losses = [e.step for e in epochs], [e.validation_loss for e in epochs]
            axes.plot(steps, losses, "o-", color="#ee6677", label="validation")
            axes.legend(frameon=False)
        axes.set(xlabel="update", ylabel="loss (nats per learned token)", title=title)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, format="svg", metadata={"Date": None})
