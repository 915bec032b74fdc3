"""What lies in a store, and what goes when it is pruned."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.models import Response, TokenScores
from harness.models.refs import ModelRef
from harness.store import Store, upkeep
from harness.store.identities import KnownModel

REF = ModelRef(text="base", label="base", engine="hf", base="/m", base_digest="d" * 64)
ADAPTED = msgspec.structs.replace(REF, text="triage@2", label="triage@2", adapter="/a", adapter_digest="a" * 64)
DAY = 86_400


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "store.sqlite") as opened:
        opened.put_responses({f"b{n}": Response(text="x" * 100) for n in range(3)}, ref=REF)
        opened.put_scores({"b0": TokenScores(logprobs=(-1.0,))}, ref=REF)
        opened.put_responses({f"t{n}": Response(text="y") for n in range(2)}, ref=ADAPTED)
        opened.put_responses({"u": Response(text="nobody noted who")})
        yield opened


def age(store: Store, key: str, days: int) -> None:
    store.database.write(
        lambda c: c.execute("UPDATE answers SET written = written - ? WHERE key LIKE ?", (days * DAY, key))
    )


def test_shares_are_by_model_the_largest_first(store: Store) -> None:
    age(store, "b1", 9)
    base, adapted, unknown = sorted(upkeep.shares(store), key=lambda s: -(s.responses + s.scores))
    assert base.model == KnownModel.of(REF)
    assert (base.responses, base.scores) == (3, 1)
    assert base.newest - base.oldest == 9 * DAY
    assert base.bytes > 300
    assert adapted.model == KnownModel.of(ADAPTED)
    assert unknown.model is None
    assert upkeep.shares(store)[0] == base


def test_a_model_that_got_another_name_is_still_one_model(store: Store) -> None:
    renamed = msgspec.structs.replace(ADAPTED, text="candidate")
    store.put_responses({"t9": Response(text="y")}, ref=renamed)
    assert [m.reference for m in store.models()] == ["candidate", "base"]


def test_old_rows_go_and_their_models_with_them(store: Store) -> None:
    age(store, "t%", 31)
    age(store, "b0", 29)
    assert upkeep.forget(store, upkeep.older_than(store, 30 * DAY)) == 2
    assert store.responses(["t0", "t1", "b0"]).keys() == {"b0"}
    assert [m.label for m in store.models()] == ["base"]


def test_rows_of_models_that_are_gone_go_and_unnoted_ones_stay(store: Store) -> None:
    rows = upkeep.of_models(store, lambda model: model.adapter_digest is not None)
    assert len(rows) == 2
    upkeep.forget(store, rows)
    assert store.responses(["b0", "t0", "u"]).keys() == {"b0", "u"}
    assert upkeep.of_models(store, lambda model: False) == set()


@pytest.mark.parametrize("limit", [2_000_000, 700_000, 100_000])
def test_a_store_is_cut_to_a_size_from_its_oldest_end(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "big.sqlite"
    with Store(path) as store:
        answers = {f"{n:064d}": Response(text="z" * 400) for n in range(2_000)}
        store.put_responses(answers)
        store.database.write(lambda c: c.execute("UPDATE answers SET written = rowid"))
        upkeep.forget(store, upkeep.beyond_size(store, limit))
        left = store.responses(answers)
        assert upkeep.file_bytes(path) <= limit
        assert set(left) == set(sorted(answers)[-len(left) :]) if left else True
        # Not much more than had to go.
        assert len(left) > 0.8 * min(2_000, (limit - 60_000) / 700)


def test_size_counts_what_goes_anyway(store: Store) -> None:
    everything = upkeep.older_than(store, -10)
    assert len(everything) == 7
    assert upkeep.beyond_size(store, 0, without=everything) == set()
    assert upkeep.beyond_size(store, 10**9) == set()
    assert upkeep.beyond_size(store, 0) == everything


def test_a_store_whose_first_run_found_no_room_is_empty_and_sound(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.touch()
    assert upkeep.verify(path) == upkeep.Verified(rows=0, wrong=(), damage=None)
