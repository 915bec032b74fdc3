"""Recorded judgements: what they add up to, and what is no recorded judgement."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import HarnessConfig
from harness.errors import JudgeError
from harness.judges.asking import judge_pairs
from harness.judges.prompts import Pair
from harness.judges.refs import resolve_judge
from harness.judges.replay import read_recorded
from harness.judges.summary import summarise


def mtbench() -> Path | None:
    """The file of `shared/validation`, which lies beside the checkout or further up."""
    for folder in Path(__file__).resolve().parents:
        file = folder / "shared" / "validation" / "mtbench_phi3_vs_dpo_gpt4_pair.csv"
        if file.is_file():
            return file
    return None


def replay(path, root=Path()):
    return resolve_judge(f"replay:{path}", HarnessConfig(), None, root)


def write(tmp_path, *lines):
    file = tmp_path / "judged.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


@pytest.mark.skipif(mtbench() is None, reason="no shared/validation beside this checkout")
def test_gpt4s_judgements_of_mt_bench_give_the_published_counts_and_a_position_biased_judge():
    judge = replay(mtbench())
    recorded = read_recorded(judge.file, judge.digest)
    assert (recorded.candidate, recorded.baseline) == ("phi-3-dpo", "phi-3")
    found = summarise(list(recorded.judgements.values()))
    assert (found.wins, found.losses, found.ties) == (20, 18, 8)
    assert (found.both.first_first, found.both.second_second) == (16, 2)
    assert found.bias.p_value == pytest.approx(0.00131, abs=5e-6)
    assert found.biased
    assert found.one_order_ties == 9
    assert found.pairs == 75
    assert (found.unread, found.asked) == (3, 150)
    assert found.faults == {"error": 3}
    assert any("position-biased" in line for line in found.lines())


def test_rows_of_our_own_are_read_by_order(tmp_path):
    judge = replay(
        write(
            tmp_path,
            '{"case": "a", "first": "candidate", "second": "candidate", "reason": "shorter"}',
            '{"case": "b", "first": "candidate", "second": "baseline"}',
            '{"case": "c", "first": "tie", "second": "error"}',
        )
    )
    pairs = [Pair(case=c, question="?", candidate="x", baseline="y") for c in "abcd"]
    found = judge_pairs(judge, pairs).judgements
    assert [j.score for j in found] == [1.0, 0.5, None, None]
    assert "shorter" in found[0].reason
    assert "no judgement of this case" in found[3].reason
    assert all(j.judge == judge.digest for j in found)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("[1]", r"judged\.jsonl:1: a row is a JSON object"),
        ("{", r"judged\.jsonl:1: not JSON"),
        ('{"first": "tie"}', r"judged\.jsonl:1: the row has no case"),
        ('{"case": "a", "first": "candidat"}', r"judged\.jsonl:1: first: unknown winner 'candidat': did you mean"),
        ('{"case": "a", "frist": "tie"}', r"judged\.jsonl:1: unknown key 'frist': did you mean 'first'"),
        ('{"g1_winner": "tie"}', r"judged\.jsonl:1: question_id is missing"),
    ],
)
def test_a_row_that_is_no_judgement_is_named_by_its_line(tmp_path, row, told):
    judge = replay(write(tmp_path, row))
    with pytest.raises(JudgeError, match=told):
        read_recorded(judge.file, judge.digest)


def test_a_case_that_was_judged_twice_is_an_error(tmp_path):
    row = '{"case": "a", "first": "tie", "second": "tie"}'
    judge = replay(write(tmp_path, row, row))
    with pytest.raises(JudgeError, match=r"judged\.jsonl:2: case 'a' was judged on line 1"):
        read_recorded(judge.file, judge.digest)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(JudgeError, match="there is no file"):
        replay("nowhere.jsonl", tmp_path)
