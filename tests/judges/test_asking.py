"""Both orders of every pair in one batch; what was judged is not judged again; what cannot be read is counted."""

from __future__ import annotations

from pathlib import Path

import known
import pytest

pytest.importorskip("aiohttp")
from served import Server, completion, refusal

from harness.config import EndpointConfig, HarnessConfig, JudgeConfig
from harness.errors import JudgeError
from harness.judges.asking import judge_pairs, read_labels
from harness.judges.early import judge_until_decided
from harness.judges.prompts import Pair
from harness.judges.refs import family_of, flags_of, resolve_judge
from harness.judges.summary import summarise, win_rate_answer
from harness.models.endpoints import endpoint_ref
from harness.store import Store


def pair(case="a", candidate="It is seven.", baseline="It is nine.", **fields):
    return Pair(case=case, question="What is it?", candidate=candidate, baseline=baseline, **fields)


def longer(question, a, b, times):
    return known.better(len(a), len(b))


def test_each_pair_is_judged_in_both_orders_and_asked_once_ever(tmp_path):
    pairs = [pair("a", "longer than the other"), pair("b", "short", "longer than the other")]
    with known.served_judge(longer) as (judge, server), Store(tmp_path / "s.sqlite") as store:
        first = judge_pairs(judge, pairs, store)
        assert len(server.seen) == first.calls == 4
        again = judge_pairs(judge, pairs, store)
        assert len(server.seen) == 4
        changed = judge_pairs(judge, [pairs[0], pair("b", "changed", "longer than the other")], store)
    assert [j.preferred for j in first.judgements] == ["candidate", "baseline"]
    assert again.judgements == first.judgements
    assert (again.calls, changed.calls) == (0, 2)
    assert all(j.judge == judge.digest and j.consistent for j in first.judgements)
    assert "I compared both." in first.judgements[0].reason


def test_answers_that_say_the_same_tie_without_a_call(tmp_path):
    same = [pair("a", "It is  seven.", "It is seven."), pair("b", "“７天”", '"7天"')]
    with known.served_judge(longer) as (judge, server), Store(tmp_path / "s.sqlite") as store:
        found = judge_pairs(judge, same, store)
        assert len(server.seen) == 0
    assert [(j.score, j.same_answer, j.consistent) for j in found.judgements] == [(0.5, True, True)] * 2
    assert summarise(found.judgements).ties == 2
    assert win_rate_answer(found.judgements, "not worse", 0.05).status == "PASS"
    assert win_rate_answer(found.judgements, "better", 0.05).status == "FAIL"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("Both are fine.", "prose"),
        ("", "nothing"),
        ("VERDICT: A and B", "both verdicts"),
        ('{"verdict": ', "malformed JSON"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("La réponse A est meilleure.", "prose"),
    ],
)
def test_an_unread_reply_is_asked_for_once_more_and_then_counted(tmp_path, said, fault, loads):
    with known.served_judge(lambda *_: said) as (judge, server), Store(tmp_path / "s.sqlite") as store:
        found = judge_pairs(judge, [pair()], store)
        assert len(server.seen) == found.calls == 4
        assert "could not be read" not in server.seen[0]["body"]["messages"][0]["content"]
        assert any("had no verdict" in seen["body"]["messages"][0]["content"] for seen in server.seen)
    assert len(loads) == 1
    judgement = found.judgements[0]
    assert (judgement.score, judgement.preferred) == (None, "unread")
    assert (judgement.first.fault, judgement.first.retried) == (fault, True)
    summary = summarise(found.judgements)
    assert (summary.unread, summary.asked, summary.win_rate) == (2, 2, None)
    assert summary.unread_cases == ("a",)
    assert win_rate_answer(found.judgements, "not worse", 0.05).status == "INVALID"


def test_a_second_reply_that_can_be_read_counts(tmp_path):
    def mends(prompt, times, seen):
        return completion("VERDICT: tie" if "had no verdict" in prompt else "hm")

    server = Server(mends)
    try:
        judge = at(server)
        with Store(tmp_path / "s.sqlite") as store:
            found = judge_pairs(judge, [pair()], store).judgements[0]
    finally:
        server.stop()
    assert (found.score, found.first.retried) == (0.5, True)


def test_a_busy_server_is_waited_for(tmp_path):
    def busy(prompt, times, seen):
        return refusal(429, "slow down", retry_after="0.05") if times == 1 else completion("VERDICT: A")

    server = Server(busy)
    try:
        with Store(tmp_path / "s.sqlite") as store:
            found = judge_pairs(at(server), [pair()], store).judgements[0]
    finally:
        server.stop()
    assert (found.score, found.first.score, found.second.score) == (0.5, 1.0, 0.0)


def test_long_answers_are_shortened_alike_and_counted(tmp_path):
    with known.served_judge(longer, context=1024) as (judge, server), Store(tmp_path / "s.sqlite") as store:
        found = judge_pairs(judge, [pair(candidate="word " * 3000)], store)
        shown = server.seen[0]["body"]["messages"][0]["content"]
    assert found.judgements[0].shortened > 5000
    assert "characters left out" in shown
    assert summarise(found.judgements).shortened == 1


def test_a_jury_votes_in_each_order(tmp_path):
    judges = [lambda *_: "A", longer, longer]
    servers = []
    members = []
    for judging in judges:

        def behave(prompt, times, seen, judging=judging):
            return completion(f"VERDICT: {judging(*known.parts(prompt), times)}")

        servers.append(Server(behave))
    try:
        refs = {
            f"j{i}": endpoint_ref(f"j{i}", f"j{i}", EndpointConfig(url=s.url, model="t"), ())
            for i, s in enumerate(servers)
        }
        config = HarnessConfig(
            judges={**{name: JudgeConfig(model=name) for name in refs}, "panel": JudgeConfig(judges=tuple(refs))}
        )
        panel = resolve_judge("panel", config, refs.__getitem__, Path())
        assert resolve_judge("j0,j1,j2", config, refs.__getitem__, Path()).digest == panel.digest
        with Store(tmp_path / "s.sqlite") as store:
            found = judge_pairs(panel, [pair(candidate="the longer one of them")], store)
        members = found.judgements[0].members
    finally:
        for server in servers:
            server.stop()
    assert found.judgements[0].score == 1.0
    assert [m.score for m in members] == [0.5, 1.0, 1.0]
    assert "j0: baseline; j1: candidate; j2: candidate" in found.judgements[0].second.reason
    assert found.calls == 6


def test_the_labels_probabilities_are_read_in_the_order_of_places():
    log = [[-0.5108256], [-1.6094379], [-2.3025851]]  # .6, .2, .1
    first = read_labels(log, candidate_first=True)
    second = read_labels(log, candidate_first=False)
    assert first.score == 1.0
    assert second.score == 0.0
    assert first.share == pytest.approx((0.6 + 0.05) / 0.9)
    assert first.share + second.share == pytest.approx(1.0)
    assert first.leftover == pytest.approx(0.1)
    assert first.labels == pytest.approx({"A": 0.6, "B": 0.2, "tie": 0.1})


@pytest.mark.parametrize("missing", [[None], [float("-inf")], []])
def test_a_missing_label_is_not_available_and_not_zero(missing):
    found = read_labels([[-0.5], missing, [-3.0]], candidate_first=True)
    assert (found.score, found.share, found.fault) == (None, None, "missing label")
    assert "not available: the probability of B" in found.reason


def test_a_label_of_several_tokens_is_as_likely_as_all_of_them():
    found = read_labels([[-1.0, -1.0], [-3.0], [-4.0]], candidate_first=True)
    assert found.labels["A"] == pytest.approx(0.1353353)


def at(server, **settings):
    endpoint = EndpointConfig(url=server.url, model="tiny")
    config = HarnessConfig(judges={"known": JudgeConfig(model="tiny-judge", **settings)})
    return resolve_judge("known", config, lambda text: endpoint_ref(text, text, endpoint, ()), Path())


def test_a_structured_judge_has_the_server_hold_the_form(tmp_path):
    server = Server(lambda *_: completion('{"reason": "B breaks off", "verdict": "A"}'))
    try:
        with Store(tmp_path / "s.sqlite") as store:
            found = judge_pairs(at(server, structured=True), [pair()], store)
        body = server.seen[0]["body"]
    finally:
        server.stop()
    assert body["response_format"]["json_schema"]["schema"]["properties"]["verdict"]["enum"] == ["A", "B", "tie"]
    assert body["temperature"] == 0
    assert found.judgements[0].first.reason == "B breaks off"


def test_an_early_stop_goes_on_where_it_was_and_says_what_it_saved(tmp_path, loads):
    pairs = [pair(f"case {i}", "the longer one of them" if i % 4 else "x", "shorter one") for i in range(400)]
    with known.served_judge(longer) as (judge, server), Store(tmp_path / "s.sqlite") as store:
        first = judge_until_decided(judge, pairs, store, seed=3)
        asked = len(server.seen)
        again = judge_until_decided(judge, pairs, store, seed=3)
        assert len(server.seen) == asked == first.calls
    assert len(loads) == 1, "a judge is loaded once for all looks, and not at all for what is known"
    assert first.sequence.decided == "above"
    assert len(first.judgements) < 100
    assert first.saved == 2 * (400 - len(first.judgements))
    assert again.judgements == first.judgements
    assert (again.calls, again.saved) == (0, first.saved)
    assert [j.case for j in first.judgements] != [p.case for p in pairs[: len(first.judgements)]]


def test_an_unknown_judge_is_named_with_the_nearest(tmp_path):
    from harness.errors import ModelError

    def nothing(text):
        raise ModelError(f"no model {text!r}")

    config = HarnessConfig(judges={"gpt4o": JudgeConfig(model="gpt4o")})
    with pytest.raises(JudgeError, match="unknown judge 'gpt4': did you mean 'gpt4o'"):
        resolve_judge("gpt4", config, nothing, tmp_path)
    with pytest.raises(JudgeError, match=r"\[tool.harness.judges.gpt4o\] model: no model 'gpt4o'"):
        resolve_judge("gpt4o", config, nothing, tmp_path)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (JudgeConfig(), "give either model"),
        (JudgeConfig(model="reference", judges=("a", "b")), "give either model"),
        (JudgeConfig(judges=("reference",)), "two or more different judges"),
        (JudgeConfig(judges=("reference", "x")), "so it has no vote"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, told, tmp_path):
    (tmp_path / "r.jsonl").write_text('{"case": "a", "first": "tie", "second": "tie"}\n', encoding="utf-8")
    config = HarnessConfig(judges={"j": settings, "x": JudgeConfig(model=f"replay:{tmp_path}/r.jsonl")})
    with pytest.raises(JudgeError, match=told):
        resolve_judge("j", config, None, tmp_path)


def test_what_an_engine_cannot_do_is_told_before_anything_is_asked(tmp_path):
    def endpoint(scores=None):
        settings = EndpointConfig(url="http://127.0.0.1:1/v1", model="m", token_scores=scores)
        return endpoint_ref("m", "m", settings, ())

    choice = HarnessConfig(judges={"j": JudgeConfig(model="m", mode="choice")})
    with pytest.raises(JudgeError, match="does not tell the probability of a label"):
        resolve_judge("j", choice, lambda _: endpoint(), tmp_path)
    assert resolve_judge("j", choice, lambda _: endpoint("all"), tmp_path).mode == "choice"
    both = HarnessConfig(judges={"j": JudgeConfig(model="m", mode="choice", structured=True)})
    with pytest.raises(JudgeError, match="only a server in verdict mode"):
        resolve_judge("j", both, lambda _: endpoint("all"), tmp_path)


def test_kin_and_the_judge_itself_are_flagged():
    def endpoint(model):
        return endpoint_ref(model, model, EndpointConfig(url="http://127.0.0.1:1/v1", model=model), ())

    assert family_of("Qwen/Qwen2.5-14B-Instruct") == "qwen"
    assert family_of("my-model") is None
    judge = resolve_judge("Qwen2.5-14B", HarnessConfig(), endpoint, Path())
    kin = flags_of(judge, [("candidate", endpoint("shop-qwen-3")), ("baseline", endpoint("Llama-3"))])
    assert len(kin) == 1
    assert "of one family (qwen)" in kin[0]
    assert "is the candidate itself" in flags_of(judge, [("candidate", judge.model)])[0]


def test_the_reference_prefers_what_is_more_like_the_target():
    judge = resolve_judge("reference", HarnessConfig(), None, Path())
    pairs = [
        pair("a", "You have 30 days.", "You have a week.", reference="You have 30 days to return it."),
        pair("b", "您有七天。", "您有三十天的时间。", reference="您有三十天。"),
        pair("c", "no", "yes"),
    ]
    found = judge_pairs(judge, pairs).judgements
    assert [j.preferred for j in found] == ["candidate", "baseline", "unread"]
