"""A formula over metrics, such as `accuracy - 0.01 * log10(seconds)` (R4).

The formula is parsed and walked, never evaluated as code.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from search.errors import UsageError, refused, unknown

BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: operator.pow,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "log": math.log, "log2": math.log2, "log10": math.log10, "exp": math.exp, "sqrt": math.sqrt,
    "abs": abs, "min": min, "max": max,
}  # fmt: skip


def names_of(text: str, *, allowed: frozenset[str]) -> tuple[str, ...]:
    """The names that a formula uses, in its order.

    Raises:
        UsageError: it is no formula, or names or calls something that does not exist.
    """
    tree = _parse(text)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = [
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called
    ]
    for name in names:
        if name not in allowed:
            raise UsageError(
                f"metric.formula: {unknown('name', name=name, known=allowed)}",
                code="formula-of-unknown-name",
            )
    _check(tree)
    return tuple(dict.fromkeys(names))


def evaluate(text: str, values: Mapping[str, float]) -> float:
    """The formula's value; NaN where it has none, as the logarithm of 0."""
    try:
        return _value(_parse(text), values)
    except (
        ArithmeticError,
        ValueError,
        TypeError,
    ):  # TypeError: a root of a negative number is complex
        return math.nan


def _parse(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise refused(
            "metric.formula",
            code="not-a-formula",
            rule="must be a formula",
            got=f"{text!r:.80} ({error})",
            remedy="mend it",
        ) from error


def _check(tree: ast.expr) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
            if name not in FUNCTIONS:
                raise UsageError(
                    f"metric.formula: {unknown('function', name=name, known=FUNCTIONS)}",
                    code="formula-of-unknown-function",
                )
            several = name in ("min", "max")
            if node.keywords or (len(node.args) < 2 if several else len(node.args) != 1):
                rule = f"{name} takes {'two numbers or more' if several else 'one number'}"
                raise refused(
                    "metric.formula",
                    code="formula-wrong-arguments",
                    rule=rule,
                    got=ast.unparse(node),
                    remedy="mend it",
                )
        elif not _allowed(node):
            raise refused(
                "metric.formula",
                code="formula-not-arithmetic",
                rule=f"holds numbers, names, + - * / ** and {', '.join(FUNCTIONS)}",
                got=ast.unparse(node)[:60],
                remedy="rewrite it",
            )


def _allowed(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return type(node.op) in BINARY
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub)
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    return isinstance(node, ast.Name | ast.operator | ast.unaryop | ast.expr_context)


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    if isinstance(node, ast.BinOp):
        return float(BINARY[type(node.op)](_value(node.left, values), _value(node.right, values)))
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand, values)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return float(FUNCTIONS[node.func.id](*(_value(argument, values) for argument in node.args)))
    if isinstance(node, ast.Name):
        return values[node.id]
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, int | float)
    return float(node.value)
