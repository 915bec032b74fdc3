"""Small faults that a careful reader may miss, planted in a module's syntax tree one at a time.

An operator looks at one node and offers what could stand there instead. A mutant is one offer at one place; its name
says the file, the function, what stood there and what stands there now, so that it survives moved lines.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SWAPPED_NAMES = {
    "candidate": "baseline",
    "only_candidate": "only_baseline",
    "lower_limit": "upper_limit",
    "low": "high",
    "lower": "upper",
    "gained": "lost",
    "totals": "sizes",
    "n_clusters": "n",
    "ratchet": "gained",
}
SWAPPED_CALLS = {
    "min": "max",
    "any": "all",
    "minimum": "maximum",
    "floor": "ceil",
    "less": "greater",
    "accumulate": "reduce",
    "stdtrit": "stdtr",
    "betainc": "betaincinv",
}
SWAPPED_WORDS = {
    "less": ("greater", "two-sided"),
    "greater": ("less", "two-sided"),
    "two-sided": ("less",),
    "candidate": ("baseline",),
    "baseline": ("root",),
    "root": ("baseline",),
    "PASS": ("INCONCLUSIVE",),
    "FAIL": ("INCONCLUSIVE", "PASS"),
    "INVALID": ("PASS",),
    "INCONCLUSIVE": ("PASS",),
    "red_line": ("rate",),
    "rate": ("red_line",),
    "alarm": ("advisory",),
}
#: Arguments without which samples count as cases, weights as nothing, rewordings as independent.
DROPPED_ARGUMENTS = ("clusters", "weights", "higher_is_better", "alternative", "mid_p")
#: Corrections that are easily forgotten: what goes in comes out.
DROPPED_CALLS = ("holm", "benjamini_hochberg", "abs", "sqrt", "floor", "rint", "expm1", "log1p")
#: Their first two arguments may change places.
SYMMETRIC = ("array_equal", "min", "max", "minimum", "maximum")
COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
COUNTED: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.FloorDiv: (ast.Div,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One fault. `place` is the index of its node in a walk of the module, `choice` which of the node's offers it is.

    `first` and `last` are the node's lines; `function` is None outside functions; `nth` tells apart what would have the
    same name.
    """

    file: str
    operator: str
    place: int
    choice: int
    function: str | None
    first: int
    last: int
    before: str
    after: str
    nth: int = 1

    @property
    def name(self) -> str:
        """The same as long as the code is."""
        again = f" (no. {self.nth})" if self.nth > 1 else ""
        return f"{self.file} {self.function or '(module)'}: {self.operator}: {self.before} -> {self.after}{again}"


def offers(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What could stand in the place of `node`, each with the operator's name."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in COMPARED:
            for other in COMPARED[type(op)]:
                yield "comparison", _with(node, ops=[other()])
        case ast.BinOp(left=left, op=ast.Sub(), right=ast.Constant(value=1)):
            yield "minus one dropped", left
            yield "arithmetic", _with(node, op=ast.Add())
        case ast.BinOp(op=op) if type(op) in COUNTED and not _text(node):
            for kind in COUNTED[type(op)]:
                yield "arithmetic", _with(node, op=kind())
        case ast.BoolOp(op=op):
            yield "and/or", _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
            yield "condition dropped", node.values[0] if len(node.values) == 2 else _with(node, values=node.values[:-1])
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            yield "sign or not dropped", operand
        case ast.Constant(value=bool(value)):
            yield "constant", ast.Constant(value=not value)
        case ast.Constant(value=int(value)):
            yield "constant", ast.Constant(value=value + 1)
        case ast.Constant(value=float(value)):
            yield "constant", ast.Constant(value=round(2 * value, 12) if value else 1.0)
            if 0 < value < 1 and value != 0.5:
                yield "constant", ast.Constant(value=round(1 - value, 12))
        case ast.Constant(value=str(value)) if value in SWAPPED_WORDS:
            for word in SWAPPED_WORDS[value]:
                yield "word swapped", ast.Constant(value=word)
        case ast.Attribute(attr=name) if name in _BOTH_WAYS and isinstance(node.ctx, ast.Load):
            yield "sides swapped", _with(node, attr=_BOTH_WAYS[name])
        case ast.Call(func=func, args=args):
            yield from _calls(node, func, args)
        case ast.If(test=test, body=[ast.Raise() | ast.Return() | ast.Continue()]) if not isinstance(
            test, ast.Constant
        ):
            yield "check dropped", _with(node, test=ast.Constant(value=False))


def _calls(node: ast.Call, func: ast.expr, args: list[ast.expr]) -> Iterator[tuple[str, ast.AST]]:
    called = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
    if called in _CALLS_BOTH_WAYS:
        other = _CALLS_BOTH_WAYS[called]
        changed = _with(func, attr=other) if isinstance(func, ast.Attribute) else ast.Name(id=other, ctx=ast.Load())
        yield "call swapped", _with(node, func=changed)
    if called in DROPPED_CALLS and len(args) == 1:
        yield "call dropped", args[0]
    if (
        called not in SYMMETRIC
        and len(args) >= 2
        and all(isinstance(a, ast.Name | ast.Attribute | ast.Subscript) for a in args[:2])
    ):
        yield "arguments swapped", _with(node, args=[args[1], args[0], *args[2:]])
    for i, keyword in enumerate(node.keywords):
        if keyword.arg in DROPPED_ARGUMENTS:
            yield "argument dropped", _with(node, keywords=[*node.keywords[:i], *node.keywords[i + 1 :]])


_BOTH_WAYS = {**SWAPPED_NAMES, **{value: key for key, value in SWAPPED_NAMES.items()}}
_CALLS_BOTH_WAYS = {**SWAPPED_CALLS, **{value: key for key, value in SWAPPED_CALLS.items()}}


def mutants(file: Path, root: Path) -> list[Mutant]:
    """Every fault that can be planted in `file`: not in annotations, docstrings, reprs and the words of messages."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found: list[Mutant] = []
    names: Counter[str] = Counter()
    for place, (node, statement, function, silent) in enumerate(_walk(tree)):
        if silent:
            continue
        for choice, (operator, other) in enumerate(offers(node)):
            if isinstance(node, ast.If):
                before, after = f"if {ast.unparse(node.test)}", "if False"
            else:
                before, after = ast.unparse(node), ast.unparse(other)
                if isinstance(node, ast.Constant):
                    # A bare constant says nothing: the line around it does.
                    before, after = _around(statement, node, other)
            if before != after:
                mutant = Mutant(
                    file=file.relative_to(root).as_posix(),
                    operator=operator,
                    place=place,
                    choice=choice,
                    function=function,
                    first=getattr(node, "lineno", statement.lineno),
                    last=node.test.end_lineno if isinstance(node, ast.If) else getattr(node, "end_lineno", 0),
                    before=before,
                    after=after,
                )
                names[mutant.name] += 1
                found.append(dataclasses.replace(mutant, nth=names[mutant.name]))
    return found


def mutated(source: str, mutant: Mutant) -> ast.Module:
    """The module's tree with the fault in it."""
    tree = ast.parse(source)
    node = next(found for i, (found, *_) in enumerate(_walk(tree)) if i == mutant.place)
    other = list(offers(node))[mutant.choice][1]
    _replace(tree, node, other)
    return ast.fix_missing_locations(tree)


def _walk(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.stmt, str | None, bool]]:
    """Every node with its statement and function; the last is True where a fault would only change words."""

    def visit(
        node: ast.AST, statement: ast.stmt, function: str | None, silent: bool
    ) -> Iterator[tuple[ast.AST, ast.stmt, str | None, bool]]:
        if isinstance(node, ast.stmt):
            statement = node
        if isinstance(node, ast.FunctionDef):
            silent = silent or node.name == "__repr__"
            function = node.name if function is None else f"{function}.{node.name}"
        yield node, statement, function, silent
        for field, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    quiet = silent or field in ("annotation", "returns", "decorator_list", "bases")
                    quiet = quiet or isinstance(child, ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert)
                    quiet = quiet or (
                        isinstance(node, ast.Raise) or (isinstance(node, ast.ClassDef) and field == "keywords")
                    )
                    # Closed choices of words are for the type checker.
                    quiet = quiet or (isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal")
                    quiet = quiet or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
                    yield from visit(child, statement, function, quiet)

    for top in tree.body:
        yield from visit(top, top, None, False)


def _around(statement: ast.stmt, node: ast.AST, other: ast.AST) -> tuple[str, str]:
    """The innermost expression around a constant, before and after."""
    around: ast.AST = statement
    for parent in ast.walk(statement):
        if any(child is node for child in ast.iter_child_nodes(parent)):
            around = parent
    if isinstance(around, ast.FunctionDef | ast.ClassDef | ast.arguments):
        return ast.unparse(node), ast.unparse(other)
    if isinstance(around, ast.keyword):
        return f"{around.arg}={ast.unparse(node)}", f"{around.arg}={ast.unparse(other)}"
    before = ast.unparse(around)
    changed = copy.deepcopy(around)
    index = next(i for i, found in enumerate(ast.walk(around)) if found is node)
    _replace(changed, list(ast.walk(changed))[index], other)
    return before, ast.unparse(changed)


def _replace(tree: ast.AST, node: ast.AST, other: ast.AST) -> None:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, field, other)
                return
            if isinstance(value, list) and any(child is node for child in value):
                setattr(parent, field, [other if child is node else child for child in value])
                return


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _text(node: ast.BinOp) -> bool:
    """Is a sum one of words?"""
    return any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )
