"""Checks written as data: run, validated and named."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import checks
from harness.checks import CHECKS, Spec, check_name, check_names, run_check, validate
from harness.errors import CheckError
from harness.models import Response

TICKET = '{"category": "billing", "reference": "TK-48213"}'

GOOD: list[Spec] = [
    {"includes": "billing"},
    {"includes": {"text": "billing"}},
    {"includes": {"any": ["billing", "shipping"]}},
    {"includes": {"all": ["billing", "TK-48213"]}},
    {"excludes": "refund"},
    {"excludes": {"any": ["refund", "sorry"]}},
    {"equals": TICKET},
    {"equals": {"text": TICKET, "exact": True}},
    {"matches": r"TK-\d{5}"},
    {"starts_with": "{"},
    {"one_of": [TICKET, "none"]},
    {"max_words": 10},
    "valid_json",
    {"valid_json": {"fenced": True}},
    {"json_schema": {"type": "object", "required": ["reference"]}},
    {"json_schema": {"schema": {"type": "object"}, "fenced": True}},
    {"json_equals": {"category": "billing", "reference": "TK-48213"}},
    {"json_equals": {"value": {"category": "billing", "reference": "TK-48213"}, "fenced": True}},
    {"json_field": {"path": "reference", "equals": "TK-48213"}},
    {"json_field": {"path": "category", "one_of": ["billing", "shipping"]}},
    {"numeric_close": 48213},
    {"labels": {"of": ["billing", "shipping"], "equals": "billing"}},
    {"bleu": {"reference": TICKET, "at_least": 99}},
    {"chrf": {"reference": TICKET, "at_least": 99}},
    {"rouge": {"reference": [TICKET, "none"], "at_least": 1}},
    {"numeric_close": {"value": 48000, "rel": 0.01}},
    {"not": "refuses"},
    {"not": {"includes": "refund"}},
    {"not": {"not": "valid_json"}},
]


@pytest.mark.parametrize("spec", GOOD, ids=check_name)
def test_every_check_can_be_written_as_data(spec: Spec) -> None:
    validate(spec)
    score = run_check(spec, Response(text=TICKET))
    assert score, score
    assert score.check == check_name(spec)


@pytest.mark.parametrize("spec", GOOD, ids=check_name)
@pytest.mark.parametrize(
    "answer", ["", TICKET, "I'm sorry, but I can't help with refund 7."], ids=["empty", "json", "no"]
)
def test_a_negation_is_the_exact_complement_with_the_same_explanation(spec: Spec, answer: str) -> None:
    plain, negated = run_check(spec, answer), run_check({"not": spec}, answer)
    assert plain.passed is not negated.passed
    assert plain.explanation == negated.explanation


def test_every_check_is_covered_here_and_exported() -> None:
    used = {spec if isinstance(spec, str) else next(iter(spec)) for spec in GOOD} | {"refuses"}
    # In files of their own: an answer that is SQL, and a metric that is a script.
    used |= {"sql_equals", "metric"}
    assert used - {"not"} == set(CHECKS)
    assert set(CHECKS) < set(checks.__all__)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("valid_jsn", "unknown check 'valid_jsn': did you mean 'valid_json'?"),
        ({"include": "x"}, "unknown check 'include': did you mean 'includes'?"),
        ({"not": "refuse"}, "unknown check 'refuse': did you mean 'refuses'?"),
        ({"includes": {"anny": ["x"]}}, "includes: unknown argument 'anny': did you mean 'any'?"),
        ({"json_field": {"pth": "a", "equals": 1}}, "json_field: unknown argument 'pth': did you mean 'path'?"),
        ({"json_field": {"equals": 1}}, "json_field: path is missing"),
        ({"json_field": "reference"}, "json_field: takes its arguments by name (path, equals"),
        ({"refuses": True}, "refuses: takes no arguments"),
        ("equals", "equals: text is missing"),
        ("includes", "includes: nothing to look for"),
        ("json_equals", "json_equals: value is missing"),
        ({"includes": ["a", "b"]}, "includes: text must be a text, not a list"),
        ({"includes": None}, "includes: nothing to look for"),
        ({"matches": "(("}, "is not a regular expression"),
        ({"json_schema": {}}, "an empty schema accepts every answer"),
        ({"json_schema": {"schema": {}}}, "an empty schema accepts every answer"),
        ({"includes": "a", "excludes": "b"}, "not one with 2 keys ('includes', 'excludes')"),
        ({}, "not an empty object"),
        ("not", "a check is a name or an object with one key"),
        ({"not": ["refuses"]}, "not: wants a check"),
        (3, "a check is a name or an object with one key"),
        (["valid_json"], "Write several checks as several entries"),
    ],
    ids=str,
)
def test_a_wrong_spec_is_refused_before_any_answer_with_the_nearest_name(spec: Spec, reason: str) -> None:
    for attempt in (lambda: validate(spec), lambda: run_check(spec, TICKET)):
        with pytest.raises(CheckError) as caught:
            attempt()
        assert reason in str(caught.value)


def test_a_document_with_a_key_like_an_argument_is_still_a_document() -> None:
    assert run_check({"json_equals": {"value": 3}}, '{"value": 3}')
    assert run_check({"json_equals": {}}, "{}")
    assert run_check({"json_equals": {"value": {"value": 3}, "fenced": False}}, '{"value": 3}')
    assert run_check({"json_equals": None}, "null")


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("valid_json", "valid_json"),
        ({"not": "refuses"}, "not:refuses"),
        ({"not": {"not": "refuses"}}, "refuses"),
        ({"includes": "30 days"}, "includes:30 days"),
        ({"includes": {"text": "30 days"}}, "includes:30 days"),
        ({"includes": "退款"}, "includes:退款"),
        ({"includes": {"any": ["7", "seven"]}}, "includes:any(7, seven)"),
        ({"one_of": ["yes", "no"]}, "one_of:(yes, no)"),
        ({"max_words": 30}, "max_words:30"),
        ({"numeric_close": 4}, "numeric_close:4"),
        ({"json_field": {"path": "reference", "equals": "TK-48213"}}, "json_field:reference"),
        ({"json_field": {"path": "reference", "equals": "x", "fenced": False}}, "json_field:reference"),
        ({"json_field": {"path": "a.b", "exists": True}}, "json_field:a.b:exists"),
    ],
)
def test_names_are_readable(spec: Spec, name: str) -> None:
    assert check_name(spec) == name


@pytest.mark.parametrize(
    ("spec", "beginning"),
    [
        ({"includes": "a very long sentence that goes on and on"}, "includes:a very long sentence that goes"),
        ({"includes": "a/b::c[d]\n"}, "includes:a b c d~"),
        ({"json_schema": {"type": "object"}}, "json_schema~"),
        ({"numeric_close": {"value": 4, "abs": 0.5}}, "numeric_close:4~"),
        ({"not": {"json_field": {"path": "a", "equals": 1}}}, "not:json_field:a~"),
    ],
)
def test_names_that_cannot_say_everything_end_in_a_digest(spec: Spec, beginning: str) -> None:
    name = check_name(spec)
    assert name.startswith(beginning)
    assert name[-7] == "~"
    assert len(name) < 70
    assert not set(name) & set("[]/\\\n")
    assert "::" not in name


def test_two_values_of_one_field_get_names_of_their_own_within_a_case() -> None:
    one: Spec = {"json_field": {"path": "a", "equals": 1}}
    other: Spec = {"json_field": {"path": "a", "equals": 2}}
    assert check_names([one, "valid_json"]) == ["json_field:a", "valid_json"]
    assert check_names([one, one]) == ["json_field:a", "json_field:a"]
    names = check_names([one, other, "valid_json"])
    assert len(set(names)) == 3
    assert names[0].startswith("json_field:a~")
    assert names == check_names([one, other, "valid_json"])


texts = st.text(min_size=1).filter(lambda text: text.strip() == text and text.isprintable())
specs = st.one_of(
    st.sampled_from(["includes", "excludes", "equals", "starts_with"]).flatmap(lambda n: texts.map(lambda t: {n: t})),
    st.lists(texts, min_size=1, max_size=3).map(lambda ts: {"includes": {"any": ts}}),
    st.lists(texts, min_size=1, max_size=3).map(lambda ts: {"includes": {"all": ts}}),
    st.lists(texts, min_size=1, max_size=3).map(lambda ts: {"one_of": ts}),
    st.integers(0, 99).map(lambda n: {"max_words": n}),
    (st.integers(0, 99) | texts).map(lambda v: {"json_equals": v}),
    texts.map(lambda path: {"json_field": {"path": path, "exists": True}}),
    st.sampled_from(["valid_json", "refuses"]),
)
negatable = specs | specs.map(lambda spec: {"not": spec})


@given(one=negatable, other=negatable)
def test_different_checks_have_different_names(one: Spec, other: Spec) -> None:
    assert (check_name(one) == check_name(other)) is (one == other)


@given(spec=negatable, answer=st.text())
def test_a_spec_that_validates_runs_on_any_answer(spec: Spec, answer: str) -> None:
    try:
        validate(spec)
    except CheckError:
        with pytest.raises(CheckError):
            run_check(spec, answer)
        return
    score = run_check(spec, answer)
    assert len(repr(score)) < 240
    again = msgspec.json.decode(msgspec.json.encode(spec))
    assert run_check(again, answer) == score
