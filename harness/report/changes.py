"""What differs between candidate and baseline: weights, recipe, rows, template, versions. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.lineage import DataChange, Lineage, Training
from harness.record import RunRecord
from harness.report.visible import one_line, shown, visible
from harness.report.words import Words

#: Of a recipe that is new as a whole, what says most comes first; the rest follows.
_FIRST = (
    "name",
    "base",
    "data.train",
    "data.limit",
    "replay",
    "replay.prompts",
    "replay.ratio",
    "lora.r",
    "optim.lr",
    "optim.epochs",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same: what it was and what it is."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class RowDifference:
    """One row of the training data that was added, removed or altered."""

    change: str
    word: str
    where: str
    kind: str
    prompt: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """All that is known to differ, in the order of how likely it is to matter. `same` names what does not differ;
    `trained_before`: the baseline has a recipe as well."""

    told: str
    data: str
    counts: tuple[tuple[str, str, int], ...]
    rows: tuple[RowDifference, ...]
    recipe: tuple[Difference, ...]
    others: tuple[Difference, ...]
    same: tuple[str, ...]
    untold: tuple[str, ...]
    trained_before: bool = True


def changes_of(record: RunRecord, words: Words) -> Changes | None:
    """What differs; None where there is nothing to compare with."""
    if record.baseline is None or record.source != "suites":
        return None
    lineage = record.lineage or Lineage()
    before, after = lineage.baseline, lineage.candidate
    same: list[str] = []
    return Changes(
        told=_told(record, words),
        data="" if lineage.data is None else _data(lineage, words),
        counts=() if lineage.data is None else _counts(lineage.data, words),
        rows=() if lineage.data is None else tuple(_rows(lineage.data, words)),
        recipe=tuple(_recipe(before, after, same, words)),
        others=tuple(_others(record, before, after, same, words)),
        same=tuple(same),
        untold=tuple(visible(why) for why in lineage.untold),
        trained_before=before is not None,
    )


def _told(record: RunRecord, words: Words) -> str:
    candidate, baseline = record.candidate, record.baseline
    assert baseline is not None, "asked by the caller"
    names = {"candidate": visible(candidate.label), "baseline": visible(baseline.label)}
    if candidate.digest == baseline.digest:
        return words("{candidate} and {baseline} are the same weights.", **names)
    if candidate.base_digest != baseline.base_digest:
        return words("{candidate} and {baseline} stand on different base models.", **names)
    if baseline.adapter_digest is None:
        return words(
            "{candidate} is {baseline} with an adapter trained on top; the baseline was not trained here.", **names
        )
    return words("{candidate} and {baseline} are adapters on the same base.", **names)


def _data(lineage: Lineage, words: Words) -> str:
    rows = lineage.candidate.rows if lineage.candidate is not None else {}
    file = visible(lineage.candidate.recipe.get("data.train", "")) if lineage.candidate is not None else ""
    task, replay = rows.get("task", 0), rows.get("replay", 0)
    told = words("Trained on {task} rows of {file}", task=f"{task:,}", file=file)
    if replay:
        return told + words(" and {replay} replay rows.", replay=f"{replay:,}")
    return told + words(", without any replay: nothing reminded it of what the base could do.")


def _counts(data: DataChange, words: Words) -> tuple[tuple[str, str, int], ...]:
    return (
        ("added", words("added"), data.added),
        ("removed", words("removed"), data.removed),
        ("altered", words("altered"), data.altered),
        ("kept", words("unchanged"), data.kept),
    )


def _rows(data: DataChange, words: Words) -> Iterator[RowDifference]:
    for row in data.examples:
        yield RowDifference(
            change=row.change,
            word=words(row.change),
            where=visible(row.where),
            kind=words("replay") if row.kind == "replay" else words("task"),
            prompt=shown(row.prompt, 600),
            before=None if row.before is None else shown(row.before, 400),
            after=None if row.after is None else shown(row.after, 400),
        )


def _recipe(before: Training | None, after: Training | None, same: list[str], words: Words) -> Iterator[Difference]:
    if after is None:
        return
    old = {} if before is None else before.recipe
    keys = sorted({*old, *after.recipe}, key=lambda key: (key not in _FIRST, _place(key), key))
    differing = [key for key in keys if old.get(key) != after.recipe.get(key)]
    if before is not None and not differing:
        same.append(words("recipe"))
    for key in differing:
        yield Difference(
            what=visible(key),
            before=one_line(old.get(key, "–")),
            after=one_line(after.recipe.get(key, "–")),
        )


def _place(key: str) -> int:
    return _FIRST.index(key) if key in _FIRST else 0


def _others(
    record: RunRecord, before: Training | None, after: Training | None, same: list[str], words: Words
) -> Iterator[Difference]:
    assert record.baseline is not None, "asked by the caller"
    pairs = [
        (words("engine"), record.baseline.engine, record.candidate.engine),
        (words("number format"), record.baseline.dtype, record.candidate.dtype),
        (words("base weights"), record.baseline.base_digest[:12], record.candidate.base_digest[:12]),
    ]
    if before is not None and after is not None:
        pairs.append((words("chat template"), before.template_digest[:12], after.template_digest[:12]))
        pairs += [
            (name, before.versions.get(name, "–"), after.versions.get(name, "–"))
            for name in sorted({*before.versions, *after.versions})
        ]
    for what, old, new in pairs:
        if old == new:
            same.append(visible(what))
        else:
            yield Difference(what=visible(what), before=visible(old), after=visible(new))
