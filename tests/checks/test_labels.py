"""Which label an answer gives: one, none or several, in English and Chinese."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import labels
from harness.checks import check_name, check_names, run_check, validate
from harness.checks.labels import NO_LABEL, SEVERAL_LABELS, label_names, read_label
from harness.errors import CheckError

TOPICS = ["billing", "shipping", "returns"]
CHINESE = {"billing": ["billing", "账单"], "shipping": ["shipping", "物流", "配送"], "returns": ["returns", "退货"]}
MOOD = {"good": ["满意", "satisfied"], "bad": ["不满意", "not satisfied"]}


@pytest.mark.parametrize(
    ("of", "text", "label"),
    [
        (TOPICS, "billing", "billing"),
        (TOPICS, "**Billing**.", "billing"),
        (TOPICS, "ＢＩＬＬＩＮＧ", "billing"),
        (TOPICS, 'The category is "shipping".', "shipping"),
        (TOPICS, "shipping, definitely shipping", "shipping"),
        (TOPICS, "It is not billing but shipping.", "shipping"),
        (TOPICS, "It isn't billing; it's returns", "returns"),
        (TOPICS, "Neither billing nor shipping: returns.", "returns"),
        (TOPICS, "not only billing", "billing"),
        (CHINESE, "账单", "billing"),
        (CHINESE, "这属于物流问题。", "shipping"),
        (CHINESE, "这不是账单问题，而是配送问题", "shipping"),
        (CHINESE, "类别：退货 (returns)", "returns"),
        (MOOD, "客户不满意", "bad"),
        (MOOD, "客户满意", "good"),
        (MOOD, "The customer is not satisfied.", "bad"),
        (["spam", "not spam"], "not spam", "not spam"),
        (["spam", "not spam"], "This is clearly spam", "spam"),
    ],
)
def test_the_one_label_that_an_answer_gives_is_read(of: object, text: str, label: str) -> None:
    assert read_label(text, label_names(of)).label == label


@pytest.mark.parametrize(
    ("of", "text", "state"),
    [
        (TOPICS, "", NO_LABEL),
        (TOPICS, "I cannot tell.", NO_LABEL),
        (TOPICS, "rebilling", NO_LABEL),
        (TOPICS, "This is not billing.", NO_LABEL),
        ({"正面": "正面", "负面": "负面"}, "不是正面", NO_LABEL),
        (TOPICS, "billing or shipping", SEVERAL_LABELS),
        (CHINESE, "账单和物流", SEVERAL_LABELS),
    ],
)
def test_no_label_and_several_labels_are_states_of_their_own(of: object, text: str, state: str) -> None:
    reading = read_label(text, label_names(of))
    assert reading.label is None
    assert reading.state == state


def test_a_wrong_label_and_no_label_both_fail_and_say_which() -> None:
    assert labels("It is billing.", TOPICS, equals="billing")
    wrong = labels("It is shipping.", TOPICS, equals="billing")
    assert not wrong
    assert "the label is 'shipping', not 'billing'" in wrong.explanation
    several = labels("billing or shipping", TOPICS, equals="billing")
    assert not several
    assert "several labels ('billing', 'shipping')" in several.explanation
    none = labels("no idea", TOPICS, equals="billing")
    assert "none of 'billing', 'shipping', 'returns'" in none.explanation


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"of": TOPICS, "equals": "biling"}, "unknown label 'biling': did you mean 'billing'?"),
        ({"of": TOPICS, "equals": None}, "equals must be one of the labels"),
        ({"of": ["billing"], "equals": "billing"}, "two or more labels"),
        ({"of": ["billing", "billing"], "equals": "billing"}, "names a label twice"),
        ({"of": {"a": ["x"], "b": ["X"]}, "equals": "a"}, "names both 'a' and 'b'"),
        ({"of": {"a": [], "b": ["x"]}, "equals": "a"}, "of.a is an empty list"),
        ({"of": {"a": "", "b": "x"}, "equals": "a"}, "is empty"),
        ({"of": "billing", "equals": "billing"}, "must be a list of texts"),
        ({"of": TOPICS}, "equals is missing"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused_before_any_answer(
    arguments: dict[str, object], reason: str
) -> None:
    with pytest.raises(CheckError) as caught:
        validate({"labels": arguments})
    assert reason in str(caught.value)


def test_all_cases_of_a_set_share_the_checks_name_and_two_in_one_case_do_not() -> None:
    specs = [{"labels": {"of": TOPICS, "equals": label}} for label in TOPICS]
    assert {check_name(spec) for spec in specs} == {"labels"}
    assert len(set(check_names([specs[0], {"labels": {"of": ["calm", "angry"], "equals": "calm"}}]))) == 2
    assert check_name({"not": specs[0]}).startswith("not:labels~")


@given(st.sampled_from(TOPICS), st.sampled_from(["{}", "It is {}.", "“{}”", "Category: {}\n", "答案是{}。", "* {}"]))
def test_wherever_the_name_stands_it_is_found(label: str, frame: str) -> None:
    for text in (frame.format(label), frame.format(label.upper())):
        assert run_check({"labels": {"of": TOPICS, "equals": label}}, text), text
