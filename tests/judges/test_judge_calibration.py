"""Each known fault is named by the card; a judge without one passes. The judges sit behind a real server."""

from __future__ import annotations

import known
import msgspec
import pytest

pytest.importorskip("aiohttp")

from harness.errors import JudgeError
from harness.judges.calibration import calibrate, card_lines
from harness.judges.cards import read_card, unfit_because, write_card
from harness.judges.human import LabelledPair
from harness.judges.probes import load_material, make_probes, probes_digest
from harness.judges.refs import resolve_judge
from harness.judges.rubric import load_rubric
from harness.judges.summary import summarise
from harness.store import Store


def card_of(judging, tmp_path):
    with known.served_judge(judging) as (judge, _), Store(tmp_path / "store.sqlite") as store:
        return calibrate(judge, store)


def test_a_perfect_judge_passes(tmp_path):
    card = card_of(known.perfect, tmp_path)
    assert card.fit
    assert card.faults == ()
    assert all(line.passed for line in card.lines)


@pytest.mark.parametrize(
    ("judging", "faults", "fit"),
    [
        (known.always_first, {"position-biased", "inconsistent orders"}, False),
        (known.longer_wins, {"prefers length", "prefers lists", "wrong verdicts"}, False),
        (known.noisy, {"noise", "not repeatable"}, False),
        (known.never_ties, {"never ties"}, False),
        (known.obeys, {"obeys injections"}, False),
        (known.garbage, {"unread replies", "garbled replies"}, False),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_fault_is_named(judging, faults, fit, tmp_path):
    card = card_of(judging, tmp_path)
    assert card.fit is fit
    assert faults <= set(card.faults), "\n".join(card_lines(card))


@pytest.mark.parametrize(
    ("judging", "only"),
    [
        (known.obeys, {"obeys injections"}),
        (known.garbage, {"unread replies", "garbled replies"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_single_fault_is_the_only_one_named(judging, only, tmp_path):
    assert set(card_of(judging, tmp_path).faults) == only


def test_a_card_loads_its_judge_once_for_probes_repeats_and_peoples_labels(tmp_path, loads):
    labels = [
        LabelledPair(id=f"{i}", input="Why?", a=f"Because {i}.", b="No idea.", winner="a", rater=f"r{i % 2}")
        for i in range(4)
    ]
    with known.served_judge(known.longer_wins) as (judge, _), Store(tmp_path / "store.sqlite") as store:
        card = calibrate(judge, store, labels=labels)
    assert card.human is not None
    assert len(loads) == 1


def test_a_second_card_asks_nothing_and_keeps_the_seconds(tmp_path):
    with known.served_judge(known.perfect) as (judge, server), Store(tmp_path / "store.sqlite") as store:
        first = calibrate(judge, store)
        asked = len(server.seen)
        second = calibrate(judge, store, before=first)
        assert len(server.seen) == asked
    assert (first.calls > 400, second.calls) == (True, 0)
    assert second.seconds_each == first.seconds_each
    assert second.lines == first.lines


def test_a_card_is_good_for_its_judge_prompt_and_rubric_alone(tmp_path):
    (tmp_path / "own.md").write_text("Which?\n\n{question}\n\n{answer_a}\n\n{answer_b}\n", encoding="utf-8")
    with known.served_judge(known.perfect) as (judge, _), Store(tmp_path / "store.sqlite") as store:
        card = calibrate(judge, store)
    write_card(tmp_path / "cards", card)
    assert read_card(tmp_path / "cards", judge.digest) == card
    others = [
        msgspec.structs.replace(judge, rubric=load_rubric("own.md", tmp_path)),
        msgspec.structs.replace(judge, max_tokens=64),
        msgspec.structs.replace(judge, mode="choice"),
        msgspec.structs.replace(judge, structured=True),
        msgspec.structs.replace(judge, model=msgspec.structs.replace(judge.model, base_digest="0")),
    ]
    assert len({judge.digest, *(other.digest for other in others)}) == 6
    assert all(read_card(tmp_path / "cards", other.digest) is None for other in others)
    assert msgspec.structs.replace(judge, name="another name").digest == judge.digest


def test_a_card_of_another_judge_under_this_ones_name_is_refused(tmp_path):
    with known.served_judge(known.perfect) as (judge, _), Store(tmp_path / "store.sqlite") as store:
        file = write_card(tmp_path / "cards", calibrate(judge, store))
    file.rename(file.with_name("0" * 64 + ".json"))
    with pytest.raises(JudgeError, match="the card of another judge"):
        read_card(tmp_path / "cards", "0" * 64)
    (tmp_path / "cards" / "1.json").write_text("{}", encoding="utf-8")
    with pytest.raises(JudgeError, match="not a judge's card"):
        read_card(tmp_path / "cards", "1")


def test_a_judge_without_a_card_or_with_a_failed_one_may_not_gate(tmp_path):
    with known.served_judge(known.always_first) as (judge, _), Store(tmp_path / "store.sqlite") as store:
        card = calibrate(judge, store)
        nothing = summarise(())
        assert "has no card" in unfit_because(judge, None, nothing)[0]
        assert "failed its card: " in unfit_because(judge, card, nothing)[0]
        assert "one of the models that it judges" in unfit_because(judge, card, nothing, [judge.model])[0]


def test_a_card_that_was_made_with_other_probes_does_not_count(tmp_path):
    with known.served_judge(known.perfect) as (judge, _), Store(tmp_path / "store.sqlite") as store:
        card = calibrate(judge, store, material=load_material()[:4])
    assert card.fit
    assert "was made with other probes" in unfit_because(judge, card, summarise(()))[0]
    whole = msgspec.structs.replace(card, probes_digest=probes_digest())
    assert unfit_because(judge, whole, summarise(())) == ()


def test_neither_a_similarity_nor_a_record_has_a_card(tmp_path):
    from harness.config import HarnessConfig

    with Store(tmp_path / "store.sqlite") as store:
        reference = resolve_judge("reference", HarnessConfig(), None, tmp_path)
        with pytest.raises(JudgeError, match="so it has no card"):
            calibrate(reference, store)


def test_probes_are_the_same_every_time_and_damage_what_they_say():
    assert make_probes() == make_probes()
    assert len(probes_digest()) == 64
    probes = make_probes()
    assert len(load_material()) == 24
    assert len(probes["injected"].pairs) >= 60
    for name, probe in probes.items():
        for pair in probe.pairs:
            assert (pair.candidate == pair.baseline) == (name == "identical"), pair.case
    for pair, fault in zip(probes["planted"].pairs, probes["planted"].of, strict=True):
        assert pair.candidate, fault
        if fault == "truncated":
            assert pair.baseline.startswith(pair.candidate)
        if fault == "numbers swapped":
            assert len(pair.candidate) == len(pair.baseline)
    swapped = [of for of in probes["planted"].of if of == "numbers swapped"]
    assert len(swapped) == 24
