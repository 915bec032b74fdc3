"""The texts that a record refers to: answers, what was asked and expected, and what was sent in place of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from harness.golden import GoldenSet
from harness.models import Message, Response
from harness.models.prompting import load_prompting
from harness.models.refs import ModelRef
from harness.models.thinking import Thinking, has_thinking
from harness.models.tools import tool_names
from harness.pytest_plugin.session import HarnessSession
from harness.record import Role, SetResult


def kept_texts(session: HarnessSession, golden: GoldenSet, result: SetResult) -> dict[str, Response]:
    """Every text of one set's result: answers by store key, `prompt:SET:CASE`, `target:SET:CASE`, and
    `sent:ROLE:SET:CASE` for a model that is asked through a YAML."""
    texts = dict(session.texts(k for case in result.cases for keys in case.answers.values() for k in keys))
    cases = {case.id: case for case in golden.cases}
    prompting = {role: (ref.prompting, ref.prompting_digest) for role, ref in _prompted(session.refs.roles()).items()}
    for shown in result.cases:
        case = cases[shown.case]
        tools = tool_names(case.tools)
        texts[f"prompt:{result.name}:{case.id}"] = Response(text=conversation_text(case.conversation, tools))
        if case.target is not None:
            texts[f"target:{result.name}:{case.id}"] = Response(text=case.target)
        for role, (files, digest) in prompting.items():
            sent = load_prompting(files, digest or "").messages(case.conversation)
            texts[f"sent:{role}:{result.name}:{case.id}"] = Response(text=conversation_text(sent, tools))
    return texts


def _prompted(refs: Mapping[Role, ModelRef]) -> dict[Role, ModelRef]:
    # One of an imported run has a digest and no files here: what was sent stands in the record that came with it.
    return {role: ref for role, ref in refs.items() if ref.prompting}


def conversation_text(messages: Sequence[Message], tools: Sequence[str] = ()) -> str:
    """A conversation to be read: a question as it is; more turns with who says them, calls and tools by name."""
    if len(messages) == 1 and messages[0].role == "user" and not tools:
        return messages[0].content
    turns = [f"tools: {', '.join(tools)}"] if tools else []
    for message in messages:
        calls = [f"{call.function.name}({call.function.arguments})" for call in message.tool_calls]
        turns.append(" ".join([f"{message.role}:", *([message.content] if message.content else []), *calls]))
    return "\n\n".join(turns)


def told_of_thinking(thinking: Thinking, texts: Mapping[str, Response], keys: Collection[str]) -> tuple[str, ...]:
    """What a reader must know of the thinking text in a run's answers; nothing where there is none to speak of."""
    thought = sum(has_thinking(response.text) for key, response in texts.items() if key in keys)
    if thinking == "strip":
        return (f"thinking text is stripped before checks: {thought} of {len(keys)} answers had some",)
    if thought:
        return (f'{thought} of {len(keys)} answers hold thinking text, which is checked with them (thinking = "keep")',)
    return ()
