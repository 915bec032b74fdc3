"""Golden sets are refused with file, line and next step, or loaded whole."""

from __future__ import annotations

import gc
import json
import time
import timeit
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import checks
from harness.errors import CheckError, GoldenSetError
from harness.golden import find_golden_sets, load_golden_set, select_golden_sets


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "golden_sets"
    folder.mkdir()
    return folder


def write(root: Path, *rows: object, name: str = "refunds") -> Path:
    path = root / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def ask(name: str, **fields: object) -> dict[str, object]:
    return {"id": name, "input": f"What about {name}?", **fields}


def refusal(root: Path, *rows: object) -> str:
    with pytest.raises(GoldenSetError) as caught:
        load_golden_set(write(root, *rows), root=root, validate_check=checks.validate)
    return str(caught.value)


def test_a_set_knows_its_name_kind_lines_and_digest(root: Path) -> None:
    path = write(root, ask("late-delivery"), "", ask("lost-parcel", checks=["valid_json"]), name="shop/refunds")
    golden = load_golden_set(path, root=root)
    assert (golden.name, golden.kind, golden.lines) == ("shop/refunds", "ask", (1, 3))
    assert [case.id for case in golden.cases] == ["late-delivery", "lost-parcel"]
    before = golden.digest
    path.write_text(path.read_text() + "\n")
    assert load_golden_set(path, root=root).digest != before


def test_a_set_outside_the_folder_goes_by_its_own_name(root: Path, tmp_path: Path) -> None:
    assert load_golden_set(write(tmp_path, ask("late-delivery"), name="mine"), root=root).name == "mine"


def test_a_byte_order_mark_and_windows_line_ends_are_tolerated(root: Path) -> None:
    path = root / "refunds.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"id": "late-delivery", "input": "?"}\r\n\r\n{"id": "lost", "input": "?"}\r\n')
    assert load_golden_set(path, root=root).lines == (1, 3)


def test_a_line_separator_inside_a_text_does_not_end_the_line(root: Path) -> None:
    path = write(root, ask("odd-text", target="one\u2028two\u0085three"))
    assert load_golden_set(path, root=root).cases[0].target == "one\u2028two\u0085three"


def test_malformed_json_names_its_line_and_column(root: Path) -> None:
    message = refusal(root, ask("late-delivery"), '{"id": "lost", "input": }')
    assert message.startswith("golden_sets/refunds.jsonl:2: malformed JSON at column 25")


def test_a_json_array_is_told_from_json_lines(root: Path) -> None:
    assert "not JSON Lines" in refusal(root, "[", '{"id": "lost", "input": "?"}', "]")


def test_a_line_that_is_no_object_is_refused(root: Path) -> None:
    assert "a case is a JSON object" in refusal(root, '"late-delivery"')


def test_an_unknown_key_gets_the_nearest_name(root: Path) -> None:
    message = refusal(root, {"id": "late-delivery", "inptu": "?"})
    assert message.startswith("golden_sets/refunds.jsonl:1: unknown key 'inptu': did you mean 'input'?")


def test_an_unknown_key_of_a_message_gets_the_nearest_name(root: Path) -> None:
    row = {"id": "late-delivery", "messages": [{"role": "user", "contents": "?"}]}
    assert "unknown key of a message 'contents': did you mean 'content'?" in refusal(root, row)


def test_a_wrong_type_names_the_case_and_the_field(root: Path) -> None:
    message = refusal(root, ask("late-delivery", weight="heavy"))
    assert "case 'late-delivery'" in message
    assert "$.weight" in message


def test_duplicate_ids_name_the_first_line(root: Path) -> None:
    assert refusal(root, ask("lost"), ask("late-delivery"), ask("x-ray"), ask("late-delivery")) == (
        "golden_sets/refunds.jsonl:4: duplicate case id 'late-delivery' (first on line 2). "
        "Ids name tests, so rename one."
    )


def test_ids_that_differ_only_in_how_accents_are_written_are_duplicates(root: Path) -> None:
    assert "duplicate case id" in refusal(root, ask("caf\u00e9"), ask("cafe\u0301"))


@pytest.mark.parametrize(
    "name", ["7", "007", "case-3", "q12", "Question 4", "test_case_12", "row#9", "１２", "第3题", "例5", "2.1"]
)
def test_ids_that_are_indices_are_refused_with_the_reason(root: Path, name: str) -> None:
    message = refusal(root, ask(name))
    assert "is an index: it would mean another case once a row is inserted" in message


@pytest.mark.parametrize(
    "name", ["TK-48213", "gpt-4", "apollo-11", "退款", "capital-of-france", "b12", "fall-of-rome-476", "2fa-lost"]
)
def test_ids_that_name_something_are_accepted(root: Path, name: str) -> None:
    assert load_golden_set(write(root, ask(name)), root=root).cases[0].id == name


@pytest.mark.parametrize("name", ["", " ", "a::b", "late[1]", "late/delivery", "late\\delivery", "late\nx", " late"])
def test_ids_that_test_ids_cannot_carry_are_refused(root: Path, name: str) -> None:
    assert refusal(root, ask(name)).startswith("golden_sets/refunds.jsonl:1: id ")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"input": "?"}, "the case has no id"),
        ({"id": "lost"}, "asks nothing"),
        ({"id": "lost", "input": "?", "text": "Once."}, "has input and text"),
        ({"id": "lost", "input": "?", "messages": [{"role": "user", "content": "?"}]}, "has input and messages"),
        ({"id": "lost", "input": "  "}, "has an empty input"),
        ({"id": "lost", "messages": [{"role": "assistant", "content": "!"}]}, "there is nothing to answer"),
        ({"id": "lost", "input": "?", "choices": ["a", "b"]}, "has choices but no answer"),
        ({"id": "lost", "input": "?", "choices": ["a", "b"], "answer": "c"}, "unknown answer 'c'"),
        ({"id": "lost", "input": "?", "choices": ["a"], "answer": "a"}, "two or more different choices"),
        ({"id": "lost", "input": "?", "choices": ["a", "a"], "answer": "a"}, "two or more different choices"),
        ({"id": "lost", "input": "?", "answer": "a"}, "has an answer but no choices"),
        ({"id": "lost", "text": "Once.", "checks": ["valid_json"]}, "its checks would never be used"),
        ({"id": "lost", "text": "Once.", "target": "x"}, "its target would never be used"),
        (ask("lost", weight=0), "Weights are above 0"),
        (ask("lost", weight=-1), "Weights are above 0"),
        (ask("lost", variant_of="lost"), "is a variant of itself"),
    ],
)
def test_cases_that_mean_nothing_are_refused(root: Path, row: object, reason: str) -> None:
    message = refusal(root, row)
    assert message.startswith("golden_sets/refunds.jsonl:1: ")
    assert reason in message


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_have_are_refused(root: Path, number: str) -> None:
    message = refusal(root, f'{{"id": "lost", "input": "?", "weight": {number}}}')
    assert message.startswith("golden_sets/refunds.jsonl:1: ")


def test_a_key_that_stands_twice_is_refused(root: Path) -> None:
    row = '{"id": "lost", "input": "?", "checks": ["refuses"], "checks": ["valid_json"]}'
    assert "the key 'checks' stands twice" in refusal(root, ask("late-delivery"), row)


def test_words_that_are_also_keys_may_stand_in_a_case(root: Path) -> None:
    row = ask("odd-words", target='"id" "id"', metadata={"id": 1, "input": {"id": 2}})
    assert load_golden_set(write(root, row), root=root).cases[0].metadata == {"id": 1, "input": {"id": 2}}


def test_an_empty_set_is_refused(root: Path) -> None:
    assert refusal(root, "", "  ").startswith("golden_sets/refunds.jsonl:1: there are no cases")


def test_mixed_kinds_are_refused_naming_both_lines(root: Path) -> None:
    message = refusal(root, ask("lost"), {"id": "tide", "text": "The tide went out."})
    assert message.startswith("golden_sets/refunds.jsonl:2: case 'tide' is prose, but line 1 is asked.")


def test_an_unknown_check_is_refused_when_the_set_is_loaded(root: Path) -> None:
    message = refusal(root, ask("lost"), ask("late-delivery", checks=["valid_json", {"include": "30 days"}]))
    assert message.startswith(
        "golden_sets/refunds.jsonl:2: case 'late-delivery', checks[1]: "
        "unknown check 'include': did you mean 'includes'?"
    )


def test_wrong_arguments_of_a_check_are_refused_when_the_set_is_loaded(root: Path) -> None:
    assert "not a regular expression" in refusal(root, ask("lost", checks=[{"matches": "(("}]))


def test_without_a_validator_checks_are_left_alone(root: Path) -> None:
    assert load_golden_set(write(root, ask("lost", checks=["no_such"])), root=root).cases[0].checks == ("no_such",)


def test_a_validator_is_asked_about_every_check_with_arguments(root: Path) -> None:
    seen: list[object] = []

    def refuse_the_third(spec: object, target: str | None) -> None:
        seen.append(spec)
        if len(seen) == 3:
            raise CheckError("enough")

    path = write(root, ask("lost", checks=["refuses", {"includes": "x"}]), ask("late", checks=["refuses", {"a": 1}]))
    with pytest.raises(GoldenSetError, match=r":2: case 'late', checks\[1\]: enough"):
        load_golden_set(path, root=root, validate_check=refuse_the_third)
    assert seen == ["refuses", {"includes": "x"}, {"a": 1}]


def test_a_variant_may_reword_a_case_of_another_set(root: Path) -> None:
    path = write(root, ask("lost-reworded", variant_of="lost"))
    assert load_golden_set(path, root=root).cases[0].variant_of == "lost"


@pytest.mark.parametrize("data", [b'{"id": "lost", "input": "\xff"}', b'\n{"id": "\xc3("}'], ids=["line 1", "line 2"])
def test_bytes_that_are_not_utf8_name_their_line(root: Path, data: bytes) -> None:
    path = root / "refunds.jsonl"
    path.write_bytes(data)
    with pytest.raises(GoldenSetError, match=rf"refunds\.jsonl:{data.count(10) + 1}: byte 0x.. is not UTF-8"):
        load_golden_set(path, root=root)


def test_utf16_is_named(root: Path) -> None:
    path = root / "refunds.jsonl"
    path.write_text('{"id": "lost", "input": "?"}', encoding="utf-16")
    with pytest.raises(GoldenSetError, match="UTF-16"):
        load_golden_set(path, root=root)


def test_a_missing_file_and_another_format_are_refused(root: Path) -> None:
    with pytest.raises(GoldenSetError, match="no such golden set"):
        load_golden_set(root / "lost.jsonl", root=root)
    with pytest.raises(GoldenSetError, match="JSON Lines"):
        load_golden_set(root / "lost.yaml", root=root)


def test_sets_are_found_in_folders_and_hidden_ones_are_not(root: Path) -> None:
    for name in ("refunds", "retention/general", "retention/deep/facts", ".drafts/new", "retention/.old"):
        write(root, ask("lost"), name=name)
    assert find_golden_sets(root) == ["refunds", "retention/deep/facts", "retention/general"]
    assert find_golden_sets(root / "nowhere") == []


def test_sets_are_selected_by_name_and_pattern_each_once(root: Path) -> None:
    for name in ("refunds", "retention/general", "retention/choices"):
        write(root, ask("lost"), name=name)
    chosen = select_golden_sets(root, ["retention/general", "retention/*", "refunds"])
    assert [golden.name for golden in chosen] == ["retention/general", "retention/choices", "refunds"]


def test_a_pattern_that_matches_nothing_gets_the_nearest_name(root: Path) -> None:
    write(root, ask("lost"))
    with pytest.raises(GoldenSetError, match=r"unknown golden set 'refund': did you mean 'refunds'\?"):
        select_golden_sets(root, ["refund"])


def test_a_set_loads_with_the_collector_paused_and_leaves_it_as_it_was(root: Path) -> None:
    during: list[bool] = []
    path = write(root, ask("lost", checks=["refuses"]))
    load_golden_set(path, root=root, validate_check=lambda spec, target: during.append(gc.isenabled()))
    assert during == [False]
    assert gc.isenabled()
    refusal(root, "{")
    assert gc.isenabled()


def test_a_large_set_loads_in_a_few_times_what_reading_its_json_takes(root: Path) -> None:
    path = write(root, *(ask(f"ticket-{i}-late", checks=["valid_json"]) for i in range(5000)))

    def load() -> None:
        assert len(load_golden_set(path, root=root, validate_check=checks.validate).cases) == 5000

    def read() -> None:
        assert len([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]) == 5000

    ours, plain = (min(timeit.repeat(do, timer=time.process_time, number=1, repeat=5)) for do in (load, read))
    assert ours < 10 * plain


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(text=st.text(min_size=1).filter(str.strip), metadata=st.dictionaries(st.text(), json_values, max_size=3))
def test_whatever_json_can_say_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, text: str, metadata: dict[str, object]
) -> None:
    root = tmp_path_factory.mktemp("sets")
    path = write(root, {"id": "any-text", "input": text, "target": text, "metadata": metadata})
    case = load_golden_set(path, root=root).cases[0]
    assert (case.input, case.target, case.metadata) == (text, text, metadata)


@settings(max_examples=60)
@given(line=st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=60))
def test_any_line_is_a_case_or_is_refused_with_its_place(tmp_path_factory: pytest.TempPathFactory, line: str) -> None:
    root = tmp_path_factory.mktemp("golden_sets")
    path = write(root, line, name="any")
    with pytest.raises(GoldenSetError, match=r"any\.jsonl:\d+: "):
        load_golden_set(path, root=root)
