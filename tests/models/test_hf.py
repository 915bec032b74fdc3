from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from tiny_llama import ask, build_adapter, build_base, score
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.errors import GenerationError, ModelError
from harness.models import FunctionCall, Message, Request, Response, ScoreRequest, TokenScores, ToolCall
from harness.models.hf.prompts import Prompts
from harness.models.opening import open_models
from harness.models.refs import ModelRef
from harness.noise import VARIANTS, once_more

Refer = Callable[..., ModelRef]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other are slower than one on models this small, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


PROMPTS = [
    "Hi",
    "What is the capital of France?",
    "二加二等于几？",
    "x" * 70,
    "Name three colours.",
    "Why?",
    "?",
    "Go on.",
]


def answers(ref: ModelRef, requests: Sequence[Request]) -> list[Response]:
    return of_each([ref], requests)[0]


def of_each(refs: Sequence[ModelRef], requests: Sequence[Request]) -> list[list[Response]]:
    told = [model.generate(requests, on_done=lambda index, response: None) for _, model in open_models(refs)]
    return [untimed(said) for said in told]


def untimed(said: Sequence[Response]) -> list[Response]:
    """What was said; how long it took is another matter."""
    return [msgspec.structs.replace(response, timing=None) for response in said]


def scores(ref: ModelRef, requests: Sequence[ScoreRequest]) -> list[TokenScores]:
    return scores_of_each([ref], requests)[0]


def scores_of_each(refs: Sequence[ModelRef], requests: Sequence[ScoreRequest]) -> list[list[TokenScores]]:
    return [
        model.score(requests, on_done=lambda index, scores: None)  # type: ignore[attr-defined]
        for _, model in open_models(refs)
    ]


def bare_answer(base: Path, request: Request) -> tuple[str, int]:
    """What transformers alone says, one prompt at a time: text and number of tokens."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(base)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": request.messages[0].content}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    stops = [*model.generation_config.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")]
    output = model.generate(
        **prompt, max_new_tokens=request.sampling.max_tokens, do_sample=False, eos_token_id=stops, pad_token_id=0
    )[0, prompt["input_ids"].shape[1] :].tolist()
    if output[-1] in stops:
        output.pop()
    return tokenizer.decode(output, skip_special_tokens=True), len(output)


def test_batched_answers_equal_those_of_bare_transformers_one_by_one(base: Path, refer: Refer) -> None:
    requests = [ask(text, max_tokens=8 * (1 + i % 4)) for i, text in enumerate(PROMPTS)]
    batched = answers(refer(f"hf:{base}", batch_size=8), requests)
    assert [(r.text, r.completion_tokens) for r in batched] == [bare_answer(base, r) for r in requests]
    # The worlds in which this test means something: some rows end early, at different steps, and some do not.
    assert {r.finish_reason for r in batched} == {"stop", "length"}
    assert len({r.completion_tokens for r in batched}) > 3


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_batch_size_changes_no_text(base: Path, refer: Refer, batch_size: int) -> None:
    requests = [ask(text) for text in PROMPTS]
    expected = answers(refer(f"hf:{base}", batch_size=8), requests)
    assert answers(refer(f"hf:{base}", batch_size=batch_size), requests) == expected


def test_the_head_is_never_copied_for_each_row(base: Path, refer: Refer) -> None:
    """A view with gaps, as transformers hands it on after the prompts, makes torch do that."""
    packed = []
    for _, model in open_models([refer(f"hf:{base}", batch_size=8)]):
        head = model._model.get_output_embeddings()  # type: ignore[attr-defined]
        hook = head.register_forward_hook(lambda module, inputs, output: packed.append(inputs[0].is_contiguous()))
        model.generate([ask(text) for text in PROMPTS], on_done=lambda index, response: None)
        hook.remove()
    assert packed
    assert all(packed)


def test_each_answer_is_reported_once_and_under_its_own_index(base: Path, refer: Refer) -> None:
    seen: dict[int, Response] = {}
    requests = [ask(text) for text in PROMPTS]
    for _, model in open_models([refer(f"hf:{base}", batch_size=3)]):
        result = model.generate(requests, on_done=lambda i, r: seen.update({i: r}))
    assert seen == dict(enumerate(result))


def test_an_answer_that_reaches_max_tokens_says_so(base: Path, refer: Refer) -> None:
    cut, whole = answers(refer(f"hf:{base}"), [ask("Hi", max_tokens=1), ask("Hi", max_tokens=200)])
    assert (cut.finish_reason, cut.completion_tokens) == ("length", 1)
    assert whole.finish_reason == "stop"
    assert whole.text.startswith(cut.text)


def test_a_stop_string_ends_the_answer_and_is_left_out(base: Path, refer: Refer) -> None:
    ref = refer(f"hf:{base}")
    free = max(answers(ref, [ask(text, max_tokens=40) for text in PROMPTS]), key=lambda r: len(r.text))
    prompt = PROMPTS[answers(ref, [ask(text, max_tokens=40) for text in PROMPTS]).index(free)]
    stop = free.text[5:7]
    (cut,) = answers(ref, [ask(prompt, max_tokens=40, stop=(stop,))])
    assert cut.text == free.text[: free.text.index(stop)]
    assert cut.finish_reason == "stop"


def test_a_model_asked_once_more_really_works_in_other_batches_and_another_format(base: Path, refer: Refer) -> None:
    ref = refer(f"hf:{base}", batch_size=8)
    refs = [ref, *(once_more(ref, variant) for variant in VARIANTS)]
    sizes = {asked.label: model._batches.size for asked, model in open_models(refs)}  # type: ignore[attr-defined]
    assert [sizes[asked.label] for asked in refs] == [8, 8, 2, 8]
    assert len({asked.dtype for asked in refs}) == 2
    requests = [ask(text) for text in PROMPTS]
    same, again, *_ = of_each(refs, requests)
    assert same == again


def test_the_models_generation_config_is_ignored(base: Path, refer: Refer, tmp_path: Path) -> None:
    other = shutil.copytree(base, tmp_path / "other")
    file = other / "generation_config.json"
    wild = {"do_sample": True, "temperature": 9.0, "repetition_penalty": 5.0, "max_length": 3, "min_length": 30}
    file.write_text(json.dumps({**json.loads(file.read_text()), **wild}))
    requests = [ask(text) for text in PROMPTS]
    assert answers(refer(f"hf:{other}"), requests) == answers(refer(f"hf:{base}"), requests)


def test_sampled_answers_depend_on_the_seed_and_sample_and_not_on_the_batch(base: Path, refer: Refer) -> None:
    requests = [ask("Hi", temperature=1.0, seed=seed, sample=i) for seed in (0, 1) for i in range(4)]
    together = answers(refer(f"hf:{base}", batch_size=8), [*requests, *(ask(text) for text in PROMPTS)])
    alone = answers(refer(f"hf:{base}", batch_size=1), requests)
    assert together[: len(alone)] == alone
    assert len({r.text for r in alone}) > 5
    assert together[len(alone) :] == answers(refer(f"hf:{base}"), [ask(text) for text in PROMPTS])


def test_a_nucleus_of_one_token_is_greedy(base: Path, refer: Refer) -> None:
    ref = refer(f"hf:{base}")
    greedy = [r.text for r in answers(ref, [ask(text) for text in PROMPTS])]
    assert [r.text for r in answers(ref, [ask(text, temperature=1.0, top_p=1e-6) for text in PROMPTS])] == greedy


def test_sampling_follows_the_models_probabilities(base: Path, refer: Refer) -> None:
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(base)
    ids = tokenizer("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", return_tensors="pt")["input_ids"]
    shares = torch.softmax(model(ids).logits[0, -1].detach() / 0.5, dim=-1)
    best = int(shares.argmax())
    n = 400
    requests = [ask("Hi", temperature=0.5, max_tokens=1, sample=i) for i in range(n)]
    texts = [r.text for r in answers(refer(f"hf:{base}", batch_size=200), requests)]
    expected = float(shares[best])
    share = texts.count(tokenizer.decode([best])) / n
    assert abs(share - expected) < 4 * (expected * (1 - expected) / n) ** 0.5


def test_with_the_adapter_off_the_base_answers_exactly(base: Path, adapter: Path, refer: Refer) -> None:
    tuned = refer(f"hf:{base}+{adapter}")
    requests = [ask(text) for text in PROMPTS]
    texts = [score("The cat sat."), score(" Paris", "Where?")]
    with_adapter, off, again = of_each([tuned, tuned.root, tuned], requests)
    assert off == answers(refer(f"hf:{base}"), requests)
    assert with_adapter == again
    assert with_adapter != off
    assert scores_of_each([tuned, tuned.root], texts)[1] == scores(refer(f"hf:{base}"), texts)


def test_adapters_on_one_base_are_switched_and_load_it_once(
    base: Path, adapter: Path, inert_adapter: Path, refer: Refer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.models.hf import loading

    bases = []
    real = loading.LoadedBase.__init__
    monkeypatch.setattr(loading.LoadedBase, "__init__", lambda self, ref: (bases.append(ref.base), real(self, ref))[1])
    tuned, inert = refer(f"hf:{base}+{adapter}"), refer(f"hf:{base}+{inert_adapter}")
    requests = [ask(text) for text in PROMPTS]
    one, two, three = of_each([tuned, inert, tuned.root], requests)
    assert two == three != one
    assert bases == [str(base)]


def plain_scores(model: Any, context: list[int], tokens: list[int]) -> list[float]:
    """One text, no padding, all logits."""
    logits = model(torch.tensor([context + tokens])).logits[0].detach().double().log_softmax(dim=-1)
    return [float(logits[len(context) - 1 + t, token]) for t, token in enumerate(tokens)]


def test_scores_equal_a_plain_computation(base: Path, refer: Refer) -> None:
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(base)
    asked = [score("The cat sat on the mat."), score(" Paris", "Capital?"), score("他在家。", "?"), score("x")]
    for request, result in zip(asked, scores(refer(f"hf:{base}", batch_size=3), asked), strict=True):
        context = [tokenizer.bos_token_id]
        if request.messages:
            content = request.messages[0].content
            context = tokenizer(f"<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant\n")["input_ids"]
        expected = plain_scores(model, context, tokenizer(request.text)["input_ids"])
        assert result.logprobs == pytest.approx(expected, abs=1e-5)
        assert result.kl_to_base is None


def test_divergence_from_the_base_is_zero_for_an_adapter_that_does_nothing(
    base: Path, inert_adapter: Path, refer: Refer
) -> None:
    (result,) = scores(refer(f"hf:{base}+{inert_adapter}"), [score("The cat sat.", kl=True)])
    assert result.kl_to_base == (0.0,) * len(result.logprobs)


def test_divergence_equals_a_plain_computation(base: Path, adapter: Path, refer: Refer) -> None:
    from peft import PeftModel

    tokenizer = AutoTokenizer.from_pretrained(base)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
    tokens = tokenizer("The cat sat.")["input_ids"]
    ids = torch.tensor([[tokenizer.bos_token_id, *tokens]])
    tuned = model(ids).logits[0, :-1].detach().double().log_softmax(-1)
    with model.disable_adapter():
        plain = model(ids).logits[0, :-1].detach().double().log_softmax(-1)
    expected = (plain.exp() * (plain - tuned)).sum(-1).tolist()
    asked = [score("The cat sat.", kl=True), score("Another one, longer than that.")]
    first, second = scores(refer(f"hf:{base}+{adapter}"), asked)
    assert first.kl_to_base == pytest.approx(expected, abs=1e-5)
    assert min(expected) > 0
    assert second.kl_to_base is None


def test_many_positions_are_scored_in_parts_with_the_same_result(
    base: Path, refer: Refer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.models.hf import scoring

    asked = [score(text * 3) for text in PROMPTS]
    expected = scores(refer(f"hf:{base}"), asked)
    monkeypatch.setattr(scoring, "_MAX_LOGITS", 1)
    monkeypatch.setattr(scoring, "_ROWS_AT_ONCE", 7)
    for one, other in zip(expected, scores(refer(f"hf:{base}"), asked), strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def out_of_memory_above(limit: int, monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[int]:
    """Let the engine fail for batches of more than `limit` rows; gives the list of batch sizes it was tried with."""
    from transformers import LlamaForCausalLM

    sizes: list[int] = []
    real = LlamaForCausalLM.generate

    def generate(self: Any, **arguments: Any) -> Any:
        if arguments["past_key_values"].get_seq_length() == 0:
            sizes.append(len(arguments["input_ids"]))
        if len(arguments["input_ids"]) > limit:
            raise error
        return real(self, **arguments)

    monkeypatch.setattr(LlamaForCausalLM, "generate", generate)
    return sizes


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: not enough memory: you tried"),
    ],
    ids=["cuda", "cpu"],
)
def test_the_batch_is_halved_until_it_fits_and_stays_so(
    base: Path, refer: Refer, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    requests = [ask(text) for text in PROMPTS]
    ref = refer(f"hf:{base}", batch_size=8)
    expected = answers(ref, requests)
    sizes = out_of_memory_above(2, monkeypatch, error)
    assert answers(ref, requests) == expected
    assert sizes == [8, 4, 2, 2, 2, 2]


def test_one_request_that_does_not_fit_is_an_error_with_a_next_step(
    base: Path, refer: Refer, monkeypatch: pytest.MonkeyPatch
) -> None:
    out_of_memory_above(0, monkeypatch, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(GenerationError, match="one request at a time"):
        answers(refer(f"hf:{base}", batch_size=4), [ask("Hi"), ask("Ho")])


def test_answers_finished_before_memory_ran_out_are_not_made_again(
    base: Path, refer: Refer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.models.hf import generating

    done: list[int] = []
    real = generating._Watch
    failed = []

    class FailsLater(real):  # type: ignore[misc, valid-type]
        def __init__(self, rows: Any, prompts: Any, until: int) -> None:
            if done and not failed:
                failed.append(len(rows))
                raise torch.OutOfMemoryError("CUDA out of memory")
            super().__init__(rows, prompts, until)

    requests = [ask(text) for text in PROMPTS]
    ref = refer(f"hf:{base}", batch_size=8)
    expected = answers(ref, requests)
    monkeypatch.setattr(generating, "_Watch", FailsLater)
    for _, model in open_models([ref]):
        assert untimed(model.generate(requests, on_done=lambda i, r: done.append(i))) == expected
    assert failed
    assert sorted(done) == list(range(len(requests)))


def test_answers_that_ended_in_the_very_batch_that_ran_out_of_memory_are_not_lost(
    base: Path, refer: Refer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.models.hf import generating

    failed: list[int] = []

    class FailsInMidBatch(generating._Watch):
        def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
            over = super().__call__(input_ids, scores, **kwargs)
            ended = [row.index for row in self._rows if row.done]
            if not failed and 0 < len(ended) < len(self._rows):
                failed.extend(ended)
                raise torch.OutOfMemoryError("CUDA out of memory")
            return over

    # The second answer ends in the first step; a first answer that got another's place would show.
    requests = [ask("Hi"), ask("Why?", max_tokens=1), ask("Go on."), ask("Name three colours.")]
    ref = refer(f"hf:{base}", batch_size=4)
    expected = answers(ref, requests)
    monkeypatch.setattr(generating, "_Watch", FailsInMidBatch)
    done: dict[int, Response] = {}
    for _, model in open_models([ref]):
        assert untimed(model.generate(requests, on_done=done.__setitem__)) == expected
    assert failed == [1]
    assert untimed([done[i] for i in range(4)]) == expected


def test_an_adapter_of_another_shape_is_refused(base: Path, refer: Refer, tmp_path: Path) -> None:
    wide = build_base(tmp_path / "wide", hidden=48)
    foreign = build_adapter(wide, tmp_path / "foreign", scale=0.1)
    with pytest.raises(ModelError, match=r"foreign: this adapter was made for another base than .*hf:BASE\+"):
        answers(refer(f"hf:{base}+{foreign}"), [ask("Hi")])


def test_an_adapter_with_weights_missing_is_refused(base: Path, adapter: Path, refer: Refer, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(adapter, tmp_path / "broken")
    weights = load_file(broken / "adapter_model.safetensors")
    weights.pop(sorted(weights)[0])
    save_file(weights, broken / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="1 weights are missing"):
        answers(refer(f"hf:{base}+{broken}"), [ask("Hi")])


@pytest.mark.parametrize("changed", [False, True])
def test_an_adapter_that_would_change_the_base_itself_is_refused(
    base: Path, adapter: Path, refer: Refer, tmp_path: Path, changed: bool
) -> None:
    from safetensors.torch import load_file, save_file

    own = tmp_path / "own"
    shutil.copytree(adapter, own)
    embeddings = load_file(base / "model.safetensors")["model.embed_tokens.weight"]
    tensors = load_file(own / "adapter_model.safetensors")
    tensors["base_model.model.model.embed_tokens.weight"] = embeddings.flip(0) if changed else embeddings
    save_file(tensors, own / "adapter_model.safetensors")
    refs = [refer(f"hf:{base}+{own}"), refer(f"hf:{base}")]
    requests = [ask("Hi", max_tokens=4)]
    if changed:
        with pytest.raises(ModelError, match=r"own model\.embed_tokens\.weight, which would change the base"):
            of_each(refs, requests)
    else:
        assert of_each(refs, requests)[1] == answers(refs[1], requests)


def test_an_adapters_own_tokenizer_is_used_with_it(base: Path, adapter: Path, refer: Refer, tmp_path: Path) -> None:
    own = shutil.copytree(adapter, tmp_path / "own")
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = "{{ messages[0]['content'] }}{% if add_generation_prompt %}:{% endif %}"
    tokenizer.save_pretrained(own)
    (plain,) = answers(refer(f"hf:{base}+{adapter}"), [ask("Hi")])
    (changed,) = answers(refer(f"hf:{base}+{own}"), [ask("Hi")])
    assert plain.prompt_tokens > changed.prompt_tokens == 3


TOOL_TEMPLATE = (
    "{% for t in tools or [] %}{{ t.function.name }} {{ t.function.parameters.type }};{% endfor %}"
    "{% for m in messages %}{{ m.role }}:{{ m.content }}{% for c in m.tool_calls or [] %}"
    "{{ c.function.name }}({{ c.function.arguments.city }}){% endfor %};{% endfor %}"
)


def with_tools(template_tokenizer: Any, template: str) -> list[int]:
    tokenizer = copy.deepcopy(template_tokenizer)
    tokenizer.chat_template = template
    prompts = Prompts(tokenizer, eos=[], limit=None, label="tiny")
    call = ToolCall(function=FunctionCall(name="weather", arguments='{"city": "巴黎"}'))
    turns = (
        Message(role="system", content="s"),
        Message(role="user", content="天气？"),
        Message(role="assistant", content="", tool_calls=(call,)),
        Message(role="tool", content="17"),
    )
    tool = {"name": "weather", "parameters": {"type": "object"}}
    return prompts.conversation(turns, case="a-case", tools=(tool,))


def test_every_answer_tells_how_long_it_took_and_beside_how_many(base: Path, refer: Refer) -> None:
    requests = [ask("Hi", max_tokens=1), ask("Why?", max_tokens=12), ask("Go on.", max_tokens=1)]
    for batch_size, together in ((8, {3}), (1, {1})):
        for _, model in open_models([refer(f"hf:{base}", batch_size=batch_size)]):
            timings = [r.timing for r in model.generate(requests, on_done=lambda index, response: None)]
        assert all(timing is not None and timing.seconds > 0 for timing in timings)
        assert {timing.together for timing in timings if timing is not None} == together


def test_tools_and_calls_go_through_the_chat_template(base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    ids = with_tools(tokenizer, TOOL_TEMPLATE)
    sent = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    assert sent == "weather object;system:s;user:天气？;assistant:weather(巴黎);tool:17;"


def test_a_template_that_leaves_tools_out_is_an_error_and_not_another_question(base: Path) -> None:
    with pytest.raises(GenerationError, match=r"does not show tools: 'weather' of case 'a-case'"):
        with_tools(AutoTokenizer.from_pretrained(base), "{% for m in messages %}{{ m.content }}{% endfor %}")


def test_a_case_longer_than_the_model_reads_is_named(base: Path, refer: Refer) -> None:
    with pytest.raises(GenerationError, match=r"case 'y{600}' has 619 prompt tokens, and the model reads at most 512"):
        answers(refer(f"hf:{base}"), [ask("y" * 600)])
    with pytest.raises(GenerationError, match="Split the text"):
        scores(refer(f"hf:{base}"), [score("y" * 600)])


def test_an_empty_text_cannot_be_scored(base: Path, refer: Refer) -> None:
    with pytest.raises(GenerationError, match="empty text"):
        scores(refer(f"hf:{base}"), [score("")])


def test_a_model_without_a_chat_template_says_what_to_do(base: Path, refer: Refer, tmp_path: Path) -> None:
    bare = shutil.copytree(base, tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        answers(refer(f"hf:{bare}"), [ask("Hi")])


def test_weights_that_cannot_be_read_are_a_model_error(base: Path, refer: Refer, tmp_path: Path) -> None:
    cut = shutil.copytree(base, tmp_path / "cut")
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be loaded"):
        answers(refer(f"hf:{cut}"), [ask("Hi")])


def test_a_device_that_is_not_there_is_a_model_error(base: Path, refer: Refer) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(ModelError, match="--device cpu"):
        answers(refer(f"hf:{base}", device="cuda"), [ask("Hi")])


def test_nothing_is_written_to_the_terminal(
    base: Path, adapter: Path, refer: Refer, capfd: pytest.CaptureFixture[str]
) -> None:
    of_each([refer(f"hf:{base}+{adapter}"), refer(f"hf:{base}")], [ask("Hi")])
    assert capfd.readouterr() == ("", "")


@pytest.mark.gpu
def test_a_card_gives_the_texts_of_the_cpu(base: Path, adapter: Path, refer: Refer) -> None:
    requests = [ask(text) for text in PROMPTS]
    for text in (f"hf:{base}", f"hf:{base}+{adapter}"):
        assert answers(refer(text, device="cuda"), requests) == answers(refer(text), requests)
