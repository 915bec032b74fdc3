"""A verdict for a reader who knows no statistics: every number derived again from the record, in plain words."""

from harness.explain.account import Section, explain

__all__ = ["Section", "explain"]
