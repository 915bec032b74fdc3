"""The texts that a record refers to: answers, what was asked and expected, and what was sent in place of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from harness.golden import GoldenSet
from harness.measures.amounts import AMOUNTS, UNITS, mean_amount
from harness.models import Response
from harness.models.refs import ModelRef
from harness.models.thinking import Thinking, has_thinking
from harness.models.tools import conversation_text, tool_names
from harness.pytest_plugin.session import HarnessSession
from harness.record import Probe, Role, SetResult
from harness.retention import scored_choices
from harness.retention.choices import choices_text

if TYPE_CHECKING:
    from harness.models.prompting import Prompting


def kept_texts(session: HarnessSession, golden: GoldenSet, result: SetResult) -> dict[str, Response]:
    """Every text of one set's result: answers by store key, `prompt:SET:CASE`, `target:SET:CASE`, `choices:SET:CASE`
    with how likely each model found each choice, and `sent:ROLE:SET:CASE` for a model that is asked through a YAML."""
    texts = dict(session.texts(k for case in result.cases for keys in case.answers.values() for k in keys))
    cases = {case.id: case for case in golden.cases}
    roles = session.refs.roles()
    prompting = _prompting(roles)
    choices = scored_choices(golden, session.answers, roles) if golden.kind == "choice" else {}
    for shown in result.cases:
        case = cases[shown.case]
        tools = tool_names(case.tools)
        texts[f"prompt:{result.name}:{case.id}"] = Response(text=conversation_text(case.conversation, tools))
        if case.target is not None:
            texts[f"target:{result.name}:{case.id}"] = Response(text=case.target)
        if case.id in choices:
            texts[f"choices:{result.name}:{case.id}"] = Response(text=choices_text(choices[case.id]))
        for role, layers in prompting.items():
            sent = layers.messages(case.conversation)
            texts[f"sent:{role}:{result.name}:{case.id}"] = Response(text=conversation_text(sent, tools))
    return texts


def amount_probes(result: SetResult, texts: Mapping[str, Response]) -> tuple[Probe, ...]:
    """What each case's answers took, as advisory probes; an amount that was not told for every case is left out."""
    cases = result.cases
    roles: tuple[Role, ...] = ("candidate", "baseline", "root")
    first = next((texts[key] for case in cases for key in case.answers.get("candidate", ()) if key in texts), None)
    if first is None or (first.timing is None and not first.prompt_tokens):
        return ()
    probes = []
    for name in AMOUNTS:
        values: dict[Role, tuple[float, ...]] = {}
        for role in roles:
            said = [[texts[key] for key in case.answers.get(role, ()) if key in texts] for case in cases]
            found = [mean_amount(responses, name) for responses in said]
            told = tuple(value for value in found if value is not None)
            if told and len(told) == len(cases):
                values[role] = told
        if "candidate" in values:
            probes.append(
                Probe(
                    probe=name,
                    role="advisory",
                    unit=UNITS[name],
                    higher_is_better=False,
                    cases=tuple(case.case for case in cases),
                    candidate=values["candidate"],
                    baseline=values.get("baseline"),
                    root=values.get("root"),
                )
            )
    return tuple(probes)


def _prompting(refs: Mapping[Role, ModelRef]) -> dict[Role, Prompting]:
    """What stands around the questions to each model that is asked through a YAML."""
    # One of an imported run has a digest and no files here: what was sent stands in the record that came with it.
    asked = {role: ref for role, ref in refs.items() if ref.prompting}
    if not asked:
        return {}
    from harness.models.prompting import load_prompting

    return {role: load_prompting(ref.prompting, ref.prompting_digest or "") for role, ref in asked.items()}


def told_of_thinking(thinking: Thinking, texts: Mapping[str, Response], keys: Collection[str]) -> tuple[str, ...]:
    """What a reader must know of the thinking text in a run's answers; nothing where there is none to speak of."""
    thought = sum(has_thinking(response.text) for key, response in texts.items() if key in keys)
    if thinking == "strip":
        return (f"thinking text is stripped before checks: {thought} of {len(keys)} answers had some",)
    if thought:
        return (f'{thought} of {len(keys)} answers hold thinking text, which is checked with them (thinking = "keep")',)
    return ()
