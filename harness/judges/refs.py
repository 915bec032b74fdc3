"""Which judge is meant: from what the user typed to a model, a mode, a rubric and one digest over all of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from harness.config import HarnessConfig, JudgeConfig
from harness.errors import JudgeError, ModelError, looked_in, unknown_name
from harness.judges.judgement import JudgeIdentity, JudgeKind, JudgeMode
from harness.judges.prompts import prompt_digest
from harness.judges.rubric import Rubric, load_rubric
from harness.models.endpoints import endpoint_of
from harness.models.refs import ModelRef

REFERENCE, REPLAY = "reference", "replay:"

#: Engines that give the probability of a label as they are; others are asked for a verdict.
_LOCAL = ("hf", "vllm")

#: Makers whose models have an ear for each other, and the words by which their models are known.
FAMILIES = {
    "gpt": r"gpt|davinci|\bo[134](?:-|\b)",
    "claude": r"claude",
    "gemini": r"gemini|gemma",
    "llama": r"llama|vicuna|alpaca",
    "qwen": r"qwen|qwq",
    "mistral": r"mi[sx]tral|ministral|magistral",
    "deepseek": r"deepseek",
    "phi": r"\bphi\b|phi-?\d",
    "smollm": r"smollm",
    "glm": r"glm",
    "yi": r"\byi\b",
    "baichuan": r"baichuan",
    "internlm": r"internlm",
    "falcon": r"falcon",
    "olmo": r"olmo",
    "granite": r"granite",
    "command": r"command-?[ar]",
}


class JudgeRef(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A resolved judge. Plain data, so that it travels to workers.

    `file` is the one that is replayed; `members` are a jury's.
    """

    name: str
    kind: JudgeKind
    mode: JudgeMode
    model: ModelRef | None = None
    rubric: Rubric | None = None
    structured: bool = False
    max_tokens: int = 512
    context: int = 8192
    family: str | None = None
    file: str = ""
    file_digest: str = ""
    members: tuple[JudgeRef, ...] = ()

    @property
    def digest(self) -> str:
        """Identity of the instrument: model, engine, format, mode, prompt, rubric and limits; of all its members."""
        if self.members:
            parts: tuple[object, ...] = tuple(sorted(member.digest for member in self.members))
        elif self.model is not None and self.rubric is not None:
            parts = (
                self.model.digest,
                self.model.engine,
                self.model.dtype,
                prompt_digest(self.mode, self.structured),
                self.rubric.digest,
                self.max_tokens,
                self.context,
            )
        else:
            parts = (self.file_digest,)
        return hashlib.sha256(msgspec.json.encode((self.kind, self.mode, parts))).hexdigest()

    @property
    def identity(self) -> JudgeIdentity:
        """What a record keeps of it."""
        model = self.model
        return JudgeIdentity(
            name=self.name,
            kind=self.kind,
            mode=self.mode,
            digest=self.digest,
            label="" if model is None else model.label,
            reference=model.text if model is not None else Path(self.file).name if self.file else "",
            engine="" if model is None else model.engine,
            dtype="" if model is None else model.dtype,
            model_digest="" if model is None else model.digest,
            prompt_digest="" if model is None else prompt_digest(self.mode, self.structured),
            rubric="" if self.rubric is None else self.rubric.name,
            rubric_digest="" if self.rubric is None else self.rubric.digest,
            family=self.family,
            members=tuple(member.identity for member in self.members),
        )

    @property
    def judges(self) -> tuple[JudgeRef, ...]:
        """Those who are asked: the members of a jury, or the judge itself."""
        return self.members or (self,)


def resolve_judge(text: str, config: HarnessConfig, resolve_model: Callable[[str], ModelRef], root: Path) -> JudgeRef:
    """The judge that `text` means: a name of `[tool.harness.judges]`, several with commas between them, any model
    reference, `reference`, or `replay:FILE`.

    Raises JudgeError for a name that nobody knows, with the nearest, and for settings that cannot be used.
    """
    if text in config.judges:
        return _configured(text, config.judges[text], config, resolve_model, root)
    if text == REFERENCE:
        return JudgeRef(name=REFERENCE, kind="reference", mode="similarity")
    if text.startswith(REPLAY):
        return _replayed(text, root)
    if "," in text:
        return _jury(text, [name.strip() for name in text.split(",")], config, resolve_model, root)
    try:
        return _model_judge(text, JudgeConfig(model=text), resolve_model, root)
    except ModelError as error:
        known = (*config.judges, REFERENCE)
        raise JudgeError(
            f"{unknown_name('judge', text, known)}. It is no model either ({error}). Write "
            f"[tool.harness.judges.{_key(text)}] with a model, or name replay:FILE."
        ) from error


def family_of(*names: str) -> str | None:
    """The maker that the names of a model tell; None where they tell none."""
    for name in names:
        for family, words in FAMILIES.items():
            if re.search(words, name, re.IGNORECASE):
                return family
    return None


def model_family(ref: ModelRef) -> str | None:
    """The maker of a model, by its base's name before its own."""
    return family_of(Path(ref.base_name or ref.base).name, ref.label)


def flags_of(judge: JudgeRef, contestants: Iterable[tuple[str, ModelRef]]) -> tuple[str, ...]:
    """What a reader must know of a judge beside these contestants (role and model): that it is one of them, or kin."""
    flags = []
    for one in judge.judges:
        for role, model in contestants:
            if one.model is not None and one.model.digest == model.digest:
                flags.append(f"the judge {one.name} is the {role} itself ({model.label})")
            elif one.family is not None and one.family == model_family(model):
                flags.append(f"the judge {one.name} and the {role} {model.label} are of one family ({one.family})")
    return tuple(flags)


def judges_itself(judge: JudgeRef, contestants: Iterable[ModelRef]) -> bool:
    """Is the judge one of those it judges?"""
    digests = {model.digest for model in contestants}
    return any(one.model is not None and one.model.digest in digests for one in judge.judges)


def _configured(
    name: str, settings: JudgeConfig, config: HarnessConfig, resolve_model: Callable[[str], ModelRef], root: Path
) -> JudgeRef:
    where = f"[tool.harness.judges.{name}]"
    if bool(settings.model) == bool(settings.judges):
        raise JudgeError(f"{where}: give either model (who judges) or judges (a list of names that vote).")
    if settings.judges:
        return _jury(name, list(settings.judges), config, resolve_model, root)
    if settings.model == REFERENCE or settings.model.startswith(REPLAY):
        found = resolve_judge(settings.model, config, resolve_model, root)
        return msgspec.structs.replace(found, name=name)
    try:
        return _model_judge(name, settings, resolve_model, root)
    except ModelError as error:
        raise JudgeError(f"{where} model: {error}") from error


def _model_judge(name: str, settings: JudgeConfig, resolve_model: Callable[[str], ModelRef], root: Path) -> JudgeRef:
    rubric = load_rubric(settings.rubric, root)
    model = resolve_model(settings.model)
    mode: JudgeMode = "choice" if model.engine in _LOCAL else "verdict"
    if settings.mode != "auto":
        mode = settings.mode
    _refuse_impossible(name, settings, model, mode)
    return JudgeRef(
        name=name,
        kind="model",
        mode=mode,
        model=model,
        rubric=rubric,
        structured=settings.structured,
        max_tokens=settings.max_tokens,
        context=settings.context,
        family=settings.family or model_family(model),
    )


def _refuse_impossible(name: str, settings: JudgeConfig, model: ModelRef, mode: JudgeMode) -> None:
    """What this engine cannot do, told before anything is asked."""
    endpoint = endpoint_of(model)
    where = f"[tool.harness.judges.{name}]"
    if settings.structured and (model.engine in ("hf", "scripted") or mode != "verdict"):
        raise JudgeError(
            f"{where} structured = true: only a server in verdict mode can hold replies to a form. Leave it out."
        )
    scores = model.engine in _LOCAL or (endpoint is not None and endpoint.token_scores == "all")
    if mode == "choice" and not scores:
        raise JudgeError(
            f'{where} mode = "choice": {model.label} does not tell the probability of a label. Use "verdict"; or, '
            'where the server gives log-probabilities of a prompt, set token_scores = "all" of the endpoint.'
        )


def _jury(
    name: str, names: list[str], config: HarnessConfig, resolve_model: Callable[[str], ModelRef], root: Path
) -> JudgeRef:
    if len(names) < 2 or len(set(names)) < len(names):
        raise JudgeError(f"{name}: a jury has two or more different judges, not {', '.join(names) or 'none'}.")
    members = []
    for one in names:
        if one in config.judges and config.judges[one].judges:
            raise JudgeError(f"{name}: {one!r} is a jury itself. Name its judges one by one.")
        members.append(resolve_judge(one, config, resolve_model, root))
    advisory = [member.name for member in members if member.kind == "reference"]
    if advisory:
        raise JudgeError(f"{name}: {advisory[0]!r} is no judge but a similarity, so it has no vote. Leave it out.")
    return JudgeRef(name=name, kind="jury", mode="vote", members=tuple(members))


def _replayed(text: str, root: Path) -> JudgeRef:
    file = Path(text.removeprefix(REPLAY)).expanduser()
    path = next((p for p in (file, root / file) if p.is_file()), None)
    if path is None:
        raise JudgeError(f"{text}: there is no file {file} in {looked_in(root)}. Name recorded judgements.")
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise JudgeError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error
    name = f"{REPLAY}{path.name}"
    return JudgeRef(name=name, kind="replay", mode="recorded", file=str(path.resolve()), file_digest=digest)


def _key(text: str) -> str:
    """A name that a table may have, from whatever was typed."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "NAME"
