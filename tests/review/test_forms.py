"""Which cases go into forms, how their texts are evened out, and what a spreadsheet may do to them."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviewed import drawn, identity, judged, run, subject, texts_of

from harness.errors import ReviewError
from harness.models import Response
from harness.review.form import Form, Page
from harness.review.page import render
from harness.review.plain import HIDDEN, Veil, plain
from harness.review.seal import read_key, write_key
from harness.review.selection import Pool, Readable, choose, readable_cases
from harness.review.spreadsheet import neutral, read_csv, restored, write_csv
from harness.review.words import Language

NOBODY = Veil(())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Yes. \r\n", "Yes."),
        ("## Steps\n* first\n+ second", "Steps\n- first\n- second"),
        ("**Yes**, in 30 days", "Yes, in 30 days"),
        ("a\n\n\n\nb\t", "a\n\nb"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("non\u00a0breaking", "non breaking"),
    ],
)
def test_what_is_only_formatting_becomes_the_same_text(one: str, other: str) -> None:
    assert plain(one) == plain(other) == other.replace("\t", "")


@pytest.mark.parametrize(
    "text", ["2**3**4 is 2**81", "```\n# a comment\n* x\n```", "x = -1", '{"a": "b"}', "退货*三十*天"]
)
def test_what_means_something_stays(text: str) -> None:
    assert plain(text) == text


def test_names_are_blacked_out_but_for_those_that_the_question_speaks_of() -> None:
    veil = Veil((identity("triage@2", "c"), identity("SmolLM2-135M", "b")), hide=[r"ACME\w*"])
    assert veil.over("I am triage@2 of ACMEcorp.", "Who?") == f"I am {HIDDEN} of {HIDDEN}."
    assert veil.over("I am ChatGPT, not 通义千问.", "Who?") == f"I am {HIDDEN}, not {HIDDEN}."
    assert veil.over("ChatGPT is by OpenAI.", "Who made ChatGPT?") == "ChatGPT is by OpenAI."
    assert veil.over("Use triage in the clinic.", "How?") == "Use triage in the clinic."


@pytest.mark.parametrize(
    "names",
    [
        "Qwen", "Qwen2.5-7B-Instruct", "Llama 3.1", "Llama-3.2-1B", "Gemma 2", "Phi-3.5", "GPT-4o", "GPT-4.1",
        "Claude 3.5 Sonnet", "GLM-4", "ChatGLM3-6B", "InternLM2.5", "Yi-34B", "Baichuan2-13B-Chat", "SmolLM2-135M",
        "DeepSeek-V3", "Mistral 7B", "智谱", "智谱清言", "OpenAI", "Anthropic", "Google", "Meta",
        "Meta AI", "Mistral AI", "Microsoft", "Hugging Face", "HuggingFaceTB", "Alibaba Cloud", "阿里云",
        "阿里巴巴集团", "DeepSeek",
    ],
)  # fmt: skip
def test_makers_and_whole_names_with_their_versions_are_blacked_out(names: str) -> None:
    told = Veil(()).over(f"I was made by {names}. 我是{names}的模型。", "Who made you?")
    assert told == f"I was made by {HIDDEN}. 我是{HIDDEN}的模型。"


@pytest.mark.parametrize(
    "text", ["The angle phi is 3.", "Zhang Yi won.", "Add a meta tag.", "metadata", "Googled it", "海纳百川有容乃大"]
)
def test_words_that_are_no_names_stay(text: str) -> None:
    assert Veil(()).over(text, "Who?") == text


def test_makers_are_a_subject_where_the_question_speaks_of_any() -> None:
    veil = Veil(())
    assert veil.over("Google owns it, not Claude.", "Is it Microsoft?") == f"Google owns it, not {HIDDEN}."
    assert veil.over("Llama 3 is by Meta.", "Who made Llama 2?") == "Llama 3 is by Meta."


def test_cases_with_the_same_answer_are_left_out_and_counted() -> None:
    record = run(20, same=5)
    texts = texts_of(record)
    # Differing in nothing that can be seen.
    texts["c:case-000"] = Response(text="**Old** answer 0.  ")
    pool = readable_cases(record, texts, NOBODY)
    assert (len(pool.cases), pool.same) == (14, 6)


def test_an_answer_that_was_cut_off_says_so() -> None:
    record = run(3)
    texts = texts_of(record) | {"c:case-001": Response(text="It ends in the", finish_reason="length")}
    assert readable_cases(record, texts, NOBODY).cases[1].candidate == "It ends in the […]"


def test_an_unknown_set_is_told_with_the_nearest() -> None:
    with pytest.raises(ReviewError, match="did you mean 'refunds'"):
        readable_cases(run(3), texts_of(run(3)), NOBODY, sets=["refund"])


def test_disagreement_is_found_in_orders_checks_and_newly_missed_cases() -> None:
    record = run(6, judged=(judged([("case-000", 1.0, 0.0), ("case-001", 1.0, 1.0), ("case-002", 1.0, 1.0)]),))
    cases = list(record.sets[0].cases)
    for i in (1, 3):
        cases[i] = type(cases[i])(**{**{f: getattr(cases[i], f) for f in cases[i].__struct_fields__}, "candidate": 0.0})
    fields = {f: getattr(record.sets[0], f) for f in record.sets[0].__struct_fields__} | {"cases": tuple(cases)}
    record = run(6, judged=record.judged, sets=(type(record.sets[0])(**fields),))
    odd = {one.case: one.odd for one in readable_cases(record, texts_of(record), NOBODY).cases}
    assert odd["case-000"] == "orders disagree"
    assert odd["case-001"] == "judge against checks"
    assert odd["case-002"] is None
    assert odd["case-003"] == "newly missed"


def pool_of(n: int, odd: int) -> Pool:
    cases = tuple(
        Readable(
            set="s",
            case=str(i),
            prompt="",
            target="",
            candidate="a",
            baseline="b",
            odd="newly missed" if i < odd else None,
        )
        for i in range(n)
    )
    return Pool(cases=cases, same=0)


def test_the_random_sample_is_one_of_all_cases_odd_ones_too() -> None:
    """Each case is in the sample equally often, whether something is odd about it or not."""
    times = np.zeros(50)
    for seed in range(2000):
        chosen = choose(pool_of(50, 10), 20, 0.5, np.random.default_rng(seed))
        assert len({one.readable.case for one in chosen}) == 20
        sample = [int(one.readable.case) for one in chosen if one.why == "random"]
        assert len(sample) == 10
        times[sample] += 1
    odd, rest = times[:10].mean(), times[10:].mean()
    # 400 of 2000 are expected of each; the standard error of the mean of ten cases is about 5.4.
    assert abs(odd - 400) < 22
    assert abs(rest - 400) < 11


def test_where_few_are_odd_the_sample_grows_before_anything_is_drawn() -> None:
    chosen = choose(pool_of(50, 3), 20, 0.5, np.random.default_rng(0))
    assert sum(one.why == "random" for one in chosen) == 17
    assert len(chosen) == 20


def test_what_everybody_reads_and_what_is_dealt_out() -> None:
    forms = drawn(subject(60), ("ana", "ben", "cleo"), overlap=0.2).key.forms
    read = [{slot.case for slot in form.slots} for form in forms]
    assert [len(cases) for cases in read] == [28, 28, 28]
    assert len(read[0] & read[1] & read[2]) == 12
    assert len(read[0] | read[1] | read[2]) == 60


def test_repeats_come_later_with_the_sides_exchanged() -> None:
    form = drawn(subject(30), ("ana",), repeats=0.2).key.forms[0]
    place = {slot.id: i for i, slot in enumerate(form.slots)}
    again = [slot for slot in form.slots if slot.repeats]
    assert len(again) == 6
    for slot in again:
        first = form.slots[place[slot.repeats or ""]]
        assert first.case == slot.case
        assert first.candidate != slot.candidate
        assert place[slot.id] - place[first.id] >= 6


@pytest.mark.parametrize("names", [(), ("a/b",), ("ana", "Ana"), ("",)])
def test_names_of_reviewers_that_cannot_be_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ReviewError):
        drawn(subject(3), names)


def test_a_run_without_answers_has_nothing_to_read() -> None:
    with pytest.raises(ReviewError, match="nothing to read"):
        drawn(subject(0))


def test_the_key_is_sealed_and_its_owners(tmp_path) -> None:
    key = drawn(subject(5)).key
    file = write_key(tmp_path, key)
    assert file.stat().st_mode & 0o077 == 0
    assert read_key(file) == key
    with pytest.raises(ReviewError, match="forms out already"):
        write_key(tmp_path, key)
    text = file.read_text()
    side = "left" if '"candidate": "left"' in text else "right"
    other = "left" if side == "right" else "right"
    file.write_text(text.replace(f'"candidate": "{side}"', f'"candidate": "{other}"', 1))
    with pytest.raises(ReviewError, match="changed after the forms went out"):
        read_key(file)


FORMULAS = [
    "=1+1",
    "+49 30",
    "-",
    "@SUM(A1)",
    "'=x",
    "'tis",
    "＝1",
    "\t=1",
    "plain",
    "",
    "007",
    "1e5",
    "03-04",
    "12:30",
    "TRUE",
    "3 May",
    "50%",
    '=HYPERLINK("http://x";1)',
]


@pytest.mark.parametrize("cell", FORMULAS)
def test_no_cell_begins_like_a_formula_and_every_cell_comes_back(cell: str) -> None:
    assert neutral(cell)[:1] not in tuple("=+-@\t＝")
    assert restored(neutral(cell)) == cell


@given(st.text())
def test_any_cell_comes_back(cell: str) -> None:
    assert restored(neutral(cell)) == cell


def form_of(texts: list[str]) -> Form:
    pages = tuple(Page(id=f"bcd{chr(98 + i)}", prompt=text, left=text, right=text) for i, text in enumerate(texts))
    return Form(code="bcdfghjkmnpq", seal="x" * 64, reviewer="ana", mode="pairs", pages=pages)


HARD = ["=1+1", 'say "hi"; now', "two\nlines", "退货，三十天", "a,b;c\td", "<b>x</b>", "'quoted'", "x" * 200_000]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8", "utf-16", "gb18030"])
def test_a_table_comes_back_however_it_was_saved(delimiter: str, encoding: str) -> None:
    before = csv.field_size_limit(10**9)
    rows = list(csv.reader(io.StringIO(write_csv(form_of(HARD), "zh").removeprefix("\ufeff"), newline="")))
    csv.field_size_limit(before)
    order = list(range(len(rows[0])))[::-1]
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator="\n").writerows([row[i] for i in order] for row in rows)
    found, notes = read_csv(stream.getvalue().encode(encoding), "x.csv")
    assert [row["left"] for row in found] == HARD
    assert bool(notes) == (encoding == "gb18030")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_table_with_the_titles_of_earlier_files_is_read_alike(language: Language) -> None:
    now = write_csv(form_of(["one"]), language)
    new, old = {"en": ("answer 1,answer 2,", "left,right,"), "zh": ("回答 1,回答 2,", "左,右,")}[language]
    assert now.count(new) == 1
    assert read_csv(now.replace(new, old).encode(), "x.csv") == read_csv(now.encode(), "x.csv")
    # In a new file such a title is of a column that the reviewer made.
    rows = list(csv.reader(io.StringIO(now.removeprefix("\ufeff"), newline="")))
    own = io.StringIO()
    csv.writer(own).writerows([[*rows[0], old.split(",")[1]], *([*row, "my own note"] for row in rows[1:])])
    assert read_csv(own.getvalue().encode(), "x.csv") == read_csv(now.encode(), "x.csv")


def test_a_table_without_its_titles_is_refused() -> None:
    with pytest.raises(ReviewError, match="no column form, id, choice"):
        read_csv(b"1,2,3\n4,5,6\n", "x.csv")


def test_both_languages_say_the_same_things_and_chinese_has_its_own_punctuation() -> None:
    from harness.review.words import WORDS

    assert WORDS["en"].keys() == WORDS["zh"].keys()
    for english, chinese in zip(WORDS["en"].values(), (WORDS["zh"][key] for key in WORDS["en"]), strict=True):
        assert set(re.findall(r"{(\w+)}", english)) == set(re.findall(r"{(\w+)}", chinese)), english
        assert not re.search(r"[一-鿿][,.;:!?]", chinese), chinese
    page = render(form_of(["x"]), "zh")
    assert not re.search(
        r"[一-鿿][,.;:!?]", re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)
    )
