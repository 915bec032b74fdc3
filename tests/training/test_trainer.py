"""The loop: loss, gradients, interruptions, and what is saved."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from tiny_chat import prepared_rows, ragged_rows, row, tiny_recipe

from harness.data.learned import read_rows
from harness.errors import DataError, ModelError
from harness.models.refs import ModelRef
from harness.training.batches import IGNORED, pad
from harness.training.checkpoints import latest_checkpoint
from harness.training.diagnosis import out_of_memory
from harness.training.model import add_adapter, load_base, load_tokenizer
from harness.training.progress import Silent
from harness.training.recipe import OptimRecipe, ReplayRecipe
from harness.training.saving import refuse_inert, save_adapter
from harness.training.template import Example, render
from harness.training.trainer import Trainer, TrainingInterruptedError, rate_at, train

MakeTrainer = Callable[..., Trainer]


def gradients(trainer: Trainer, window: list[list[int]]) -> dict[str, torch.Tensor]:
    """The gradients of one window, before clipping."""
    kept = {}

    def keep(parameters: Any, max_norm: float) -> torch.Tensor:
        kept.update({n: p.grad.clone() for n, p in trainer.parameters.items() if p.grad is not None})
        return torch.tensor(1.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.utils, "clip_grad_norm_", keep)
        trainer._update(1, 0, window)
    return kept


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in trainer.parameters.items()}


def test_the_first_loss_is_the_bases_own(make_trainer: MakeTrainer, tiny_base: ModelRef) -> None:
    trainer = make_trainer()
    base = load_base(trainer.recipe, tiny_base)
    ids, labels = pad(trainer.prepared.train, 2)
    with torch.no_grad():
        logits = base(input_ids=torch.tensor(ids)).logits
        expected = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), torch.tensor(labels).flatten(), ignore_index=IGNORED
        )
    record = trainer._update(1, 0, [list(range(len(ids)))])
    assert record is not None
    assert record.loss == pytest.approx(float(expected), rel=1e-6)


def test_what_the_user_said_carries_no_loss(make_trainer: MakeTrainer, tokenizer: Any) -> None:
    example = render(tokenizer, row("question", "answer"), stops={2})
    trainer = make_trainer(rows=[example])
    ids, labels = pad([example], 2)
    loss = trainer.loss(torch.tensor(ids), torch.tensor(labels)).detach()
    learned = sum(label != IGNORED for label in labels[0])
    assert learned == len("answer") + 1
    logits_at = trainer.model(input_ids=torch.tensor(ids)).logits[0, -learned:].detach()
    expected = torch.nn.functional.cross_entropy(logits_at, torch.tensor(labels[0][-learned:]), reduction="sum")
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)


def test_logits_are_computed_at_labels_only(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    seen = []
    head = trainer.model.get_output_embeddings()
    handle = head.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    ids, labels = pad(trainer.prepared.train, 2)
    trainer.loss(torch.tensor(ids), torch.tensor(labels))
    handle.remove()
    targets = sum(example.targets for example in trainer.prepared.train)
    assert seen == [(targets, 260)]


def replayed(tokenizer: Any, n: int = 6) -> list[Example]:
    rows = [msgspec.structs.replace(r, kind="replay") for r in ragged_rows(n)]
    return [render(tokenizer, r, stops={2}) for r in rows]


def with_replay(trainer: Trainer, learn: Any) -> Trainer:
    replay = ReplayRecipe(prompts="p.jsonl", ratio=0.5, learn=learn)
    trainer.recipe = msgspec.structs.replace(trainer.recipe, replay=replay)
    return trainer


def divergences(trainer: Trainer, rows: list[Example]) -> torch.Tensor:
    """KL(base, model) at every learned position of `rows`, row by row, the plain way."""
    found = []
    for example in rows:
        ids, labels = pad([example], 2)
        with torch.no_grad():
            model = trainer.model(input_ids=torch.tensor(ids)).logits.log_softmax(-1)
            with trainer.model.disable_adapter():
                base = trainer.model(input_ids=torch.tensor(ids)).logits.log_softmax(-1)
        every = (base.exp() * (base - model)).sum(-1)
        found.append(every[torch.tensor(labels) != IGNORED])
    return torch.cat(found)


def test_a_fresh_adapter_has_nothing_to_keep(make_trainer: MakeTrainer, tokenizer: Any) -> None:
    trainer = with_replay(make_trainer(rows=replayed(tokenizer)), "distribution")
    loss = trainer._loss(range(6))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-5)
    assert all(p.grad is not None and float(p.grad.abs().max()) < 1e-6 for p in trainer.parameters.values())


def test_replayed_rows_cost_their_divergence_from_the_base_and_task_rows_their_text(
    make_trainer: MakeTrainer, examples: list[Example], tokenizer: Any
) -> None:
    replay = replayed(tokenizer)
    trainer = with_replay(make_trainer(rows=examples[:4] + replay, epochs=1), "distribution")
    trainer.run()
    trainer.model.eval()
    text = float(trainer.loss(*(torch.tensor(part) for part in pad(examples[:4], 2))).detach())
    divergence = divergences(trainer, replay)
    assert float(divergence.sum()) > 0.01
    assert float(trainer._loss(range(10)).detach()) == pytest.approx(text + float(divergence.sum()), rel=1e-4)


def test_keeping_the_distribution_stays_nearer_to_the_base_than_learning_the_text(
    make_trainer: MakeTrainer, examples: list[Example], tokenizer: Any
) -> None:
    kept = {}
    for learn in ("distribution", "text"):
        rows = examples[:4] + replayed(tokenizer)
        trainer = with_replay(make_trainer(rows=rows, epochs=6), learn)
        trainer.run()
        kept[learn] = float(divergences(trainer, rows[4:]).mean())
    assert kept["distribution"] < 0.5 * kept["text"]


def test_padding_changes_no_loss(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    together = float(trainer._loss(range(10)).detach())
    alone = sum(float(trainer._loss([i]).detach()) for i in range(10))
    assert together == pytest.approx(alone, rel=1e-5)


def test_accumulated_gradients_equal_those_of_the_whole_window(make_trainer: MakeTrainer) -> None:
    rows = list(range(8))
    whole = gradients(make_trainer(), [rows])
    accumulated = gradients(make_trainer(), [[i] for i in rows])
    ragged = gradients(make_trainer(), [rows[:5], rows[5:7], rows[7:]])
    assert whole
    for name, gradient in whole.items():
        torch.testing.assert_close(accumulated[name], gradient, rtol=1e-4, atol=1e-7)
        torch.testing.assert_close(ragged[name], gradient, rtol=1e-4, atol=1e-7)


def test_rate_zero_leaves_every_weight_as_it_is(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(lr=0.0)
    before = weights(trainer)
    trainer.run()
    assert all(torch.equal(before[name], p) for name, p in trainer.parameters.items())


def test_one_batch_can_be_learned_by_heart(make_trainer: MakeTrainer, examples: list[Example]) -> None:
    trainer = make_trainer(rows=examples[:2], epochs=80, lr=1e-2)
    trainer.run()
    history = trainer.state.history
    assert history[-1].loss < 0.25 * history[0].loss


def test_only_the_adapter_is_trained_and_in_float32(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    assert trainer.parameters
    assert all("lora_" in name for name in trainer.parameters)
    assert {p.dtype for p in trainer.parameters.values()} == {torch.float32}
    base = {n: p.detach().clone() for n, p in trainer.model.named_parameters() if not p.requires_grad}
    trainer.run()
    assert all(torch.equal(p, base[n]) for n, p in trainer.model.named_parameters() if n in base)


def test_the_same_seed_makes_the_same_adapter(make_trainer: MakeTrainer) -> None:
    first, second = make_trainer(dropout=0.1), make_trainer(dropout=0.1)
    first.run()
    second.run()
    assert all(torch.equal(p, second.parameters[name]) for name, p in first.parameters.items())


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_a_resumed_run_is_the_uninterrupted_one(
    make_trainer: MakeTrainer, tmp_path: Path, step: int, dropout: float
) -> None:
    """T16, with an interruption within an epoch, at its end, and with early stopping's best weights at stake."""
    options: dict[str, Any] = {"dropout": dropout, "validation": 2, "early_stopping": 3, "epochs": 3, "lr": 3e-2}
    whole = make_trainer(**options)
    whole.run()

    first = make_trainer(checkpoints=tmp_path, **options)
    real = Trainer._update

    def ctrl_c(self: Trainer, number: int, *rest: Any) -> Any:
        record = real(self, number, *rest)
        self.interrupted = self.interrupted or number == step
        return record

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_update", ctrl_c)
        with pytest.raises(TrainingInterruptedError, match=f"after step {step} of 6.*same command"):
            first.run()

    second = make_trainer(checkpoints=tmp_path, **options)
    assert second.resume()
    assert second.state.step == step
    second.run()
    assert [s.loss for s in second.state.history] == [s.loss for s in whole.state.history]
    assert [e.validation_loss for e in second.state.epochs] == [e.validation_loss for e in whole.state.epochs]
    for name, parameter in whole.parameters.items():
        assert torch.equal(parameter, second.parameters[name]), name


def test_ctrl_c_within_an_update_keeps_the_update_before_it(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer = make_trainer(checkpoints=tmp_path, micro_batch_size=1, checkpoint_every=100)
    before = signal.getsignal(signal.SIGINT)
    calls = 0
    real = Trainer._loss

    def press(self: Trainer, *rest: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 6:  # the second micro-batch of the second update
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_loss", press)
        with pytest.raises(TrainingInterruptedError, match="after step 1 of 6"):
            trainer.run()
    assert latest_checkpoint(tmp_path) == tmp_path / "step-00000001"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_loss_that_is_not_a_number_names_step_and_rows(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer = make_trainer(checkpoints=tmp_path)
    real = Trainer._loss

    def broken(self: Trainer, rows: list[int], *rest: Any) -> torch.Tensor:
        loss = real(self, rows, *rest)
        return loss * float("nan") if self.state.step == 1 else loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_loss", broken)
        with pytest.raises(DataError, match=r"step 2: the loss is nan, and nothing was registered.*rows\.jsonl:\d+, "):
            trainer.run()


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, sentence: str) -> None:
        self.said.append(sentence)


@pytest.mark.parametrize("moment", ["forward", "optimizer", "validation"])
def test_running_out_of_memory_says_what_to_lower_and_keeps_what_is_done(
    make_trainer: MakeTrainer, tmp_path: Path, moment: str
) -> None:
    options: dict[str, Any] = {"checkpoints": tmp_path, "checkpoint_every": 2, "validation": 2, "epochs": 3}
    whole = make_trainer(**{**options, "checkpoints": None})
    whole.run()
    trainer = make_trainer(**options)
    full = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    planted = {
        "forward": (trainer, "_loss", 3),
        "optimizer": (trainer.optimizer, "step", 3),
        "validation": (trainer, "validation_loss", 1),
    }
    thing, name, last = planted[moment]
    real = getattr(thing, name)

    def breaks(*rest: Any) -> Any:
        # Two updates to the epoch, and validation goes through `_loss` too.
        if trainer.state.step == last or (moment == "validation" and trainer.state.step == 4):
            raise full
        return real(*rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thing, name, breaks)
        with pytest.raises(ModelError, match=r"step 4 of 6: out of memory with \d+ rows at a time.*is kept") as caught:
            trainer.run()
    assert "--set optim.micro_batch_size=" in str(caught.value)
    assert "max_length (" in str(caught.value)
    # In mid-update the weights are half old, half new; and an epoch's last step is done when it was validated.
    assert latest_checkpoint(tmp_path) == tmp_path / f"step-0000000{3 if moment == 'forward' else 2}"

    again = make_trainer(**options)
    assert again.resume()
    again.run()
    assert all(torch.equal(p, again.parameters[name]) for name, p in whole.parameters.items())


def test_another_error_is_not_taken_for_a_lack_of_memory(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "_loss", lambda rows: (_ for _ in ()).throw(RuntimeError("shapes differ")))
        with pytest.raises(RuntimeError, match="shapes differ"):
            trainer.run()


def test_one_row_at_a_time_is_not_told_to_take_fewer(tiny_base: ModelRef) -> None:
    recipe = tiny_recipe(tiny_base, micro_batch_size=1)
    assert "micro_batch_size" not in out_of_memory(recipe, 90)
    assert "the longest row here has 90 tokens" in out_of_memory(recipe, 90)


def test_a_base_that_does_not_fit_is_one_sentence(tiny_base: ModelRef, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM

    def full(*arguments: Any, **rest: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", full)
    with pytest.raises(ModelError, match=r"out of memory while it was loaded.*method: qlora"):
        load_base(tiny_recipe(tiny_base), tiny_base)


def test_a_checkpoint_made_from_other_rows_is_not_taken_up(
    make_trainer: MakeTrainer, examples: list[Example], tokenizer: Any, tmp_path: Path
) -> None:
    first = make_trainer(checkpoints=tmp_path)
    first.epochs = first.epochs[:1]
    first.run()
    kept = latest_checkpoint(tmp_path)
    assert kept is not None
    assert make_trainer(checkpoints=tmp_path).resume()
    # One replay answer came out otherwise; the file that the plan's digest covers is the same.
    others = [*examples[:-1], render(tokenizer, row("question", "another answer"), stops={2})]
    trainer = make_trainer(rows=others, checkpoints=tmp_path)
    trainer.listener = notes = Notes()
    assert not trainer.resume()
    assert trainer.state.step == 0
    assert "made from other rows" in notes.said[0]
    assert str(kept) in notes.said[0]
    assert latest_checkpoint(tmp_path) is None


def test_early_stopping_keeps_the_best_epoch(make_trainer: MakeTrainer) -> None:
    losses = iter([3.0, 2.0, 2.5, 2.6, 1.0])
    kept: list[dict[str, torch.Tensor]] = []

    def planned(self: Trainer) -> float:
        kept.append(weights(self))
        return next(losses)

    trainer = make_trainer(validation=2, early_stopping=2, epochs=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "validation_loss", planned)
        trainer.run()
    assert [e.validation_loss for e in trainer.state.epochs] == [3.0, 2.0, 2.5, 2.6]
    assert trainer.state.best_epoch == 1
    assert all(torch.equal(p, kept[1][name]) for name, p in trainer.parameters.items())


def test_the_validation_loss_is_per_token_over_all_held_out_rows(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(validation=3, batch_size=2)
    by_row = [float(trainer._loss([i], trainer.prepared.validation).detach()) for i in range(3)]
    targets = sum(e.targets for e in trainer.prepared.validation)
    assert trainer.validation_loss() == pytest.approx(sum(by_row) / targets, rel=1e-5)


def test_the_rate_warms_up_and_falls_along_a_cosine() -> None:
    optim = OptimRecipe(lr=1.0, warmup=0.1)
    rates = [rate_at(step, 20, optim) for step in range(20)]
    assert rates[0] == pytest.approx(1 / 3)
    assert rates[2] == 1.0
    assert rates[11] == pytest.approx(0.5)
    assert 0 < rates[-1] < 0.01
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_processes_share_every_row_of_a_window_and_do_as_many_micro_batches(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()

    class Of:
        def __init__(self, rank: int, world: int) -> None:
            self.process_index, self.num_processes = rank, world

    for world in (1, 2, 3):
        for window in ([[0, 1, 2, 3]], [[0, 1], [2, 3], [4]], [[0]]):
            rows, counts = [], set()
            for rank in range(world):
                trainer.accelerator = Of(rank, world)  # type: ignore[assignment]
                mine, padding = trainer._share(window)
                counts.add(len(mine))
                rows += [i for micro in mine[: len(mine) - padding] for i in micro]
            assert len(counts) == 1
            assert sorted(rows) == sorted(i for micro in window for i in micro)


# ---- saving ------------------------------------------------------------------------------------------------


def test_a_run_leaves_an_adapter_that_peft_reads_and_that_answers_as_the_live_one(
    tiny_base: ModelRef, tokenizer: Any, examples: list[Example], tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    recipe = tiny_recipe(tiny_base)
    made = train(recipe, prepared_rows(examples, 2), tiny_base, tokenizer, digest="d1", folder=tmp_path / "run")
    assert sorted(p.name for p in made.adapter.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "loss.svg",
        "rows.jsonl.gz",
    ]
    assert [kept.kind for kept in read_rows(made.adapter)] == ["task"] * 8
    assert (made.adapter / "loss.svg").read_text().count("<svg") == 1
    facts = made.training
    assert facts["plan_digest"] == "d1"
    assert facts["rows"] == {
        "task": 8,
        "replay": 0,
        "validation": 2,
        "dropped_overlong": [],
        "replay_cut_off": 0,
        "replay_empty": 0,
    }
    assert len(facts["loss"]) == facts["steps"] == 4
    assert 0 < facts["learned_share"] < 1
    base = AutoModelForCausalLM.from_pretrained(tiny_base.base)
    probe = torch.tensor([examples[0].ids])
    with torch.no_grad():
        off = base(input_ids=probe).logits
        on = PeftModel.from_pretrained(base, str(made.adapter))(input_ids=probe).logits
    assert not torch.equal(on, off)


def test_the_adapters_configuration_is_the_same_bytes_for_the_same_adapter(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    trainer = make_trainer()
    save_adapter(trainer.model, trainer.recipe, tmp_path / "a")
    targets = trainer.model.peft_config["default"].target_modules
    trainer.model.peft_config["default"].target_modules = sorted(targets, reverse=True)
    save_adapter(trainer.model, trainer.recipe, tmp_path / "b")
    one, two = ((tmp_path / name / "adapter_config.json").read_bytes() for name in "ab")
    assert one == two
    assert f'"base_model_name_or_path": "{trainer.recipe.base}"'.encode() in one


def test_an_adapter_that_does_nothing_is_refused(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer = make_trainer()
    save_adapter(trainer.model, trainer.recipe, tmp_path)
    probe = torch.tensor([trainer.prepared.train[0].ids])
    refuse_inert(trainer.model, tmp_path, probe, trained=False)
    with pytest.raises(ModelError, match="changes nothing"):
        refuse_inert(trainer.model, tmp_path, probe, trained=True)


def test_a_saved_adapter_that_differs_from_the_live_one_is_refused(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer = make_trainer()
    save_adapter(trainer.model, trainer.recipe, tmp_path)
    trainer.run()
    with pytest.raises(ModelError, match="other logits than the trained one"):
        refuse_inert(trainer.model, tmp_path, torch.tensor([trainer.prepared.train[0].ids]), trained=True)


def test_target_names_that_no_layer_has_are_refused(tiny_base: ModelRef) -> None:
    recipe = tiny_recipe(tiny_base)
    replace = msgspec.structs.replace
    wrong = replace(recipe, lora=replace(recipe.lora, targets=("query",)))
    with pytest.raises(ModelError, match=r"lora\.targets = \('query',\)"):
        add_adapter(load_base(wrong, tiny_base), wrong)


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tiny_chat import prepared_rows, ragged_rows, tiny_recipe, tiny_tokenizer
from harness.models.refs import ModelRef
from harness.training.checkpoints import write_checkpoint
from harness.training.template import render
from harness.training import trainer

folder, kill_at = Path(sys.argv[1]), int(sys.argv[2])
base = ModelRef(text="t", label="t", engine="hf", base=sys.argv[3], base_digest="0" * 64, dtype="float32")
tokenizer = tiny_tokenizer()
rows = prepared_rows([render(tokenizer, r, stops={2}) for r in ragged_rows()])
real = trainer.Trainer._update
def update(self, step, *rest):
    if step == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, step, *rest)
trainer.Trainer._update = update
made = trainer.train(tiny_recipe(base, dropout=0.1), rows, base, tokenizer, digest="d", folder=folder,
                     checkpoint_every=2)
print(made.adapter)
"""


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bytes(tiny_base: ModelRef, tmp_path: Path) -> None:
    def run(folder: str, kill_at: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path / folder), str(kill_at), tiny_base.base],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parent,
        )

    assert run("whole", 0).returncode == 0
    assert run("killed", 4).returncode == -signal.SIGKILL
    assert latest_checkpoint(tmp_path / "killed") == tmp_path / "killed" / "step-00000002"
    assert run("killed", 0).returncode == 0
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        files = [tmp_path / folder / "result" / name for folder in ("whole", "killed")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_qlora_trains_on_a_base_in_four_bits_and_validation_leaves_its_weights_as_they_are(
    tiny_base: ModelRef, tokenizer: Any, examples: list[Example], tmp_path: Path
) -> None:
    recipe = msgspec.structs.replace(tiny_recipe(tiny_base, epochs=3), method="qlora")
    base = load_base(recipe, tiny_base)
    assert sum(type(module).__name__ == "Linear4bit" for module in base.modules()) == 14
    made = [
        train(recipe, prepared, tiny_base, tokenizer, digest="d", folder=tmp_path / name)
        for name, prepared in {
            "validated": msgspec.structs.replace(prepared_rows(examples[:8]), validation=tuple(examples[8:])),
            "plain": prepared_rows(examples[:8]),
        }.items()
    ]
    losses = [[step["loss"] for step in run.training["loss"]] for run in made]
    assert losses[0] == losses[1]
    assert losses[0][-1] < losses[0][0]


def test_code_that_comes_with_a_base_is_never_run_not_even_when_the_user_says_yes(
    tiny_base: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    base = tmp_path / "base"
    base.mkdir()
    (base / "foreign.py").write_text(f"open({str(ran)!r}, 'w')\nclass Foreign: ...\n")
    (base / "config.json").write_text('{"model_type": "foreign", "auto_map": {"AutoConfig": "foreign.Foreign"}}')
    (base / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["foreign.Foreign", null]}}')
    monkeypatch.setattr("builtins.input", lambda *question: "y")
    with pytest.raises(ModelError, match="its tokenizer cannot be loaded"):
        load_tokenizer(msgspec.structs.replace(tiny_base, base=str(base)))
    assert not ran.exists()
