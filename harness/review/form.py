"""What a reviewer gets: pages with texts, and nothing that says which side is whose."""

from __future__ import annotations

import hashlib

import msgspec

from harness.review.seal import Mode


class Page(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a reviewer sees at once. `right` is None where one answer is looked at by itself."""

    id: str
    prompt: str
    left: str
    right: str | None
    target: str = ""

    @property
    def digest(self) -> str:
        """sha256 of the texts as shown."""
        return digest_of(self.prompt, self.left, self.right)


class Form(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that one reviewer gets. Nothing here says which side is whose."""

    code: str
    seal: str
    reviewer: str
    mode: Mode
    pages: tuple[Page, ...]


def digest_of(prompt: str, left: str, right: str | None) -> str:
    """sha256 of the texts of one page."""
    return hashlib.sha256(msgspec.json.encode((prompt, left, right))).hexdigest()
