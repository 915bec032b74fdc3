"""The last verdict line wins; nothing else is a verdict."""

from __future__ import annotations

import pytest

from harness.judges.replies import read_reply


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("VERDICT: A", "A"),
        ("A names the fee.\n\nVERDICT: B", "B"),
        ("**VERDICT: tie**", "tie"),
        ("**VERDICT:** A", "A"),
        ("> verdict : [B].", "B"),
        ("VERDICT: answer A", "A"),
        ("裁决：平局", "tie"),
        ("回答 B 漏了期限。\n判定：Ｂ。", "B"),
        ("VERDICT: A\nOn reflection B has the right number.\nVERDICT: B", "B"),
        ("VERDICT: B\n\n(I compared both.)", "B"),
        ("<think>VERDICT: A, or not?</think>\nVERDICT: B", "B"),
        ("thoughts without a beginning</think>VERDICT: B", "B"),
        ('{"reason": "A is right", "verdict": "A"}', "A"),
        ('```json\n{"verdict": "tie", "reason": ""}\n```', "tie"),
        ('{"判定": "B"}', "B"),
    ],
)
def test_a_verdict_is_read(reply, label):
    read = read_reply(reply)
    assert (read.label, read.fault) == (label, None)


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("", "nothing"),
        ("  \n ", "nothing"),
        ("<think>VERDICT: A", "nothing"),
        ("Both have their merits, and A is the better one.", "prose"),
        ("Le gagnant est A.", "prose"),
        ("Победил ответ B.", "prose"),
        ("Ich wähle A", "prose"),
        ("VERDICT: the first", "prose"),
        ("VERDICT: A, because it is right", "prose"),
        ("VERDICT: A or B", "both verdicts"),
        ("VERDICT: A\nVERDICT: A/B", "both verdicts"),
        ("A 和 B 都不错。\n判定：A 或 B", "both verdicts"),
        ('{"verdict": "A"', "malformed JSON"),
        ('{"reason": "no verdict"}', "malformed JSON"),
        ('{"verdict": ["A", "B"]}', "malformed JSON"),
        ("I'm sorry, but I can't help with comparing these.", "refusal"),
        ("很抱歉，我无法提供帮助。", "refusal"),
    ],
)
def test_what_is_no_verdict_is_unread_with_its_reason(reply, fault):
    read = read_reply(reply)
    assert (read.label, read.fault) == (None, fault)


def test_a_reply_that_was_cut_off_before_its_verdict_says_so():
    assert read_reply("Answer A gives the right fee and", cut_off=True).fault == "cut off"
    assert read_reply("VERDICT: A", cut_off=True).label == "A"


def test_the_reason_is_what_stands_before_the_verdict():
    assert read_reply("B has the wrong number.\nVERDICT: A").reason == "B has the wrong number."
