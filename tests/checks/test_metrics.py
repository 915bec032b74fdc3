"""BLEU, chrF and ROUGE as checks with a bar, and why Chinese needs its own tokens."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import bleu, chrf, rouge
from harness.checks import check_name, run_check, validate
from harness.checks.overlap import Bleu, Chrf, Rouge, tokenizer_for, words
from harness.errors import CheckError

CHINESE = "退款会在三十天内到账。"
LONG_CHINESE = "您的退款申请已经收到，我们会在三十个工作日内把款项退回原支付账户，请您耐心等待。"


def test_the_libraries_alone_score_equal_chinese_sentences_zero_and_we_score_them_full() -> None:
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    assert RougeScorer(["rougeL"]).score(CHINESE, CHINESE)["rougeL"].fmeasure == 0.0
    assert sacrebleu.corpus_bleu([CHINESE], [[CHINESE]]).score == pytest.approx(0.0)

    assert rouge(CHINESE, CHINESE, at_least=1)
    assert bleu(CHINESE, CHINESE, at_least=99.99)
    assert chrf(CHINESE, CHINESE, at_least=99.99)
    assert not rouge("完全不同", CHINESE, at_least=0.2)
    assert not bleu("完全不同", CHINESE, at_least=20)


def test_part_of_a_chinese_sentence_scores_part() -> None:
    half = LONG_CHINESE[:20]
    assert 0.3 < Rouge().of_one(half, [LONG_CHINESE]) < 0.9
    assert 5 < Bleu([[LONG_CHINESE]]).of_one(half, [LONG_CHINESE]) < 90


@pytest.mark.parametrize(
    ("references", "tokenizer"),
    [
        (["The refund is here."], "13a"),
        (["The refund is here.", "退款到账"], "zh"),
        (["返金は三十日以内です。"], "char"),
        (["Café, 30 €"], "13a"),
    ],
)
def test_the_tokenizer_follows_from_the_references_alone(references: list[str], tokenizer: str) -> None:
    assert tokenizer_for([[reference] for reference in references]) == tokenizer


@given(st.text(st.characters(max_codepoint=127)), st.text(st.characters(max_codepoint=127)))
def test_on_ascii_rouge_is_the_librarys_own(answer: str, reference: str) -> None:
    from rouge_score.rouge_scorer import RougeScorer
    from rouge_score.tokenize import tokenize

    assert words(answer) == tokenize(answer, None)
    expected = RougeScorer(["rouge2"]).score(reference, answer)["rouge2"].fmeasure
    assert Rouge("rouge2").of_one(answer, [reference]) == expected


def test_words_of_other_alphabets_are_kept() -> None:
    assert words("Grüße aus Köln, 你好 नमस्ते") == ["grüsse", "aus", "köln", "你", "好", "नमस्ते"]


@given(st.lists(st.sampled_from(["the refund is here now", "no refund", "退款会在三十天内到账", ""]), min_size=1))
@settings(max_examples=30)
def test_added_up_rows_give_sacrebleus_own_corpus_score(answers: list[str]) -> None:
    import numpy as np
    import sacrebleu

    references = [("the refund will be here now", "退款将在三十天内到账")[i % 2] for i in range(len(answers))]
    for ours, theirs in (
        (Bleu([[r] for r in references], "zh"), sacrebleu.BLEU(tokenize="zh")),
        (Chrf(), sacrebleu.CHRF()),
    ):
        rows = np.array(ours.rows(answers, [[r] for r in references]), dtype=np.float64)
        assert ours.value(rows) == pytest.approx(theirs.corpus_score(answers, [references]).score)


def test_a_short_answer_that_is_right_is_not_zero_for_want_of_four_words() -> None:
    assert bleu("Paris", "Paris", at_least=99.99)


def test_of_several_references_the_closest_counts() -> None:
    assert rouge("a tent", ["the stove", "a tent"], at_least=1)
    assert bleu("a red tent is here", ["the stove", "a red tent is here"], at_least=99.9)


def test_the_explanation_names_metric_value_and_bar() -> None:
    score = rouge("the refund came", "the refund is here", at_least=0.9)
    assert not score
    assert score.explanation.startswith("rougeL is 0.5714, at least 0.9 is asked for")
    assert "BLEU (tokenize=zh) is" in bleu("你好", CHINESE, at_least=50).explanation


def test_as_data_the_cases_target_is_the_reference() -> None:
    assert run_check({"chrf": {"at_least": 90}}, "Paris", target="Paris")
    assert not run_check({"chrf": {"at_least": 90}}, "London", target="Paris")
    assert run_check({"chrf": {"at_least": 90, "reference": "London"}}, "London", target="Paris")
    assert not run_check({"not": {"bleu": {"at_least": 90}}}, "Paris", target="Paris")
    validate({"bleu": {"at_least": 30}}, "Paris")
    for attempt in (validate, lambda spec: run_check(spec, "Paris")):
        with pytest.raises(CheckError, match="the case has no target to take its place"):
            attempt({"bleu": {"at_least": 30}})


def test_names_say_the_bar_and_not_the_reference() -> None:
    assert check_name({"bleu": {"at_least": 30}}) == check_name({"bleu": {"at_least": 30, "reference": "x"}})
    assert check_name({"rouge": {"at_least": 0.5, "kind": "rouge2"}}) == "rouge:rouge2 at least 0.5"
    assert check_name({"bleu": {"at_least": 30, "tokenize": "zh"}}).startswith("bleu:at least 30~")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"bleu": {"at_least": 0.3}}, "at_least 0.3 (30?): it runs from 0 to 100"),
        ({"rouge": {"at_least": 30}}, "at_least 30 (0.3?): it runs from 0 to 1"),
        ({"chrf": {"at_least": 0}}, "0 is always reached"),
        ({"bleu": {"at_least": 30, "tokenize": "zhh"}}, "unknown tokenizer 'zhh': did you mean 'zh'?"),
        ({"rouge": {"at_least": 0.3, "kind": "rougel"}}, "unknown kind 'rougel': did you mean 'rougeL'?"),
        ({"rouge": {"at_least": 0.3, "reference": "?!"}}, "has no word"),
        ({"bleu": {}}, "at_least is missing"),
        ({"metric": {"name": "exact_match"}}, "Give one of at_least, at_most"),
        ({"metric": {"name": "exact_match", "at_least": 1, "at_most": 2}}, "Give only one"),
        ({"metric": {"at_least": 1}}, "name is missing"),
        ({"metric": {"name": "exact_match", "at_least": 1, "options": 3}}, "options must be an object"),
    ],
    ids=str,
)
def test_a_bar_that_cannot_be_meant_is_refused_before_any_answer(spec: dict[str, object], reason: str) -> None:
    for attempt in (lambda: validate(spec, "Paris"), lambda: run_check(spec, "Paris", "Paris")):
        with pytest.raises(CheckError) as caught:
            attempt()
        assert reason in str(caught.value)


def test_a_missing_package_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CheckError, match=r"sacrebleu is not installed. Run: pip install 'finetune-harness\[metrics\]'"):
        bleu("a", "a", at_least=30)


def test_checks_and_their_validation_load_none_of_the_libraries() -> None:
    code = (
        "import sys; from harness.checks import validate\n"
        "validate({'bleu': {'at_least': 30}}, 'x'); validate({'rouge': {'at_least': 0.3}}, 'x')\n"
        "validate({'metric': {'name': 'exact_match', 'at_least': 1}}, 'x')\n"
        "assert not {'sacrebleu', 'rouge_score', 'nltk', 'evaluate', 'datasets', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
