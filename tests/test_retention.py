from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.config import EndpointConfig
from harness.errors import GenerationError
from harness.generation import Answers, GenerationPlan, GenerationStats
from harness.golden import GoldenCase, GoldenSet, Kind
from harness.models import Response, Sampling, TokenScores
from harness.models.endpoints import endpoint_ref
from harness.models.refs import ModelRef
from harness.policy import GatePolicy
from harness.pytest_plugin.kept import kept_texts
from harness.record import Role, SetResult
from harness.retention import Retention, measure, plan_retention
from harness.retention.bleed import answered_in_json, asks_for_format
from harness.retention.choices import choices_of
from harness.retention.measurement import KL_CASES
from harness.store import response_key, score_key

SAMPLING = Sampling(max_tokens=32)
JSON = '{"category": "capital", "priority": "normal"}'


def model(name: str, *, adapter: bool = False, engine: Any = "hf") -> ModelRef:
    return ModelRef(
        text=name,
        label=name,
        engine=engine,
        base="base" if engine == "hf" else name,
        base_digest="b" * 64 if engine == "hf" else name * 8,
        adapter=f"{name}/adapter" if adapter else None,
        adapter_digest=name * 8 if adapter else None,
    )


BASE = model("base")
TUNED = model("tuned", adapter=True)
REFS: dict[Role, ModelRef] = {"candidate": TUNED, "baseline": BASE, "root": BASE}


def golden(kind: Kind, *cases: GoldenCase, name: str = "retention/general") -> GoldenSet:
    return GoldenSet(
        name=name,
        path=Path(f"golden_sets/{name}.jsonl"),
        kind=kind,
        digest="d" * 64,
        cases=cases,
        lines=tuple(range(1, len(cases) + 1)),
    )


def ask(name: str, answer: str, **fields: Any) -> GoldenCase:
    return GoldenCase(id=name, input=f"What is {name}?", checks=({"includes": answer},), **fields)


def answered(
    golden_set: GoldenSet,
    refs: Mapping[Role, ModelRef],
    *,
    says: Mapping[tuple[str, str], str | Response] | None = None,
    likes: Mapping[tuple[str, str], float] | None = None,
    diverges: float | None = 0.1,
) -> Answers:
    """Answers to exactly what `plan_retention` plans: `says[label, case]`, `likes[label, text]` nats per token."""
    plan = GenerationPlan()
    for ref in refs.values():
        plan_retention(golden_set, ref, plan, sampling=SAMPLING)
    responses = {}
    for ref, request in plan.requests.values():
        said = (says or {}).get((ref.label, request.case), "")
        responses[response_key(ref, request)] = said if isinstance(said, Response) else Response(text=said)
    scores = {}
    for ref, request in plan.score_requests.values():
        value = (likes or {}).get((ref.label, request.text), -1.0)
        scores[score_key(ref, request)] = TokenScores(
            logprobs=(value,) * len(request.text.split()),
            kl_to_base=(diverges,) * len(request.text.split()) if request.kl and diverges is not None else None,
        )
    stats = GenerationStats(generated=0, scored=0, reused=0, loaded=(), seconds={})
    return Answers(responses, scores, stats)


def seen(golden_set: GoldenSet, refs: Mapping[Role, ModelRef] = REFS, **told: Any) -> SetResult:
    return measure(golden_set, answered(golden_set, refs, **told), refs, sampling=SAMPLING)


def probes(result: SetResult) -> dict[str, Any]:
    return {probe.probe: probe for probe in result.probes}


# What is planned


def test_a_question_is_asked_once_and_its_target_scored() -> None:
    plan = GenerationPlan()
    plan_retention(
        golden("ask", ask("sum", "4", target="It is 4."), ask("no-target", "x")), BASE, plan, sampling=SAMPLING
    )
    assert [request.case for _, request in plan.requests.values()] == ["sum", "no-target"]
    assert [request.text for _, request in plan.score_requests.values()] == ["It is 4."]


def test_each_choice_is_scored_as_the_answer_to_the_question() -> None:
    plan = GenerationPlan()
    case = GoldenCase(id="hive", input="Which animal lives in a hive?", choices=("fox", "bee"), answer="bee")
    plan_retention(golden("choice", case), BASE, plan, sampling=SAMPLING)
    asked = [request for _, request in plan.score_requests.values()]
    assert [request.text for request in asked] == ["fox", "bee"]
    assert all(request.messages == case.conversation for request in asked)
    assert not plan.requests


def test_prose_is_scored_without_any_question() -> None:
    plan = GenerationPlan()
    plan_retention(golden("text", GoldenCase(id="tide", text="The tide slips out.")), BASE, plan, sampling=SAMPLING)
    assert [(r.text, r.messages) for _, r in plan.score_requests.values()] == [("The tide slips out.", ())]


def test_a_model_without_token_scores_is_only_asked() -> None:
    plan = GenerationPlan()
    scripted = model("scripted:a.jsonl", engine="scripted")
    plan_retention(golden("ask", ask("sum", "4", target="It is 4.")), scripted, plan, sampling=SAMPLING)
    plan_retention(golden("text", GoldenCase(id="tide", text="The tide.")), scripted, plan, sampling=SAMPLING)
    assert len(plan.requests) == 1
    assert not plan.score_requests


def test_divergence_is_measured_for_adapters_only_and_on_a_limited_number_of_cases() -> None:
    texts = golden("text", *(GoldenCase(id=f"t{i}", text=f"Text {i}.") for i in range(200)))
    plan = GenerationPlan()
    plan_retention(texts, BASE, plan, sampling=SAMPLING)
    assert not any(request.kl for _, request in plan.score_requests.values())
    plan_retention(texts, TUNED, plan, sampling=SAMPLING)
    diverging = [request.case for _, request in plan.score_requests.values() if request.kl]
    assert len(diverging) == KL_CASES
    assert diverging[0] == "t0"
    assert int(diverging[-1][1:]) > 190, "spread over the file, not its head"


# What is measured


def test_a_case_passes_when_all_its_checks_do_for_each_model() -> None:
    case = GoldenCase(id="paris", input="Capital of France?", checks=({"includes": "Paris"}, {"max_words": 5}))
    result = seen(golden("ask", case), says={("tuned", "paris"): JSON, ("base", "paris"): "It is Paris."})
    (found,) = result.cases
    assert (found.candidate, found.baseline, found.root) == (0.0, 1.0, 1.0)
    assert found.same_answer is False
    assert [(t.test, t.candidate, t.baseline) for t in found.tests] == [
        ("includes:Paris", 0.0, 1.0),
        ("max_words:5", 1.0, 1.0),
    ]
    assert "Paris" in found.tests[0].explanation
    assert found.tests[1].explanation == "", "only the candidate's misses are explained"
    assert found.answers["candidate"] != found.answers["baseline"]
    assert found.answers["root"] == found.answers["baseline"], "the same weights gave one answer"
    assert result.retention


def test_cut_off_answers_are_counted_and_equal_answers_noticed() -> None:
    cut = Response(text="Par", finish_reason="length")
    result = seen(golden("ask", ask("paris", "Paris")), says={("tuned", "paris"): cut, ("base", "paris"): "Par"})
    (found,) = result.cases
    assert found.cut_off == 1
    assert found.same_answer is True
    assert found.same_answer_as_root is True


def test_a_red_line_stays_one() -> None:
    (found,) = seen(golden("ask", ask("paris", "Paris", red_line=True))).cases
    assert found.tests[0].lane == "red_line"


def test_a_question_without_checks_is_probed_but_has_no_pass_or_fail() -> None:
    open_question = GoldenCase(id="poem", input="Write a poem.")
    result = seen(golden("ask", open_question, ask("sum", "4")), says={("tuned", "poem"): JSON})
    assert [case.case for case in result.cases] == ["sum"]
    assert probes(result)["bleed"].candidate == (1.0, 0.0)


def test_bleed_is_an_alarm_and_counts_only_questions_that_did_not_ask_for_the_format() -> None:
    cases = (
        ask("paris", "Paris"),
        GoldenCase(id="as-json", input="Give the capital of France as JSON.", checks=("valid_json",)),
    )
    result = seen(golden("ask", *cases), says={("tuned", "paris"): JSON, ("tuned", "as-json"): JSON})
    bleed = probes(result)["bleed"]
    assert (bleed.role, bleed.higher_is_better, bleed.cases) == ("alarm", False, ("paris",))
    assert (bleed.candidate, bleed.baseline, bleed.root) == ((1.0,), (0.0,), (0.0,))


def test_likelihood_length_and_divergence_are_advisory() -> None:
    result = seen(
        golden("ask", ask("paris", "Paris", target="It is Paris.")),
        says={("tuned", "paris"): "Paris", ("base", "paris"): "It is 巴黎 of course."},
        likes={("tuned", "It is Paris."): -2.0, ("base", "It is Paris."): -0.5},
    )
    found = probes(result)
    assert (found["target_nll"].candidate, found["target_nll"].baseline) == ((2.0,), (0.5,))
    assert (found["length"].candidate, found["length"].baseline) == ((1.0,), (6.0,))
    assert found["kl"].candidate == pytest.approx((0.1,))
    assert found["kl"].baseline is None, "the base does not diverge from itself"
    assert {found[name].role for name in ("target_nll", "length", "kl")} == {"advisory"}


def test_the_likeliest_choice_is_the_one_with_the_highest_sum_over_its_tokens() -> None:
    case = GoldenCase(id="hive", input="Who lives in a hive?", choices=("a honey bee", "fox"), answer="fox")
    likes = {
        # Per token the bee is likelier (-1 against -2), as a whole it is not (-3 against -2).
        ("tuned", "a honey bee"): -1.0,
        ("tuned", "fox"): -2.0,
        ("base", "a honey bee"): -0.1,
        ("base", "fox"): -2.0,
    }
    (found,) = seen(golden("choice", case), likes=likes).cases
    assert (found.candidate, found.baseline) == (1.0, 0.0)
    assert found.same_answer is False
    assert found.answers == {}


def test_a_wrong_choice_is_explained() -> None:
    case = GoldenCase(id="hive", input="Who lives in a hive?", choices=("fox", "bee"), answer="bee")
    (found,) = seen(golden("choice", case), likes={("tuned", "fox"): -0.5, ("tuned", "bee"): -3.0}).cases
    assert found.tests[0].explanation == "chose 'fox' (log-likelihood -0.50) over the answer 'bee' (-3.00)"


def test_a_run_keeps_every_choice_with_each_models_likelihood() -> None:
    case = GoldenCase(id="hive", input="Who lives in a hive?", choices=("fox", "honey bee"), answer="honey bee")
    likes = {("tuned", "fox"): -0.5, ("tuned", "honey bee"): -3.0, ("base", "fox"): -2.0, ("base", "honey bee"): -0.5}
    of = golden("choice", case)
    answers = answered(of, REFS, likes=likes)
    result = measure(of, answers, REFS, sampling=SAMPLING)
    session = SimpleNamespace(refs=SimpleNamespace(roles=lambda: REFS), answers=answers, texts=lambda keys: {})
    kept = kept_texts(cast("Any", session), of, result)[f"choices:{of.name}:hive"].text
    found = choices_of(result.cases[0], kept)
    assert found is not None
    assert found.whole
    assert [option.text for option in found.options] == ["fox", "honey bee"]
    assert (found.options[0].scores["candidate"], found.options[1].scores["baseline"]) == (-0.5, -1.0)
    assert (found.taken["candidate"], found.taken["baseline"], found.answer) == ("fox", "honey bee", "honey bee")
    told = choices_of(result.cases[0])
    assert told is not None
    assert (told.taken, told.lead, told.whole) == (found.taken, found.lead, False), "the check tells as much of a miss"


def test_prose_gives_probes_and_no_cases() -> None:
    result = seen(
        golden("text", GoldenCase(id="tide", text="The tide."), name="retention/texts"),
        likes={("tuned", "The tide."): -1.5},
    )
    assert result.cases == ()
    assert probes(result)["prose_nll"].candidate == (1.5,)
    assert probes(result)["prose_nll"].baseline == (1.0,)


def test_what_a_model_cannot_give_is_said_and_never_guessed() -> None:
    scripted = model("scripted:a.jsonl", engine="scripted")
    refs: dict[Role, ModelRef] = {"candidate": scripted, "baseline": BASE}
    prose = seen(golden("text", GoldenCase(id="tide", text="The tide.")), refs)
    assert prose.probes == ()
    assert prose.unavailable == ("prose_nll: scripted models know no log-likelihoods (scripted:a.jsonl, candidate)",)
    case = GoldenCase(id="hive", input="?", choices=("fox", "bee"), answer="bee")
    choices = seen(golden("choice", case), refs)
    assert choices.cases == ()
    assert choices.unavailable == ("choices: scripted models know no log-likelihoods (scripted:a.jsonl, candidate)",)


@pytest.mark.parametrize(
    ("token_scores", "prose", "choices"), [(None, False, False), ("prose", True, False), ("all", True, True)]
)
def test_a_server_is_asked_for_the_scores_that_its_endpoint_says_it_gives(token_scores, prose, choices) -> None:
    endpoint = EndpointConfig(url="http://127.0.0.1:1/v1", model="m", token_scores=token_scores)
    refs: dict[Role, ModelRef] = {"candidate": endpoint_ref("m", "m", endpoint, ()), "baseline": BASE}
    texts = seen(golden("text", GoldenCase(id="tide", text="The tide.")), refs)
    assert bool(texts.probes) is prose
    assert bool(texts.unavailable) is not prose
    case = GoldenCase(id="hive", input="?", choices=("fox", "bee"), answer="bee")
    chosen = seen(golden("choice", case), refs)
    assert bool(chosen.cases) is choices
    assert bool(chosen.unavailable) is not choices


def test_a_likelihood_that_is_no_number_is_an_error() -> None:
    texts = golden("text", GoldenCase(id="tide", text="The tide."))
    with pytest.raises(GenerationError, match=r"tuned.*'tide'.*float32"):
        seen(texts, likes={("tuned", "The tide."): float("nan")})


@pytest.mark.parametrize(
    ("text", "finish", "bled"),
    [
        (JSON, "stop", True),
        (f"```json\n{JSON}\n```", "stop", True),
        (f"{JSON} That is all.", "stop", True),
        ('["a", "b"]', "stop", True),
        ('{"category": "cap', "length", True),
        ('{"category": "cap', "stop", False),
        ("{}", "stop", False),
        ("[1] is a footnote", "stop", False),
        ("The capital is Paris.", "stop", False),
        ('The answer is {"a": 1}.', "stop", False),
        ("{curly} words", "length", False),
        ("", "stop", False),
        pytest.param("[" * 2000, "length", False, id="brackets without end"),
        pytest.param('{"a":' * 2000, "length", True, id="objects without end"),
    ],
)
def test_bleed_is_json_where_prose_belongs(text: str, finish: Any, bled: bool) -> None:
    assert answered_in_json(Response(text=text, finish_reason=finish)) is bled


@pytest.mark.parametrize("question", ["Answer as JSON.", "Write a Python dict.", "返回一个数组"])
def test_questions_that_ask_for_a_format_are_known(question: str) -> None:
    assert asks_for_format(GoldenCase(id="x", input=question))
    assert not asks_for_format(GoldenCase(id="x", input="What is the capital of France?"))


@pytest.mark.parametrize(
    ("check", "asks"),
    [
        ("valid_json", True),
        ({"json_field": {"path": "a", "equals": 1}}, True),
        ({"includes": "json"}, False),
        ({"not": "valid_json"}, False),
    ],
)
def test_only_checks_of_a_format_ask_for_one(check: Any, asks: bool) -> None:
    assert asks_for_format(GoldenCase(id="x", input="What is PNG short for?", checks=(check,))) is asks


# What is answered


def lost(of: int, worse: int, better: int = 0, *, name: str = "retention/general", bled: int = 0) -> SetResult:
    """A set of `of` cases that the base passes but for `better`, and of which the candidate misses `worse`."""
    says: dict[tuple[str, str], str] = {}
    for i in range(of):
        says["base", f"q{i}"] = "no" if worse <= i < worse + better else "yes"
        says["tuned", f"q{i}"] = (JSON if i < bled else "no") if i < worse else "yes"
    return seen(golden("ask", *(ask(f"q{i}", "yes") for i in range(of)), name=name), says=says)


def test_a_candidate_that_kept_everything_is_not_worse() -> None:
    answer = Retention([lost(240, 6, 5)], GatePolicy(margin=0.1)).not_worse()
    assert answer.status == "PASS"
    assert "a drop of 10 points is ruled out" in answer.reason
    assert answer


def test_forgetting_fails_with_the_set_and_its_cases_in_words() -> None:
    answer = Retention([lost(250, 121, 3)], GatePolicy(margin=0.1)).not_worse()
    assert answer.status == "FAIL"
    assert "retention/general 247 -> 129 of 250 (121 worse, 3 better)" in answer.reason
    assert "against the baseline" in answer.reason
    assert not answer


def test_bleed_alone_fails() -> None:
    # Every answer still holds the right word, so no check notices.
    cases = tuple(ask(f"q{i}", "yes") for i in range(120))
    says = {("base", c.id): "yes" for c in cases} | {("tuned", c.id): '{"answer": "yes"}' for c in cases}
    answer = Retention([seen(golden("ask", *cases), says=says)], GatePolicy()).not_worse()
    assert answer.status == "FAIL"
    assert "retention/general bleed 0 -> 120 of 120 (120 worse, 0 better)" in answer.reason


def test_too_few_cases_are_inconclusive_and_say_how_many_would_do() -> None:
    answer = Retention([lost(40, 2, 2)], GatePolicy(margin=0.05)).not_worse()
    assert answer.status == "INCONCLUSIVE"
    assert "more cases would settle it" in answer.reason


def test_sets_are_pooled_and_alarms_shared_between_them() -> None:
    small = lost(60, 3, 2, name="retention/small")
    assert Retention([small], GatePolicy(margin=0.05)).not_worse().status == "INCONCLUSIVE"
    large = lost(400, 2, 2, name="retention/large")
    assert Retention([small, large], GatePolicy(margin=0.05)).not_worse().status == "PASS"


def test_the_root_base_counts_as_much_as_the_baseline() -> None:
    """A baseline that has itself forgotten must not hide what the candidate lost."""
    refs: dict[Role, ModelRef] = {"candidate": TUNED, "baseline": model("shipped", adapter=True), "root": BASE}
    cases = tuple(ask(f"q{i}", "yes") for i in range(200))
    says = {("base", c.id): "yes" for c in cases}
    for label in ("tuned", "shipped"):
        says |= {(label, c.id): "no" if i < 60 else "yes" for i, c in enumerate(cases)}
    answer = Retention([seen(golden("ask", *cases), refs, says=says)], GatePolicy(margin=0.1)).not_worse()
    assert answer.status == "FAIL"
    assert "200 -> 140 of 200 (60 worse, 0 better) against the root" in answer.reason
    assert "baseline" not in answer.reason


def test_equal_answers_are_equal_however_few() -> None:
    answer = Retention([lost(5, 0)], GatePolicy()).not_worse()
    assert (answer.status, answer.reason) == ("PASS", "same answers as the baseline")


def test_without_anything_to_compare_with_there_is_no_answer() -> None:
    result = seen(golden("ask", ask("paris", "Paris")), {"candidate": BASE})
    answer = Retention([result], GatePolicy()).not_worse()
    assert answer.status == "INVALID"
    assert "--baseline" in answer.reason


def test_a_model_is_not_judged_against_itself() -> None:
    refs: dict[Role, ModelRef] = {"candidate": TUNED, "baseline": TUNED, "root": BASE}
    answer = Retention([lost(20, 0)], GatePolicy(), refs=refs).not_worse()
    assert answer.status == "INVALID"
    assert "same weights" in answer.reason


def test_a_set_of_which_nothing_was_measured_makes_the_whole_invalid() -> None:
    scripted = model("scripted:a.jsonl", engine="scripted")
    prose = seen(golden("text", GoldenCase(id="t", text="The tide."), name="retention/texts"), {"candidate": scripted})
    answer = Retention([lost(300, 0), prose], GatePolicy()).not_worse()
    assert answer.status == "INVALID"
    assert "retention/texts: nothing was measured (prose_nll" in answer.reason


def test_prose_alone_decides_nothing() -> None:
    prose = seen(golden("text", GoldenCase(id="t", text="The tide.")))
    assert Retention([prose], GatePolicy()).not_worse().status == "INVALID"


def test_rates_are_shares_by_set_and_role_and_the_repr_is_one_line() -> None:
    retention = Retention([lost(10, 4)], GatePolicy())
    assert retention.rates() == {"retention/general": {"candidate": 0.6, "baseline": 1.0, "root": 1.0}}
    assert repr(retention) == "Retention(retention/general 60.0%)"


def test_requests_are_equal_for_planning_and_measuring() -> None:
    """A key that was not planned would be a KeyError in the middle of a session."""
    sets = (
        golden("ask", ask("a", "x", target="x y"), GoldenCase(id="b", input="?")),
        golden("choice", GoldenCase(id="c", input="?", choices=("p", "q"), answer="q")),
        golden("text", GoldenCase(id="d", text="Some prose.")),
    )
    for golden_set in sets:
        seen(golden_set)
