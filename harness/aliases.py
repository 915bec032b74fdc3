"""The names that point at versions, and the log of every move.

    <registry>/aliases/<alias>    one line: triage@3
    <registry>/log.jsonl          one line per move, appended only; rollback reads it

An alias moves in two steps, log line first: a move that was cut short between them is made by the next
writer. Reading needs no lock; whoever writes holds the registry's.
"""

from __future__ import annotations

import datetime
import getpass
import os
import re
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import RegistryError

Alias = Literal["candidate", "baseline"]
ALIASES: tuple[Alias, ...] = ("candidate", "baseline")

NAME = re.compile(r"[^\W_][\w.-]*")
LABEL = re.compile(rf"({NAME.pattern})@([1-9][0-9]*)")


class Move(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the log. `accepted`: the owner answered for an INCONCLUSIVE verdict."""

    when: str
    kind: Literal["move", "promote", "rollback"]
    alias: Alias
    before: str | None
    after: str | None
    owner: str
    reason: str
    run_id: str | None = None
    accepted: bool = False


class Aliases:
    """The aliases of the registry in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "log.jsonl"

    def get(self, name: str) -> str | None:
        """The label that an alias points at, or None where it was never set or was rolled back to nothing."""
        file = self.file(name)
        try:
            label = file.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise RegistryError(f"{file}: cannot be read ({error}).") from error
        if not LABEL.fullmatch(label):
            raise RegistryError(
                f"{file}: {label[:60]!r} is no version. It must be one line like triage@3; "
                f"{self._log} says where it pointed last."
            )
        return label

    def file(self, name: str) -> Path:
        """Where the alias is kept."""
        return self.folder / "aliases" / name

    def log(self) -> list[Move]:
        """Every move, oldest first. A last line without its newline was never finished and does not count."""
        try:
            lines = self._log.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        moves = []
        for number, line in enumerate(lines[:-1], start=1):
            try:
                moves.append(msgspec.json.decode(line, type=Move))
            except msgspec.DecodeError as error:
                raise RegistryError(
                    f"{self._log}:{number}: not a move ({error}). Restore the log from a backup."
                ) from error
        return moves

    def standing(self, alias: Alias) -> list[str | None]:
        """Where the alias pointed, oldest first, without undone moves; the last is where it points now."""
        past: list[str | None] = [None]
        for move in self.log():
            if move.alias != alias:
                continue
            if move.kind == "rollback":
                past.pop()
            else:
                past.append(move.after)
        return past

    def move(
        self,
        alias: Alias,
        after: str | None,
        *,
        kind: Literal["move", "promote", "rollback"],
        reason: str,
        owner: str | None,
        run_id: str | None = None,
        accepted: bool = False,
    ) -> Move:
        """Log the move, then make it. Without an `owner`, the user of this machine."""
        move = Move(
            when=now(),
            kind=kind,
            alias=alias,
            before=self.get(alias),
            after=after,
            owner=owner or _user(),
            reason=reason,
            run_id=run_id,
            accepted=accepted,
        )
        _append(self._log, msgspec.json.encode(move))
        self._point(alias, after)
        return move

    def finish_interrupted(self) -> None:
        """Make the last move of each alias, where only its log line was written."""
        for alias, label in {move.alias: move.after for move in self.log()}.items():
            file = self.file(alias)
            pointed = file.read_text(encoding="utf-8").strip() if file.is_file() else None
            if pointed != label:
                self._point(alias, label)

    def _point(self, alias: str, label: str | None) -> None:
        file = self.file(alias)
        if label is None:
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{alias}.new")
        new.write_text(label + "\n", encoding="utf-8")
        new.replace(file)


def now() -> str:
    """UTC to the second, as it is written into the registry."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _append(file: Path, line: bytes) -> None:
    """Add a line and force it to disk; what an interrupted append left behind is cut off first."""
    with file.open("a+b") as log:
        log.seek(0)
        content = log.read()
        log.truncate(content.rfind(b"\n") + 1)
        log.write(line + b"\n")
        log.flush()
        os.fsync(log.fileno())


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return f"uid {os.getuid()}"
