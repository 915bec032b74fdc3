"""Files that lm-evaluation-harness really wrote, and damaged ones."""

from __future__ import annotations

import json

import pytest
from complaints import scores_or_one_sentence
from hypothesis import given
from hypothesis import strategies as st
from produce import CANDIDATE, PRODUCED, questions

from harness.errors import ScoreFileError
from harness.scorefiles import lm_eval
from harness.scorefiles.reading import read_scores
from harness.scorefiles.values import Columns

FOLDER = PRODUCED / "lm-eval" / "candidate"
(CAPITALS,) = FOLDER.glob("samples_harness_capitals_*.jsonl")
(SUMS,) = FOLDER.glob("samples_harness_sums_*.jsonl")
(RESULTS,) = FOLDER.glob("results_*.json")


def test_a_folder_is_one_set_for_each_task_with_the_models_name_and_the_tools_version():
    found = read_scores(FOLDER, Columns(metrics=("exact_match", "exact_match,strict")))
    assert (found.label, found.tool) == ("candidate", "lm-evaluation-harness 0.4.13")
    assert {one.name: (one.metric, len(one.cases)) for one in found.sets} == {
        "harness_capitals": ("exact_match", 12),
        "harness_sums": ("exact_match,strict", 8),
    }


@pytest.mark.parametrize("metric", ["exact_match,strict", "exact_match,number"])
def test_the_mean_of_what_is_read_is_what_the_tool_reported(metric):
    reported = json.loads(RESULTS.read_text())["results"]
    found = read_scores(FOLDER, Columns(metrics=("exact_match,none", metric)))
    for one in found.sets:
        column = metric if one.name == "harness_sums" else "exact_match,none"
        mean = sum(case.share for case in one.cases.values()) / len(one.cases)
        assert mean == pytest.approx(reported[one.name][column])


def test_the_texts_come_along_for_the_report():
    (one,) = read_scores(CAPITALS, Columns()).sets
    rows = questions("capitals")
    for number, row in enumerate(rows):
        case = one.cases[str(number)]
        assert row["question"] in json.loads(case.prompt)[0]["content"]
        assert case.target == row["answer"]
        assert case.answers == (CANDIDATE.get(row["id"], [row["answer"]])[0],)


def test_several_filters_must_be_chosen_from():
    with pytest.raises(ScoreFileError, match=r"several metrics.*--metric\. Metrics: exact_match,strict, exact"):
        read_scores(SUMS, Columns())
    with pytest.raises(ScoreFileError, match="unknown metric 'exact_match,strickt': did you mean 'exact_match,strict'"):
        read_scores(SUMS, Columns(metrics=("exact_match,strickt",)))


def test_a_renamed_file_is_still_known_by_its_lines(tmp_path):
    renamed = tmp_path / "capitals.jsonl"
    renamed.write_bytes(CAPITALS.read_bytes())
    found = read_scores(renamed, Columns())
    assert (found.label, found.sets[0].name) == (tmp_path.name, "capitals")


def test_files_of_earlier_releases_name_neither_filter_nor_metrics(tmp_path):
    lines = [json.loads(line) for line in CAPITALS.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        del line["filter"], line["metrics"]
    file = tmp_path / CAPITALS.name
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (earlier,), (today,) = (read_scores(path, Columns()).sets for path in (file, CAPITALS))
    assert (earlier.name, earlier.metric) == (today.name, today.metric)
    assert [case.shares for case in earlier.cases.values()] == [case.shares for case in today.cases.values()]


def test_the_tool_says_which_way_a_metric_points():
    text = CAPITALS.read_text(encoding="utf-8")
    results = lm_eval.Results(higher_is_better={"harness_capitals": {"exact_match": False}})
    told = lm_eval.parse_samples(text.encode(), "s.jsonl", "harness_capitals", Columns(), results)
    plain = lm_eval.parse_samples(text.encode(), "s.jsonl", "harness_capitals", Columns(), lm_eval.Results())
    assert told.scale.lower_is_better
    assert [case.share for case in told.cases.values()] == [1 - case.share for case in plain.cases.values()]


def test_two_runs_of_one_task_in_a_folder_are_refused(tmp_path):
    for time in ("2026-01-01T00-00-00.1", "2026-01-02T00-00-00.1"):
        (tmp_path / f"samples_capitals_{time}.jsonl").write_bytes(CAPITALS.read_bytes())
    with pytest.raises(ScoreFileError, match="two runs of one task"):
        read_scores(tmp_path, Columns())


def test_the_folder_of_two_models_is_refused():
    with pytest.raises(ScoreFileError, match=r"several models \(baseline, candidate\)"):
        read_scores(PRODUCED / "lm-eval", Columns(metrics=("exact_match,none", "exact_match,strict")))


def test_a_file_of_averages_is_told_from_one_of_cases():
    with pytest.raises(ScoreFileError, match="These are averages; lm_eval writes the cases with --log_samples"):
        read_scores(RESULTS, Columns())


def test_nan_and_a_metric_of_texts_are_told_with_file_and_line(tmp_path):
    lines = CAPITALS.read_text(encoding="utf-8").splitlines()
    lines[3] = lines[3].replace('"exact_match": 0.0', '"exact_match": NaN')
    file = tmp_path / CAPITALS.name
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ScoreFileError, match=r"\.jsonl:4: the score is nan"):
        read_scores(file, Columns())
    bleu = [line.replace('"exact_match": 1.0', '"exact_match": ["a", "b"]') for line in lines[:1]]
    file.write_text("\n".join(bleu), encoding="utf-8")
    with pytest.raises(ScoreFileError, match="no metric of task harness_capitals scores single documents"):
        read_scores(file, Columns())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = sorted(json.loads(CAPITALS.read_text(encoding="utf-8").splitlines()[0]))


@given(st.sampled_from(KEYS), JSON, st.integers(0, 11))
def test_a_damaged_line_is_scores_or_one_sentence(key, value, number):
    lines = CAPITALS.read_text(encoding="utf-8").splitlines()
    lines[number] = json.dumps(json.loads(lines[number]) | {key: value})
    data = "\n".join(lines).encode("utf-8", "replace")
    with scores_or_one_sentence("s.jsonl"):
        found = lm_eval.parse_samples(data, "s.jsonl", "capitals", Columns(), lm_eval.Results())
        assert all(0 <= share <= 1 for case in found.cases.values() for share in case.shares)
