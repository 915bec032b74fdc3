"""Checks of words, in English and in Chinese."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks import Score, equals, excludes, includes, matches, max_words, one_of, starts_with
from harness.checks.text import LONGEST_SEARCHED, count_words
from harness.errors import CheckError
from harness.models import Response


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("You can return it within 30 days.", "30 days"),
        ("You can return it within **30** days.", "30 days"),
        ("You have 30\ndays.", "30 days"),
        ("A CAT sat.", "cat"),
        ("_Paris_ is the capital", "Paris"),
        ("It is 'Paris'.", "Paris"),
        ("France's capital", "France"),
        ("It costs $5.", "$5"),
        ("It costs $5.", "5"),
        ("2+2=4", "4"),
        ("The answer is 4.", "4"),
        ("1,2,3,4", "4"),
        ("born in 1945, in May", "1945"),
        ("pages 3-4", "4"),
        ("It's 100%", "100%"),
        ("C++ and C#", "C++"),
        ("l'eau est bonne", "eau"),
        ("Wait… what?!", "?!"),
        ("您可以在30天内退款。", "30天"),
        ("您可以在 30 天内退款。", "30天"),
        ("您可以在３０天内退款。", "30 天"),
        ("答案是巴黎。", "巴黎"),
        ("我用iPhone手机", "iphone"),
        ("一共三个", "三"),
        ("答案是十二。", "十二"),
        ("서울은 수도입니다", "서울"),
        ("Es ist die Straße", "STRASSE"),
        ("twenty-four", "twenty-four"),
    ],
)
def test_includes_finds_whole_words(answer: str, text: str) -> None:
    assert includes(answer, text)
    assert not excludes(answer, text)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("concatenate", "cat"),
        ("two cats", "cat"),
        ("48", "4"),
        ("4.5", "4"),
        ("3.4", "4"),
        ("4,000", "4"),
        ("30,000", "000"),
        ("The answer is -4.", "4"),
        ("-4", "4"),
        ("$50", "$5"),
        ("$5.50", "$5"),
        ("the user_id field", "user"),
        ("I can't say", "can"),
        ("It is twenty-four.", "four"),
        ("It is twenty four.", "twenty"),
        ("H2O", "2"),
        ("二十二", "十二"),
        ("三十", "三"),
        ("Parisian", "Paris"),
        ("", "Paris"),
        ("हिन्दी", "हिन"),
    ],
)
def test_includes_does_not_find_parts_of_words_and_numbers(answer: str, text: str) -> None:
    assert not includes(answer, text)
    assert excludes(answer, text)


def test_includes_any_and_all() -> None:
    assert includes("There are seven days.", any=["7", "seven"])
    assert not includes("There are eight days.", any=["7", "seven"])
    assert includes("red, green and blue", all=["red", "blue"])
    assert not includes("red and green", all=["red", "blue"])
    assert excludes("red and green", any=["blue", "yellow"])
    assert not excludes("red and green", any=["blue", "green"])


def test_includes_explains_what_was_looked_for_and_what_was_there() -> None:
    score = includes("You can return it whenever you like.", "30 days")
    assert repr(score) == "includes failed: '30 days' not found in 'You can return it whenever you like.'"
    found = includes("blah " * 60 + "within 30 Days of purchase" + " blah" * 60, "30 days")
    assert "30 Days of purchase" in found.explanation
    assert "none of '7', 'seven' found" in includes("eight", any=["7", "seven"]).explanation


def test_a_response_that_was_cut_off_says_so() -> None:
    cut = Response(text="You can", finish_reason="length")
    assert includes(cut, "30 days").explanation.endswith("(cut off at max_tokens)")
    assert "cut off" not in includes(Response(text="You can"), "30 days").explanation


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: includes("x", None),
        lambda: includes("x", ""),
        lambda: includes("x", " \u200b"),
        lambda: includes("x"),
        lambda: includes("x", "a", any=["b"]),
        lambda: includes("x", any=[]),
        lambda: includes("x", any="ab"),
        lambda: includes("x", 4),
        lambda: includes(None, "a"),
        lambda: excludes("x", ["a"]),
        lambda: equals("x", None),
        lambda: equals("x", "x", exact="yes"),
        lambda: one_of("x", "xy"),
        lambda: one_of("x", []),
        lambda: matches("x", "(("),
        lambda: matches("x", ""),
        lambda: max_words("x", -1),
        lambda: max_words("x", 1.5),
        lambda: max_words("x", True),
        lambda: max_words("x", float("nan")),
        lambda: starts_with("x"),
        lambda: includes("x", txt="a"),
    ],
)
def test_misuse_is_an_error_and_never_a_score(misuse: Callable[[], Score]) -> None:
    with pytest.raises(CheckError):
        misuse()


def test_a_missing_target_is_explained() -> None:
    with pytest.raises(CheckError, match="a case without a target has none to give"):
        includes("x", None)


@pytest.mark.parametrize(
    ("answer", "text", "same"),
    [
        (" Paris\n", "paris", True),
        ("ＰＡＲＩＳ", "Paris", True),
        ("Paris.", "Paris", False),
        ("“Paris”", '"Paris"', True),
        ("巴黎 ", "巴黎", True),
    ],
)
def test_equals_compares_the_whole_answer(answer: str, text: str, same: bool) -> None:
    assert equals(answer, text).passed is same


def test_equals_exact_folds_nothing() -> None:
    assert equals("Paris", "Paris", exact=True)
    assert not equals("paris", "Paris", exact=True)
    assert not equals("Paris ", "Paris", exact=True)


@pytest.mark.parametrize(
    ("answer", "text", "starts"),
    [
        ("Yes, you can.", "yes", True),
        ("**Yes**, you can.", "Yes", True),
        ('"Yes," he said', "Yes", True),
        ("Yesterday", "Yes", False),
        ("Well, yes", "Yes", False),
        ("48 is it", "4", False),
        ("是的，可以退款", "是的", True),
        ("不是", "是", False),
    ],
)
def test_starts_with_ends_at_a_word(answer: str, text: str, starts: bool) -> None:
    assert starts_with(answer, text).passed is starts
    assert starts_with(answer, any=["xyz", text]).passed is starts


@pytest.mark.parametrize(
    ("answer", "options", "passed"),
    [
        ("B.", ["A", "B"], True),
        (" **b** ", ["A", "B"], True),
        ("(B)", ["A", "B"], True),
        ("The answer is B", ["A", "B"], False),
        ("是。", ["是", "否"], True),
        ("- yes", ["yes", "no"], True),
        ("-5", ["5"], False),
        ("-5", ["-5"], True),
        ("5%", ["5"], False),
        ("C++", ["C"], False),
        ("?", ["?", "!"], True),
        ("", ["yes"], False),
    ],
)
def test_one_of_takes_the_whole_answer_without_its_punctuation(answer: str, options: list[str], passed: bool) -> None:
    assert one_of(answer, options).passed is passed


def test_matches_searches_the_answer_as_it_stands() -> None:
    assert matches("Ref: TK-48213.", r"TK-\d{5}")
    assert not matches("ref: tk-48213.", r"TK-\d{5}")
    assert matches("ref: tk-48213.", r"(?i)TK-\d{5}")
    assert not matches("x TK-1", r"\ATK")


def test_matches_searches_a_bounded_part_and_says_so() -> None:
    score = matches("a" * LONGEST_SEARCHED + "needle", "needle")
    assert not score
    assert "first 100,000 characters" in score.explanation


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("one two  three\nfour", 4),
        ("- one\n- two", 2),
        ("it's well-known", 2),
        ("3.5 kg — fine!", 3),
        ("您好，世界！", 4),
        ("iPhone 手机", 3),
        ("iPhone手机", 3),
        ("手机iPhone好", 4),
        ("안녕 세계", 2),
    ],
)
def test_words_are_counted_by_blanks_and_chinese_by_characters(text: str, words: int) -> None:
    assert count_words(text) == words
    assert max_words(text, words)
    assert words == 0 or not max_words(text, words - 1)


@given(answer=st.text(), needle=st.text(min_size=1))
def test_includes_and_excludes_are_exact_complements_on_any_text(answer: str, needle: str) -> None:
    try:
        found = includes(answer, needle)
    except CheckError:
        with pytest.raises(CheckError):
            excludes(answer, needle)
        return
    assert found.passed is not excludes(answer, needle).passed
    assert len(repr(found)) < 240
    assert "\n" not in repr(found)


@given(before=st.text(), needle=st.from_regex(r"[a-z]{1,8}", fullmatch=True), after=st.text())
def test_a_word_between_blanks_is_always_found(before: str, needle: str, after: str) -> None:
    assert includes(f"{before} ( {needle} ) {after}", needle)


@given(before=st.text(), needle=st.text("退款换货政策您好", min_size=1), after=st.text())
def test_chinese_is_found_wherever_it_stands(before: str, needle: str, after: str) -> None:
    assert includes(f"{before}。{needle}。{after}", needle)
