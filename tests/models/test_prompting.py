"""Model YAMLs: prompts, examples, passages and sampling around any model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ModelError
from harness.models import Message, Request, Response, Sampling, ScoreRequest, TokenScores
from harness.models.opening import open_models
from harness.models.prompting import Prompting, load_prompting
from harness.models.prompting.asking import PromptedModel, PromptedScoringModel
from harness.models.prompting.passages import read_passages
from harness.models.prompting.retrieval import Index, terms
from harness.models.refs import ModelRef
from harness.store import response_key

Refer = Callable[..., ModelRef]


class World:
    """A folder with a scripted model and YAMLs over it."""

    def __init__(self, path: Path, refer: Refer) -> None:
        self.path = path
        self.refer = refer
        self.write("model.jsonl", '{"id": "a", "output": "yes"}\n')

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def yaml(self, text: str = "", *, model: str = "scripted:model.jsonl", name: str = "path.yaml") -> ModelRef:
        return self.refer(str(self.write(name, f"model: {model}\n{text}")))

    def prompting(self, text: str) -> Prompting:
        ref = self.yaml(text)
        return load_prompting(ref.prompting, ref.prompting_digest or "")

    def refused(self, text: str) -> str:
        with pytest.raises(ModelError) as caught:
            self.yaml(text)
        return str(caught.value)


@pytest.fixture
def world(tmp_path: Path, refer: Refer) -> World:
    return World(tmp_path, refer)


def said(messages: Sequence[Message]) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in messages]


def ask(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def test_the_system_prompt_and_the_examples_come_before_the_question(world: World) -> None:
    prompting = world.prompting('system: Be brief.\nexamples:\n- {prompt: "2+2?", completion: "4"}\n')
    assert said(prompting.messages(ask("3+3?"))) == [
        ("system", "Be brief."),
        ("user", "2+2?"),
        ("assistant", "4"),
        ("user", "3+3?"),
    ]


def test_a_cases_own_system_message_follows_the_yamls_in_the_same_message(world: World) -> None:
    case = (Message(role="system", content="Answer in French."), *ask("Hello?"))
    assert said(world.prompting("system: Be brief.").messages(case))[0] == ("system", "Be brief.\n\nAnswer in French.")


def test_examples_may_be_whole_conversations_from_a_file(world: World) -> None:
    turns = [{"role": r, "content": c} for r, c in [("user", "你好"), ("assistant", "您好")]]
    world.write("shots.jsonl", json.dumps({"messages": turns}) + "\n\n")
    assert said(world.prompting("examples: shots.jsonl").messages(ask("在吗？")))[:2] == [
        ("user", "你好"),
        ("assistant", "您好"),
    ]


def test_the_passage_that_fits_stands_before_the_question(world: World) -> None:
    world.write("docs/rules.md", "# Refunds\n\nMoney comes back in 14 days.\n\n# Shipping\n\nParcels take 3 days.\n")
    prompting = world.prompting("retriever: {folder: docs, top_k: 1}")
    assert said(prompting.messages(ask("How long do parcels take?"))) == [
        ("user", "Shipping\nParcels take 3 days.\n\nHow long do parcels take?")
    ]


def test_a_chinese_question_finds_the_chinese_passage(world: World) -> None:
    world.write("docs/规则.md", "# 退款\n\n退款将在十四天内到账。\n\n# 配送\n\n包裹需要三天送达。\n")
    prompting = world.prompting("retriever: {folder: docs, top_k: 1}")
    assert said(prompting.messages(ask("我的包裹几天能送到？")))[0][1].startswith("配送\n包裹需要三天送达。")


def test_a_template_without_the_question_goes_to_the_system_prompt(world: World) -> None:
    world.write("docs/rules.jsonl", '{"title": "Rule", "text": "Parcels {question} take 3 days."}\n')
    settings = "retriever: {folder: docs, template: 'Use this: {passages}'}\nsystem: Be brief."
    assert said(world.prompting(settings).messages(ask("Parcels?"))) == [
        ("system", "Be brief.\n\nUse this: Rule\nParcels {question} take 3 days."),
        ("user", "Parcels?"),
    ]


def test_a_question_that_no_passage_fits_is_asked_as_it_is(world: World) -> None:
    world.write("docs/rules.md", "Parcels take 3 days.")
    prompting = world.prompting("retriever: {folder: docs}")
    for question in ("Zzz?", "??", ""):
        assert said(prompting.messages(ask(question))) == [("user", question)]


def test_the_last_question_of_a_conversation_is_what_is_looked_up(world: World) -> None:
    world.write("docs/rules.md", "# A\n\nrefunds take 14 days\n\n# B\n\nparcels take 3 days\n")
    turns = (*ask("refunds?"), Message(role="assistant", content="14 days."), *ask("parcels?"))
    sent = said(world.prompting("retriever: {folder: docs, top_k: 1}").messages(turns))
    assert sent[0] == ("user", "refunds?")
    assert sent[2] == ("user", "B\nparcels take 3 days\n\nparcels?")


def test_its_sampling_replaces_what_it_names_and_no_more(world: World) -> None:
    asked = Request(messages=ask("?"), sampling=Sampling(max_tokens=7, seed=3))
    sent = world.prompting("sampling: {temperature: 7e-1}").request(asked)
    assert sent.sampling == Sampling(max_tokens=7, seed=3, temperature=0.7)


def test_samples_of_a_yaml_that_is_greedy_are_refused(world: World) -> None:
    asked = Request(messages=ask("?"), sampling=Sampling(temperature=1.0), sample=1)
    with pytest.raises(ModelError, match="are the same answer"):
        world.prompting("sampling: {temperature: 0}").request(asked)


def test_a_yaml_over_a_yaml_adds_to_it(world: World) -> None:
    world.write("inner.yaml", "model: scripted:model.jsonl\nsystem: inner\nsampling: {max_tokens: 5, seed: 1}\n")
    ref = world.yaml("system: outer\nsampling: {seed: 2}", model="inner.yaml")
    prompting = load_prompting(ref.prompting, ref.prompting_digest or "")
    assert said(prompting.messages(ask("?")))[0] == ("system", "inner\n\nouter")
    sent = prompting.request(Request(messages=ask("?")))
    assert (sent.sampling.max_tokens, sent.sampling.seed) == (5, 2)


def test_its_root_is_the_model_alone(world: World) -> None:
    ref = world.yaml("system: x")
    bare = world.refer("scripted:model.jsonl")
    assert ref.root.digest == bare.digest != ref.digest
    assert (ref.is_root, bare.is_root, ref.root.is_root) == (False, True, True)
    assert ref.label == "path.yaml"


CHANGES: dict[str, Callable[[World], Any]] = {
    "system": lambda w: w.write("path.yaml", (w.path / "path.yaml").read_text().replace("brief", "long")),
    "example": lambda w: w.write("shots.jsonl", '{"prompt": "2+2?", "completion": "four"}\n'),
    "document": lambda w: w.write("docs/a.md", "Parcels take 4 days."),
    "new document": lambda w: w.write("docs/b.md", "Refunds take 14 days."),
    "model": lambda w: w.write("model.jsonl", '{"id": "a", "output": "no"}\n'),
    "sampling": lambda w: w.write("path.yaml", (w.path / "path.yaml").read_text().replace("5", "6")),
}


def full(world: World) -> ModelRef:
    if not (world.path / "docs").exists():
        world.write("docs/a.md", "Parcels take 3 days.")
        world.write("shots.jsonl", '{"prompt": "2+2?", "completion": "4"}\n')
        text = "model: scripted:model.jsonl\nsystem: Be brief.\nexamples: shots.jsonl\nretriever: {folder: docs}\n"
        world.write("path.yaml", text + "sampling: {max_tokens: 5}\n")
    return world.refer(str(world.path / "path.yaml"))


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_it_refers_to_is_part_of_its_digest_and_of_the_store_key(world: World, what: str) -> None:
    before = full(world)
    CHANGES[what](world)
    after = full(world)
    asked = Request(messages=ask("?"))
    assert before.digest != after.digest
    assert response_key(before, asked) != response_key(after, asked)


def test_comments_and_hidden_files_are_no_part_of_its_digest(world: World) -> None:
    before = full(world)
    world.write("path.yaml", "# a note\n" + (world.path / "path.yaml").read_text())
    world.write("docs/.draft.md", "not yet")
    world.write("docs/picture.svg", "<svg/>")
    assert full(world).digest == before.digest


def test_documents_that_change_in_mid_run_stop_it(world: World) -> None:
    ref = full(world)
    world.write("docs/a.md", "Parcels take 5 days.")
    with pytest.raises(ModelError, match=r"changed while the run went on"):
        load_prompting(ref.prompting, ref.prompting_digest or "")


def test_a_yaml_and_its_model_share_one_loading(world: World) -> None:
    refs = [world.refer("scripted:model.jsonl"), world.yaml("system: x")]
    opened = open_models(refs)
    models = [model for _, model in opened]
    assert [isinstance(model, PromptedModel) for model in models] == [False, True]
    response = models[1].generate([Request(messages=ask("?"), case="a")], on_done=lambda index, response: None)
    assert response[0].text == "yes"


class Echo:
    """A model that writes down what reaches it."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.scored: list[ScoreRequest] = []

    def generate(self, requests: Sequence[Request], *, on_done: Callable[[int, Response], None]) -> list[Response]:
        self.asked += requests
        return [Response(text="ok") for _ in requests]

    def score(
        self, requests: Sequence[ScoreRequest], *, on_done: Callable[[int, TokenScores], None]
    ) -> list[TokenScores]:
        self.scored += requests
        return [TokenScores(logprobs=(-1.0,)) for _ in requests]

    def close(self) -> None:
        pass


def test_choices_are_scored_as_answers_to_the_changed_prompt_and_prose_as_it_is(world: World) -> None:
    echo = Echo()
    model = PromptedScoringModel(echo, world.prompting("system: Be brief."))
    requests = [ScoreRequest(text="4", messages=ask("2+2?")), ScoreRequest(text="Once upon a time")]
    model.score(requests, on_done=lambda index, scores: None)
    assert said(echo.scored[0].messages) == [("system", "Be brief."), ("user", "2+2?")]
    assert echo.scored[1].messages == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sytem: x", "unknown key 'sytem': did you mean 'system'?"),
        ("retriever: {folder: docs, topk: 1}", "retriever: unknown key 'topk': did you mean 'top_k'?"),
        ("sampling: {temprature: 1}", "sampling: unknown key 'temprature': did you mean 'temperature'?"),
        ("examples: [{promt: x}]", "examples, number 1: unknown key 'promt': did you mean 'prompt'?"),
        ("examples: [{prompt: x}]", 'examples, number 1: An example is {"prompt"'),
        ("system: ' '", "system is empty"),
        ("system: a\nsystem: b", "duplicate key 'system'"),
        ("retriever: {folder: nowhere}", "there is no folder"),
        ("retriever: {folder: empty}", "has no document (.md, .markdown, .jsonl)"),
        ("retriever: {folder: blank}", "the documents have no text"),
        ("retriever: {folder: docs, top_k: 0}", "top_k = 0: at least one passage"),
        ("retriever: {folder: docs, template: hello}", "template has no {passages}"),
        ("sampling: {temperature: -1}", "temperature = -1.0: 0 or more"),
        ("sampling: {max_tokens: many}", "sampling.max_tokens"),
        ("examples: gone.jsonl", "there is no file"),
        ("examples: broken.jsonl", "broken.jsonl:2: not valid JSON"),
        ("examples: latin.jsonl", "latin.jsonl:1: byte 0xe9 is not UTF-8"),
        ("examples: nothing.jsonl", "no examples in it"),
        ("examples: ends.jsonl", "ends.jsonl:1: an example begins with the user and ends with the assistant's"),
        ("examples: ruled.jsonl", "ruled.jsonl:1: an example has a system message"),
        ("retriever: {folder: rows}", "rows/rows.jsonl:2: unknown key 'txt': did you mean 'text'?"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_the_next_step(world: World, text: str, words: str) -> None:
    row = '{"prompt": "a", "completion": "b"}\n'
    (world.path / "empty").mkdir()
    world.write("blank/a.md", "# Only a title\n\n")
    world.write("docs/a.md", "text")
    world.write("rows/rows.jsonl", '{"text": "a"}\n{"txt": "b"}\n')
    world.write("broken.jsonl", row + "{oops\n")
    world.write("nothing.jsonl", "\n")
    world.write("ends.jsonl", '{"messages": [{"role": "user", "content": "a"}]}\n')
    world.write("ruled.jsonl", '{"messages": [{"role": "system", "content": "a"}]}\n')
    (world.path / "latin.jsonl").write_bytes(b'{"prompt": "caf\xe9"}\n')
    assert words in world.refused(text)


def test_yamls_that_name_each_other_are_told_so(world: World) -> None:
    world.write("b.yaml", "model: a.yaml\n")
    with pytest.raises(ModelError, match=re.escape("(a.yaml -> b.yaml -> a.yaml)")):
        world.yaml(model="b.yaml", name="a.yaml")


def test_a_missing_yaml_is_told_with_those_that_are_there(world: World) -> None:
    world.yaml(name="few-shot.yaml")
    with pytest.raises(ModelError, match=r"no such model YAML.*there is: few-shot\.yaml"):
        world.refer(str(world.path / "fewshot.yaml"))


def test_a_yaml_without_a_model_and_a_recipe_are_told_apart(world: World) -> None:
    world.write("plain.yaml", "system: x\n")
    with pytest.raises(ModelError, match="no key model"):
        world.refer(str(world.path / "plain.yaml"))
    world.write("recipe.yaml", "name: triage\ndata: {train: x.jsonl}\n")
    with pytest.raises(ModelError, match=r"this is a training recipe.*harness train"):
        world.refer(str(world.path / "recipe.yaml"))


def test_terms_are_folded_words_and_the_characters_and_pairs_of_unspaced_scripts() -> None:
    assert terms("ＡＢＣ Refunds, TK-12 naïve_x") == ["abc", "refunds", "tk", "12", "naïve", "x"]
    assert terms("退款单x") == ["退", "款", "单", "退款", "款单", "x"]
    assert terms("ありがとう")[:2] == ["あ", "り"]
    assert terms("。？！ ... 🙂") == []


def test_headings_give_a_trail_and_code_keeps_its_hashes(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("before\n# A\ntext a\n## B ##\n```\n# no heading\n```\n# C\n### D\ntext d\n", encoding="utf-8")
    found = [(p.title, p.text, p.where.rpartition(":")[2]) for p in read_passages([file], 500)]
    assert found == [
        ("", "before", "1"),
        ("A", "text a", "2"),
        ("A > B", "```\n# no heading\n```", "4"),
        ("C > D", "text d", "9"),
    ]


paragraphs = st.lists(
    st.text(alphabet=st.sampled_from("ab 退款。！.? \n"), min_size=1, max_size=120), min_size=1, max_size=6
)


@settings(max_examples=60)
@given(paragraphs=paragraphs, most=st.integers(50, 90))
def test_cutting_loses_no_character_and_keeps_to_the_limit(
    tmp_path_factory: pytest.TempPathFactory, paragraphs: list[str], most: int
) -> None:
    text = "\n\n".join(paragraphs)
    if not text.strip():
        return
    file = tmp_path_factory.mktemp("docs") / "a.md"
    file.write_text(text, encoding="utf-8")
    passages = read_passages([file], most)
    assert all(0 < len(passage.text) <= most for passage in passages)
    assert "".join("".join(p.text.split()) for p in passages) == "".join(text.split())


@settings(max_examples=60)
@given(
    texts=st.lists(st.text(alphabet="abc 退款配送", max_size=12), min_size=1, max_size=8),
    question=st.text(alphabet="abcz 退款", max_size=8),
    top_k=st.integers(1, 4),
)
def test_what_is_found_shares_a_term_and_is_the_same_every_time(texts: list[str], question: str, top_k: int) -> None:
    from harness.models.prompting.passages import Passage

    passages = [Passage(title="", text=text, where=str(i)) for i, text in enumerate(texts)]
    found = Index(passages).best(question, top_k)
    sharing = [p for p in passages if set(terms(p.text)) & set(terms(question))]
    assert len(found) == min(top_k, len(sharing))
    assert all(p in sharing for p in found)
    assert found == Index(passages).best(question, top_k)
