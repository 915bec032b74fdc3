"""Which model a name means where no weights are: `resolve_refs` on a store that travelled."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.config import HarnessConfig, Project
from harness.errors import ModelError
from harness.models import Response
from harness.models.refs import ModelRef
from harness.pytest_plugin.roles import ModelRefs, resolve_refs
from harness.store import Store
from harness.store.identities import KnownModel, KnownRun

BASE = ModelRef(text="hf:org/base", label="hf:org/base", engine="hf", base="org/base@c", base_digest="b" * 40)


def version(number: int, text: str) -> ModelRef:
    return msgspec.structs.replace(
        BASE,
        text=text,
        label=f"triage@{number}",
        base_name=BASE.label,
        adapter="/registry",
        adapter_digest=str(number) * 64,
    )


def travelled(run_id: str, candidate: ModelRef, baseline: ModelRef | None) -> KnownRun:
    known = None if baseline is None else KnownModel.of(baseline)
    return KnownRun(run_id=run_id, candidate=KnownModel.of(candidate), baseline=known, root=KnownModel.of(BASE))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    # The test must not reach for a hub.
    monkeypatch.setattr("harness.models.bases._hub_commit", lambda *a: pytest.fail("asked the hub"))
    found = Project(root=tmp_path, config=HarnessConfig())
    with Store(found.store) as store:
        store.put_run(travelled("first", version(2, "candidate"), version(1, "baseline")))
        store.put_run(travelled("second", version(3, "candidate"), None))
        store.put_responses({"a": Response(text="x")}, ref=version(4, "triage"))
    return found


def asked(project: Project, model: str, baseline: str | None = None, dtype: str | None = None) -> ModelRefs:
    return resolve_refs(project, model, baseline, None, dtype, store_only=True)


def test_an_alias_means_what_it_meant_in_the_last_import(project):
    refs = asked(project, "candidate")
    assert refs.candidate.label == "triage@3"
    assert refs.candidate.digest == version(3, "").digest
    assert refs.root is not None
    assert refs.root.digest == BASE.digest
    # That run had no baseline of its own: an alias of the run before it is not taken for one.
    assert refs.baseline == refs.root


def test_a_version_is_compared_with_whom_its_own_run_compared_it_with(project):
    refs = asked(project, "triage@2")
    assert refs.baseline is not None
    assert (refs.baseline.label, refs.baseline.text) == ("triage@1", "baseline")
    assert asked(project, "triage@2", "triage@3").baseline == asked(project, "triage@3").candidate


def test_a_model_that_no_run_names_is_found_by_its_label(project):
    refs = asked(project, "triage@4")
    assert refs.candidate.digest == version(4, "").digest
    assert refs.baseline == refs.root


def test_a_hub_id_is_looked_up_here_and_the_hub_is_not_asked(project):
    assert asked(project, "hf:org/base").candidate.digest == BASE.digest


def test_another_number_format_is_another_model(project):
    assert asked(project, "triage@2", dtype="bf16").candidate.label == "triage@2"
    with pytest.raises(ModelError, match="no answers of that name"):
        asked(project, "triage@2", dtype="float32")


def test_who_is_unknown_is_told_with_those_that_are_known(project):
    with pytest.raises(ModelError, match=r"no model 'triage@9'.*it has .*triage@1, triage@2, triage@3, triage@4"):
        asked(project, "triage@9")
    with pytest.raises(ModelError, match="no model 'triage@2'"):
        resolve_refs(project, "triage@2", None, None, None)
