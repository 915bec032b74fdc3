"""A form as one self-contained page: no network, one script bound by its digest, and texts that are only ever texts."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path

import jinja2
import msgspec
from markupsafe import Markup

from harness.review.form import Form
from harness.review.plain import HIDDEN
from harness.review.selection import CUT
from harness.review.words import CHOICES, DIMENSIONS, MARKS, NOTES, SKIPS, WORDS, Language

_TEMPLATES = Path(__file__).parent / "templates"

#: In a data block only these could end it or begin a comment. Same length for every text, so that a page's size tells
#: nothing but the texts' own.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def render(form: Form, language: Language = "en", rubric: str = "") -> str:
    """The page as HTML. `rubric` replaces the words on what matters."""
    words = WORDS[language]
    script, style = _read("form.js"), _read("form.css")
    data = {
        "form": form.code,
        "seal": form.seal,
        "reviewer": form.reviewer,
        "mode": form.mode,
        "digest": form_digest(form),
        "pages": form.pages,
        "words": words,
        "choices": CHOICES[form.mode],
        "marks": MARKS[form.mode],
        "dimensions": DIMENSIONS,
        "skips": SKIPS,
        "hidden": HIDDEN,
        "cut": CUT,
    }
    return _template().render(
        language="zh-CN" if language == "zh" else "en",
        words=words,
        form=form,
        rubric=rubric.strip() or words[f"rubric_{form.mode}"],
        task=words[f"task_{form.mode}"],
        ask=words[f"ask_{form.mode}"],
        notes={name: words[name].replace("{keys}", words[f"keys_{form.mode}"]) for name in NOTES[form.mode]},
        # All three are ours, or escaped just now.
        script=Markup(script),
        style=Markup(style),
        data=Markup(_data(data)),
        script_digest=_digest(script),
        style_digest=_digest(style),
    )


def form_digest(form: Form) -> str:
    """What a form shows, in one number: answers say to which texts they are answers."""
    return hashlib.sha256(msgspec.json.encode([(page.id, page.digest) for page in form.pages])).hexdigest()


def _data(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    for letter, escape in _ESCAPES.items():
        text = text.replace(letter, escape)
    return text


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


@functools.cache
def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("form.html.j2")
