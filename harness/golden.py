"""Golden sets: the questions whose right answers are known."""

from __future__ import annotations

import codecs
import contextlib
import fnmatch
import gc
import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.errors import CheckError, GoldenSetError, unknown_name
from harness.models import Message
from harness.models.tools import fault_of_tool, tool_names

Kind = Literal["ask", "choice", "text"]

#: Looks at one entry of a case's `checks`, with the case's target, and raises CheckError; `harness.checks.validate` is
#: the one there is.
CheckValidator = Callable[[str | dict[str, Any], str | None], None]

ENDING = ".jsonl"

_KIND_NAMES: dict[Kind, str] = {"ask": "asked", "choice": "multiple choice", "text": "prose"}
_INDEX_WORDS = (
    r"c|case|data|datum|entry|ex|example|golden|id|index|input|item|line|n|no|nr|num|number|prompt|q|qa|qn|query|"
    r"question|record|request|row|sample|t|task|test|testcase|text|例|例子|第|编号|问|问题|样本|用例|测试|题|题目"
)
_INDEX_LIKE = re.compile(
    rf"(?:(?:{_INDEX_WORDS})[ _.#:-]?){{0,3}}#?\d+(?:[ _.-]\d+)*(?:行|题|个|条|例)?", re.IGNORECASE
)
_FORBIDDEN_IN_ID = re.compile(r"::|[\[\]/\\\x00-\x1f\x7f\u2028\u2029]")


class GoldenCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One case. Its kind follows from its fields: `input` or `messages` is asked, with `choices` it is
    multiple choice by log-likelihood (`answer` is one of `choices`), and `text` is scored as prose. A `schema`
    is a JSON Schema that the answer is held to while it is written; `tools` are definitions of what the model may
    call.

    `target` is a reference answer; `checks` are data (`["valid_json", {"includes": "30 days"}]`); a
    `red_line` case must pass; `variant_of` names the case that this one rewords.
    """

    id: str
    input: str | None = None
    messages: tuple[Message, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    text: str | None = None
    target: str | None = None
    choices: tuple[str, ...] = ()
    answer: str | None = None
    checks: tuple[str | dict[str, Any], ...] = ()
    schema: dict[str, Any] = {}
    red_line: bool = False
    weight: float = 1.0
    variant_of: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}

    @property
    def kind(self) -> Kind:
        """ask, choice or text."""
        if self.text is not None:
            return "text"
        return "choice" if self.choices else "ask"

    @property
    def conversation(self) -> tuple[Message, ...]:
        """The messages to be answered; empty for prose."""
        if self.input is not None:
            return (Message(role="user", content=self.input),)
        return self.messages


class GoldenSet(msgspec.Struct, frozen=True, kw_only=True):
    """A file of cases. `name` is its path below the golden sets' folder without the ending:
    `retention/general`.

    `lines[i]` is the line of `cases[i]` in the file. `digest` is the sha256 of the file's bytes.
    """

    name: str
    path: Path
    kind: Kind
    digest: str
    cases: tuple[GoldenCase, ...]
    lines: tuple[int, ...]


def load_golden_set(path: Path, *, root: Path, validate_check: CheckValidator | None = None) -> GoldenSet:
    """Read a golden set: JSON Lines, one case a line, UTF-8; blank lines are skipped.

    `root` is the folder of golden sets, from which the set's name is counted; a file elsewhere goes by its
    own name. With `validate_check`, every case's checks are looked at now rather than when they run. Raises
    GoldenSetError, whose message starts with `file:line:`, for the first fault of the file.
    """
    inside = path.resolve().is_relative_to(root.resolve())
    relative = path.resolve().relative_to(root.resolve()) if inside else Path(path.name)
    file = str(Path(root.name) / relative) if inside else str(path)
    if path.suffix != ENDING:
        raise GoldenSetError(f"{file}: golden sets are JSON Lines files. Convert it, and let its name end in {ENDING}.")
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise GoldenSetError(f"{file}: there is no such golden set. Create it, or correct the path.") from error
    except OSError as error:
        raise GoldenSetError(f"{file}: cannot be read ({error.strerror}). Check its permissions.") from error
    with _collector_paused():
        lines, cases = _read_cases(data, file, validate_check)
    return GoldenSet(
        name=relative.with_suffix("").as_posix(),
        path=path,
        kind=cases[0].kind,
        digest=hashlib.sha256(data).hexdigest(),
        cases=tuple(cases),
        lines=tuple(lines),
    )


def find_golden_sets(root: Path) -> list[str]:
    """The names of all sets below the folder of golden sets, sorted; hidden files and folders are left out."""
    names = []
    for path in root.rglob(f"*{ENDING}"):
        relative = path.relative_to(root)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            names.append(relative.with_suffix("").as_posix())
    return sorted(names)


def select_golden_sets(
    root: Path, patterns: Sequence[str], *, validate_check: CheckValidator | None = None
) -> list[GoldenSet]:
    """Load the sets whose names equal or match the patterns (`refunds`, `retention/*`), each once, in the
    patterns' order. Raises GoldenSetError for a pattern that matches nothing, with the nearest name."""
    if not root.is_dir():
        raise GoldenSetError(
            f"{root}: there is no such folder. Put golden sets there, or set [tool.harness] golden_sets."
        )
    names = find_golden_sets(root)
    selected: dict[str, None] = {}
    for pattern in patterns:
        found = [name for name in names if name == pattern or fnmatch.fnmatchcase(name, pattern)]
        if not found:
            raise GoldenSetError(f"{root}: {unknown_name('golden set', pattern, names)}")
        selected.update(dict.fromkeys(found))
    return [load_golden_set(root / f"{name}{ENDING}", root=root, validate_check=validate_check) for name in selected]


def _read_cases(data: bytes, file: str, validate_check: CheckValidator | None) -> tuple[list[int], list[GoldenCase]]:
    """The cases of a file and the lines they stand on, each looked at; at least one."""
    decode = msgspec.json.Decoder(GoldenCase).decode
    lines: list[int] = []
    cases: list[GoldenCase] = []
    first_lines: dict[str, int] = {}
    kind: tuple[Kind, int] | None = None
    validated: set[str] = set()
    text = _text(data, file)
    quoted_keys = [key for field in GoldenCase.__struct_fields__ if (key := f'"{field}"') in text]
    # Only a line feed ends a line: U+2028 and the like may stand in a text.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or line.isspace():
            continue
        try:
            case = decode(line)
        except msgspec.MsgspecError as error:
            raise GoldenSetError(f"{file}:{number}: {_fault_of_line(line, error)}") from error
        fault = _repeated_key(line, quoted_keys) or _fault_of_case(case)
        if fault is None and (first := first_lines.setdefault(_same_id(case.id), number)) != number:
            fault = f"duplicate case id {case.id!r} (first on line {first}). Ids name tests, so rename one."
        if kind is None:
            kind = (case.kind, number)
        if fault is None and case.kind != kind[0]:
            fault = (
                f"case {case.id!r} is {_KIND_NAMES[case.kind]}, but line {kind[1]} is {_KIND_NAMES[kind[0]]}. "
                "A set has one kind of cases: move these to a file of their own."
            )
        if fault is None and validate_check is not None and case.checks:
            fault = _fault_of_checks(case, validate_check, validated)
        if fault is not None:
            raise GoldenSetError(f"{file}:{number}: {fault}")
        lines.append(number)
        cases.append(case)
    if kind is None:
        raise GoldenSetError(
            f'{file}:1: there are no cases in this set. Write one a line, as {{"id": "late-delivery", "input": "…"}}, '
            "or delete the file."
        )
    return lines, cases


def _text(data: bytes, file: str) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise GoldenSetError(f"{file}:1: the file is UTF-16. Save it as UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise GoldenSetError(f"{file}:{line}: byte 0x{byte:02x} is not UTF-8. Save the file as UTF-8.") from error


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Without garbage collection: it would walk all cases again and again, for 80% of the time, and find no garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _fault_of_checks(case: GoldenCase, validate_check: CheckValidator, validated: set[str]) -> str | None:
    """What is wrong with the case's checks; `validated` remembers those without arguments, which recur."""
    for index, spec in enumerate(case.checks):
        if isinstance(spec, str) and spec in validated:
            continue
        try:
            validate_check(spec, case.target)
        except CheckError as error:
            return f"case {case.id!r}, checks[{index}]: {error}"
        if isinstance(spec, str):
            validated.add(spec)
    return None


def _fault_of_case(case: GoldenCase) -> str | None:
    """What is wrong with a case by itself, with the next step; None if nothing."""
    return _fault_of_id(case.id) or _fault_of_question(case) or _fault_of_rest(case)


def _fault_of_id(name: str) -> str | None:
    if not name.strip() or name != name.strip():
        return f"id {name!r} is empty or has white space around it. Name what the case asks, e.g. 'late-delivery'."
    if forbidden := _FORBIDDEN_IN_ID.search(name):
        return f"id {name!r} contains {forbidden.group()!r}, which test ids use otherwise. Use letters, digits and '-'."
    if name[-1].isdigit() or not name.isascii():
        folded = unicodedata.normalize("NFKC", name)
        if _INDEX_LIKE.fullmatch(folded):
            return (
                f"id {name!r} is an index: it would mean another case once a row is inserted above it, and "
                "results could no longer be compared. Name what the case asks, e.g. 'late-delivery'."
            )
    return None


def _fault_of_question(case: GoldenCase) -> str | None:
    given = [name for name in ("input", "messages", "text") if getattr(case, name) not in (None, ())]
    if not given:
        return f"case {case.id!r} asks nothing. Give it an input, messages or a text."
    if len(given) > 1:
        return f"case {case.id!r} has {' and '.join(given)}. Keep one of them."
    asked = case.input if case.input is not None else case.text
    if asked is not None and not asked.strip():
        return f"case {case.id!r} has an empty {given[0]}. Write it, or delete the case."
    if case.messages and case.messages[-1].role not in ("user", "tool"):
        return (
            f"case {case.id!r} ends with a message of the {case.messages[-1].role}, so there is nothing to answer. "
            "End with the user's, and put the reference answer in target."
        )
    return _fault_of_tools(case)


def _fault_of_tools(case: GoldenCase) -> str | None:
    for number, tool in enumerate(case.tools):
        if fault := fault_of_tool(tool):
            return f"case {case.id!r}, tools[{number}] {fault}. Correct it."
    names = tool_names(case.tools)
    if repeated := next((name for name in names if names.count(name) > 1), None):
        return f"case {case.id!r} has two tools that are called {repeated!r}. Rename one."
    for message in case.messages:
        if message.tool_calls and message.role != "assistant":
            return f"case {case.id!r}: a message of the {message.role} has tool_calls, which only an assistant makes."
        for call in message.tool_calls:
            if case.tools and call.function.name not in names:
                return f"case {case.id!r}: {unknown_name('tool', call.function.name, names)}"
            try:
                msgspec.json.decode(call.function.arguments, type=dict[str, Any])
            except (msgspec.MsgspecError, UnicodeEncodeError):
                return (
                    f"case {case.id!r}: the arguments of a call of {call.function.name!r} are not the text of a JSON "
                    f'object: {call.function.arguments!r}. Write them as "{{\\"city\\": \\"Paris\\"}}".'
                )
    return None


def _fault_of_rest(case: GoldenCase) -> str | None:
    if case.kind != "ask" and (useless := _useless_field(case)):
        how = "scored as prose" if case.kind == "text" else "answered by the likeliest choice"
        return f"case {case.id!r} is {how}, so its {useless} would never be used. Remove it."
    if case.choices:
        if len(case.choices) < 2 or len(set(case.choices)) < len(case.choices) or "" in case.choices:
            return f"case {case.id!r} needs two or more different choices that are not empty."
        if case.answer is None:
            return f"case {case.id!r} has choices but no answer. Say which choice is right."
        if case.answer not in case.choices:
            return f"case {case.id!r}: {unknown_name('answer', case.answer, case.choices)}"
    elif case.answer is not None:
        return f"case {case.id!r} has an answer but no choices. Give the choices, or call it target."
    if not case.weight > 0:
        return f"case {case.id!r} has the weight {case.weight:g}. Weights are above 0; to leave a case out, delete it."
    if case.variant_of is not None and _same_id(case.variant_of) == _same_id(case.id):
        return f"case {case.id!r} is a variant of itself. Let variant_of name the original."
    return None


def _useless_field(case: GoldenCase) -> str | None:
    fields: dict[str, object] = {"checks": case.checks, "schema": case.schema, "tools": case.tools}
    if case.kind == "text":
        fields |= {"target": case.target, "choices": case.choices, "answer": case.answer, "red_line": case.red_line}
    return next((name for name, value in fields.items() if value), None)


def _same_id(name: str) -> str:
    """Ids that look the same are the same, however their accents are written."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _repeated_key(line: str, quoted_keys: Sequence[str]) -> str | None:
    """The fault of a key that stands twice in the case, of which JSON readers keep the last in silence."""
    for key in quoted_keys:
        if line.count(key) > 1:
            break
    else:
        return None
    keys = [key for key, _ in json.JSONDecoder(object_pairs_hook=list).decode(line)]
    repeated = next((key for key in keys if keys.count(key) > 1), None)
    return f"the key {repeated!r} stands twice. Keep one." if repeated is not None else None


def _fault_of_line(text: str, error: msgspec.MsgspecError) -> str:
    """Why a line is not a case, in the user's terms: malformed JSON, an unknown key, a wrong type."""
    try:
        document = msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return _fault_of_json(text)
    if not isinstance(document, dict):
        return f"a case is a JSON object in braces, and this is {type(document).__name__}. Write one object a line."
    for key in document:
        if key not in GoldenCase.__struct_fields__:
            return unknown_name("key", key, GoldenCase.__struct_fields__)
    messages = document.get("messages")
    for message in messages if isinstance(messages, list) else ():
        for key in message if isinstance(message, dict) else ():
            if key not in Message.__struct_fields__:
                return unknown_name("key of a message", key, Message.__struct_fields__)
    if "id" not in document:
        return "the case has no id. Name what it asks, e.g. 'late-delivery'."
    return f"case {document['id']!r}: {error}. Correct the value."


def _fault_of_json(text: str) -> str:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        if text.strip() in ("[", "]", "{", "}") or text.lstrip().startswith("["):
            return "not JSON Lines: each line must be one whole case, without commas or a list around them."
        return f"malformed JSON at column {error.colno} ({error.msg}), near {text[error.pos : error.pos + 20]!r}."
    except (ValueError, RecursionError) as error:
        return f"malformed JSON ({error})."
    return "malformed JSON: a number is out of range, or the nesting too deep. Correct the value."


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number: use null, or leave the key out")
