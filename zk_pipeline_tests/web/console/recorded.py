"""What the code writes into the audit trail, read from its source: the calls that record an event, and their values."""

import ast
from collections.abc import Iterator
from pathlib import Path

import zk_pipeline

PRODUCT = Path(zk_pipeline.__file__).parent
ELSEWHERE = {
    "subject": [],  # `Actor.audit_event` passes on what its callers give, and they are looked at.
    "actor.name": ["user:7"],
    "PROVIDER.name": ["identity-provider"],
    "person.hashes.pseudonym": ["person-0123456789ab"],
}
"""The marks of expressions that name none."""


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)


def beginnings(node: ast.expr, known: dict[str, list[ast.expr]]) -> list[str]:
    """With what the marks begin that an expression gives; `known` has the values of names, and what functions return.

    Fails for an expression whose marks cannot be told: say in `ELSEWHERE` which they are.
    """
    match node:
        case ast.Constant(value=str(mark)):
            return [mark]
        case ast.IfExp():
            return beginnings(node.body, known) + beginnings(node.orelse, known)
        case ast.JoinedStr(values=[ast.Constant(value=str(first)), *_]):
            return [first[: first.index(":") + 1]]
        case ast.JoinedStr(values=[ast.FormattedValue(value=first), *_]):
            return [f"{mark.partition(':')[0]}:" for mark in beginnings(first, known)]
        case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)) if name in known:
            return [mark for value in known[name] for mark in beginnings(value, known)]
        case _:
            assert ast.unparse(node) in ELSEWHERE, ast.unparse(node)
            return ELSEWHERE[ast.unparse(node)]


def keys(call: ast.Call, known: dict[str, list[ast.expr]]) -> set[str]:
    """The keys of all objects that are written out in what a call is given, and in the names there."""
    found: set[str] = set()
    waiting, seen = list[ast.AST](call.args), set[str]()
    while waiting:
        match waiting.pop():
            case ast.Dict(keys=given, values=values):
                found |= {str(key.value) for key in given if isinstance(key, ast.Constant)}
                waiting += values
            case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)) if name in known and name not in seen:
                seen.add(name)
                waiting += known[name]
            case ast.Call(func=ast.Name(id="dict"), args=args):
                waiting += args
            case ast.Call():
                pass
            case other:
                waiting += ast.iter_child_nodes(other)
    return found


def values_of(tree: ast.AST) -> dict[str, list[ast.expr]]:
    """What is assigned to names, and what functions return at their end."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                | ast.AugAssign(target=ast.Name(id=name), value=value)
                | ast.FunctionDef(name=name, body=[*_, ast.Return(value=ast.expr() as value)])
            ):
                found.setdefault(name, []).append(value)
            case _:
                pass
    return found


def recorded(*by: str) -> Iterator[tuple[ast.Call, dict[str, list[ast.expr]]]]:
    """Every call of these functions, with the values of the names around it."""
    for file in PRODUCT.rglob("*.py"):
        tree = ast.parse(file.read_text())
        of_module = values_of(tree)
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                known = of_module | values_of(function)
                calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
                yield from ((call, known) for call in calls if called(call) in by)
