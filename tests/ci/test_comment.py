"""The page for a pull request: what it says, that it is small, and that no text of others is obeyed by a renderer."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from markdown_it import MarkdownIt

from harness.ci.comment import LARGEST, MARKER, comment
from harness.ci.markdown import block, code, inline
from harness.gate import decide
from harness.models import Response
from harness.record import read_record, read_texts

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "report"))

from example_records import golden, many, run, texts_of  # noqa: E402
from hostile import HOSTILE  # noqa: E402

BLOCKED = HERE.parent / "records" / "triage-no-replay"
ALLOWED = {
    *("h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"),
    *("code", "pre", "details", "summary", "sub"),
}


class Rendered(HTMLParser):
    """What a renderer makes of the page: its tags, and the text that a reader sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(page))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(record, texts) -> str:
    return comment(record, decide(record, record.policy), texts)


@pytest.fixture(scope="module")
def blocked() -> str:
    record = read_record(BLOCKED)
    return page_of(record, read_texts(BLOCKED, record))


def test_a_blocked_run_says_what_why_which_cases_and_what_next(blocked):
    seen = Rendered(blocked).text
    assert blocked.startswith(MARKER + "\n## ❌ FAIL: ")
    assert "FAIL: triage-no-replay@1 must not ship" in seen
    assert "697 cases, 244 worse, 152 better." in seen
    assert "at least 35.4 points are lost; 10 points = 55.7 of your 557 cases are allowed" in seen
    assert "The worst 10 of 244 cases that got worse" in seen
    assert "retention/general capital-of-japan (golden_sets/retention/general.jsonl:1)" in seen
    assert "The capital city of Japan is Tokyo." in seen
    assert "harness train RECIPE" in seen
    assert "All sets (5)" in seen
    assert len(blocked.encode()) < LARGEST


def test_the_page_is_a_table_and_lists_and_nothing_that_runs_or_leads_away(blocked):
    rendered = Rendered(blocked)
    assert rendered.tags <= ALLOWED
    assert rendered.attributes <= {"style"}  # the columns' alignment


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_text_wherever_it_stands(text):
    told = many("triage", 12, fell=4)
    told = [(case, before, after, text, text) if after == 0 else (case, before, after, old, text)
            for case, before, after, old, _ in told]  # fmt: skip
    one = golden("triage", told)
    cases = tuple(
        msgspec.structs.replace(
            case,
            case=f"{text}{i}",
            tests=tuple(msgspec.structs.replace(test, explanation=text) for test in case.tests),
        )
        for i, case in enumerate(one.cases)
    )
    one = msgspec.structs.replace(one, cases=cases, name=text, path=text)
    record = run(one, notes=(text,))
    record = msgspec.structs.replace(record, candidate=msgspec.structs.replace(record.candidate, label=text))
    page = page_of(record, texts_of({"triage": told}))
    rendered = Rendered(page)
    assert rendered.tags <= ALLOWED
    assert rendered.attributes <= {"style"}
    for dangerous in ("\x1b", "\u202e", "\x00", "\x07"):
        assert dangerous not in page
    first = "".join(text.split())[:4]
    assert first in "".join(rendered.text.split()) or "\x1b" in text or "\u202e" in text


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("ask @octocat", "ask @<!-- -->octocat"),
        ("fixes #12", "fixes &#35;<!-- -->12"),
        ("see https://evil.example", "see https&#58;//<!-- -->evil.example"),
        ("www.evil.example", "www.<!-- -->evil.example"),
        ("a | b", "a &#124; b"),
        ("![x](y)", "!&#91;x&#93;(y)"),
        ("two\n\nlines", "two lines"),
    ],
)
def test_no_mention_reference_link_image_or_cell_is_made_of_a_sentence(text, source):
    assert inline(text) == source
    assert code(text) == f"<code>{source}</code>"


def test_the_lines_of_an_answer_are_kept_and_none_begins_a_line_of_the_source():
    source = block("one\n\n# two\n::error::three\n</pre><script>")
    assert "\n" not in source
    rendered = Rendered(source)
    assert rendered.text.strip() == "one\n\n# two\n::error::three\n</pre><script>"
    assert rendered.tags == {"pre"}


def test_a_page_stays_below_60_kb_whatever_the_models_wrote():
    told = [(f"case-{i}" + "長" * 200, 1.0, 0.0, "\u202e" * 9000, "<|`" * 9000) for i in range(150)]
    sets = [golden(f"set-{n}", told, retention=True) for n in range(12)]
    record = run(*sets, notes=tuple("\u2066" * 5000 for _ in range(50)))
    page = page_of(record, texts_of({f"set-{n}": told for n in range(12)}))
    assert len(page.encode()) <= LARGEST
    assert "of 1,800 cases that got worse" in page
    assert "### Next" in page


def test_without_its_texts_the_cases_are_still_named():
    record = read_record(BLOCKED)
    page = page_of(record, {})
    assert "capital-of-japan" in page
    assert "both answers" not in page


def test_a_partial_run_says_that_it_has_no_verdict_and_names_no_cases():
    record = run(golden("triage", many("triage", 20, fell=9)), partial="-k was given")
    page = page_of(record, {})
    assert "## ⚠️ PARTIAL: triage@<!-- -->2 was asked a part only" in page
    assert "No verdict: -k was given" in page
    assert "worse cases" not in page.lower().replace("worst", "worse")


def test_a_pass_names_the_command_that_promotes():
    told = many("general", 300)
    record = run(golden("general", told, retention=True))
    seen = Rendered(page_of(record, texts_of({"general": told}))).text
    assert "PASS: triage@2 may ship" in seen
    assert "harness models promote triage@2" in seen
    assert "Worst" not in seen


def test_a_long_answer_is_cut_and_says_so():
    assert "9,400 more characters" in block(Response(text="x" * 10_000).text)
