"""Checks of JSON answers and of numbers."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks import Score, json_equals, json_field, json_schema, numeric_close, valid_json
from harness.checks.numerals import last_number
from harness.errors import CheckError

TICKET = '{"category": "billing", "priority": 2, "open": true, "tags": ["a", {"b": null}], "x.y": 1}'


@pytest.mark.parametrize("answer", [TICKET, f"  {TICKET}\n", "[]", "4", "null", '"text"', "1e5", '{"钱": "退款"}'])
def test_a_whole_json_document_is_valid(answer: str) -> None:
    assert valid_json(answer)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "an empty answer"),
        ("The answer is {}", "Expecting value at character 1"),
        (f"{TICKET} Hope this helps!", "more text after the JSON"),
        ("{'a': 1}", "Expecting property name"),
        ('{"a": 1,}', "Illegal trailing comma|Expecting property name"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ("-Infinity", "-Infinity is no JSON number"),
        ("1e999", "the number 1e999 is too large"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (f"```json\n{TICKET}\n```", "a Markdown fence stands around it"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5000, "a number too long"),
        ("{}{}", "more text after the JSON"),
        ('"a\nb"', "Invalid control character"),
    ],
    ids=lambda value: value[:30],
)
def test_what_is_not_one_json_document_is_explained(answer: str, reason: str) -> None:
    score = valid_json(answer)
    assert not score
    assert any(part in score.explanation for part in reason.split("|"))
    assert len(repr(score)) < 240


@pytest.mark.parametrize("answer", [f"```json\n{TICKET}\n```", f"```\n{TICKET}```\n", f" ```JSON\r\n{TICKET}\r\n``` "])
def test_one_fence_is_tolerated_when_asked_for(answer: str) -> None:
    assert valid_json(answer, fenced=True)
    assert not valid_json(answer)
    assert json_field(answer, "category", equals="billing", fenced=True)
    assert json_equals(answer, json.loads(TICKET), fenced=True)
    assert json_schema(answer, {"type": "object"}, fenced=True)


@pytest.mark.parametrize("answer", [f"Here:\n```json\n{TICKET}\n```", "```json\n{}\n```\n```json\n{}\n```", "```\n```"])
def test_words_or_a_second_fence_are_not_tolerated(answer: str) -> None:
    assert not valid_json(answer, fenced=True)


def test_a_schema_accepts_or_names_the_field_it_refuses() -> None:
    schema = {"type": "object", "properties": {"priority": {"type": "integer"}}, "required": ["category"]}
    assert json_schema(TICKET, schema)
    assert json_schema('{"category": 1, "priority": "high"}', schema).explanation == (
        "priority: 'high' is not of type 'integer'"
    )
    assert "'category' is a required property" in json_schema("{}", schema).explanation
    assert not json_schema("not json", schema)


def test_a_schema_checks_formats_and_keeps_booleans_apart_from_numbers() -> None:
    assert json_schema('"2024-02-29"', {"type": "string", "format": "date"})
    assert not json_schema('"2023-02-29"', {"type": "string", "format": "date"})
    assert not json_schema("true", {"type": "integer"})
    assert not json_schema("true", {"const": 1})


def test_a_schema_may_refer_to_its_own_definitions() -> None:
    schema = {"$defs": {"name": {"type": "string"}}, "type": "array", "items": {"$ref": "#/$defs/name"}}
    assert json_schema('["a"]', schema)
    assert not json_schema("[1]", schema)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({}, "an empty schema accepts every answer"),
        ({"typ": "object"}, "unknown keyword 'typ': did you mean 'type'?"),
        ({"type": "objekt"}, "not a JSON Schema"),
        ({"properties": {"a": {"minimum": "one"}}}, "not a JSON Schema"),
        ({"items": {"$ref": "#/$defs/none"}}, "is not in the schema"),
        ({"items": {"$ref": "https://example.org/schema.json"}}, "nothing is fetched"),
        ({"const": float("nan")}, "nan cannot stand in JSON"),
        ("object", "schema must be an object"),
    ],
    ids=str,
)
def test_a_schema_that_checks_nothing_or_cannot_be_is_an_error(schema: dict[str, object], reason: str) -> None:
    with pytest.raises(CheckError, match="json_schema: ") as caught:
        json_schema("{}", schema)
    assert reason in str(caught.value)


def test_json_equals_ignores_order_of_keys_and_keeps_that_of_lists() -> None:
    assert json_equals('{"b": [1, 2], "a": null}', {"a": None, "b": [1, 2]})
    assert not json_equals("[2, 1]", [1, 2])
    assert json_equals("1.0", 1)


@pytest.mark.parametrize(
    ("answer", "value", "reason"),
    [
        ('{"a": 1}', {"a": True}, "a: the number 1 is not the boolean true"),
        ('{"a": "1"}', {"a": 1}, 'a: the text "1" is not the number 1'),
        ('{"a": [1, {"b": 2}]}', {"a": [1, {"b": 3}]}, "a.1.b: the number 2 is not the number 3"),
        ("{}", {"a": 1}, "no key 'a' (there are: none)"),
        ('{"a": 1, "c": 2}', {"a": 1}, "a key 'c' that should not be there"),
        ("[1]", [1, 2], "1 items, not 2"),
        ("null", {"a": 1}, 'null is not an object {"a": 1}'),
        ("0", False, "the number 0 is not the boolean false"),
        ('"Paris"', "paris", 'the text "Paris" is not the text "paris"'),
    ],
)
def test_json_equals_names_the_first_difference(answer: str, value: object, reason: str) -> None:
    score = json_equals(answer, value)
    assert not score
    assert score.explanation == reason


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("category", {"equals": "billing"}),
        ("priority", {"equals": 2}),
        ("priority", {"equals": 2.0}),
        ("open", {"equals": True}),
        ("tags.0", {"equals": "a"}),
        ("tags.1.b", {"equals": None}),
        ("tags.1", {"equals": {"b": None}}),
        (["x.y"], {"equals": 1}),
        (["tags", 1, "b"], {"exists": True}),
        ("tags.2", {"exists": False}),
        ("category.name", {"exists": False}),
        ("category", {"one_of": ["billing", "shipping"]}),
        ("category", {"equals": "ＢＩＬＬＩＮＧ", "casefold": True}),
        ("category", {"one_of": ["Billing"], "casefold": True}),
        ("category", {"matches": "^bill"}),
    ],
    ids=str,
)
def test_a_field_passes(path: str, arguments: dict[str, object]) -> None:
    assert json_field(TICKET, path, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "arguments", "reason"),
    [
        ("category", {"equals": "Billing"}, 'category: the text "billing" is not the text "Billing"'),
        ("priority", {"equals": "2"}, 'priority: the number 2 is not the text "2"'),
        ("priority", {"equals": True}, "priority: the number 2 is not the boolean true"),
        ("open", {"equals": 1}, "open: the boolean true is not the number 1"),
        ("reference", {"equals": "x"}, "no key 'reference' in the document (there are: 'category', 'priority', 'open'"),
        ("tags.2", {"equals": "x"}, "no item '2' in 'tags', a list of 2"),
        ("tags.-1", {"equals": "x"}, "no item '-1' in 'tags'"),
        ("category.0", {"equals": "x"}, "no '0' in 'category', which is the text"),
        ("priority", {"matches": "2"}, "priority: the number 2 is not a text"),
        ("category", {"matches": "^ship"}, "does not match /^ship/"),
        ("category", {"one_of": ["a", "b"]}, "is none of the 2 allowed values"),
        ("open", {"exists": False}, "open is there"),
        ("x.y", {"exists": True}, "no key 'x'"),
    ],
    ids=str,
)
def test_a_field_fails_with_what_was_there(path: str, arguments: dict[str, object], reason: str) -> None:
    score = json_field(TICKET, path, **arguments)  # type: ignore[arg-type]
    assert not score
    assert reason in score.explanation


def test_a_field_of_what_is_not_json_is_not_absent_but_failed() -> None:
    assert not json_field("oops", "a", exists=False)


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: json_field("{}", "a"),
        lambda: json_field("{}", "a", equals=1, exists=True),
        lambda: json_field("{}", "", equals=1),
        lambda: json_field("{}", "a..b", equals=1),
        lambda: json_field("{}", [], equals=1),
        lambda: json_field("{}", [True], equals=1),
        lambda: json_field("{}", 3, equals=1),
        lambda: json_field("{}", "a", one_of="ab"),
        lambda: json_field("{}", "a", one_of=[]),
        lambda: json_field("{}", "a", matches="(("),
        lambda: json_field("{}", "a", exists="yes"),
        lambda: json_field("{}", "a", matches="a", casefold=True),
        lambda: json_field("{}", "a", equals=float("inf")),
        lambda: json_equals("{}", {1: 2}),
        lambda: json_equals("{}", {"a": object()}),
        lambda: valid_json("{}", fenced=1),
        lambda: numeric_close("4", "4"),
        lambda: numeric_close("4", True),
        lambda: numeric_close("4", float("nan")),
        lambda: numeric_close("4", 10**400),
        lambda: numeric_close("4", 4, abs=-1),
        lambda: numeric_close("4", 4, rel="1%"),
    ],
)
def test_misuse_is_an_error_whatever_the_answer(misuse: Callable[[], Score]) -> None:
    with pytest.raises(CheckError):
        misuse()


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("The answer is 4.", 4),
        ("2 + 2 = 4", 4),
        ("It is -3.5 degrees", -3.5),
        ("It is −3", -3),
        ("minus 5", -5),
        ("a loss of -$1,234.50!", -1234.5),
        ("$-7", -7),
        ("pages 3-5", 5),
        ("1,234,567", 1234567),
        ("1 234 567".replace(" ", "\u202f"), 1234567),
        ("1, 2, 3", 3),
        ("25%", 25),
        ("２５％", 25),
        ("3/4 of it", 0.75),
        ("1 1/2 cups", 1.5),
        ("½", 0.5),
        ("3½ hours", 3.5),
        (".5", 0.5),
        ("1.5e6", 1.5e6),
        ("6.02 × 10²³", 6.02e23),
        ("2^10", 1024),
        ("10²", 100),
        ("1.5 million people", 1.5e6),
        ("3万元", 30000),
        ("约1.2亿", 1.2e8),
        ("共30天", 30),
        ("5kg", 5),
        ("100°C", 100),
        ("4 litres of H2O", 4),
        ("12 in version 1.2.3", 12),
        ("7 on 12/05/2020", 7),
        ("答案是三十六", 36),
        ("一共是三千零五十六个", 3056),
        ("两亿三千万", 230_000_000),
        ("一九四九年", 1949),
        ("零下，负十二点五度", -12.5),
        ("百分之三十", 30),
        ("十", 10),
        ("三万亿", 3e12),
        ("答案是五，我们一起看一看", 5),
        ("4 ÷ 0 = 1/0", float("inf")),
        ("9" * 400, float("inf")),
        ("亿" * 60, float("inf")),
        ("2^99999", float("inf")),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_last_number_is_read_as_people_write_it(answer: str, number: float) -> None:
    assert last_number(answer) == pytest.approx(number, rel=1e-12)


@pytest.mark.parametrize("answer", ["", "none at all", "H2O", "v1.2.3", "有一点", "seven", "x_1"])
def test_what_has_no_number_has_none(answer: str) -> None:
    assert last_number(answer) is None
    assert not numeric_close(answer, 4)


def test_numbers_are_close_within_a_tolerance() -> None:
    assert numeric_close("about 3.14", 3.14159, abs=0.01)
    assert not numeric_close("about 3.1", 3.14159, abs=0.01)
    assert numeric_close("98", 100, rel=0.02)
    assert not numeric_close("97", 100, rel=0.02)
    assert numeric_close("0.30000000000000004", 0.3)
    assert not numeric_close("0.3001", 0.3)
    assert numeric_close("0", 0)
    assert not numeric_close("9" * 400, 4)
    assert numeric_close("4 or 5", 4).explanation == "the last number is 5, 4 wanted: '4 or 5'"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(value=json_values, other=json_values)
def test_any_json_equals_itself_and_nothing_that_is_written_differently(value: object, other: object) -> None:
    assert valid_json(json.dumps(value))
    assert json_equals(json.dumps(value, indent=1, ensure_ascii=False), value)
    same = json_equals(json.dumps(other), value)
    assert same.passed is json_equals(json.dumps(value), other).passed
    assert len(repr(same)) < 240


@given(text=st.text())
def test_any_text_can_be_looked_at(text: str) -> None:
    for score in (valid_json(text, fenced=True), json_field(text, "a.0", exists=True), numeric_close(text, 4)):
        assert len(repr(score)) < 240


@given(text=st.text("0123456789.,/^e+-x×* 万亿千百十点负一二三零〇两million%$", max_size=40))
def test_any_jumble_of_digits_is_a_number_or_none(text: str) -> None:
    number = last_number(text)
    assert number is None or number == number


@given(number=st.integers(-(10**15), 10**15))
def test_any_whole_number_is_read_back_with_and_without_separators(number: int) -> None:
    assert last_number(f"The answer is {number}.") == number
    assert last_number(f"The answer is {number:,}.") == number
    assert last_number(f"答案是{number}。") == number
