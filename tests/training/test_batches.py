"""The order of rows, and padding."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tiny_chat import row

from harness.training.batches import IGNORED, pad, plan_epoch
from harness.training.template import render


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=40),
    batch_size=st.integers(1, 9),
    micro=st.none() | st.integers(1, 4),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 3),
)
def test_every_row_is_seen_once_an_epoch_in_windows_sorted_by_length(
    lengths: list[int], batch_size: int, micro: int | None, seed: int, epoch: int
) -> None:
    windows = plan_epoch(lengths, batch_size=batch_size, micro_batch_size=micro, seed=seed, epoch=epoch)
    rows = [[i for micro_batch in window for i in micro_batch] for window in windows]
    assert sorted(i for window in rows for i in window) == list(range(len(lengths)))
    assert all(len(window) == batch_size for window in rows[:-1])
    for window in rows:
        assert [lengths[i] for i in window] == sorted((lengths[i] for i in window), reverse=True)
    if micro is not None:
        assert all(len(micro_batch) <= micro for window in windows for micro_batch in window)


def test_order_depends_on_seed_and_epoch_and_on_nothing_else() -> None:
    def order(seed: int, epoch: int) -> list[list[list[int]]]:
        return plan_epoch([5] * 30, batch_size=4, seed=seed, epoch=epoch)

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_micro_batches_do_not_move_rows_to_another_update() -> None:
    lengths = list(range(20))
    whole = plan_epoch(lengths, batch_size=8, seed=3, epoch=0)
    parts = plan_epoch(lengths, batch_size=8, micro_batch_size=2, seed=3, epoch=0)
    assert [[i for m in window for i in m] for window in whole] == [[i for m in window for i in m] for window in parts]


def test_padding_is_never_a_label_though_it_is_the_stop_token(tokenizer: Any) -> None:
    short, long = (render(tokenizer, row("q", answer), stops={2}) for answer in ("a", "much longer"))
    ids, labels = pad([short, long], pad_id=2)
    assert len({len(line) for line in ids + labels}) == 1
    for example, line in zip((short, long), labels, strict=True):
        assert [label for label in line if label != IGNORED] == [
            i for i, learned in zip(example.ids, example.learned, strict=True) if learned
        ]
        assert line.count(2) == 1  # the stop token is supervised, once


def test_labels_are_shifted_by_one(tokenizer: Any) -> None:
    example = render(tokenizer, row("q", "ab"), stops={2})
    ids, labels = pad([example], pad_id=2)
    for t, label in enumerate(labels[0]):
        if label != IGNORED:
            assert label == example.ids[t + 1]
    assert ids[0] == list(example.ids[:-1])
