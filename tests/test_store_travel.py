"""What is exported comes in again, unchanged; what was changed on the way does not come in at all."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import StoreFileError
from harness.models import Response, TokenScores
from harness.models.refs import ModelRef
from harness.store import Store, upkeep
from harness.store.identities import KnownModel, KnownRun
from harness.store.travel import export_rows, import_rows

REF = ModelRef(text="candidate", label="triage@1", engine="hf", base="/m", base_digest="d" * 64, base_name="smollm2")
OTHER = msgspec.structs.replace(REF, text="triage@2", label="triage@2", adapter="/a", adapter_digest="a" * 64)
RUN = KnownRun(run_id="20260101-triage-2", candidate=KnownModel.of(OTHER), baseline=KnownModel.of(REF))

quick = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
keys = st.text("0123456789abcdef", min_size=1, max_size=8)
answers = st.dictionaries(keys, st.builds(Response, text=texts, completion_tokens=st.integers(0, 9)), max_size=8)
scores = st.dictionaries(
    keys, st.builds(TokenScores, logprobs=st.lists(st.floats(-9, 0), max_size=4).map(tuple)), max_size=8
)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    file = tmp_path / "answers.gz"
    with Store(tmp_path / "here.sqlite") as store:
        store.put_responses({"a": Response(text="退款 ✓"), "b": Response(text="two")}, ref=REF)
        store.put_responses({"c": Response(text="three")}, ref=OTHER)
        store.put_scores({"a": TokenScores(logprobs=(-0.5,))}, ref=OTHER)
        assert export_rows(store, file, run=RUN) == 4
    return file


@quick
@given(answers=answers, more=answers, scored=scores)
def test_a_round_trip_changes_nothing(
    answers: dict[str, Response], more: dict[str, Response], scored: dict[str, TokenScores]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Store(folder / "a.sqlite") as here, Store(folder / "b.sqlite") as there:
            here.put_responses(answers, ref=REF)
            here.put_responses(more)
            here.put_scores(scored, ref=OTHER)
            rows = export_rows(here, folder / "x.gz")
            done = import_rows(there, folder / "x.gz")
            assert (done.rows, done.new, done.replaced) == (rows, rows, 0)
            wanted = {**answers, **more}
            assert there.responses(wanted) == wanted
            assert there.scores(scored) == scored
            assert upkeep.verify(folder / "b.sqlite") == upkeep.Verified(rows=len(wanted) + len(scored))
            assert {s.model for s in upkeep.shares(here)} == {s.model for s in upkeep.shares(there)}
            assert export_rows(there, folder / "y.gz") == rows
            again = import_rows(there, folder / "x.gz")
            assert (again.new, again.replaced) == (0, 0)


def lines(file: Path) -> list[bytes]:
    return gzip.decompress(file.read_bytes()).splitlines(keepends=True)


@quick
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_changed_byte_keeps_the_whole_file_out(exported: Path, place: float, flip: int) -> None:
    plain = bytearray(b"".join(lines(exported)))
    plain[int(place * len(plain))] ^= flip
    refuses(exported, gzip.compress(bytes(plain)))


@quick
@given(place=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_short_keeps_all_of_itself_out(exported: Path, place: float) -> None:
    packed = exported.read_bytes()
    refuses(exported, packed[: int(place * len(packed))])
    plain = b"".join(lines(exported))
    refuses(exported, gzip.compress(plain[: int(place * (len(plain) - 1))]))


@quick
@given(content=st.binary(max_size=300))
def test_any_other_file_is_refused_in_one_sentence(exported: Path, content: bytes) -> None:
    refuses(exported, content)
    refuses(exported, gzip.compress(content))


def refuses(beside: Path, content: bytes) -> None:
    file = beside.with_name("changed.gz")
    file.write_bytes(content)
    # One store for all examples: none of them may leave anything in it.
    with Store(beside.with_name("empty.sqlite")) as store:
        with pytest.raises(StoreFileError, match=r"changed\.gz"):
            import_rows(store, file)
        assert upkeep.shares(store) == []
        assert store.runs() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda ls: [ls[0], *ls[2:]], "not whole, or was changed"),
        (lambda ls: [ls[0], ls[2], ls[1], *ls[3:]], "not whole, or was changed"),
        (lambda ls: ls[:-1], "not whole, or was changed"),
        (lambda ls: [*ls, ls[1]], ":7: lines after the end"),
        (lambda ls: [ls[0], ls[1].replace(b'"a"', b'"z"'), *ls[2:]], ":2: the row 'z' does not match"),
        (lambda ls: [ls[0], ls[1].replace(b'"model":0', b'"model":5').replace(b'"model":1', b'"model":5'), *ls[2:]],
         ":2: .* names a model that the file has not"),
        (lambda ls: [ls[0].replace(b'"version":1', b'"version":2'), *ls[1:]], "version 2 of the format.*Upgrade"),
        (lambda ls: [ls[0], b"[]\n", *ls[1:]], ":2: not a row"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(
    exported: Path, change: Callable[[list[bytes]], list[bytes]], said: str, tmp_path: Path
) -> None:
    exported.write_bytes(gzip.compress(b"".join(change(lines(exported)))))
    with Store(tmp_path / "there.sqlite") as store, pytest.raises(StoreFileError, match=said):
        import_rows(store, exported)


def test_only_the_named_rows_or_models_travel(exported: Path, tmp_path: Path) -> None:
    with Store(tmp_path / "here.sqlite") as here:
        assert export_rows(here, tmp_path / "k.gz", keys=["a", "nobody's"]) == 2
        assert export_rows(here, tmp_path / "m.gz", models=[KnownModel.of(OTHER)]) == 2
    with Store(tmp_path / "m.sqlite") as there:
        import_rows(there, tmp_path / "m.gz")
        assert there.responses("abc").keys() == {"c"}
        assert there.models() == [KnownModel.of(OTHER)]


def test_the_same_rows_give_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    with Store(tmp_path / "here.sqlite") as here:
        export_rows(here, tmp_path / "again.gz", run=RUN)
    assert (tmp_path / "again.gz").read_bytes() == exported.read_bytes()


def test_an_import_brings_the_run_and_replaces_other_answers(exported: Path, tmp_path: Path) -> None:
    with Store(tmp_path / "there.sqlite") as there:
        there.put_responses({"a": Response(text="sampled here"), "own": Response(text="mine")})
        done = import_rows(there, exported)
        assert (done.rows, done.new, done.replaced, done.run) == (4, 3, 1, RUN)
        assert there.responses(["a", "own"]) == {"a": Response(text="退款 ✓"), "own": Response(text="mine")}
        assert there.runs() == [RUN]


def test_a_wrong_row_does_not_travel_and_no_file_appears(exported: Path, tmp_path: Path) -> None:
    with Store(tmp_path / "here.sqlite") as here:
        here.database.write(lambda c: c.execute("UPDATE answers SET digest = zeroblob(32) WHERE key = 'b'"))
        with pytest.raises(StoreFileError, match=r"row b does not match.*verify --drop"):
            export_rows(here, tmp_path / "new.gz")
    assert not list(tmp_path.glob("*new.gz*"))


def test_a_folder_that_is_not_there_is_a_sentence(exported: Path, tmp_path: Path) -> None:
    with Store(tmp_path / "here.sqlite") as here:
        with pytest.raises(StoreFileError, match="cannot be written"):
            export_rows(here, tmp_path / "no" / "new.gz")
        with pytest.raises(StoreFileError, match=r"no such file.*harness store export"):
            import_rows(here, tmp_path / "none.gz")


def test_a_known_model_keeps_digest_and_root_and_no_path() -> None:
    known = KnownModel.of(OTHER)
    assert b"/" not in msgspec.json.encode(known)
    ref = known.ref("triage@2")
    assert (ref.digest, ref.root.digest, ref.root.label) == (OTHER.digest, REF.digest, "smollm2")
    assert known.digest == OTHER.digest
