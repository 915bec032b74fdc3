from __future__ import annotations

import os
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from example_records import bleed, golden, identity, many, run, texts_of

from harness.errors import RecordError
from harness.gate import decide
from harness.models import Response
from harness.record import RunRecord, SuiteAnswer, write_record
from harness.report.html import render, write_report
from harness.report.pages import build_page

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg/onload=alert(3)>"
    "</style></title></details>{{ 7*7 }}{% raw %}&lt;b&gt;\u202ereversed\x00"
)


class Seen(HTMLParser):
    """Every tag with its attributes, and all text outside of <style>."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "line", "circle", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("meta", "br", "line", "circle", "rect"):
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def html_of(record: RunRecord, texts: dict[str, Response] | None = None) -> str:
    return render(build_page(record, decide(record, record.policy), texts or {}))


def parsed(html: str) -> Seen:
    seen = Seen()
    seen.feed(html)
    seen.close()
    assert not seen.open, f"never closed: {seen.open}"
    return seen


def words(html: str) -> str:
    return " ".join(" ".join(parsed(html).text).split())


@pytest.fixture(params=["fail", "partial", "no baseline", "invalid", "chinese", "probes only", "empty"])
def page(request: pytest.FixtureRequest) -> str:
    triage, general = many("triage", 40, rose=30), many("general", 120, fell=50, missed=20)
    record = run(
        golden("triage", triage, red=frozenset({"triage-00000", "triage-00039"})),
        golden("retention/general", general, retention=True, probes=(bleed(general, 40),)),
    )
    texts = texts_of({"triage": triage, "retention/general": general})
    match request.param:
        case "partial":
            record = msgspec.structs.replace(record, partial="-k late")
        case "no baseline":
            record = msgspec.structs.replace(record, baseline=None, root=None)
        case "invalid":
            died = SuiteAnswer(test="suites/test_a.py::test_x", status="INVALID", reason="the engine died")
            record = msgspec.structs.replace(record, errors=(died,), answers=(died,))
        case "chinese":
            told = [("退款-期限", 1.0, 0.0, "30 天内可以退款。", '{"类别": "退款"}'), *many("general", 60)]
            record, texts = run(golden("客服/退款", told)), texts_of({"客服/退款": told})
        case "probes only":
            record = run(msgspec.structs.replace(record.sets[1], cases=()))
        case "empty":
            record = run(msgspec.structs.replace(record.sets[0], cases=()), phases={}, versions={})
    return html_of(record, texts)


def test_every_page_is_well_formed_and_reaches_for_nothing(page: str) -> None:
    for tag, attributes in parsed(page).tags:
        assert tag not in ("script", "iframe", "object", "embed", "link", "img", "form", "base")
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#").startswith("#")
        assert "src" not in attributes
    assert "@import" not in page
    assert "url(" not in page


def test_the_policy_forbids_scripts_and_any_network(page: str) -> None:
    policies = [a["content"] for tag, a in parsed(page).tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    ]


def test_every_link_inside_the_page_has_its_place(page: str) -> None:
    tags = parsed(page).tags
    places = {a["id"] for _, a in tags if "id" in a}
    links = {a["href"].removeprefix("#") for tag, a in tags if tag == "a"}
    assert links
    assert links <= places


def test_light_dark_and_print_are_styled(page: str) -> None:
    for media in ("prefers-color-scheme:dark", "max-width:46rem", "@media print"):
        assert media in page


def hostile_record() -> tuple[RunRecord, dict[str, Response]]:
    told = [(HOSTILE, 1.0, 0.0, HOSTILE, f"{HOSTILE}!"), ("red", 1.0, 0.0, HOSTILE, HOSTILE), *many("x", 30)]
    of = golden(f"set{HOSTILE}", told, red=frozenset({"red"}), unavailable=(HOSTILE,))
    first = msgspec.structs.replace(
        of.cases[0],
        tags=(HOSTILE,),
        tests=(msgspec.structs.replace(of.cases[0].tests[0], test=HOSTILE, explanation=HOSTILE),),
    )
    probe = msgspec.structs.replace(bleed(told, 20), probe=HOSTILE, unit=HOSTILE, role="advisory")
    said = SuiteAnswer(test=HOSTILE, status="FAIL", reason=HOSTILE)
    record = run(
        msgspec.structs.replace(of, path=HOSTILE, cases=(first, *of.cases[1:]), probes=(probe,)),
        candidate=identity(HOSTILE, "c"),
        baseline=identity(HOSTILE, "b"),
        arguments=(HOSTILE,),
        answers=(said,),
        errors=(said,),
        run_id=HOSTILE,
        created=HOSTILE,
        phases={HOSTILE: 1.0},
        versions={HOSTILE: HOSTILE},
    )
    return record, texts_of({of.name: told}) | {
        f"prompt:{of.name}:{HOSTILE}": Response(text=HOSTILE),
        f"target:{of.name}:{HOSTILE}": Response(text=HOSTILE),
    }


def test_hostile_text_stays_text_wherever_it_stands() -> None:
    record, texts = hostile_record()
    for given in (record, msgspec.structs.replace(record, partial=HOSTILE)):
        html = html_of(given, texts)
        seen = parsed(html)
        assert {tag for tag, _ in seen.tags}.isdisjoint({"script", "img"})
        assert not any(name.startswith("on") for _, attributes in seen.tags for name in attributes)
        assert html.count("</title>") == html.count("</style>") == 1
        assert "{{ 7*7 }}" in html, "a template in an answer is not a template"
        assert "\u202e" not in html
        assert "\x00" not in html
        assert "⟨U+202E⟩reversed⟨U+0000⟩" in html


def test_answers_read_from_left_or_right_as_their_own_letters_say() -> None:
    told = [("rtl", 1.0, 0.0, "שלום", "مرحبا")]
    html = html_of(run(golden("general", told)), texts_of({"general": told}))
    assert '<div class="said" dir="auto">مرحبا</div>' in html


def test_newly_missed_cases_stand_before_everything_else_about_cases() -> None:
    triage = many("triage", 40, fell=3, rose=5, missed=4)
    html = html_of(run(golden("general", triage, red=frozenset({"triage-00030"}))), texts_of({"general": triage}))
    places = [html.index(f'<section id="{name}">') for name in ("sets", "ratchet", "red-lines", "gained", "unchanged")]
    assert places == sorted(places)


def test_cut_off_and_empty_answers_are_marked() -> None:
    told = [("cut", 1.0, 0.0, "", "hal")]
    texts = texts_of({"general": told}) | {"c:general:cut": Response(text="hal", finish_reason="length")}
    text = words(html_of(run(golden("general", told)), texts))
    assert "Cut off at max_tokens." in text
    assert "Empty answer." in text


def test_what_is_not_shown_is_counted() -> None:
    html = html_of(run(golden("big", many("big", 4000, fell=2500))))
    assert "1,340 more cases of this set are not shown here." in words(html)
    assert len(html) < 1_000_000


def test_the_report_is_written_beside_the_record(tmp_path: Path) -> None:
    told = many("general", 30, fell=2)
    write_record(tmp_path, run(golden("general", told)), texts_of({"general": told}))
    file = write_report(tmp_path)
    assert file == tmp_path / "index.html"
    first = file.read_bytes()
    assert write_report(tmp_path).read_bytes() == first, "the same record, the same page"
    assert sorted(os.listdir(tmp_path)) == ["index.html", "record.json", "texts.json.gz"]


def test_a_report_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    write_record(tmp_path, run(golden("general", many("general", 5))), {})
    (tmp_path / "index.html").mkdir()
    with pytest.raises(RecordError, match="harness report"):
        write_report(tmp_path)
    assert not list(tmp_path.glob("*.tmp"))


def test_texts_of_another_run_are_refused(tmp_path: Path) -> None:
    write_record(tmp_path, run(golden("general", many("general", 5))), {"k": Response(text="a")})
    other = tmp_path / "other"
    write_record(other, run(golden("general", many("general", 5))), {"k": Response(text="b")})
    (other / "texts.json.gz").replace(tmp_path / "texts.json.gz")
    with pytest.raises(RecordError, match="not the texts"):
        write_report(tmp_path)
