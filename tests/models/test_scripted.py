from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import GenerationError, ModelError
from harness.models import Message, Request, Response
from harness.models.scripted import ScriptedModel


def ask(text: str, *, case: str = "", sample: int = 0, replica: int = 0) -> Request:
    return Request(messages=(Message(role="user", content=text),), case=case, sample=sample, replica=replica)


def told(model: ScriptedModel, *requests: Request) -> list[str]:
    return [response.text for response in model.generate(requests, on_done=lambda i, r: None)]


def script(folder: Path, *rows: dict[str, Any] | str) -> Path:
    path = folder / "script.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_it_answers_by_input_and_by_id_and_the_id_goes_first(tmp_path: Path) -> None:
    model = ScriptedModel.from_file(
        script(tmp_path, {"input": "退款要多久？", "output": "30 天"}, "", {"id": "late", "output": "by id"})
    )
    assert told(model, ask("退款要多久？"), ask("anything", case="late"), ask("退款要多久？", case="late")) == [
        "30 天",
        "by id",
        "by id",
    ]


def test_the_input_is_the_last_thing_the_user_said() -> None:
    turns = (
        Message(role="system", content="Be brief."),
        Message(role="user", content="Hi"),
        Message(role="assistant", content="Hello"),
        Message(role="user", content="Bye"),
    )
    model = ScriptedModel({"Hi": "wrong", "Bye": "right"})
    assert told(model, Request(messages=turns)) == ["right"]


def test_several_outputs_are_samples(tmp_path: Path) -> None:
    model = ScriptedModel.from_file(script(tmp_path, {"id": "a", "outputs": ["x", "y"]}, {"id": "b", "output": "z"}))
    assert told(model, *(ask("", case=case, sample=i) for case in "ab" for i in range(2))) == ["x", "y", "z", "z"]
    with pytest.raises(GenerationError, match="case 'a' has 2 outputs, but sample 3 was asked for"):
        told(model, ask("", case="a", sample=2))


def test_a_script_can_waver_when_it_is_asked_again(tmp_path: Path) -> None:
    model = ScriptedModel.from_file(
        script(tmp_path, {"id": "a", "output": "x", "again": ["y", "z"]}, {"input": "steady?", "output": "yes"})
    )
    assert told(model, *(ask("", case="a", replica=i) for i in range(4))) == ["x", "y", "z", "z"]
    assert told(model, ask("steady?", replica=1)) == ["yes"]
    assert told(ScriptedModel({"2+2?": "4"}, again={"2+2?": ["5"]}), ask("2+2?", replica=1)) == ["5"]


def test_a_cut_off_answer_can_be_scripted(tmp_path: Path) -> None:
    model = ScriptedModel.from_file(script(tmp_path, {"id": "a", "output": "x", "finish_reason": "length"}))
    assert model.generate([ask("", case="a")], on_done=lambda i, r: None) == [
        Response(text="x", finish_reason="length")
    ]


def test_a_case_without_an_answer_is_named_with_the_file(tmp_path: Path) -> None:
    path = script(tmp_path, {"input": "known", "output": "x"})
    done: list[int] = []
    with pytest.raises(GenerationError, match=r"script\.jsonl: no answer for case 'c2' \(input 'unknown'\)"):
        ScriptedModel.from_file(path).generate(
            [ask("known", case="c1"), ask("unknown", case="c2")], on_done=lambda i, r: done.append(i)
        )
    assert done == [0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "a", "output": "x"}, "{broken"], r"script\.jsonl:2: "),
        ([{"id": "a", "answer": "x"}], r"script\.jsonl:1: .*unknown field `answer`"),
        ([{"output": "x"}], "give either id or input"),
        ([{"id": "a", "input": "a", "output": "x"}], "give either id or input"),
        ([{"id": "a"}], "give either output or outputs"),
        ([{"id": "a", "output": "x"}, "", {"id": "a", "output": "y"}], r":3: 'a' is answered twice \(first on line 1"),
        ([], "no rows"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ScriptedModel.from_file(script(tmp_path, *rows))
