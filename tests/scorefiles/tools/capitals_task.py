"""An inspect_ai task on the same questions, with two scorers."""

from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.scorer import f1, includes
from inspect_ai.solver import generate


@task
def capitals() -> Task:
    fields = FieldSpec(input="question", target="answer", id="id")
    return Task(dataset=json_dataset("capitals.jsonl", fields), solver=generate(), scorer=[includes(), f1()])
