"""Judged pairs on the page: numbers, reasons in both orders, what recurs, and what is known of the judge."""

from __future__ import annotations

import msgspec
import pytest
from example_judged import JUDGE, TOLD, card, judged_run, judgement
from example_records import golden, run, texts_of

from harness.gate import decide
from harness.judges.judgement import JudgedSet, JudgeIdentity
from harness.record import RunRecord
from harness.report.html import render
from harness.report.pages import Page, build_page
from harness.report.wording import moved, recurring
from harness.report.words import Language


def page_of(language: Language = "en", **fields: object) -> Page:
    record, texts = judged_run(**fields)
    return build_page(record, decide(record, record.policy), texts, language=language)


def test_a_pair_that_only_a_judge_saw_is_a_case_with_answers_reasons_and_a_fate() -> None:
    page = page_of()
    assert {fate: n for fate, n in page.counts.items() if n} == {"lost": 12, "won": 6, "tied": 9, "unread": 1}
    assert [case.line.fate for case in page.cases[:12]] == ["lost"] * 12
    lost = page.cases[0]
    assert lost.detail.prompt == "About refund-00?"
    assert lost.detail.target == "Right: refund-00"
    assert lost.detail.answers["candidate"][0].text == TOLD[0][5]
    assert "30 days" in lost.line.gist
    (opinion,) = lost.detail.opinions
    assert opinion.judge == "careful"
    assert (opinion.preferred, opinion.first.preferred, opinion.second.preferred) == ("baseline",) * 3
    assert [first.case for first in page.first] == [f"refund-{i:02}" for i in range(5)]
    assert page.first[0].why == "The refund window is wrong: the policy says 30 days."
    assert page.sentence == "28 cases: the baseline's answer is preferred in 12, the candidate's in 6."


def test_a_verdict_that_follows_the_place_is_flipped_under_swap() -> None:
    swapped = [case for case in page_of().cases if case.line.swapped]
    assert [case.line.case for case in swapped] == [f"退货-{i:02}" for i in range(8)]
    assert {case.line.fate for case in swapped} == {"tied"}
    assert "8 of 8" not in page_of().judged[0].biased
    assert "of 8 pairs that were decided by it, 8 went to the answer shown first" in page_of().judged[0].biased


def test_the_set_is_told_with_both_readings_lengths_and_what_was_unread() -> None:
    (row,) = page_of().judged
    facts = dict(row.facts)
    assert facts["mean of both orders"] == "6 won, 9 tied, 12 lost"
    assert facts["where both orders agree"] == "6 won, 1 tied, 12 lost"
    assert facts["unread"] == "1 of 54 judgements (prose 1)"
    assert facts["the longer answer is preferred"] == "6 of 18 times"
    assert row.looks == {"baseline": 12, "candidate": 6, "tie": 9, "unread": 1, "swapped": 8}
    assert row.rate == "38.9%"


def test_an_early_stop_says_how_many_pairs_there_are() -> None:
    facts = dict(page_of(total=805).judged[0].facts)
    assert facts["pairs"] == "28 of 805: a preference was proven early, in random order"


def test_tags_stand_with_their_win_rate_the_worst_first() -> None:
    (row,) = page_of().judged
    assert [(tag.tag, tag.rate) for tag in row.tags] == [("refunds", "0.0%"), ("中文", "50.0%"), ("greetings", "92.9%")]
    assert row.tags[0].span.side == "below"
    assert [tick.label for tick in row.ticks] == ["0%", "25%", "50%", "75%", "100%"]


def test_reasons_that_recur_are_told_for_each_side() -> None:
    (row,) = page_of().judged
    assert "window is wrong" in [phrase.text for phrase in row.lost]
    assert all(phrase.elsewhere == 0 for phrase in (*row.lost, *row.won))
    assert any("friendlier" in phrase.text for phrase in row.won)


def test_words_that_moved_are_counted_over_pairs() -> None:
    (row,) = page_of().judged
    assert row.wording.n == 27
    assert {word.word: (word.candidate, word.baseline) for word in row.wording.came}["thank"] == (12, 0)
    assert [word.word for word in row.wording.went] == ["30"]


def test_chinese_wording_and_reasons_are_read_by_characters() -> None:
    pairs = [(f"抱歉，我无法帮助您处理退款{i}。", f"您可以在三十天内退款{i}。") for i in range(12)]
    assert any("抱歉" in word.word or "无法" in word.word for word in moved(pairs).came)
    here = [f"回答遗漏了关键信息，编号{i}" for i in range(5)]
    assert any("关键信息" in phrase.text for phrase in recurring(here, ["语气友好"] * 5))


def test_a_coin_moves_no_word() -> None:
    pairs = [("yes", "no") if i % 2 else ("no", "yes") for i in range(100)]
    found = moved(pairs)
    assert (found.n, found.came, found.went) == (100, (), ())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_judge_without_a_card_is_said_to_have_none(language: Language) -> None:
    page = page_of(language)
    assert ("has no card" if language == "en" else "没有校准卡") in render(page)
    assert page.next_steps[0][1] == "harness judge card careful"


def test_a_card_stands_on_the_page_with_its_faults() -> None:
    html = render(page_of(card=card(fit=False), unfit=("the judge careful failed its card: likes length",)))
    assert "of the padded answers win" in html
    assert "padded-1, padded-2" in html
    assert "fault" in html
    assert "nobody has measured" not in html
    fit = render(page_of(card=card(), unfit=()))
    assert "fit to gate" in fit


def test_a_similarity_is_advisory_everywhere() -> None:
    reference = JudgeIdentity(name="reference", kind="reference", mode="similarity", digest="8" * 64)
    page = page_of(judge=reference, unfit=("reference is a similarity, not a judge: advisory only",), criterion=None)
    assert page.judged[0].advisory
    assert all(opinion.advisory for case in page.cases for opinion in case.detail.opinions)
    html = render(page)
    assert "no gate rests on it" in html
    assert "what the judge's reasons" not in html


def with_checks() -> tuple[RunRecord, dict[str, object]]:
    told = [
        ("says-so", 1.0, 0.0, "the right answer", "nicer but wrong"),
        ("agrees", 1.0, 0.0, "the right answer", "wrong"),
        ("plain", 1.0, 1.0, "the right answer", "the right answer"),
    ]
    record = run(golden("refunds", told))
    scores = {"says-so": 1.0, "agrees": 0.0}
    judged = JudgedSet(
        set="refunds",
        path="golden_sets/refunds.jsonl",
        digest="d" * 64,
        judge=JUDGE,
        judgements=tuple(
            judgement(case, "refunds", scores.get(case), scores.get(case), old, new) for case, _, _, old, new in told
        ),
        asserted=True,
        total=3,
    )
    return msgspec.structs.replace(record, judged=(judged,)), dict(texts_of({"refunds": told}))


def test_a_case_with_checks_keeps_its_fate_and_says_where_the_judge_disagrees() -> None:
    record, texts = with_checks()
    page = build_page(record, decide(record, record.policy), texts)
    lines = {case.line.case: case.line for case in page.cases}
    assert len(lines) == 3
    assert {name: line.fate for name, line in lines.items()} == {
        "says-so": "regressed", "agrees": "regressed", "plain": "passed",
    }  # fmt: skip
    assert {name: (line.judged, line.apart) for name, line in lines.items()} == {
        "says-so": ("candidate", True), "agrees": ("baseline", False), "plain": ("tie", False),
    }  # fmt: skip
    assert page.sets
    assert page.judged[0].looks["apart"] == 1
    assert page.sentence.startswith("3 cases: 2 worse than the baseline")
