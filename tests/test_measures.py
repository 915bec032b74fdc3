"""Whole-set measures: macro-F1, recall, field F1, BLEU, compared between candidate and baseline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from harness.errors import ConfigError, StatisticsError
from harness.golden import GoldenCase
from harness.measures import CaseAnswers
from harness.models import Response
from harness.scores import Scores

TOPICS = ["billing", "shipping", "returns"]


def scores(
    cases: Sequence[GoldenCase], candidate: Sequence[str], baseline: Sequence[str] | None, **fields: Any
) -> Scores:
    def said(texts: Sequence[str] | None, i: int) -> tuple[Response, ...]:
        return () if texts is None else (Response(text=texts[i]),)

    given = [
        CaseAnswers(case=case, candidate=said(candidate, i), baseline=said(baseline, i)) for i, case in enumerate(cases)
    ]
    rates = (0.0,) * len(cases)
    names = tuple(case.id for case in cases)
    settings: dict[str, Any] = {"margin": 0.1, "clusters": names} | fields
    return Scores(
        golden_set="triage",
        cases=names,
        candidate=rates,
        baseline=None if baseline is None else rates,
        given=tuple(given),
        **settings,
    )


def labelled(gold: Sequence[str]) -> list[GoldenCase]:
    return [
        GoldenCase(id=f"ticket-{i}-x", input="?", target=right, checks=({"labels": {"of": TOPICS, "equals": right}},))
        for i, right in enumerate(gold)
    ]


def fielded(gold: Sequence[object], **fields: Any) -> list[GoldenCase]:
    return [
        GoldenCase(
            id=f"ticket-{i}-x",
            input="?",
            checks=("valid_json", {"json_field": {"path": "category", "equals": right, **fields}}),
        )
        for i, right in enumerate(gold)
    ]


def answer(category: object) -> str:
    return json.dumps({"category": category}, ensure_ascii=False)


def test_macro_f1_of_labels_weighs_every_class_alike() -> None:
    gold = ["billing"] * 90 + ["shipping"] * 5 + ["returns"] * 5
    lazy = scores(labelled(gold), ["billing"] * 100, gold)
    found = lazy.macro_f1()
    # Always "billing": 90% right, but two of three classes are never found. F1 of billing is 180/190.
    assert found.candidate == pytest.approx(180 / 190 / 3)
    assert found.baseline == 1.0
    assert found.not_worse().status == "FAIL"
    assert found.not_worse().reason.startswith("triage macro-F1 1 -> 0.3158 over 100 cases: worse: ")
    assert lazy.recall("billing").not_worse().status == "PASS"
    assert lazy.recall("shipping").candidate == 0.0
    assert lazy.recall("shipping").not_worse().status == "FAIL"
    assert "recall of 'shipping' 1 -> 0 over 5 cases" in lazy.recall("shipping").not_worse().reason


def test_few_cases_without_a_change_prove_nothing_and_many_do() -> None:
    gold = TOPICS * 4
    few = scores(labelled(gold), [f"It is {g}." for g in gold], gold)
    assert few.macro_f1().not_worse().status == "INCONCLUSIVE"
    assert "a loss of 0.1 is not ruled out" in few.macro_f1().not_worse().reason
    # What decision 11 says of three balanced classes and a margin of 0.10.
    for n, status in ((9, "INCONCLUSIVE"), (10, "PASS")):
        gold = TOPICS * n
        assert scores(labelled(gold), [f"It is {g}." for g in gold], gold).macro_f1().not_worse().status == status
    gold = TOPICS * 60
    many = scores(labelled(gold), [f"It is {g}." for g in gold], gold)
    assert many.macro_f1().not_worse().status == "PASS"
    assert many.macro_f1().better().status == "INCONCLUSIVE"


def test_same_answers_are_equal_by_definition_and_improve_nothing() -> None:
    same = scores(labelled(TOPICS), TOPICS, TOPICS).macro_f1()
    assert same.not_worse().reason == "triage macro-F1 1 -> 1 over 3 cases: same answers"
    assert same.better().status == "FAIL"


def test_better_needs_the_whole_interval_above_zero() -> None:
    gold = TOPICS * 20
    none = ["no idea"] * 60
    assert scores(labelled(gold), gold, none).macro_f1().better().status == "PASS"
    assert scores(labelled(gold), none, gold).macro_f1().better().status == "FAIL"


def test_no_baseline_is_invalid_but_a_bar_can_be_set() -> None:
    alone = scores(labelled(TOPICS), ["billing", "billing", "returns"], None)
    assert alone.macro_f1().not_worse().status == "INVALID"
    assert "--baseline" in alone.macro_f1().better().reason
    assert alone.macro_f1().at_least(0.5).status == "PASS"
    assert alone.macro_f1().at_least(0.9).reason.endswith("at least 0.9 is asked for")
    assert alone.macro_f1().at_most(0.5).status == "FAIL"
    assert repr(alone.macro_f1()) == "Measured(triage macro-F1: 0.5556 over 3 cases, no baseline)"
    with pytest.raises(ConfigError, match="no baseline"):
        alone.macro_f1().interval()
    with pytest.raises(ConfigError, match="no baseline"):
        alone.confusion(baseline=True)


def test_the_same_weights_are_invalid_whatever_they_said() -> None:
    found = scores(labelled(TOPICS), TOPICS, TOPICS, incomparable="the same weights")
    assert found.macro_f1().not_worse().status == "INVALID"


def test_the_confusion_matrix_keeps_no_label_and_several_apart() -> None:
    gold = ["billing", "billing", "shipping", "returns"]
    found = scores(labelled(gold), ["billing", "none of these", "billing or shipping", "shipping"], gold)
    table = found.confusion()
    assert table.labels == ("billing", "shipping", "returns")
    assert table.states == ("no label", "several labels")
    assert table.counts == ((1, 0, 0, 1, 0), (0, 0, 0, 0, 1), (0, 1, 0, 0, 0))
    assert found.confusion(baseline=True).accuracy == 1.0


def test_a_fields_classes_are_what_the_checks_say_is_right() -> None:
    gold: list[object] = ["账单", "账单", "物流", 3, True]
    said = [answer("账单"), "not JSON", answer("退货"), answer(3.0), json.dumps({"kind": "x"})]
    found = scores(fielded(gold), said, [answer(g) for g in gold])
    table = found.confusion("category")
    assert table.labels == ("账单", "物流", "3", "true")
    assert table.states == ("another value", "no such field", "not JSON")
    assert table.recall("3") == 1.0
    assert found.macro_f1("category").baseline == 1.0


def test_the_text_1_is_not_the_number_1() -> None:
    found = scores(fielded([1, "1"]), [answer("1"), answer("1")], [answer(1), answer("1")])
    assert found.confusion().labels == ("1", '"1"')
    assert found.confusion().recall("1") == 0.0
    assert found.macro_f1().baseline == 1.0


def test_casefold_and_fences_are_read_as_the_check_reads_them() -> None:
    said = ['```json\n{"category": "BILLING"}\n```']
    assert scores(fielded(["Billing"], casefold=True, fenced=True), said, None).macro_f1().candidate == 1.0
    assert scores(fielded(["Billing"]), said, None).confusion().states == ("not JSON",)


def test_field_f1_wants_nothing_where_the_field_is_null() -> None:
    gold: list[object] = ["TK-1", "TK-2", "TK-3", None]
    said = [answer("TK-1"), answer("TK-9"), answer(None), answer("TK-7")]
    # One right; TK-9 and TK-7 spurious; TK-2 and TK-3 missing.
    found = scores(fielded(gold), said, [answer(g) for g in gold]).field_f1("category")
    assert found.candidate == pytest.approx(2 / (2 + 2 + 2))
    assert found.baseline == 1.0
    assert found.measure == "F1 of category"
    with pytest.raises(StatisticsError, match="null in every case"):
        scores(fielded([None]), [answer(None)], None).field_f1("category")


def test_a_field_that_got_much_worse_fails() -> None:
    gold = [f"TK-{i}" for i in range(100)]
    worse = [answer(g) if i >= 30 else "no" for i, g in enumerate(gold)]
    found = scores(fielded(gold), worse, [answer(g) for g in gold]).field_f1("category")
    assert found.not_worse().status == "FAIL"


def test_samples_of_one_case_are_one_cluster() -> None:
    cases = labelled(TOPICS * 2)
    said = tuple(Response(text=t) for t in ["billing"] * 8)
    given = tuple(CaseAnswers(case=c, candidate=said, baseline=said[::-1]) for c in cases)
    shares = (0.0,) * 6
    found = Scores(
        golden_set="t",
        cases=tuple(c.id for c in cases),
        clusters=tuple(c.id for c in cases),
        candidate=shares,
        baseline=shares,
        margin=0.1,
        given=given,
    )
    assert found.confusion().n == 48
    assert found.macro_f1().n == 6


def test_what_is_not_there_is_named() -> None:
    found = scores(labelled(TOPICS), TOPICS, TOPICS)
    with pytest.raises(ConfigError, match="unknown class 'biling': did you mean 'billing'"):
        found.recall("biling")
    with pytest.raises(ConfigError, match="unknown field 'category'"):
        found.macro_f1("category")
    plain = scores([GoldenCase(id="a", input="?", checks=("valid_json",))], ["{}"], None)
    with pytest.raises(ConfigError, match="no case says which class is right"):
        plain.macro_f1()
    both = GoldenCase(id="a", input="?", checks=labelled(["billing"])[0].checks + fielded(["x"])[0].checks)
    with pytest.raises(ConfigError, match=r"which one\? Name it: 'category', 'labels'"):
        scores([both], ["billing"], None).macro_f1()


def test_cases_that_choose_from_different_labels_are_an_error() -> None:
    other = GoldenCase(id="b", input="?", checks=({"labels": {"of": ["calm", "angry"], "equals": "calm"}},))
    with pytest.raises(ConfigError, match="differ: billing, shipping, returns; calm, angry"):
        scores([*labelled(["billing"]), other], ["billing", "calm"], None).macro_f1()
    twice = GoldenCase(id="c", input="?", checks=other.checks * 2)
    with pytest.raises(ConfigError, match="says twice what is right for labels"):
        scores([twice], ["calm"], None).macro_f1()


def test_a_record_keeps_matrices_that_can_be_read() -> None:
    kept = scores(labelled(TOPICS * 2), TOPICS * 2, TOPICS * 2).classifications()
    assert [(c.golden_set, c.source) for c in kept] == [("triage", "labels")]
    assert kept[0].baseline is not None
    references = scores(fielded([f"TK-{i}" for i in range(9)]), [answer("x")] * 9, None)
    assert references.classifications() == ()


def translated(n: int) -> list[GoldenCase]:
    """Cases with targets and no checks at all."""
    return [
        GoldenCase(id=f"t-{i}-x", input="?", target=f"退款会在 {i} 天内退回原支付账户，请您耐心等待。")
        for i in range(n)
    ]


def test_corpus_metrics_compare_with_the_targets_and_read_chinese() -> None:
    cases = translated(60)
    right = [case.target or "" for case in cases]
    found = scores(cases, right, right[:30] + ["我不知道。"] * 30)
    for measured, top in ((found.bleu(), 100), (found.chrf(), 100), (found.rouge("rouge2"), 1)):
        assert measured.candidate == pytest.approx(top)
        assert measured.baseline is not None
        assert measured.baseline < 0.8 * top
        assert measured.margin == pytest.approx(0.1 * top)
        assert measured.better().status == "PASS"
    assert found.bleu().measure == "BLEU (tokenize=zh)"
    assert scores(cases, ["我不知道。"] * 60, right).bleu().not_worse().status == "FAIL"


def test_without_a_target_there_is_nothing_to_compare_with() -> None:
    bare = scores([GoldenCase(id="a", input="?", checks=("valid_json",))], ["{}"], None)
    for ask in (bare.bleu, bare.chrf, bare.rouge):
        with pytest.raises(ConfigError, match="no case has a target"):
            ask()


class Wordy:
    """A metric that knows no scale and wants few words."""

    name = "words"
    scale = None
    higher_is_better = False
    rounds = 300

    def rows(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[list[float]]:
        return [[float(len(answer.split()))] for answer in answers]

    def value(self, rows: Any) -> float:
        return float(rows.mean())


def test_where_lower_is_better_more_is_worse_and_the_margin_must_be_said() -> None:
    from harness.measures.measured import SetAnswers
    from harness.measures.overlap import measure_overlap

    cases = translated(40)
    long, short = Response(text="a b c d e f"), Response(text="a b")
    given = tuple(CaseAnswers(case=c, candidate=(long,), baseline=(short,)) for c in cases)
    found = measure_overlap(SetAnswers(golden_set="t", cases=given, margin=0.05), Wordy())
    with pytest.raises(ConfigError, match=r"Say how much may be lost: not_worse\(margin=…\)"):
        found.not_worse()
    assert found.not_worse(1).status == "FAIL"
    assert found.better().status == "FAIL"
    with pytest.raises(ConfigError, match="above 0"):
        found.not_worse(0)


def test_a_set_of_targets_alone_has_no_pass_rate() -> None:
    found = Scores(golden_set="t", cases=(), clusters=(), candidate=(), baseline=(), margin=0.1)
    for ask in (found.not_worse, found.better, lambda: found.at_least(0.5)):
        with pytest.raises(ConfigError, match="no case has checks, so there is no pass rate"):
            ask()
    assert repr(found) == "Scores(t: no case has checks)"
