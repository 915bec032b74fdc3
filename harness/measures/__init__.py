"""One number for a whole golden set (macro-F1, field F1, BLEU), compared between candidate and baseline."""

from harness.measures.measured import CaseAnswers, Measured, SetAnswers

__all__ = ["CaseAnswers", "Measured", "SetAnswers"]
