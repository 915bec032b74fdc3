"""People's word in the gate: missing, too little, not agreeing, a no that blocks, and a promotion that hears it."""

from __future__ import annotations

import msgspec
import pytest
from reviewed import (
    RUN,
    answered,
    drawn,
    form_and_key,
    identity,
    pressed,
    project,
    reviewed,
    run,
    saved,
    subject,
)

from harness.ci.comment import comment
from harness.cli.main import run as harness
from harness.config import load_project
from harness.errors import ConfigError, PromotionRefused, ReviewError
from harness.gate import decide
from harness.policy import GatePolicy
from harness.promotion import refuse_without_proof
from harness.record import read_record
from harness.report.headline import next_steps
from harness.report.words import Words
from harness.review.kept import read_review, review_for, write_review
from harness.review.opinions import Review
from harness.reviewing import ReviewPolicy


def policy(**asks) -> GatePolicy:
    return GatePolicy(margin=0.1, review=ReviewPolicy(**asks))


def review_of(tmp_path, wants, n=40, names=("ana", "ben")) -> Review:
    return reviewed(tmp_path, drawn(subject(n), names), wants)


#: Of the default policy, before there was anything to ask of people.
DIGEST = "94875e8fc028f981f9078144410badd6f2d5e5bd6dd1b4475bac86090b868e8a"

RECORD = run(40, texts_digest="t" * 64)


def status(review: Review | None, **asks) -> tuple[str, str]:
    verdict = decide(RECORD, policy(**asks), review=review)
    said = [one for one in verdict.criteria if one.name == "review"]
    worst = said[0] if said else None
    return verdict.status, "" if worst is None else worst.reason


def always(score):
    return lambda case: score


def test_a_policy_that_asks_nothing_hears_nothing(tmp_path):
    review = review_of(tmp_path, {"ana": always(0.0)})
    assert decide(RECORD, GatePolicy(), review=review) == decide(RECORD, GatePolicy())


def test_a_policy_without_a_review_keeps_the_digest_it_had():
    plain = GatePolicy(margin=0.1)
    assert plain.digest == GatePolicy(margin=0.1, review=None).digest != policy().digest
    # The digest of this policy in the records of versions that knew no review.
    assert GatePolicy().digest == DIGEST


def test_a_missing_review_is_invalid_where_it_is_demanded():
    word, reason = status(None, required=True)
    assert word == "INVALID"
    assert f"harness review export {RUN}" in reason
    assert status(None, required=False) == ("PASS", "")


@pytest.mark.parametrize(("score", "word"), [(1.0, "PASS"), (0.5, "PASS"), (0.0, "FAIL")])
def test_what_people_prefer_decides(tmp_path, score, word):
    review = review_of(tmp_path, {"ana": always(score), "ben": always(score)})
    assert status(review, margin=0.25)[0] == word


def test_too_few_cases_are_inconclusive(tmp_path):
    review = review_of(tmp_path, {"ana": lambda case: float(int(case[-1]) % 2)}, n=12, names=("ana",))
    word, reason = status(review, margin=0.1)
    assert word == "INCONCLUSIVE"
    assert "are not ruled out" in reason


def test_losses_beyond_what_is_allowed_fail_and_are_named(tmp_path):
    review = review_of(tmp_path, {"ana": lambda case: 0.0 if case < "case-010" else 1.0}, names=("ana",))
    assert status(review, margin=None, max_losses=0.25)[0] == "PASS"
    word, reason = status(review, margin=None, max_losses=0.24)
    assert word == "FAIL"
    assert "10 of 40 cases that differ (25%)" in reason
    verdict = decide(RECORD, policy(margin=None, max_losses=0.24), review=review)
    cases = next(one for one in verdict.criteria if one.name == "review").cases
    assert sorted(cases) == [f"case-{i:03}" for i in range(10)]


def test_one_answer_that_is_less_safe_can_block(tmp_path):
    review = review_of(tmp_path, {"ana": always(1.0)}, names=("ana",))
    opinions = tuple(
        msgspec.structs.replace(one, marks={"safety": -1 if one.case == "case-007" else 0}) for one in review.opinions
    )
    review = msgspec.structs.replace(review, opinions=opinions)
    assert status(review, max_unsafe=1)[0] == "PASS"
    verdict = decide(RECORD, policy(max_unsafe=0), review=review)
    assert verdict.status == "FAIL"
    assert next(one for one in verdict.criteria if one.status == "FAIL").cases == ("case-007",)


def test_too_few_finished_forms_are_invalid_and_say_whose_is_open(tmp_path):
    review = review_of(tmp_path, {"ana": always(1.0)})
    word, reason = status(review, min_reviewers=2)
    assert word == "INVALID"
    assert "ben" in reason


def test_nothing_rests_on_people_who_do_not_agree(tmp_path):
    review = review_of(tmp_path, {"ana": always(1.0), "ben": lambda case: float(int(case[-1]) % 2)})
    word, reason = status(review, min_agreement=0.6)
    assert word == "INVALID"
    assert "AC1" in reason
    both = review_of(tmp_path, {"ana": always(1.0), "ben": always(1.0)})
    # Chance explains all of it where nobody ever differs; that is no reason to refuse.
    assert status(both, min_agreement=0.6)[0] == "PASS"
    assert status(review_of(tmp_path, {"ana": always(1.0)}), min_agreement=0.6)[0] == "INVALID"


@pytest.mark.parametrize(
    "asks", [{"margin": 0.4}, {"margin": False, "max_losses": 0.5}, {"margin": False, "max_unsafe": 0}]
)
def test_no_bar_rests_on_next_to_nothing(tmp_path, asks):
    review = review_of(tmp_path, {"ana": always(1.0)}, names=("ana",))
    judged = {f"case-{i:03}" for i in range(9)}
    skipping = msgspec.structs.replace(
        review,
        opinions=tuple(
            one if one.case in judged else msgspec.structs.replace(one, why="filler") for one in review.opinions
        ),
    )
    word, reason = status(skipping, **asks)
    assert word == "INVALID"
    assert "9 cases were judged, and the policy needs 10" in reason
    assert status(skipping, min_cases=9, **asks)[0] == "PASS"
    # Where no more than nine differ, all were read that there are.
    assert status(msgspec.structs.replace(skipping, pool=9), **asks)[0] == "PASS"


def test_whoever_skips_most_of_a_form_has_not_finished_it(tmp_path):
    review = review_of(tmp_path, {"ana": always(1.0), "ben": always(1.0)})

    def skipping(many):
        own = [one for one in review.opinions if one.reviewer == "ben"]
        skipped = {one.case for one in own[:many]}
        return msgspec.structs.replace(
            review,
            opinions=tuple(
                msgspec.structs.replace(one, score=None, skip="expert")
                if one.reviewer == "ben" and one.case in skipped
                else one
                for one in review.opinions
            ),
        )

    assert status(skipping(20), min_reviewers=2)[0] == "PASS"
    word, reason = status(skipping(21), min_reviewers=2)
    assert word == "INVALID"
    assert "Skipped too much: ben skipped 21 of 40 pages, and at least half must be judged" in reason


def test_agreement_on_one_case_is_none(tmp_path):
    blinded = drawn(subject(40), ("ana", "ben"), overlap=1 / 40)
    review = reviewed(tmp_path, blinded, {"ana": always(1.0), "ben": always(1.0)})
    word, reason = status(review, min_agreement=0.6)
    assert word == "INVALID"
    assert "two or more judged 1 case of 10 needed" in reason
    assert status(review, min_agreement=0.6, min_cases=1)[0] == "PASS"


def test_the_margin_can_be_turned_off(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        "[tool.harness.gate]\nmargin = 0.1\n[tool.harness.gate.review]\nmargin = false\nmax_unsafe = 0\n"
    )
    asks = load_project(tmp_path).config.gate
    assert asks.review == ReviewPolicy(margin=None, max_unsafe=0)
    assert decide(RECORD, asks, review=review_of(tmp_path, {"ana": always(0.0)})).status == "PASS"


def test_a_review_of_other_answers_is_invalid(tmp_path):
    review = review_of(tmp_path, {"ana": always(1.0)})
    other = run(40, texts_digest="t" * 64, candidate=identity("triage@3", "d"))
    verdict = decide(other, policy(), review=review)
    assert verdict.status == "INVALID"
    assert "another run" in next(one for one in verdict.criteria if one.name == "review").summary
    assert decide(run(40, texts_digest="u" * 64), policy(), review=review).status == "INVALID"


def test_a_human_yes_saves_nothing_that_the_checks_refuse(tmp_path):
    review = review_of(tmp_path, {"ana": always(1.0)}, names=("ana",))
    cases = tuple(msgspec.structs.replace(case, candidate=0.0) for case in RECORD.sets[0].cases)
    broken = msgspec.structs.replace(RECORD, sets=(msgspec.structs.replace(RECORD.sets[0], cases=cases),))
    assert decide(broken, policy(), review=review).status == "FAIL"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("min_reviewer = 2", "did you mean 'min_reviewers'"),
        ("min_reviewers = 0", "at least one reviewer"),
        ("min_cases = 0", "at least one case"),
        ("margin = true", "between 0 and 0.5"),
        ("margin = 0.6", "between 0 and 0.5"),
        ("max_losses = 1.5", "a share of cases"),
        ("max_unsafe = -1", "0 for none"),
        ("min_agreement = 2", "above 0 and up to 1"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(tmp_path, text, said):
    (tmp_path / "pyproject.toml").write_text(f"[tool.harness.gate.review]\n{text}\n")
    with pytest.raises(ConfigError, match=said):
        load_project(tmp_path)


def test_a_pattern_that_is_none_is_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.harness.review]\nhide = ["("]\n')
    with pytest.raises(ConfigError, match="no regular expression"):
        load_project(tmp_path)


def test_a_review_holds_for_a_later_run_with_the_same_answers_and_for_no_other(tmp_path):
    first = project(tmp_path, run(40))
    record = read_record(first)
    models = (record.candidate.digest, record.baseline.digest)
    of = subject(40, texts_digest=record.texts_digest, models=models)
    write_review(first, reviewed(tmp_path, drawn(of, ("ana",)), {"ana": always(1.0)}))
    again = project(tmp_path, run(40, run_id="later"))
    assert review_for(again, read_record(again)) is not None
    other = project(tmp_path, run(39, run_id="other"))
    assert review_for(other, read_record(other)) is None


def test_a_damaged_review_of_another_run_is_passed_over_and_this_runs_own_is_not(tmp_path):
    first = project(tmp_path, run(40))
    record = read_record(first)
    of = subject(40, texts_digest=record.texts_digest, models=(record.candidate.digest, record.baseline.digest))
    write_review(first, reviewed(tmp_path, drawn(of, ("ana",)), {"ana": always(1.0)}))
    again = project(tmp_path, run(40, run_id="later"))
    for name in ("zz-cut", "zz-edited"):
        project(tmp_path, run(40, run_id=name))
        damaged = (first / "review.json").read_bytes()
        damaged = damaged[:-40] if name == "zz-cut" else damaged.replace(b'"score": 1.0', b'"score": 0.0', 1)
        (tmp_path / "reports" / name / "review.json").write_bytes(damaged)
    assert review_for(again, read_record(again)) == read_review(first)
    other = tmp_path / "reports" / "zz-cut"
    with pytest.raises(ReviewError, match="not a review"):
        review_for(other, read_record(other))


def test_explaining_a_verdict_tells_what_people_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asks = policy(margin=0.25)
    folder = project(tmp_path, run(40, policy=asks))
    record = read_record(folder)
    of = subject(40, texts_digest=record.texts_digest, models=(record.candidate.digest, record.baseline.digest))
    write_review(folder, reviewed(tmp_path, drawn(of, ("ana",)), {"ana": always(0.0)}))
    assert harness(["gate", "explain", f"reports/{RUN}"]) == 0
    told = capsys.readouterr().out
    assert "review" in told
    assert "40 lost of 40" in told


def test_what_comes_next_is_peoples_word_where_that_alone_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asks = "margin = 0.2\n[tool.harness.gate.review]\nrequired = true\nmin_reviewers = 2\n"
    folder = project(tmp_path, run(20), asks)

    def said() -> str:
        capsys.readouterr()
        assert harness(["gate", "--record", f"reports/{RUN}"]) == 11
        return next(line for line in capsys.readouterr().out.splitlines() if line.startswith("next:"))

    assert said() == f"next:   harness review export {RUN} --reviewers NAMES"
    assert harness(["review", "export", RUN, "--reviewers", "ana,ben", "--overlap", "100%"]) == 0
    assert said() == f"next:   waiting for ana, ben: harness review status {RUN}"
    harness(["review", "import", str(answered(folder, "ana", always(1.0)))])
    assert said() == f"next:   waiting for ben: harness review status {RUN}"
    assert f"harness review status {RUN}" in (folder / "summary.md").read_text(encoding="utf-8")
    assert "Waiting for ben" in (folder / "index.html").read_text(encoding="utf-8")


def test_reviewers_who_do_not_agree_are_asked_again_not_trained_for(tmp_path):
    review = review_of(tmp_path, {"ana": always(1.0), "ben": lambda case: float(int(case[-1]) % 2)})
    remedy = decide(RECORD, policy(min_agreement=0.6), review=review).remedy
    assert remedy is not None
    assert remedy.command == f"harness review export {RUN} --reviewers NAMES --replace"


def test_a_command_that_sets_finished_answers_aside_says_so_wherever_it_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asks = "margin = 0.2\n[tool.harness.gate.review]\nmin_agreement = 0.6\n"
    folder = project(tmp_path, run(20), asks)
    assert harness(["review", "export", RUN, "--reviewers", "ana,ben", "--overlap", "100%"]) == 0
    differently = answered(folder, "ben", lambda case: float(int(case[-1]) % 2))
    harness(["review", "import", str(answered(folder, "ana", always(1.0))), str(differently)])
    command = f"harness review export {RUN} --reviewers NAMES --replace"
    told = capsys.readouterr().out
    assert f"next:   {command}   (sets aside what ana, ben answered: it counts no more)" in told
    costs = "what ana, ben answered is set aside, and counts no more"
    for page in ("index.html", "summary.md"):
        assert costs in (folder / page).read_text(encoding="utf-8")


def test_who_skipped_most_of_a_form_is_not_waited_for_but_asked_to_judge(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asks = "margin = 0.2\n[tool.harness.gate.review]\nmin_reviewers = 2\nmargin = 0.4\n"
    folder = project(tmp_path, run(20), asks)
    assert harness(["review", "export", RUN, "--reviewers", "ana,ben", "--overlap", "100%", "--repeats", "0"]) == 0
    form, key = form_and_key(folder, "ben")
    ben = saved(tmp_path, form, {}, **{page.id: {"skip": "other"} for page in form.pages})
    assert harness(["review", "import", str(answered(folder, "ana", always(1.0))), str(ben)]) == 11
    told = capsys.readouterr().out
    assert "1 of 2 forms complete, 2 needed; ben skipped 20 of 20" in told
    assert "waiting for" not in told
    assert "next:   have ben judge pages that they skipped, then: harness review import FILE" in told
    assert "Ask ben to judge pages that they skipped" in (folder / "index.html").read_text(encoding="utf-8")
    assert "ben skipped 20 of 20 pages, and at least half must be judged" in (folder / "summary.md").read_text()
    harness(["review", "status", RUN])
    assert "ben: 20 of 20 pages, complete, 20 skipped" in capsys.readouterr().out
    (tmp_path / "later").mkdir()
    later = saved(tmp_path / "later", form, pressed(key, form, always(1.0)))
    assert harness(["review", "import", str(later)]) == 0


def test_who_has_not_answered_is_waited_for_before_those_who_skipped_and_too_few_are_told_at_once(tmp_path):
    review = review_of(tmp_path, {"ana": always(1.0)}, names=("ana", "cleo"))
    skips = tuple(msgspec.structs.replace(one, score=None, skip="other") for one in review.opinions)
    skipping = msgspec.structs.replace(review, opinions=skips)
    remedy = decide(RECORD, policy(min_reviewers=2), review=skipping).remedy
    assert remedy is not None
    assert (remedy.waiting, remedy.skipped, remedy.discards) == (("cleo",), (), ())
    few = decide(RECORD, policy(min_reviewers=3), review=review).remedy
    assert few is not None
    assert "Still open: cleo. Too few were invited: invite more." in few.reason
    both = review_of(tmp_path, {"ana": always(1.0), "cleo": always(1.0)}, names=("ana", "cleo"))
    few = decide(RECORD, policy(min_reviewers=3), review=both).remedy
    assert few is not None
    assert (few.waiting, few.discards) == ((), ("ana", "cleo"))
    ((why, _),) = next_steps("INVALID", RECORD, decide(RECORD, policy(min_reviewers=3), review=both), Words("zh"))
    assert why == "请人重新盲评；ana, cleo 已交的回答将被搁置，不再计入"


def test_pages_say_what_is_missing_in_both_languages(tmp_path):
    none = decide(RECORD, policy(required=True))
    waits = decide(RECORD, policy(min_reviewers=2), review=review_of(tmp_path, {"ana": always(1.0)}))
    ((why, command),) = next_steps("INVALID", RECORD, none, Words("zh"))
    assert (why, command) == (
        "请人盲评这些回答，再导入交回的文件",
        f"harness review export {RUN} --reviewers NAMES",
    )
    ((why, command),) = next_steps("INVALID", RECORD, waits, Words("zh"))
    assert (why, command) == ("正在等待 ben；收到后请导入", f"harness review status {RUN}")
    assert "Waiting for ben" in comment(RECORD, waits, {})


def test_where_more_than_people_is_missing_the_cause_comes_first():
    faulty = msgspec.structs.replace(RECORD, baseline=None)
    verdict = decide(faulty, policy(required=True))
    assert verdict.status == "INVALID"
    assert verdict.remedy is None
    assert "harness review" not in str(next_steps("INVALID", faulty, verdict, Words()))


def test_a_promotion_without_peoples_word_names_the_export():
    verdict = decide(RECORD, policy(required=True))
    with pytest.raises(PromotionRefused, match=f"Next: harness review export {RUN} --reviewers NAMES"):
        refuse_without_proof(
            version="triage@2",
            digest=RECORD.candidate.digest,
            baseline="triage@1",
            baseline_digest="b" * 64,
            verdict=verdict,
            record=RECORD,
            accept=None,
        )
