"""Forgetting: what the base could do and the candidate no longer can.

Closed questions with checks decide, paired by case, against the baseline and against the root base. Beside
them: bleed (the task's format in answers to general questions) raises an alarm; the likelihood of reference
answers, the perplexity of prose, the divergence from the base and the length of answers are advisory, because
on small models they rank a forgetful candidate above a healthy one.
"""

from harness.retention.comparison import Retention
from harness.retention.measurement import can_score, measure, plan_retention, scored_choices

__all__ = ["Retention", "can_score", "measure", "plan_retention", "scored_choices"]
