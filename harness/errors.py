"""What can go wrong, and how it is told.

    HarnessError
    ├── ConfigError       pyproject.toml, options, policy
    ├── GoldenSetError    golden_sets/*.jsonl
    ├── ModelError        a reference that cannot be resolved, a model that cannot be loaded
    ├── GenerationError   an engine that failed in mid-run
    ├── JudgeError        a judge that cannot be used
    ├── RegistryError     versions, aliases
    │   └── PromotionRefused
    ├── RecipeError       recipes/*.yaml
    ├── DataError         training data
    ├── CheckError        a check that crashed or was given wrong arguments
    ├── RecordError       a run record that cannot be written, read or trusted
    ├── ReviewError       answers of reviewers that cannot be read, matched or trusted
    ├── ScoreFileError    other tools' scores that cannot be read
    ├── StoreFileError    exported answers that cannot be written, read or trusted
    ├── StatisticsError   numbers that carry no answer (none, NaN, unpaired)
    └── Unanswered        an answer that is neither yes nor no
        ├── Inconclusive  too few cases to tell
        ├── Invalid       the comparison itself cannot be trusted
        └── Advisory      a stand-in for a judge said something; nothing may rest on it

A message says what, where, and what to do next. The command line and the plugin print it without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class HarnessError(Exception):
    """The root: every error a user can cause or must act on."""


class ConfigError(HarnessError):
    """The project's configuration cannot be used."""


class GoldenSetError(HarnessError):
    """A golden set cannot be read; the message starts with `file:line:`."""


class ModelError(HarnessError):
    """A model reference cannot be resolved, or its files cannot be loaded."""


class GenerationError(HarnessError):
    """The engine failed while answering; what it had finished is kept in the store."""


class JudgeError(HarnessError):
    """A judge is missing, unfit or unreadable."""


class RegistryError(HarnessError):
    """A version or alias is missing, damaged or misnamed."""


class PromotionRefused(RegistryError):
    """The version may not ship; the message says what is missing and which command supplies it."""


class RecipeError(HarnessError):
    """A recipe has an unknown key or an impossible value."""


class DataError(HarnessError):
    """Training data cannot be used; the message starts with `file:line:` where there is one."""


class CheckError(HarnessError):
    """A check crashed or was given wrong arguments. Never a score: the run is INVALID, not failed."""


class RecordError(HarnessError):
    """A run record cannot be written or read, or is not the one its texts belong to."""


class ReviewError(HarnessError):
    """A human review cannot be exported, read or matched with its run."""


class ScoreFileError(HarnessError):
    """A file of scores cannot be read; the message starts with the file, and the line where there is one."""


class StoreFileError(HarnessError):
    """A file of exported answers cannot be written, or is not as it was written."""


class StatisticsError(HarnessError, ValueError):
    """These numbers carry no answer: there are none, one is not a number, or they do not pair up."""


class Unanswered(HarnessError):
    """Raised when an `Answer` that is neither PASS nor FAIL is used as a truth value."""


class Inconclusive(Unanswered):
    """Too few cases, or too noisy, to say yes or no."""


class Invalid(Unanswered):
    """The comparison cannot be trusted; the message says why."""


class Advisory(Unanswered):
    """What a stand-in for a judge found: shown, and no criterion."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name nobody knows: quotes it, offers the nearest, lists what there is.

    >>> unknown_name("check", "include", ["includes", "excludes"])
    "unknown check 'include': did you mean 'includes'? Known: excludes, includes"
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f" did you mean {close[0]!r}?" if close else ""
    listed = ", ".join(names) if names else "none"
    return f"unknown {kind} {name!r}:{hint} Known: {listed}"


def first_line(error: object, *, lines: int = 1, named: bool = False) -> str:
    """What a library's error says in its first lines, behind its type's name where `named`; the type where it says
    nothing.

    >>> first_line(OSError("no room\\non the disk"), named=True)
    'OSError: no room'
    """
    kind = type(error).__name__
    text = " ".join(line.strip() for line in str(error).strip().splitlines()[:lines])
    return (f"{kind}: {text}" if named else text) if text else kind


def looked_in(root: Path) -> str:
    """Where a file that was named was looked for: the current folder and the project's, one where they are the same."""
    return " or ".join(dict.fromkeys((str(Path.cwd()), str(root.resolve()))))
