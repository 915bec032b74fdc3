"""Candidates that are not weights: what stands around every question, over any model, from a YAML file.

Only requests are changed, so it works with every engine.
"""

from harness.models.prompting.asking import PromptedModel, prompted
from harness.models.prompting.layers import Prompting, load_prompting

__all__ = ["PromptedModel", "Prompting", "load_prompting", "prompted"]
