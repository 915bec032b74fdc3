"""Workflows to start from: a GPU runner that gates, and a plain one that decides again from what travelled."""

from __future__ import annotations

import json
import shlex
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.errors import ConfigError

Site = Literal["github", "gitlab"]
#: "gpu" gates where the model is. "record" decides on a plain runner, from a run that lies in the repository. "both"
#: does one after the other.
Road = Literal["gpu", "record", "both"]

FILES: dict[Site, str] = {"github": ".github/workflows/model-gate.yml", "gitlab": ".gitlab-ci.yml"}

_PARTS = Path(__file__).parent / "workflows"

_NEEDS: dict[Site, str] = {
    "github": "    needs: gate\n"
    "    # After a FAIL too: the record tells why.\n"
    "    if: ${{ !cancelled() && needs.gate.result != 'skipped' }}\n",
    "gitlab": "  needs: [gate]\n",
}
_DOWNLOAD = """\
      - uses: actions/download-artifact@v4
        with:
          name: travel
          path: §{travel}
"""
_LFS = """\
        with:
          lfs: true
"""


class _Filled(string.Template):
    """`§{name}`: a dollar is the shell's and the site's, an at sign an action's."""

    delimiter = "§"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """What a workflow is to do. `folder` is the project's below the repository, "." at its root; `recipe` is trained
    before the gate, None where the model is there already."""

    site: Site
    road: Road
    model: str = "candidate"
    baseline: str | None = None
    recipe: str | None = None
    suites: tuple[str, ...] = ("suites/",)
    reports: str = "reports"
    folder: str = "."

    def __post_init__(self) -> None:
        for value in (self.model, self.baseline or "", self.recipe or "", self.folder, self.reports, *self.suites):
            if not value.isprintable() or "${{" in value:
                raise ConfigError(f"{value!r} cannot stand in a workflow: name it without line ends and without ${{{{.")

    def text(self) -> str:
        """The file's text."""
        parts = [_part(self.site, "head")]
        if self.road != "record":
            parts.append(_part(self.site, "gate"))
            if self.site == "github" and self.road == "gpu":
                parts.append(_part(self.site, "comment"))
        if self.road != "gpu":
            if self.road == "both" and self.site == "github":
                parts.append("\n")
            parts.append(_part(self.site, "decide"))
            if self.site == "github":
                parts.append(_part(self.site, "comment"))
        values = self._values()
        # Twice: some of what is filled in has names of its own.
        text = _Filled(_Filled("".join(parts)).substitute(values)).substitute(values).rstrip("\n") + "\n"
        return text if self.road == "both" else text.replace("stages: [gate, decide]", self._stages())

    def to_set(self) -> list[str]:
        """What a person has to do besides, one sentence each."""
        steps = []
        if self.road != "record":
            runner = "label `gpu`" if self.site == "github" else "tag `gpu`"
            steps.append(f"register a runner with the {runner} on the machine that has the GPU")
            if self.recipe is None:
                steps.append(f"make sure that {self.model!r} means something there: harness models list")
            if self.model.startswith("openai:"):
                steps.append("give the job the endpoint's key as a secret")
        if self.road == "record":
            steps.append("commit travel/ with every candidate: docs/ci.md has the four commands that write it")
        rule = "the branch protection" if self.site == "github" else "the merge checks"
        steps.append(f"require the job in {rule}, or a FAIL blocks nothing")
        return steps

    def _stages(self) -> str:
        return f"stages: [{'gate' if self.road == 'gpu' else 'decide'}]"

    def _values(self) -> dict[str, str]:
        both = self.road == "both"
        prefix = "" if self.folder == "." else f"{self.folder.rstrip('/')}/"
        return {
            # Quoted for YAML, which reads JSON; commands are quoted for the shell besides.
            "enter": _yaml(f"cd {shlex.quote(self.folder)}"),
            "place": _yaml(self.folder),
            "travel": _yaml(f"{prefix}travel"),
            "state": _yaml(f"{prefix}.harness/"),
            "told": _yaml(f"{prefix}{self.reports}/"),
            "junit": _yaml(f"{prefix}junit.xml"),
            # Nothing is posted of a run that is not what it says, or of a job that never began.
            "verified": f"steps.{'begin' if self.road == 'gpu' else 'verify'}.outcome == 'success' && ",
            "package": _package(self.model, self.recipe),
            "train": "" if self.recipe is None else _part(self.site, "train"),
            "recipe": shlex.quote(self.recipe or ""),
            "model": shlex.quote(self.model),
            "baseline": "" if self.baseline is None else f" --baseline={shlex.quote(self.baseline)}",
            "suites": " ".join(map(shlex.quote, self.suites)),
            "reports": shlex.quote(self.reports),
            "needs": _NEEDS[self.site] if both else "",
            # A decision after a FAIL is worth having too.
            "when": "      when: always\n" if both else "",
            "checkout": "" if both else _LFS,
            "download": _DOWNLOAD if both else "",
        }


def _yaml(text: str) -> str:
    """The text as a YAML string.

    >>> _yaml('my "reports"')
    '"my \\\\"reports\\\\""'
    """
    return json.dumps(text, ensure_ascii=False)


def _package(model: str, recipe: str | None) -> str:
    """What to install to ask this model."""
    if recipe is not None:
        return "'finetune-harness[train]'"
    scheme = model.partition(":")[0]
    if scheme == "scripted":
        return "finetune-harness"
    if scheme == "openai":
        return "'finetune-harness[openai]'"
    return "'finetune-harness[hf]'" + (" vllm" if scheme == "vllm" else "")


def _part(site: Site, name: str) -> str:
    return (_PARTS / f"{site}-{name}.yml").read_text(encoding="utf-8")
