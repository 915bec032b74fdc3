"""Logs that inspect_ai really wrote, and damaged ones."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
import zipfile

import msgspec
import pytest
from complaints import scores_or_one_sentence
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from produce import PRODUCED

from harness.errors import ScoreFileError
from harness.scorefiles.inspect_log import parse_eval_log, parse_json_log, scored_set
from harness.scorefiles.reading import read_scores
from harness.scorefiles.values import Columns

INCLUDES = Columns(metrics=("includes",))
(EVAL,) = (PRODUCED / "inspect-eval" / "candidate").glob("*.eval")
(JSON_LOG,) = (PRODUCED / "inspect-json" / "candidate").glob("*.json")

needs_zstandard = pytest.mark.skipif(
    sys.version_info < (3, 14) and importlib.util.find_spec("zstandard") is None,
    reason="zstandard is not installed (the extra 'inspect')",
)


def document():
    """The JSON log as plain values."""
    return json.loads(JSON_LOG.read_text(encoding="utf-8"))


def repacked(log):
    """An .eval file with these contents, packed as releases before Zstandard did."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        samples = log.pop("samples")
        archive.writestr("header.json", json.dumps(log))
        for sample in samples:
            archive.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample))
        archive.writestr("summaries.json", "[]")
    return data.getvalue()


@needs_zstandard
def test_a_log_is_read_with_its_epochs_averaged():
    found = read_scores(EVAL, INCLUDES)
    assert (found.label, found.tool) == ("openai-api/local/candidate", "inspect_ai 0.3.285")
    (one,) = found.sets
    assert (one.name, one.metric, one.samples, len(one.cases)) == ("capitals", "includes", 2, 12)
    missed = {case.id: case.share for case in one.cases.values() if case.share < 1}
    assert missed == {"peru": 0.0, "canada": 0.5, "中国": 0.0}
    assert one.cases["canada"].answers == ("Toronto", "Ottawa")
    assert one.cases["中国"].prompt == "中国的首都是哪里？"


@needs_zstandard
@pytest.mark.parametrize(("scorer", "metric"), [("includes", "accuracy"), ("f1", "mean")])
def test_the_mean_of_what_is_read_is_what_the_tool_reported(scorer, metric):
    log = parse_eval_log(EVAL.read_bytes(), "x.eval")
    one = scored_set(log, "x.eval", Columns(metrics=(scorer,)))
    mean = sum(case.share for case in one.cases.values()) / len(one.cases)
    with zipfile.ZipFile(EVAL) as archive:
        from harness.scorefiles.inspect_log import _entry

        header = msgspec.json.decode(_entry(archive, EVAL.read_bytes(), "header.json", "x.eval"))
    reported = {score["name"]: score["metrics"][metric]["value"] for score in header["results"]["scores"]
                if metric in score["metrics"]}  # fmt: skip
    assert mean == pytest.approx(reported[scorer])


def test_a_json_log_is_read_alike():
    found = read_scores(JSON_LOG, INCLUDES)
    assert found.label == "openai-api/local/candidate"
    assert {case.id: case.share for case in found.sets[0].cases.values()} == {
        "france": 1.0, "japan": 1.0, "kenya": 1.0, "peru": 0.0,
    }  # fmt: skip


def test_a_log_packed_as_older_releases_did_needs_no_further_library():
    found = scored_set(parse_eval_log(repacked(document()), "x.eval"), "x.eval", INCLUDES)
    assert found.cases["peru"].share == 0


def test_without_zstandard_the_error_names_the_extra_and_the_way_round(monkeypatch):
    if sys.version_info >= (3, 14):
        pytest.skip("this Python unpacks Zstandard by itself")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ScoreFileError, match=r"pip install 'finetune-harness\[inspect\]'.*inspect log convert"):
        parse_eval_log(EVAL.read_bytes(), "x.eval")


def test_several_scorers_must_be_chosen_from():
    with pytest.raises(ScoreFileError, match=r"several scorers\. Choose one with --metric\. Scorers: includes, f1"):
        read_scores(JSON_LOG, Columns())
    with pytest.raises(ScoreFileError, match="unknown scorer 'include': did you mean 'includes'"):
        read_scores(JSON_LOG, Columns(metrics=("include",)))


@pytest.mark.parametrize(
    ("value", "share"),
    [("C", 1.0), ("I", 0.0), ("P", 0.5), ("N", 0.0), (True, 1.0), (0.25, 0.25), ("0.75", 0.75), ("yes", 1.0)],
)
def test_grades_are_the_numbers_that_the_tool_makes_of_them(value, share):
    log = document()
    log["samples"][0]["scores"]["includes"]["value"] = value
    first = log["samples"][0]["id"]
    found = scored_set(parse_json_log(json.dumps(log).encode(), "x.json"), "x.json", INCLUDES)
    assert found.cases[first].share == share


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"scores": None}, "no score of includes"),
        ({"scores": {"includes": {"value": float("nan")}}}, "includes gave no score"),
        ({"error": {"message": "the sandbox died"}}, "the sample ended in an error (the sandbox died)"),
        ({"invalidation": {"author": "me"}}, "the sample was invalidated"),
    ],
)
def test_a_sample_without_a_score_is_not_scored_and_never_zero(change, why):
    log = document()
    log["samples"][0] |= change
    first = log["samples"][0]["id"]
    found = scored_set(parse_json_log(json.dumps(log).encode(), "x.json"), "x.json", INCLUDES)
    assert found.cases[first].unscored == why


def test_one_of_a_scorers_several_values_is_chosen_with_a_slash():
    log = document()
    for sample in log["samples"]:
        sample["scores"] = {"rubric": {"value": {"tone": 0.5, "facts": 1}}}
    data = json.dumps(log).encode()
    found = scored_set(parse_json_log(data, "x.json"), "x.json", Columns(metrics=("rubric/tone",)))
    assert {case.share for case in found.cases.values()} == {0.5}
    with pytest.raises(ScoreFileError, match="Scorers: rubric/tone, rubric/facts"):
        scored_set(parse_json_log(data, "x.json"), "x.json", Columns())


@pytest.mark.parametrize("status", ["error", "cancelled", "started"])
def test_an_evaluation_that_did_not_end_well_is_known_as_unfinished(status):
    log = document() | {"status": status}
    found = scored_set(parse_json_log(json.dumps(log).encode(), "x.json"), "x.json", INCLUDES)
    assert found.unfinished == f"x.json: the evaluation's status is {status!r}"


def test_samples_that_are_not_in_the_log_are_missed():
    log = document()
    log["samples"].pop()
    found = scored_set(parse_json_log(json.dumps(log).encode(), "x.json"), "x.json", INCLUDES)
    assert found.unfinished == "x.json: 3 of 4 samples are in the log"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "x.eval: not an .eval log"),
        (b"PK\x03\x04 and no more", "x.eval: not an .eval log"),
        (b"PK\x05\x06" + bytes(18), "x.eval: the log has no header.json, so the evaluation has not ended"),
    ],
    ids=["empty", "cut off", "no header"],
)
def test_what_is_no_log_is_told_so(data, said):
    with pytest.raises(ScoreFileError) as told:
        parse_eval_log(data, "x.eval")
    assert str(told.value).startswith(said)


def _read(data: bytes) -> None:
    with scores_or_one_sentence("x.eval"):
        scored_set(parse_eval_log(data, "x.eval"), "x.eval", INCLUDES)


DEFLATED = repacked(document())


@given(st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_a_log_with_damaged_bytes_is_scores_or_one_sentence(data):
    for packed in (DEFLATED, EVAL.read_bytes()):
        damaged = bytearray(packed[: data.draw(st.sampled_from([len(packed), len(packed) // 2]))])
        places = st.integers(0, len(damaged) - 1) | st.integers(max(0, len(damaged) - 2000), len(damaged) - 1)
        for place in data.draw(st.lists(places, max_size=6)):
            damaged[place] = data.draw(st.integers(0, 255))
        _read(bytes(damaged))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["id", "epoch", "input", "target", "output", "scores", "error", "invalidation"]), JSON)
@settings(max_examples=150)
def test_a_sample_of_another_shape_is_scores_or_one_sentence(key, value):
    log = document()
    log["samples"][1][key] = value
    data = json.dumps(log).encode()
    with scores_or_one_sentence("x.json"):
        scored_set(parse_json_log(data, "x.json"), "x.json", INCLUDES)
