from __future__ import annotations

import base64
import hashlib
import json
import os
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from example_records import bleed, golden, identity, many, run, texts_of
from hostile import HOSTILE

from harness.errors import RecordError
from harness.gate import decide
from harness.lineage import DataChange, Lineage, RowChange, Training, Update
from harness.measures.classes import Classification
from harness.models import Response
from harness.record import RunRecord, SuiteAnswer, write_record
from harness.report.cases import cases_of
from harness.report.html import render, write_report
from harness.report.pages import build_page
from harness.report.plots import Plots, draw_plots
from harness.report.summary import summarise
from harness.report.visible import visible
from harness.report.words import Words
from harness.stats.classification import Confusion

VOID = ("meta", "br", "line", "circle", "rect", "link", "input")


class Seen(HTMLParser):
    """Every tag with its attributes, all text outside of styles and scripts, and the contents of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self.open and self.open[-1] != "style":
            self.text.append(data)


def unpacked(html: str, name: str) -> Any:
    """A block of the page, as its script unpacks it."""
    (packed,) = [text for attributes, text in parsed(html).scripts if attributes.get("id") == name]
    return json.loads(zlib.decompress(base64.b64decode(packed)))


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
    seen = parsed(page)
    for tag, attributes in seen.tags:
        assert tag not in ("iframe", "object", "embed", "img", "base")
        assert not any(name.startswith("on") for name in attributes)
        assert "style" not in attributes, "the policy would refuse it"
        assert "action" not in attributes
        if tag == "link":
            assert attributes == {"rel": "icon", "href": "data:,"}
        elif tag not in ("use", "a"):
            assert "href" not in attributes
        assert attributes.get("href", "#").startswith(("#", "../", "data:,"))
        assert "src" not in attributes
    assert "@import" not in page
    assert "http://" not in page
    assert "https://" not in page


def test_the_policy_allows_this_script_and_this_style_and_nothing_else(page: str) -> None:
    seen = parsed(page)
    (policy,) = [a["content"] for tag, a in seen.tags if a.get("http-equiv") == "Content-Security-Policy"]
    (script,) = [text for attributes, text in seen.scripts if not attributes]
    style = page.split("<style>")[1].split("</style>")[0]
    digests = ["sha256-" + base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in (script, style)]
    assert policy == (
        f"default-src 'none'; script-src '{digests[0]}'; style-src '{digests[1]}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    assert all(attributes["type"] == "text/plain" for attributes, _ in seen.scripts if attributes)


def test_every_link_inside_the_page_has_its_place(page: str) -> None:
    tags = parsed(page).tags
    places = {a["id"] for _, a in tags if "id" in a}
    links = {a["href"].removeprefix("#").split("?")[0] for tag, a in tags if tag == "a" and a["href"].startswith("#")}
    assert links
    assert links <= places


def test_light_dark_and_print_are_styled(page: str) -> None:
    for media in ("color-scheme:light dark", "light-dark(", "max-width:46rem", "@media print"):
        assert media in page


def hostile_record(text: str) -> tuple[RunRecord, dict[str, Response]]:
    """A record with this text in every place that a model or a user can fill."""
    told = [(text, 1.0, 0.0, text, f"{text}!"), ("red", 1.0, 0.0, text, text), *many("x", 30)]
    of = golden(f"set{text}", told, red=frozenset({"red"}), unavailable=(text,), retention=True)
    first = msgspec.structs.replace(
        of.cases[0],
        tags=(text,),
        tests=(msgspec.structs.replace(of.cases[0].tests[0], test=text, explanation=text),),
    )
    tagged = tuple(msgspec.structs.replace(case, tags=(text,)) for case in of.cases[1:20])
    probe = msgspec.structs.replace(bleed(told, 20), probe=text, unit=text, role="advisory")
    said = SuiteAnswer(test=text, status="FAIL", reason=text)
    table = Confusion(labels=(text, "b"), states=(f"no{text}",), counts=((3, 1, 1), (0, 4, 1)))
    training = Training(
        label=text, recipe={text: text, "data.train": text}, rows={"task": 3}, data_digest=text, template_digest=text,
        versions={text: text}, findings=(f"{text} at step 2",), device=text, seconds=2.0,
        updates=tuple(Update(step=i, loss=1.0 / i, rate=0.1, norm=1.0) for i in range(1, 6)),
    )  # fmt: skip
    row = RowChange(change="altered", kind="task", where=text, prompt=text, before=text, after=text)
    record = run(
        msgspec.structs.replace(of, path=text, cases=(first, *tagged, *of.cases[20:]), probes=(probe,)),
        candidate=identity(text, "c"),
        baseline=identity(text, "b"),
        arguments=(text,),
        answers=(said,),
        errors=(said,),
        notes=(text,),
        run_id=text,
        created=text,
        phases={text: 1.0},
        versions={text: text},
        usage={text: 1.0},
        classifications=(Classification(golden_set=text, source=text, candidate=table, baseline=table),),
        lineage=Lineage(
            candidate=training,
            baseline=msgspec.structs.replace(training, recipe={text: "other"}),
            data=DataChange(added=0, removed=0, altered=1, kept=2, examples=(row,)),
            untold=(text,),
        ),
    )
    return record, texts_of({of.name: told}) | {
        f"prompt:{of.name}:{text}": Response(text=text),
        f"target:{of.name}:{text}": Response(text=text),
    }


def whole(record: RunRecord, texts: dict[str, Response], plots: Plots | None = None) -> str:
    """The page with a history beside it."""
    verdict = decide(record, record.policy)
    summary = summarise(record, verdict, cases_of(record, verdict, texts))
    earlier = msgspec.structs.replace(summary, run_id=f"{summary.run_id}/../x", word=summary.candidate)
    return render(build_page(record, verdict, texts, history=(earlier, summary), plots=plots))


@pytest.fixture(scope="module")
def harmless() -> list[tuple[str, tuple[str, ...]]]:
    """Tags and names of attributes of the same page with a harmless text."""
    return shape(whole(*hostile_record("plain")))


def shape(html: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(tag, tuple(attributes)) for tag, attributes in parsed(html).tags]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_text_wherever_it_stands(text: str, harmless: list[tuple[str, tuple[str, ...]]]) -> None:
    record, texts = hostile_record(text)
    html = whole(record, texts)
    assert shape(html) == harmless, "no element and no attribute more than with a harmless text"
    seen = parsed(html)
    assert {tag for tag, _ in seen.tags}.isdisjoint({"img", "iframe", "object", "embed", "video", "base", "animate"})
    assert [tag for tag, _ in seen.tags].count("script") == 3
    for tag, attributes in seen.tags:
        assert not any(name.startswith("on") for name in attributes)
        if tag == "a":
            assert str(attributes["href"]).startswith(("#", "../"))
    for hidden in "\u202e\u2066\x00\x07\x1b\u200b":
        assert hidden not in html
    if "\u202e" not in text and "\x00" not in text:
        flat = " ".join(" ".join(seen.text).split())
        assert flat.count(" ".join(text.split())) > 20, "shown, not dropped"
    lines = unpacked(html, "index")["cases"]
    assert any(line["case"] == visible(text) for line in lines)


def test_plots_draw_hostile_names_as_text() -> None:
    record, texts = hostile_record("plain")
    verdict = decide(record, record.policy)
    summary = summarise(record, verdict, ())
    one = next(s for s in summary.sets if s.retention)
    everything = msgspec.structs.replace(
        summary, candidate=HOSTILE[0], sets=tuple(msgspec.structs.replace(one, name=name) for name in HOSTILE)
    )
    assert record.lineage is not None
    assert record.lineage.candidate is not None
    curve = msgspec.structs.replace(record.lineage.candidate, findings=tuple(f"{h} at step 2" for h in HOSTILE))
    plots = draw_plots(everything, curve, (everything, everything), Words())
    for drawing in (plots.retention, plots.training, plots.history):
        tags = parsed(drawing).tags
        assert {tag for tag, _ in tags} <= {"svg", "g", "path", "text", "tspan", "use", "defs", "clippath", "rect"}
        for _, attributes in tags:
            assert not any(name.startswith("on") or name == "style" for name in attributes)
            assert str(attributes.get("href", "#")).startswith("#")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in plots.retention
    assert "$\\frac{1}{2}$" in plots.retention, "a name is no formula"
    html = whole(record, texts, plots)
    assert [tag for tag, _ in parsed(html).tags].count("script") == 3


def test_a_partial_run_quotes_hostile_words_as_text() -> None:
    record, texts = hostile_record(HOSTILE[0])
    html = html_of(msgspec.structs.replace(record, partial=HOSTILE[0]), texts)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert [tag for tag, _ in parsed(html).tags].count("script") == 3


def test_what_is_packed_is_base64_and_can_close_no_tag() -> None:
    record, texts = hostile_record("</script><b>")
    for attributes, text in parsed(whole(record, texts)).scripts:
        if attributes:
            assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


def test_answers_read_from_left_or_right_as_their_own_letters_say() -> None:
    told = [("rtl", 1.0, 0.0, "שלום", "مرحبا")]
    html = html_of(run(golden("general", told)), texts_of({"general": told}))
    assert '<div class="said" dir="auto">مرحبا</div>' in html


def test_every_case_is_in_the_page_and_found_by_its_place() -> None:
    told = many("big", 4000, fell=2500)
    html = html_of(run(golden("big", told)), texts_of({"big": told}))
    index = unpacked(html, "index")
    assert len(index["cases"]) == len(index["places"]) == 4000
    for at in (0, 1234, 3999):
        block, place = index["places"][at]
        detail = unpacked(html, f"b{block}")[place]
        assert detail["prompt"] == f"What about {index['cases'][at]['case']}?"
    assert len(html) < 500_000


def test_a_long_answer_is_whole_in_the_page() -> None:
    long = "word " * 20_000
    told = [("long", 1.0, 0.0, "short", long), *many("x", 20)]
    html = html_of(run(golden("general", told)), texts_of({"general": told}))
    assert unpacked(html, "b0")[0]["answers"]["candidate"][0]["text"] == long
    assert len(html) < 200_000


def test_the_interface_speaks_chinese_and_leaves_texts_alone() -> None:
    told = many("general", 60, fell=3)
    record = run(golden("general", told))
    html = render(build_page(record, decide(record, record.policy), texts_of({"general": told}), language="zh"))
    text = words(html)
    for sentence in ("先看这些", "全部用例", "无法判断 triage@2 能否发布", "What about general-00000?"):
        assert sentence in text
    assert '<html lang="zh-CN">' in html
    assert unpacked(html, "index")["words"]["Asked"] == "提问"


def test_the_report_is_written_beside_the_record(tmp_path: Path) -> None:
    told = many("general", 30, fell=2)
    write_record(tmp_path, run(golden("general", told)), texts_of({"general": told}))
    file = write_report(tmp_path)
    assert file == tmp_path / "index.html"
    first = file.read_bytes()
    assert write_report(tmp_path).read_bytes() == first, "the same record, the same page"
    assert sorted(os.listdir(tmp_path)) == ["index.html", "record.json", "summary.json", "texts.json.gz"]


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


def test_the_words_of_a_verdict_are_explained_below_its_reasons(page: str) -> None:
    asked = "FAIL" in page.split("<title>")[1].split("</title>")[0]
    assert not asked or "a set that must not get worse; a target must get better" in page
