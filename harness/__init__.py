"""Finetune Harness: golden sets, judged comparisons and forgetting checks as test suites for fine-tuned models."""
