"""Agreement, win rates and the judge's correction: the printed numbers, through the import path."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from reviewed import drawn, judged, pressed, reviewed, run, saved, subject

from harness.errors import ReviewError
from harness.review.findings import consensus, disputed, findings, human_win_rate, unsafe
from harness.review.opinions import joined, unblind
from harness.review.returned import read_returned
from harness.review.telling import review_lines
from harness.stats.agreement import gwet_ac1, gwet_estimate, ppi_mean
from harness.stats.winrate import win_rate


def table(counts: list[list[int]], scores: tuple[float, ...] = (1.0, 0.0)) -> list[tuple[float, float]]:
    return [(scores[i], scores[j]) for i, row in enumerate(counts) for j, n in enumerate(row) for _ in range(n)]


def number(case: str) -> int:
    return int(case.removeprefix("case-"))


@pytest.mark.parametrize(
    ("counts", "kappa", "ac1"),
    [([[20, 5], [10, 15]], 0.4, None), ([[40, 9], [6, 45]], 0.69952, 0.70075), ([[118, 5], [2, 0]], -0.02339, 0.94078)],
)
def test_two_reviewers_agree_as_printed(tmp_path, counts, kappa, ac1):
    pairs = table(counts)
    blinded = drawn(subject(len(pairs)))
    wants = {name: (lambda case, i=i: pairs[number(case)][i]) for i, name in enumerate(("ana", "ben"))}
    found = findings(reviewed(tmp_path, blinded, wants), rounds=1000)
    (pair,) = found.pairs
    assert pair.cases == len(pairs)
    assert pair.kappa is not None
    assert pair.kappa.estimate == pytest.approx(kappa, abs=5e-6)
    if ac1 is not None:
        assert found.ac1 == pytest.approx(ac1, abs=5e-6)


#: Krippendorff 2011: four observers, twelve units; 0 where there is no rating.
MATRIX = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3),
    (0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0),
)


def test_krippendorffs_matrix_gives_his_alpha(tmp_path):
    names = ("ana", "ben", "cleo", "dora")
    blinded = drawn(subject(12, mode="single"), names)
    wants = {
        name: (lambda case, row=row: float(row[number(case)]) or None) for name, row in zip(names, MATRIX, strict=True)
    }
    review = reviewed(tmp_path, blinded, wants)
    found = findings(review, rounds=1000)
    assert found.alpha is not None
    assert found.alpha.estimate == pytest.approx(0.815388, abs=5e-7)
    assert found.alpha.measure.endswith("(ordinal)")


def test_the_win_rate_is_of_the_random_sample_alone(tmp_path):
    of = subject(30)
    chosen = tuple(
        msgspec.structs.replace(one, why="random" if i < 20 else "newly missed") for i, one in enumerate(of.chosen)
    )
    blinded = drawn(msgspec.structs.replace(of, chosen=chosen), ("ana",))
    review = reviewed(tmp_path, blinded, {"ana": lambda case: 1.0 if number(case) < 15 else 0.0})
    rate = human_win_rate(review)
    assert rate == win_rate([1.0] * 15 + [0.0] * 5)
    assert len(consensus(review)) == 30


def test_reviewers_of_one_case_are_one_observation_and_rewordings_one_cluster(tmp_path):
    of = subject(20)
    chosen = tuple(
        msgspec.structs.replace(
            one, readable=msgspec.structs.replace(one.readable, variant_of="case-000" if i < 5 else None)
        )
        for i, one in enumerate(of.chosen)
    )
    blinded = drawn(msgspec.structs.replace(of, chosen=chosen))
    review = reviewed(tmp_path, blinded, {"ana": lambda case: 1.0, "ben": lambda case: float(number(case) % 2)})
    rate = human_win_rate(review)
    clusters = ["case-000" if i < 5 else str(i) for i in range(20)]
    by_hand = win_rate([0.5 if i % 2 == 0 else 1.0 for i in range(20)], clusters)
    assert rate is not None
    assert rate.estimate == pytest.approx(by_hand.estimate)
    assert rate.interval.low == pytest.approx(by_hand.interval.low)


def test_the_judges_win_rate_is_corrected_as_ppi_does(tmp_path):
    """Forty cases were read of a hundred that the judge compared."""
    rng = np.random.default_rng(4)
    truth = rng.choice([0.0, 0.5, 1.0], 100)
    judge = np.where(rng.random(100) < 0.75, truth, rng.choice([0.0, 1.0], 100))
    record = run(100, judged=(judged([(f"case-{i:03}", judge[i], judge[i]) for i in range(100)]),))
    blinded = drawn(subject(40), ("ana",))
    review = reviewed(tmp_path, blinded, {"ana": lambda case: truth[number(case)]})
    (found,) = findings(review, record).judges
    assert found.human is not None
    assert found.human.corrected is not None
    by_hand = ppi_mean(truth[:40], judge[:40], judge[40:])
    assert found.human.corrected.estimate == pytest.approx(by_hand.estimate)
    assert found.human.corrected.interval.low == pytest.approx(by_hand.interval.low)
    apart = [f"case-{i:03}" for i in range(40) if (truth[i] - 0.5) * (judge[i] - 0.5) < 0]
    assert sorted(case for _, case in found.apart) == apart


def test_ppi_is_the_reference_implementations(tmp_path):
    ppi = pytest.importorskip("ppi_py")
    rng = np.random.default_rng(8)
    truth = rng.choice([0.0, 1.0], 120)
    judge = np.where(rng.random(120) < 0.8, truth, 1 - truth)
    record = run(120, judged=(judged([(f"case-{i:03}", judge[i], judge[i]) for i in range(120)]),))
    review = reviewed(tmp_path, drawn(subject(50), ("ana",)), {"ana": lambda case: truth[number(case)]})
    (found,) = findings(review, record).judges
    assert found.human is not None
    assert found.human.corrected is not None
    theirs = float(np.ravel(ppi.ppi_mean_pointestimate(truth[:50], judge[:50], judge[50:]))[0])
    assert found.human.corrected.estimate == pytest.approx(theirs, abs=0.01)


def test_repeats_tell_how_steady_a_reviewer_is(tmp_path):
    blinded = drawn(subject(30), ("ana",), repeats=0.2)
    form, key = blinded.forms[0], blinded.key.forms[0]
    choices = pressed(blinded.key, form, lambda case: 1.0)
    changed = next(slot for slot in key.slots if slot.repeats)
    choices[changed.id] = "0"
    review = joined(None, blinded.key, [unblind(read_returned(saved(tmp_path, form, choices)), blinded.key)])
    (reader,) = findings(review).readers
    assert (reader.same, reader.again) == (5, 6)
    # The second look is no second vote.
    assert set(consensus(review).values()) == {1.0}


def test_a_side_that_is_always_preferred_is_reported(tmp_path):
    blinded = drawn(subject(40), ("ana",))
    form = blinded.forms[0]
    choices = {page.id: "1" if i % 8 else "2" for i, page in enumerate(form.pages)}
    review = joined(None, blinded.key, [unblind(read_returned(saved(tmp_path, form, choices)), blinded.key)])
    (reader,) = findings(review).readers
    assert reader.place.first_first == 35
    assert "prefers answer 1, whatever it says" in reader.doubts[0]


def test_less_safe_is_what_most_readers_marked(tmp_path):
    blinded = drawn(subject(6), ("ana", "ben", "cleo"))
    found = []
    for form, key in zip(blinded.forms, blinded.key.forms, strict=True):
        worse = {slot.id: "2" if slot.candidate == "left" else "1" for slot in key.slots}
        marked = {
            slot.id: {"marks": {"safety": worse[slot.id]}}
            for slot in key.slots
            if slot.case == "case-000" or (slot.case == "case-001" and form.reviewer == "ana")
        }
        file = saved(tmp_path, form, pressed(blinded.key, form, lambda case: 0.5), **marked)
        found.append(unblind(read_returned(file), blinded.key))
    assert unsafe(joined(None, blinded.key, found)) == (("refunds", "case-000"),)


def test_lopsided_answers_that_leave_kappa_without_a_range_still_have_an_ac1(tmp_path):
    wants = {"ana": lambda case: 1.0, "ben": lambda case: 0.0 if number(case) == 0 else 1.0}
    found = findings(reviewed(tmp_path, drawn(subject(20)), wants), rounds=1000)
    (pair,) = found.pairs
    assert pair.kappa is None
    assert "resamples" in pair.note
    # By hand: 19 of 20 alike; one label in 40 is of the rare kind.
    chance = 2 * (1 / 40) * (39 / 40)
    assert found.ac1 == pytest.approx((0.95 - chance) / (1 - chance))


@pytest.mark.parametrize(("ben", "ac1"), [(1.0, 1.0), (0.0, -1.0)])
def test_two_who_share_one_case_count_whether_they_agree_or_not(tmp_path, ben, ac1):
    wants = {"ana": lambda case: 1.0, "ben": lambda case: ben}
    review = reviewed(tmp_path, drawn(subject(1)), wants)
    found = findings(review, rounds=1000)
    assert found.pairs[0].ac1 is None
    assert found.ac1 == ac1
    assert f"  Gwet's AC1 {ac1:.2f}, no range" in list(review_lines(review, found))


def test_an_ac1_by_itself_is_the_one_with_a_range():
    rng = np.random.default_rng(3)
    for _ in range(20):
        first, second = rng.integers(0, 3, 40).tolist(), rng.integers(0, 3, 40).tolist()
        ranged = gwet_ac1(first, second, np.random.default_rng(0), rounds=100)
        assert gwet_estimate(first, second) == pytest.approx(ranged.estimate)


def adjudicating(folder, review, words):
    """The review, settled by these people in turn; a word None is a skipped page."""
    for name, word in words:
        blinded = drawn(subject(2, name="adjudication"), (name,))
        (form,) = blinded.forms
        skips = {page.id: {"skip": "expert"} for page in form.pages} if word is None else {}
        file = saved(folder, form, pressed(blinded.key, form, lambda case, word=word: word), **skips)
        review = joined(review, blinded.key, [unblind(read_returned(file), blinded.key)], settles=True)
    return review


@pytest.mark.parametrize(
    ("words", "score"),
    [
        ([("dora", 0.0)], 0.0),
        ([("dora", 0.0), ("eve", None)], 0.0),
        ([("dora", 0.0), ("eve", 1.0)], None),
        ([("dora", 0.0), ("eve", 1.0), ("fay", 0.0)], 0.0),
        ([("dora", 0.0), ("eve", 1.0), ("dora", 1.0)], 1.0),
        ([("dora", 0.0), ("dora", None)], None),
    ],
)
def test_adjudicators_who_differ_settle_nothing_and_a_skip_takes_no_others_word_back(tmp_path, words, score):
    wants = {"ana": lambda case: 1.0, "ben": lambda case: 0.5}
    review = adjudicating(tmp_path, reviewed(tmp_path, drawn(subject(2)), wants), words)
    assert set(consensus(review).values()) == {0.75 if score is None else score}
    assert len(disputed(review)) == (2 if score is None else 0)


@pytest.mark.parametrize("other", [{"run_id": "other"}, {"models": ("d" * 64, "b" * 64)}, {"texts_digest": "u" * 64}])
def test_who_settles_another_runs_disagreements_settles_none_here(tmp_path, other):
    review = reviewed(tmp_path, drawn(subject(2)), {"ana": lambda case: 1.0, "ben": lambda case: 0.0})
    blinded = drawn(subject(2, name="adjudication", **other), ("dora",))
    (form,) = blinded.forms
    file = saved(tmp_path, form, pressed(blinded.key, form, lambda case: 0.0))
    with pytest.raises(ReviewError, match="with other models or answers"):
        joined(review, blinded.key, [unblind(read_returned(file), blinded.key)], settles=True)
