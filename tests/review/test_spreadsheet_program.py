"""A form through LibreOffice Calc, as a reviewer would send it: opened, saved in its own format, saved as CSV."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from reviewed import drawn, pressed, subject

from harness.review.opinions import unblind
from harness.review.returned import read_returned
from harness.review.spreadsheet import write_csv

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("soffice") is None, reason="no LibreOffice here: .ci/libreoffice installs it"),
]

#: What spreadsheets like to change: formulas, dates, numbers, zeros, quotes, lines, Chinese, long texts.
HARD = [
    "=1+1",
    '=HYPERLINK("http://x.invalid";"click")',
    "+49 30 1234567",
    "-3",
    "@SUM(A1:A9)",
    "'tis so",
    "''twice",
    "03-04",
    "1/2",
    "007",
    "1e5",
    "TRUE",
    "12:30",
    "50%",
    "€ 5,00",
    'say "hi"; a, b',
    "two\nlines\n\nand a third",
    "退货，三十天。",
    "<b>bold</b> &amp;",
    "＝全角",
    "long " * 9000,
    "   blanks before",
    "emoji 👩‍👩‍👧 and é",
]

#: CSV, delimiter and quotes as numbers, UTF-8, from line 1, columns as they are typed, every text in quotes.
READ = "--infilter=CSV:44,34,76,1"


def through_calc(file: Path, folder: Path, delimiter: str) -> Path:
    """Open the CSV, save it as a spreadsheet, open that, and save it as CSV with this delimiter."""

    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"

    def convert(what: Path, *how: str) -> None:
        done = subprocess.run(
            ["soffice", profile, "--headless", *how, "--outdir", str(folder / "out"), str(what)],
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    convert(file, READ, "--convert-to", "ods")
    written = f"csv:Text - txt - csv (StarCalc):{ord(delimiter)},34,76,1,,0,false,true,false"
    convert(folder / "out" / f"{file.stem}.ods", "--convert-to", written)
    return folder / "out" / f"{file.stem}.csv"


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_calc_loses_nothing(tmp_path, delimiter):
    of = subject(len(HARD))
    chosen = tuple(
        msgspec.structs.replace(
            one,
            readable=msgspec.structs.replace(one.readable, prompt=text, candidate=text, baseline=f"{text} not"),
        )
        for one, text in zip(of.chosen, HARD, strict=True)
    )
    blinded = drawn(msgspec.structs.replace(of, chosen=chosen), ("ana",))
    form, key = blinded.forms[0], blinded.key
    wanted = {f"case-{i:03}": (1.0, 0.5, 0.0)[i % 3] for i in range(len(HARD))}
    choices = pressed(key, form, lambda case: wanted[case])
    before = csv.field_size_limit(10**9)
    rows = list(csv.reader(io.StringIO(write_csv(form).removeprefix("\ufeff"), newline="")))
    csv.field_size_limit(before)
    at = {title.split(" (")[0]: i for i, title in enumerate(rows[0])}
    # What people type: a comment with a comma in it, in two languages.
    for row in rows[1:]:
        row[at["choice"]], row[at["comment"]] = choices[row[at["id"]]] or "", "better, 更好; so"
    file = tmp_path / "ana.csv"
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows(rows)
    reader, opinions = unblind(read_returned(through_calc(file, tmp_path, delimiter)), key)
    # No note: every text is as it was sent.
    assert reader.notes == ()
    assert reader.complete
    assert {one.case: one.score for one in opinions} == wanted
    assert {one.comment for one in opinions} == {"better, 更好; so"}
