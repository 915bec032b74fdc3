"""CSV and JSON Lines of scores: what is understood, and what every mistake is told as."""

from __future__ import annotations

import csv
import io
import json

import pytest
from complaints import scores_or_one_sentence
from hypothesis import example, given
from hypothesis import strategies as st

from harness.errors import ScoreFileError
from harness.scorefiles.tables import parse_csv, parse_jsonl
from harness.scorefiles.values import Columns

PLAIN = Columns()


def shares(sets):
    return {one.name: {case.id: case.share for case in one.cases.values()} for one in sets}


def test_the_usual_column_names_are_understood_without_options():
    data = b"Case_ID,Task,Correct,answer\nlate,refunds,true,yes\nlost,refunds,False,no\nlate,sums,0.5,maybe\n"
    sets = parse_csv(data, "a.csv", PLAIN)
    assert shares(sets) == {"refunds": {"late": 1.0, "lost": 0.0}, "sums": {"late": 0.5}}
    assert sets[0].metric == "Correct"
    assert sets[0].cases["lost"].answers == ("no",)
    assert sets[0].cases["lost"].line == 3


def test_columns_are_named_where_the_file_has_its_own_words():
    columns = Columns(id="frage", score="punkte", set="thema", high=10)
    (one,) = parse_csv("frage;punkte;thema\nwann;7,5;x\n".replace(",", ".").encode(), "a.csv", columns)
    assert (one.name, one.cases["wann"].share, one.cases["wann"].scores) == ("x", 0.75, (7.5,))


def test_chinese_ids_scores_and_a_byte_order_mark_are_read():
    (one,) = parse_csv("\ufeffid,score\n退款,对\n换货,错误\n".encode(), "a.csv", PLAIN)
    assert {case.id: case.share for case in one.cases.values()} == {"退款": 1.0, "换货": 0.0}


def test_samples_of_one_case_are_averaged_and_are_one_case():
    data = b"id,epoch,score\na,1,1\na,2,0\nb,1,1\nb,2,1\n"
    (one,) = parse_csv(data, "a.csv", PLAIN)
    assert one.samples == 2
    assert {case.id: case.share for case in one.cases.values()} == {"a": 0.5, "b": 1.0}


def test_a_case_with_fewer_samples_than_the_others_is_not_scored():
    (one,) = parse_csv(b"id,sample,score\na,1,1\na,2,0\nb,1,1\n", "a.csv", PLAIN)
    assert one.cases["b"].unscored == "1 of 2 samples"


def test_an_empty_score_is_no_score_and_never_zero():
    (one,) = parse_csv(b"id,score\na,\nb,1\n", "a.csv", PLAIN)
    assert one.cases["a"].unscored == "no score at a.csv:2"
    (one,) = parse_jsonl(b'{"id": "b", "score": 1}\n{"id": "a"}\n', "a.jsonl", PLAIN)
    assert one.cases["a"].unscored == "no score at a.jsonl:2"


def test_lower_is_better_turns_the_scale_round():
    columns = Columns(lower_is_better=("wer",), score="wer", high=2)
    (one,) = parse_csv(b"id,wer\na,0\nb,2\nc,0.5\n", "a.csv", columns)
    assert [case.share for case in one.cases.values()] == [1.0, 0.0, 0.75]


def test_the_line_is_the_records_first_though_values_span_lines():
    data = b'id,answer,score\na,"two\nlines",1\nb,x,nan\n'
    with pytest.raises(ScoreFileError, match=r"^a\.csv:4: the score is nan, not a number"):
        parse_csv(data, "a.csv", PLAIN)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "a.csv: there are no scores in it"),
        (b"id,score\n", "a.csv: there are no scores in it"),
        (b"id,score\na,1\na,0\n", "a.csv:3: case 'a' stands twice (first at a.csv:2)"),
        (b"id,score\na,inf\n", "a.csv:2: the score is inf, not a number"),
        (b"id,score\na,73\n", "a.csv:2: the score 73 lies outside 0 to 1"),
        (b"id,score\na,good\n", "a.csv:2: the score is 'good', which is no score"),
        (b"id,score\na,1_0\n", "a.csv:2: the score is '1_0', which is no score"),
        (b"id,score\n ,1\n", "a.csv:2: the id is ' '"),
        (b"id,score\na\n", "a.csv:2: 1 values, but the header names 2 columns"),
        (b"id,id,score\na,b,1\n", "a.csv:1: the column 'id' stands twice"),
        (b"name,score\na,1\n", "a.csv: which column is the case's id? Name it with --id. Columns: name, score"),
        (b"id,points\na,1\n", "a.csv: which column is the score? Name it with --score. Columns: id, points"),
        (b'id,score\n"a,1\n', "a.csv:2: not CSV"),
        (b"\xff\xfei\x00d\x00", "a.csv: the file is UTF-16"),
        (b"id,score\n\xe9,1\n", "a.csv:2: byte 0xe9 is not UTF-8"),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_a_mistake_in_a_csv_file_is_one_sentence_with_its_line(data, said):
    with pytest.raises(ScoreFileError) as told:
        parse_csv(data, "a.csv", PLAIN)
    assert str(told.value).startswith(said)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"id": "a", "score": NaN}\n', "a.jsonl:1: the score is nan, not a number"),
        (b'{"id": "a", "score": 1}\n{"id": "b", "sc', "a.jsonl:2: malformed JSON at column 13"),
        (b"[1]\n", "a.jsonl:1: a row is a JSON object, and this is list"),
        (b'{"id": true, "score": 1}\n', "a.jsonl:1: the id is True"),
        (b'{"id": "a", "score": [1]}\n', "a.jsonl:1: the score is [1], which is no score"),
        (b'{"id": "a", "score": 1' + b"0" * 400 + b"}\n", "a.jsonl:1: the score has too many digits"),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_a_mistake_in_a_jsonl_file_is_one_sentence_with_its_line(data, said):
    with pytest.raises(ScoreFileError) as told:
        parse_jsonl(data, "a.jsonl", PLAIN)
    assert str(told.value).startswith(said)


def test_an_unknown_column_is_told_with_the_nearest():
    with pytest.raises(ScoreFileError, match="--score: unknown column 'scores': did you mean 'score'"):
        parse_csv(b"id,score\na,1\n", "a.csv", Columns(score="scores"))


IDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1).filter(
    lambda text: text == text.strip()
)


@given(st.dictionaries(IDS, st.floats(0, 1), min_size=1))
def test_what_is_written_is_what_is_read_as_csv_and_as_jsonl(scores):
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(["id", "score"])
    writer.writerows(scores.items())
    lines = "".join(json.dumps({"id": case, "score": score}) + "\n" for case, score in scores.items())
    assert shares(parse_csv(table.getvalue().encode(), "a.csv", PLAIN)) == {"": scores}
    assert shares(parse_jsonl(lines.encode(), "a.jsonl", PLAIN)) == {"": scores}


@given(st.one_of(st.binary(), st.text("id,score;\t\n\r\"'01.eN{}[]:退").map(str.encode)))
@example(b'id,score\n"' + b"x" * 200_000 + b'",1\n')
@example(b'{"id":' * 3000)
def test_any_bytes_are_scores_or_one_sentence(data):
    for parse in (parse_csv, parse_jsonl):
        with scores_or_one_sentence("a.csv"):
            sets = parse(b"id,score\n" + data if parse is parse_csv else data, "a.csv", PLAIN)
            assert all(0 <= share <= 1 for one in sets for case in one.cases.values() for share in case.shares)
