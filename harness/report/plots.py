"""Plots drawn by matplotlib, as SVG that takes the page's colours, light and dark.

matplotlib is imported when there is something to draw, and never by a run that has nothing.
"""

from __future__ import annotations

import importlib.util
import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from harness.lineage import Training
from harness.report.summary import RunSummary
from harness.report.visible import one_line
from harness.report.words import Words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Stand-ins that matplotlib draws with, and the page's own colours that take their place.
_INK, _SOFT, _LINE, _FAIL, _PASS, _VOID = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
_THEME = {_INK: "ink", _SOFT: "soft", _LINE: "line", _FAIL: "fail", _PASS: "pass", _VOID: "void"}
_WORDS = {"PASS": _PASS, "FAIL": _FAIL}

_SVG = "http://www.w3.org/2000/svg"
_KEPT = {"d", "x", "y", "width", "height", "transform", "viewBox", "id", "clip-path", "fill", "stroke", "opacity"}
_NUMBERED = re.compile(r"\bat step (\d+)\b|\(epoch (\d+)\)")


@dataclass(frozen=True, slots=True)
class Plots:
    """SVG of what could be drawn. `missing` says why nothing was, where something should have been."""

    retention: str = ""
    training: str = ""
    history: str = ""
    missing: str = ""


def draw_plots(summary: RunSummary, training: Training | None, history: Sequence[RunSummary], words: Words) -> Plots:
    """Every plot that this run has something to show for."""
    kept = [one for one in summary.sets if one.retention and one.candidate is not None and one.baseline is not None]
    curve = training if training is not None and len(training.updates) > 1 else None
    # Runs without a trained candidate draw nothing: importing matplotlib would take longer than they do.
    if not kept and curve is None:
        return Plots()
    if importlib.util.find_spec("matplotlib") is None:
        return Plots(missing=words("The plots need matplotlib, which is not installed here: pip install matplotlib"))
    several = [one for one in history if any(s.change is not None for s in one.sets)]
    return Plots(
        retention=_drawn("r", 7.6, 0.7 + 0.62 * len(kept), lambda f: _retention(f, summary, words)) if kept else "",
        training=_drawn("t", 7.6, 5.2, lambda f: _training(f, curve, words)) if curve is not None else "",
        history=_drawn("h", 7.6, 2.8, lambda f: _history(f, several, words)) if len(several) > 1 else "",
    )


def _retention(figure: Figure, summary: RunSummary, words: Words) -> None:
    """Each retention set on a line: where root, baseline and candidate stand."""
    kept = [one for one in summary.sets if one.retention and one.candidate is not None and one.baseline is not None]
    # A root base that is the baseline is drawn already.
    apart = any(one.root is not None and one.root != one.baseline for one in kept)
    axes = figure.add_subplot()
    for place, one in enumerate(reversed(kept)):
        assert one.candidate is not None, "only what was compared is kept"
        assert one.baseline is not None, "only what was compared is kept"
        worse = one.high is not None and one.high < 0
        better = one.low is not None and one.low > 0
        colour = _FAIL if worse else _PASS if better else _SOFT
        after, before = 100 * one.candidate, 100 * one.baseline
        axes.plot([before, after], [place, place], color=colour, linewidth=2.2, zorder=1)
        if apart and one.root is not None:
            axes.plot(100 * one.root, place, "|", color=_SOFT, markersize=16, zorder=2)
        axes.plot(before, place, "o", color=_SOFT, markersize=7, zorder=3)
        axes.plot(after, place, "o", color=colour, markersize=9, zorder=4)
        axes.annotate(f"{after:.1f}%", (after, place), (0, 9), textcoords="offset points", ha="center", color=colour)
        if abs(after - before) > 4:
            axes.annotate(
                f"{before:.1f}%", (before, place), (0, 9), textcoords="offset points", ha="center", color=_SOFT
            )
    axes.set_yticks(range(len(kept)), [one_line(one.name, 40) for one in reversed(kept)])
    told = words("cases passed, %: baseline (grey) to candidate")
    if apart:
        told = words("cases passed, %: baseline (grey) to candidate, root (upright line)")
    axes.set(xlim=(-2, 102), ylim=(-0.5, len(kept) - 0.2), xlabel=told)
    _bare(axes)


def _training(figure: Figure, curve: Training | None, words: Words) -> None:
    """Loss, rate and gradient norm by update, with numbered marks where the diagnosis points."""
    assert curve is not None, "asked by the caller"
    steps = [update.step for update in curve.updates]
    loss, rate, norm = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": [2.2, 1, 1]})
    loss.plot(steps, [update.loss for update in curve.updates], color=_VOID, linewidth=1.8)
    if curve.validation:
        loss.plot(*zip(*curve.validation, strict=True), "o-", color=_FAIL, markersize=4, linewidth=1.2)
        loss.annotate(words("validation"), curve.validation[-1], (5, 5), textcoords="offset points", color=_FAIL)
    rate.plot(steps, [update.rate for update in curve.updates], color=_VOID, linewidth=1.5)
    norm.plot(steps, [update.norm for update in curve.updates], color=_VOID, linewidth=1.5)
    # Each number whole: a power of ten that stands apart from the axis is overlooked.
    rate.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for number, step in marks(curve):
        for axes in (loss, rate, norm):
            axes.axvline(step, color=_FAIL, linewidth=1, linestyle=(0, (3, 3)))
        loss.annotate(str(number), (step, loss.get_ylim()[1]), (4, -10), textcoords="offset points", color=_FAIL)
    for axes, name in ((loss, words("loss")), (rate, words("rate")), (norm, words("gradient norm"))):
        axes.set_ylabel(name)
        axes.set_ylim(bottom=0)
        _bare(axes)
    norm.set_xlabel(words("update"))


def marks(curve: Training) -> list[tuple[int, int]]:
    """(number of the finding, update it points at) for every finding that names a place."""
    found = []
    for number, sentence in enumerate(curve.findings, start=1):
        place = _NUMBERED.search(sentence)
        if place is not None and place[1]:
            found.append((number, int(place[1])))
        elif place is not None and curve.validation and 0 < int(place[2]) <= len(curve.validation):
            found.append((number, curve.validation[int(place[2]) - 1][0]))
    return found


def _history(figure: Figure, runs: Sequence[RunSummary], words: Words) -> None:
    """The change of every set against the baseline, run by run; a run's mark has its verdict's colour."""
    axes = figure.add_subplot()
    names = list(dict.fromkeys(one.name for run in runs for one in run.sets if one.change is not None))
    axes.axhline(0, color=_LINE, linewidth=1)
    for name in names:
        found = [(i, s) for i, run in enumerate(runs) for s in run.sets if s.name == name and s.change is not None]
        values = [100 * (s.change or 0.0) for _, s in found]
        axes.plot([i for i, _ in found], values, color=_SOFT, linewidth=1)
        for (i, _), value in zip(found, values, strict=True):
            axes.plot(i, value, "o", color=_WORDS.get(runs[i].word, _VOID), markersize=6)
        axes.annotate(one_line(name, 28), (found[-1][0], values[-1]), (7, -3), textcoords="offset points", color=_SOFT)
    axes.set_xticks(range(len(runs)), [one_line(run.candidate, 18) for run in runs])
    if len(runs) > 6:
        axes.tick_params(axis="x", labelrotation=30)
    axes.set(ylabel=words("points against the baseline"), xlim=(-0.4, len(runs) - 0.2))
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _drawn(name: str, width: float, height: float, draw: Callable[[Figure], None]) -> str:
    """Draw on a figure of its own, neither pyplot nor a display, and take the page's colours. Same numbers, same
    bytes."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.hashsalt": f"harness-{name}",
        "svg.fonttype": "none",
        # A set may be called "$x$".
        "text.parse_math": False,
        "font.size": 10,
        "axes.edgecolor": _LINE,
        "axes.labelcolor": _SOFT,
        "xtick.color": _SOFT,
        "ytick.color": _SOFT,
        "text.color": _INK,
        "axes.unicode_minus": True,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # The reader's browser has the letters that matplotlib's own font lacks.
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _themed(buffer.getvalue(), name)


def _themed(drawn: str, name: str) -> str:
    """Plain elements with plain attributes: no style, no script, no link out, and colours of the page."""
    root = ElementTree.fromstring(drawn.encode())
    plain = _plain(root, name)
    assert plain is not None, "the root is an svg"
    plain.attrib.pop("width", None)
    plain.attrib.pop("height", None)
    plain.set("class", "drawn")
    plain.set("aria-hidden", "true")
    plain.set("viewBox", root.get("viewBox", ""))
    return ElementTree.tostring(plain, encoding="unicode")


def _plain(element: ElementTree.Element, name: str) -> ElementTree.Element | None:
    tag = element.tag.removeprefix(f"{{{_SVG}}}")
    if tag not in ("svg", "g", "path", "text", "tspan", "use", "defs", "clipPath", "rect"):
        return None
    # The patch behind everything is the page's own paper.
    if element.get("id") in ("patch_1", "patch_2") and tag == "g":
        return None
    made = ElementTree.Element(tag)
    styled = dict(part.split(":", 1) for part in element.get("style", "").split(";") if ":" in part)
    for key, value in {**element.attrib, **{k.strip(): v.strip() for k, v in styled.items()}}.items():
        plain = key.split("}")[-1]
        if plain == "href" and value.startswith("#"):
            made.set("href", f"#{name}-{value[1:]}")
        elif plain == "id":
            made.set("id", f"{name}-{value}")
        elif plain == "clip-path":
            made.set("clip-path", value.replace("url(#", f"url(#{name}-"))
        elif plain in ("font", "font-size"):
            size = re.search(r"([\d.]+)px", value)
            if size is not None:
                made.set("font-size", size[1])
        elif plain in _KEPT or plain.startswith(("stroke-", "fill-", "text-")):
            made.set(plain, f"var(--{_THEME[value]})" if value in _THEME else value)
    made.text, made.tail = (element.text or "").strip() or None, None
    made.extend(child for child in (_plain(one, name) for one in element) if child is not None)
    return made
