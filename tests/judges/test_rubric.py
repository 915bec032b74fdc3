"""A rubric is a Markdown file with places; a place that nobody fills is an error with its line."""

from __future__ import annotations

import pytest

from harness.errors import JudgeError
from harness.judges.prompts import Pair, pair_prompt
from harness.judges.rubric import language_of, load_rubric

OWN = "Which is kinder?\n\n## Reference\n\n{reference}\n\n## A\n\n{answer_a}\n\n## B\n\n{answer_b}\n"


def asked(pair, rubric=None, **settings):
    rubric = rubric or load_rubric(None, None)
    options = {"mode": "verdict", "candidate_first": True, "context": 8192, "max_tokens": 512, **settings}
    return pair_prompt(pair, rubric, **options)


def test_the_default_rubric_names_the_five_merits_in_the_language_of_the_request():
    english = asked(Pair(case="a", question="When?", candidate="Now.", baseline="Later.")).messages[0].content
    chinese = asked(Pair(case="a", question="什么时候？", candidate="现在。", baseline="以后。")).messages[0].content
    for word in ("accuracy", "relevance", "fluency", "completeness", "safety"):
        assert word in english
    for word in ("准确", "切题", "流畅", "完整", "安全"):
        assert word in chinese
    assert "VERDICT" in english
    assert "VERDICT" in chinese


def test_a_section_without_anything_to_hold_is_left_out():
    bare = asked(Pair(case="a", question="When?", candidate="Now.", baseline="Later.")).messages[0].content
    full = asked(
        Pair(case="a", question="When?", candidate="Now.", baseline="Later.", reference="At ten.", criteria="Be exact.")
    )
    assert "Reference answer" not in bare
    assert "What matters" not in bare
    assert "At ten." in full.messages[0].content
    assert "Be exact." in full.messages[0].content


def test_an_unknown_place_is_an_error_with_its_line_and_the_nearest_name(tmp_path):
    (tmp_path / "rubric.md").write_text("Judge.\n\n{answer_a}\n{answr_b}\n", encoding="utf-8")
    with pytest.raises(JudgeError, match=r"rubric\.md:4: unknown place 'answr_b': did you mean 'answer_b'\?"):
        load_rubric("rubric.md", tmp_path)


def test_a_rubric_that_hides_an_answer_is_refused(tmp_path):
    (tmp_path / "rubric.md").write_text("{answer_a} only", encoding="utf-8")
    with pytest.raises(JudgeError, match=r"no place \{answer_b\}"):
        load_rubric("rubric.md", tmp_path)


def test_a_missing_rubric_is_named(tmp_path):
    with pytest.raises(JudgeError, match=r"none\.md: the rubric cannot be read"):
        load_rubric("none.md", tmp_path)


def test_a_value_that_contains_a_place_is_not_filled_again(tmp_path):
    (tmp_path / "rubric.md").write_text(OWN, encoding="utf-8")
    pair = Pair(case="a", question="When?", candidate="{answer_b}", baseline="SECRET")
    text = asked(pair, load_rubric("rubric.md", tmp_path)).messages[0].content
    assert text.count("SECRET") == 1


def test_both_orders_show_the_same_texts_in_other_places():
    pair = Pair(case="a", question="When?", candidate="Now.", baseline="Later.")
    first = asked(pair).messages[0].content
    second = asked(pair, candidate_first=False).messages[0].content
    assert first.index("Now.") < first.index("Later.")
    assert second.index("Later.") < second.index("Now.")
    assert sorted(first) == sorted(second)


def test_answers_beyond_the_context_are_shortened_and_counted():
    pair = Pair(case="a", question="When?", candidate="word " * 4000, baseline="Later.")
    prompt = asked(pair, context=1024)
    assert prompt.shortened > 10_000
    assert "characters left out" in prompt.messages[0].content
    assert asked(pair, context=8192 * 2).shortened == 0


@pytest.mark.parametrize(
    ("text", "language"),
    [("What is it?", "en"), ("这是什么？", "zh"), ("print(x) 是什么意思", "zh"), ("", "en"), ("¿Qué es 中?", "en")],
)
def test_the_language_of_a_request(text, language):
    assert language_of(text) == language
