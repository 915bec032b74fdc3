"""Versions never change, aliases move with a line in the log, and nothing ships without proof."""

from __future__ import annotations

import concurrent.futures
import datetime
import json
import multiprocessing
from pathlib import Path

import msgspec
import pytest
from adapterfiles import tensors

from harness.aliases import Aliases
from harness.errors import ModelError, PromotionRefused, RegistryError
from harness.gate import Criterion, Verdict
from harness.policy import GatePolicy, Waiver
from harness.promotion import find_evidence
from harness.record import ModelIdentity, RunRecord, write_record
from harness.registry import Registry
from harness.waivers import WaiverUse


def make_base(folder: Path, weights: bytes = b"base") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def make_adapter(folder: Path, base: Path, weights: bytes = b"weights", **notes: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    (folder / "adapter_model.safetensors").write_bytes(tensors(weights))
    if notes:
        (folder / "training.json").write_text(json.dumps(notes))
    return folder


@pytest.fixture
def base(tmp_path):
    return make_base(tmp_path / "base")


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry", root=tmp_path)


@pytest.fixture
def version(registry, tmp_path, base):
    return registry.add("triage", make_adapter(tmp_path / "out", base))


def identity(digest: str, label: str = "triage@1") -> ModelIdentity:
    return ModelIdentity(
        label=label,
        reference=label,
        digest=digest,
        base_digest="b",
        adapter_digest=None,
        engine="hf",
        dtype="bfloat16",
    )


def run_of(candidate_digest: str, baseline_digest: str, /, **changes: object) -> RunRecord:
    values: dict[str, object] = {
        "run_id": "20260101-120000-abc",
        "created": "2026-01-01T12:00:00+00:00",
        "harness_version": "0",
        "arguments": (),
        "candidate": identity(candidate_digest),
        "baseline": identity(baseline_digest, "its own base"),
        "root": None,
        "policy": GatePolicy(),
        "policy_digest": GatePolicy().digest,
        "collection_digest": "c",
        "sets": (),
        **changes,
    }
    return RunRecord(**values)  # type: ignore[arg-type]


def verdict(status: str) -> Verdict:
    return Verdict(
        status=status,  # type: ignore[arg-type]
        run_id="20260101-120000-abc",
        candidate="triage@1",
        baseline="its own base",
        policy_digest="p",
        criteria=(Criterion(name="alarm", status=status, summary="s", reason="general got worse."),),  # type: ignore[arg-type]
        sets=(),
    )


def proof(registry, version, **changes):
    return run_of(version.digest, registry.baseline_digest_for(version), **changes)


# ---- versions ----------------------------------------------------------------------------------------------


def test_a_version_holds_the_adapter_its_digests_and_how_it_was_made(registry, tmp_path, base):
    made = registry.add("triage", make_adapter(tmp_path / "out", base, recipe="triage", seed=3))
    assert made.label == "triage@1"
    assert (made.adapter / "adapter_model.safetensors").read_bytes() == tensors(b"weights")
    assert not (made.adapter / "training.json").exists()
    assert made.training == {"recipe": "triage", "seed": 3}
    assert registry.version("triage@1") == made
    assert len({made.digest, made.manifest.base_digest, made.manifest.adapter_digest}) == 3


def test_training_notes_can_be_given_instead_of_found(registry, tmp_path, base):
    made = registry.add("triage", make_adapter(tmp_path / "out", base, seed=3), training={"seed": 4})
    assert made.training == {"seed": 4}


def test_the_digest_is_the_one_that_model_references_have(registry, version, tmp_path):
    from harness.models.resolution import Surroundings, resolve

    ref = resolve("triage@1", Surroundings(root=tmp_path, lookup=registry.lookup, known=registry.known))
    assert ref.digest == version.digest
    assert ref.label == "triage@1"


def test_new_weights_get_the_next_number_and_old_ones_keep_theirs(registry, version, tmp_path, base):
    second = registry.add("triage", make_adapter(tmp_path / "out2", base, b"other"))
    again = registry.add("triage", tmp_path / "out")
    assert (second.label, again.label) == ("triage@2", "triage@1")
    assert registry.labels() == ["triage@1", "triage@2"]


def test_a_name_alone_means_its_newest_version_by_number(registry, tmp_path, base):
    for number in range(11):
        registry.add("triage", make_adapter(tmp_path / f"out{number}", base, bytes([number])))
    assert registry.version("triage").label == "triage@11"
    assert registry.labels()[-1] == "triage@11"


def test_the_number_of_a_deleted_candidate_is_not_given_again(registry, version, tmp_path, base):
    import shutil

    registry.move_alias("candidate", "triage@1", reason="trained")
    shutil.rmtree(version.folder)
    assert registry.add("triage", make_adapter(tmp_path / "out2", base, b"new")).label == "triage@2"


@pytest.mark.parametrize("name", ["", "../up", "a/b", "candidate", "smollm2", "-x", "a@1", "_x"])
def test_a_name_that_would_mean_something_else_is_refused(registry, tmp_path, base, name):
    adapter = make_adapter(tmp_path / "out", base)
    with pytest.raises(RegistryError, match="cannot name a model"):
        registry.add(name, adapter)


def test_a_chinese_name_is_a_name(registry, tmp_path, base):
    assert registry.add("客服", make_adapter(tmp_path / "out", base)).label == "客服@1"


def test_a_folder_that_is_no_adapter_is_refused(registry, tmp_path):
    with pytest.raises(RegistryError, match=r"no adapter_config\.json, so this is no PEFT adapter"):
        registry.add("triage", tmp_path)


def test_an_adapter_whose_base_is_gone_leaves_nothing_behind(registry, tmp_path):
    adapter = make_adapter(tmp_path / "out", tmp_path / "nowhere")
    with pytest.raises(ModelError):
        registry.add("triage", adapter)
    assert registry.labels() == []
    assert not (registry.folder / "triage").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), ("{", "Input data was truncated"), ('{"a": 1}', "unknown field")],
)
def test_a_damaged_manifest_is_named_with_what_to_do(registry, version, content, said):
    file = version.folder / "manifest.json"
    file.unlink()
    if content is not None:
        file.write_text(content)
    with pytest.raises(RegistryError, match=rf"manifest\.json.*{said}.*damaged: restore"):
        registry.version("triage@1")
    assert registry.labels() == ["triage@1"]


def test_an_unknown_version_is_told_from_the_known_ones(registry, version):
    with pytest.raises(RegistryError, match="did you mean 'triage@1'"):
        registry.version("triagee@1")
    with pytest.raises(RegistryError, match="no version is the baseline yet"):
        registry.version("baseline")


def _add(arguments):
    folder, adapter = arguments
    return Registry(folder, root=adapter.parent).add("triage", adapter).label


def test_several_processes_register_without_losing_a_version(registry, tmp_path, base):
    adapters = [make_adapter(tmp_path / f"out{i}", base, bytes([i])) for i in range(4)]
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn) as pool:
        labels = list(pool.map(_add, [(registry.folder, adapter) for adapter in adapters]))
    assert sorted(labels) == registry.labels()
    assert len(registry.labels()) == 4


# ---- aliases and the log -----------------------------------------------------------------------------------


def test_a_move_is_logged_with_who_when_and_why(registry, version):
    registry.move_alias("candidate", "triage", reason="trained from recipes/triage.yaml", owner="Ada")
    (move,) = registry.log()
    assert (move.alias, move.before, move.after, move.owner) == ("candidate", None, "triage@1", "Ada")
    assert move.reason == "trained from recipes/triage.yaml"
    assert move.when.endswith("+00:00")
    assert registry.known() == ["candidate", "triage@1"]
    assert registry.lookup("candidate") == version.folder


def test_a_move_cut_short_after_its_log_line_is_made_by_the_next_writer(registry, version):
    registry.move_alias("candidate", "triage@1", reason="trained")
    (registry.folder / "aliases" / "candidate").unlink()
    registry.move_alias("baseline", "triage@1", reason="first")
    assert registry.alias("candidate") == "triage@1"


def test_half_a_log_line_is_no_move_and_does_not_spoil_the_next(registry, version):
    registry.move_alias("candidate", "triage@1", reason="trained")
    with (registry.folder / "log.jsonl").open("a") as log:
        log.write('{"when": "2026')
    assert len(registry.log()) == 1
    registry.move_alias("baseline", "triage@1", reason="first")
    assert [move.alias for move in registry.log()] == ["candidate", "baseline"]


def test_a_damaged_log_line_is_named(registry, version):
    registry.move_alias("candidate", "triage@1", reason="trained")
    with (registry.folder / "log.jsonl").open("a") as log:
        log.write("nonsense\n")
    with pytest.raises(RegistryError, match=r"log\.jsonl:2: not a move"):
        registry.log()


def test_an_alias_file_that_holds_no_version_is_named(registry, version):
    registry.move_alias("candidate", "triage@1", reason="trained")
    (registry.folder / "aliases" / "candidate").write_text("../../etc")
    with pytest.raises(RegistryError, match="is no version"):
        registry.alias("candidate")


def test_an_alias_whose_version_is_gone_is_told(registry, version):
    import shutil

    registry.move_alias("candidate", "triage@1", reason="trained")
    shutil.rmtree(version.folder)
    with pytest.raises(RegistryError, match="points at triage@1, which is gone"):
        registry.lookup("candidate")


def test_a_user_without_a_name_still_signs(tmp_path, monkeypatch):
    def nameless():
        raise OSError("no user name")

    monkeypatch.setattr("getpass.getuser", nameless)
    aliases = Aliases(tmp_path)
    assert aliases.move("candidate", "a@1", kind="move", reason="r", owner=None).owner.startswith("uid ")


# ---- promotion ---------------------------------------------------------------------------------------------


def test_a_complete_pass_for_exactly_these_weights_is_promoted(registry, version):
    move = registry.promote("triage@1", verdict("PASS"), proof(registry, version), owner="Ada")
    assert registry.alias("baseline") == "triage@1"
    assert (move.before, move.after, move.owner, move.accepted) == (None, "triage@1", "Ada", False)
    assert move.run_id == "20260101-120000-abc"


def test_no_run_at_all_is_refused_with_the_command_to_run(registry, version):
    with pytest.raises(PromotionRefused, match=r"no run of the gate has judged these weights.*harness gate triage@1"):
        registry.promote("triage@1", None, None)


def test_a_run_of_other_weights_is_refused(registry, version):
    record = run_of("other", version.manifest.base_digest)
    with pytest.raises(PromotionRefused, match="judged other weights"):
        registry.promote("triage@1", verdict("PASS"), record)


def test_a_partial_run_is_refused(registry, version):
    record = proof(registry, version, partial="-k late")
    with pytest.raises(PromotionRefused, match=r"was partial \(-k late\)"):
        registry.promote("triage@1", verdict("PASS"), record)


def test_a_baseline_that_moved_means_a_new_gate(registry, version, tmp_path, base):
    second = registry.add("triage", make_adapter(tmp_path / "out2", base, b"other"))
    old = proof(registry, second)
    registry.promote("triage@1", verdict("PASS"), proof(registry, version))
    with pytest.raises(PromotionRefused, match=r"the baseline moved.*today's baseline is triage@1.*gate again"):
        registry.promote("triage@2", verdict("PASS"), old)
    registry.promote("triage@2", verdict("PASS"), proof(registry, second))
    assert registry.alias("baseline") == "triage@2"


@pytest.mark.parametrize("status", ["FAIL", "INVALID", "INCONCLUSIVE"])
def test_anything_but_a_pass_is_refused(registry, version, status):
    with pytest.raises(PromotionRefused, match=f"is {status}"):
        registry.promote("triage@1", verdict(status), proof(registry, version))
    assert registry.alias("baseline") is None
    assert registry.log() == []


@pytest.mark.parametrize("status", ["FAIL", "INVALID"])
def test_accept_excuses_nothing_but_inconclusive(registry, version, status):
    with pytest.raises(PromotionRefused, match="--accept excuses INCONCLUSIVE only"):
        registry.promote("triage@1", verdict(status), proof(registry, version), accept="we need it")


def test_an_accepted_inconclusive_is_logged_with_owner_and_reason(registry, version):
    registry.promote(
        "triage@1", verdict("INCONCLUSIVE"), proof(registry, version), accept="pilot users only", owner="Ada"
    )
    (move,) = registry.log()
    assert (move.accepted, move.owner, move.reason) == (True, "Ada", "pilot users only")


def test_the_log_names_the_waivers_that_a_promotion_rests_on(registry, version):
    waiver = Waiver(set="rules", case="r1", owner="Ana", reason="known", expires=datetime.date(2027, 1, 1))
    unused = msgspec.structs.replace(waiver, case="r2")
    uses = (WaiverUse(waiver=waiver, state="used"), WaiverUse(waiver=unused, state="not needed"))
    passed = msgspec.structs.replace(verdict("PASS"), waivers=uses)
    move = registry.promote("triage@1", passed, proof(registry, version))
    assert move.reason == ("PASS in run 20260101-120000-abc; waived: case rules/r1 (Ana, until 2027-01-01: known)")


def test_a_version_whose_files_were_changed_is_not_promoted(registry, version):
    record = proof(registry, version)
    (version.adapter / "adapter_model.safetensors").write_bytes(tensors(b"tampered"))
    with pytest.raises(RegistryError, match="not those that were registered"):
        registry.promote("triage@1", verdict("PASS"), record)


def test_rollback_undoes_one_promotion_after_the_other(registry, version, tmp_path, base):
    second = registry.add("triage", make_adapter(tmp_path / "out2", base, b"other"))
    third = registry.add("triage", make_adapter(tmp_path / "out3", base, b"third"))
    for made in (version, second, third):
        registry.promote(made.label, verdict("PASS"), proof(registry, made))
    assert registry.rollback().after == "triage@2"
    assert registry.rollback().after == "triage@1"
    registry.promote(third.label, verdict("PASS"), proof(registry, third))
    assert registry.rollback().after == "triage@1"
    assert registry.rollback(reason="start over").after is None
    assert registry.alias("baseline") is None
    with pytest.raises(RegistryError, match="nothing to roll back"):
        registry.rollback()
    assert len(registry.log()) == 8


# ---- evidence ----------------------------------------------------------------------------------------------


def put(reports: Path, run_id: str, created: str, **changes: object) -> None:
    record = run_of("cand", "basel", run_id=run_id, created=created, **changes)
    write_record(reports / run_id, record, {})


def test_the_newest_complete_run_of_these_digests_speaks(tmp_path):
    put(tmp_path, "one", "2026-01-01T00:00:00+00:00")
    put(tmp_path, "two", "2026-01-02T00:00:00+00:00")
    put(tmp_path, "partial", "2026-01-03T00:00:00+00:00", partial="-k x")
    put(tmp_path, "elsewhere", "2026-01-04T00:00:00+00:00", baseline=identity("another"))
    put(tmp_path, "stranger", "2026-01-05T00:00:00+00:00", candidate=identity("stranger"))
    found = find_evidence(tmp_path, digest="cand", baseline_digest="basel")
    assert found is not None
    assert found.record.run_id == "two"


def test_without_one_the_nearest_run_is_found_so_that_the_refusal_can_name_it(tmp_path):
    put(tmp_path, "partial", "2026-01-03T00:00:00+00:00", partial="-k x")
    assert find_evidence(tmp_path, digest="cand", baseline_digest="basel").record.run_id == "partial"
    put(tmp_path, "elsewhere", "2026-01-01T00:00:00+00:00", baseline=identity("another"))
    assert find_evidence(tmp_path, digest="cand", baseline_digest="basel").record.run_id == "elsewhere"
    assert find_evidence(tmp_path, digest="nobody", baseline_digest="basel") is None


def test_a_record_that_cannot_be_read_proves_nothing(tmp_path):
    put(tmp_path, "good", "2026-01-01T00:00:00+00:00")
    put(tmp_path, "bad", "2026-01-02T00:00:00+00:00")
    (tmp_path / "bad" / "record.json").write_text("{")
    assert find_evidence(tmp_path, digest="cand", baseline_digest="basel").record.run_id == "good"
    assert find_evidence(tmp_path / "none", digest="cand", baseline_digest="basel") is None
