"""A form as CSV, and what spreadsheets make of it: formulas are neutralised going out and restored coming in."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from harness import cells
from harness.errors import ReviewError
from harness.review.form import Form
from harness.review.words import DIMENSIONS, Language

#: Columns as files name them, and what reviewers read above them.
_TITLES: dict[Language, dict[str, str]] = {
    "en": {
        "form": "form", "id": "id", "prompt": "prompt", "target": "right answer", "left": "answer 1",
        "right": "answer 2", "answer": "answer", "choice": "choice", "skip": "skip", "comment": "comment",
        "accuracy": "accuracy", "relevance": "relevance", "fluency": "fluency", "completeness": "completeness",
        "safety": "safety",
    },
    "zh": {
        "form": "表单", "id": "编号", "prompt": "问题", "target": "正确答案", "left": "回答 1",
        "right": "回答 2", "answer": "回答", "choice": "选择", "skip": "跳过", "comment": "意见", "accuracy": "准确",
        "relevance": "切题", "fluency": "通顺", "completeness": "完整", "safety": "安全",
    },
}  # fmt: skip
_HOW: dict[Language, dict[str, str]] = {
    "en": {
        "pairs": "1: answer 1 is better, 2: answer 2 is better, 0: about equal",
        "single": "1 useless to 5 excellent",
        "rows": "1 learn it, 2 do not, 0 not sure",
        "marks": "1: answer 1, 2: answer 2, 0: same",
        "rating": "1 to 5",
        "skip": "why you cannot judge",
    },
    "zh": {
        "pairs": "1：回答 1 更好，2：回答 2 更好，0：差不多",
        "single": "1 没有用，到 5 很好",
        "rows": "1 应该学，2 不该学，0 不确定",
        "marks": "1：回答 1，2：回答 2，0：相同",
        "rating": "1 到 5",
        "skip": "无法判断的原因",
    },
}
_COLUMNS = {title.casefold(): name for titles in _TITLES.values() for name, title in titles.items()}
#: As earlier files have them.
_EARLIER = {"left": "left", "right": "right", "左": "left", "右": "right"}

#: What a spreadsheet takes for a number, a date, a time or a truth, and shows in a way of its own: 007, 1e5, 03-04.
_VALUE = re.compile(
    r"(?=.*\d)[\d\s.,:;/%€$£¥()+\-年月日时分秒]*(?:e[+-]?\d+|[ap]m)?|true|false"
    r"|(?:\d+[ .-]*)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?[ -]*[\d ,]*",
    re.IGNORECASE,
)


def neutral(cell: str) -> str:
    """A cell that a spreadsheet leaves as it is: no formula, no number of its own making.

    >>> neutral("=HYPERLINK(1)"), neutral("007"), neutral("30 days")
    ("'=HYPERLINK(1)", "'007", '30 days')
    """
    return f"'{cell}" if _is_value(cell) else cells.neutral(cell)


def restored(cell: str) -> str:
    """What `neutral` was given; what people typed stays as it is."""
    return cell[1:] if cell.startswith("'") and _is_value(cell) else cells.restored(cell)


def _is_value(cell: str) -> bool:
    """Is it a value and no formula, whatever apostrophes of its own stand before it?"""
    plain = cell.lstrip("'")
    return 0 < len(plain) < 60 and _VALUE.fullmatch(plain) is not None and cells.neutral(plain) == plain


def write_csv(form: Form, language: Language = "en") -> str:
    """The form as comma-separated values with a byte order mark, which spreadsheets need to read Chinese."""
    titles, how = _TITLES[language], _HOW[language]
    answers = ["left", "right"] if form.mode == "pairs" else ["answer"]
    targets = ["target"] if any(page.target for page in form.pages) else []
    given = ["choice", "skip", "comment", *DIMENSIONS]
    hints = {"choice": how[form.mode], "skip": how["skip"]}
    hints |= dict.fromkeys(DIMENSIONS, how["marks" if form.mode == "pairs" else "rating"])
    stream = io.StringIO()
    write = csv.writer(stream, lineterminator="\r\n").writerow
    columns = ["form", "id", "prompt", *targets, *answers, *given]
    write([f"{titles[name]} ({hints[name]})" if name in hints else titles[name] for name in columns])
    for page in form.pages:
        texts = {"prompt": page.prompt, "target": page.target, "left": page.left, "answer": page.left}
        texts |= {"form": form.code, "id": page.id, "right": page.right or ""}
        write([neutral(texts.get(name, "")) for name in columns])
    return "\ufeff" + stream.getvalue()


def read_csv(data: bytes, where: str) -> tuple[list[dict[str, str]], list[str]]:
    """The rows by column, formulas restored, and what a reader should know of how they were read.

    Any order of columns, any of comma, semicolon and tab, any line ends. Raises ReviewError where a column that is
    needed is missing.
    """
    text, notes = _decoded(data)
    if text.casefold().startswith("sep="):
        text = text.partition("\n")[2]
    found: set[str] = set()
    for delimiter in (",", ";", "\t"):
        rows = _rows(text, delimiter, where)
        columns = _columns(next(rows, []))
        if {"form", "id", "choice"} <= set(columns):
            return list(_tables(rows, columns, where)), notes
        found |= {name for name in columns if name}
    missing = ", ".join(name for name in ("form", "id", "choice") if name not in found)
    raise ReviewError(
        f"{where}: no column {missing}. The first row must hold the titles of the exported file; their order does not "
        "matter. Ask the reviewer for the file with its first row."
    )


def _decoded(data: bytes) -> tuple[str, list[str]]:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace"), []
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        pass
    for encoding in ("gb18030", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return text, [f"not saved as UTF-8; read as {encoding}: check the comments"]
    return data.decode("utf-8", errors="replace"), ["not saved as UTF-8: some letters of comments are lost"]


def _rows(text: str, delimiter: str, where: str) -> Iterator[list[str]]:
    # An answer may be longer than the 131,072 characters that csv takes by default, for all of the process.
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error as error:
        raise ReviewError(f"{where}: not comma-separated values ({error}). Save it as CSV again.") from error
    finally:
        csv.field_size_limit(before)


def _tables(rows: Iterator[list[str]], columns: Sequence[str], where: str) -> Iterator[dict[str, str]]:
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(columns) and any(cell.strip() for cell in row[len(columns) :]):
            raise ReviewError(f"{where}: row {number} has more cells than there are titles. Save it as CSV again.")
        told = {name: restored(cell) for name, cell in zip(columns, row, strict=False) if name}
        yield told | {"row": str(number)}


def _columns(titles: Sequence[str]) -> list[str]:
    """The columns with these titles, however much explanation stands behind them; empty for the reviewer's own."""
    plain = [re.split(r"[(（]", title.strip().strip("'").lstrip("\ufeff"))[0].strip().casefold() for title in titles]
    known = [_COLUMNS.get(title, "") for title in plain]
    return known if {"left", "right"} & set(known) else [_COLUMNS.get(t, _EARLIER.get(t, "")) for t in plain]
