"""May this version ship? The proof that a promotion needs, and where it is found."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.config import Project
from harness.errors import HarnessError, PromotionRefused
from harness.record import RunRecord, read_record

if TYPE_CHECKING:
    from harness.gate import Verdict


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The run that speaks for a version, or fails to, and the folder it lies in."""

    folder: Path
    record: RunRecord


def find_evidence(reports: Path, *, digest: str, baseline_digest: str) -> Evidence | None:
    """The newest complete run of exactly these two models.

    Where there is none, the nearest thing, so that a refusal can say what is missing: the newest complete
    run of the candidate against another baseline, else its newest partial run. A newer failure outranks an
    older pass. Records that cannot be read are passed over: they prove nothing.
    """
    found: list[tuple[bool, bool, str, Evidence]] = []
    for file in reports.glob("*/record.json"):
        try:
            record = read_record(file.parent)
        except HarnessError:
            continue
        if record.candidate.digest == digest:
            same = record.baseline is not None and record.baseline.digest == baseline_digest
            complete = record.partial is None
            evidence = Evidence(folder=file.parent, record=record)
            found.append((complete and same, complete, record.created + record.run_id, evidence))
    return max(found, key=lambda entry: entry[:3])[3] if found else None


def refuse_outdated(record: RunRecord, project: Project, version: str) -> None:
    """Raise PromotionRefused where today's suites or golden sets ask something else than the run did."""
    unasked = [suite for suite in project.config.gate.suites if suite not in record.policy.suites]
    changed = [one.path for one in record.sets if _digest(project.root / one.path) != one.digest]
    if unasked or changed:
        what = [f"{suite} is a suite of the policy now" for suite in unasked]
        what += [f"{path} is another file now, or gone" for path in changed]
        raise PromotionRefused(
            f"{version} cannot be promoted: run {record.run_id} is out of date: {', '.join(what)}. What is asked now "
            f"was never answered; finished answers are reused. Run: harness gate {version}"
        )


def _digest(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None


def refuse_without_proof(
    *,
    version: str,
    digest: str,
    baseline: str,
    baseline_digest: str,
    verdict: Verdict | None,
    record: RunRecord | None,
    accept: str | None,
) -> Verdict:
    """Raise PromotionRefused unless `verdict` is a PASS of a complete run of exactly these weights.

    INCONCLUSIVE is enough with a reason to `accept` it. Returns the verdict that carries the promotion.
    """
    refused = f"{version} cannot be promoted:"
    again = f"Run: harness gate {version}"
    if record is None or verdict is None:
        raise PromotionRefused(f"{refused} no run of the gate has judged these weights (digest {digest[:12]}). {again}")
    run = f"run {record.run_id}"
    if record.candidate.digest != digest:
        raise PromotionRefused(
            f"{refused} {run} judged other weights (digest {record.candidate.digest[:12]}; "
            f"this version is {digest[:12]}). {again}"
        )
    if record.partial is not None:
        raise PromotionRefused(
            f"{refused} {run} was partial ({record.partial}), "
            f"and a part of the golden sets proves nothing about the rest. {again}"
        )
    judged = record.baseline
    if judged is None or judged.digest != baseline_digest:
        compared = "nothing" if judged is None else f"{judged.label} ({judged.digest[:12]})"
        raise PromotionRefused(
            f"{refused} the baseline moved. {run} compared with {compared}, "
            f"today's baseline is {baseline} ({baseline_digest[:12]}): gate again. {again}"
        )
    if verdict.status == "PASS" or (verdict.status == "INCONCLUSIVE" and accept):
        return verdict
    reasons = "".join(f"\n  - {line}" for line in verdict.reasons())
    ways = {
        "INCONCLUSIVE": "Add cases and gate again, or answer for it in your own name: "
        f'harness models promote {version} --accept "REASON"',
        "INVALID": f"An INVALID run proves nothing. Remove the cause, then gate again. {again}",
        "FAIL": "Change the data or the recipe, then train and gate again.",
    }
    if verdict.remedy is not None:
        ways["INVALID"] = f"An INVALID run proves nothing. Next: {verdict.remedy.step}"
    excuse = " --accept excuses INCONCLUSIVE only." if accept else ""
    raise PromotionRefused(f"{refused} {run} is {verdict.status}.{reasons}\n{ways[verdict.status]}{excuse}")
