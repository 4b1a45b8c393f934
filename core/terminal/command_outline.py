"""Outlines of command functions for fast help and shell completion.

Importing a command's module takes several times as long as rendering its help. The help therefore reads the module's
source and evaluates only the names that the parameters need.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import cache, wraps
from importlib import import_module
from importlib.util import find_spec, resolve_name
from typing import Any

from idtone import __name__ as PACKAGE


@cache
def outline(module: str, function: str) -> Callable[..., Any]:
    """Outline of a function for help or completion: its name, parameters and docstring.

    The module is imported only when the outline, or a function that a parameter names, is called. If only bytecode
    exists, the function itself is returned.
    """
    names = _Names(module)
    outlined: Callable[..., Any] = names[function] if names.statements else getattr(import_module(module), function)
    return outlined


class _Names(dict[str, Any]):
    """The values of a module's names, created on demand.

    Functions and enumerations become outlines. Other classes are imported.
    """

    def __init__(self, module: str) -> None:
        spec = find_spec(module)
        assert spec is not None, f"{module} exists"
        self._module, self._package = module, spec.parent
        source = spec.loader.get_source(module)  # type: ignore[union-attr]
        self.statements = _statements(ast.parse(source or ""))

    def __missing__(self, name: str) -> Any:
        value: Any
        match self.statements.get(name):
            case None:
                raise KeyError(name)  # Python looks into its builtins next
            case ast.Import():
                value = import_module(name)
            case ast.ImportFrom(module=source, level=level, names=imported):
                original = next(each.name for each in imported if name in (each.asname, each.name))
                value = _imported(resolve_name("." * level + (source or ""), self._package), original)
            case ast.Assign(value=expression) | ast.AnnAssign(value=ast.expr() as expression):
                value = eval(self._compiled(ast.Expression(expression), "eval"), {}, self)  # noqa: S307 — our own source
            case ast.FunctionDef() as definition:
                value = self._outline(definition)
            case ast.ClassDef(bases=[ast.Name(id="StrEnum" | "FastEnum")]) as definition:
                definition.body = [each for each in definition.body if isinstance(each, ast.Assign)]
                value = self._made(definition)
            case _:
                value = getattr(import_module(self._module), name)
        self[name] = value
        return value

    def _outline(self, definition: ast.FunctionDef) -> Callable[..., Any]:
        name = definition.name
        definition.body, definition.decorator_list, definition.returns = definition.body[:1], [], None

        @wraps(self._made(definition))
        def call(*given: Any, **named: Any) -> Any:
            return getattr(import_module(self._module), name)(*given, **named)

        return call

    def _made(self, definition: ast.FunctionDef | ast.ClassDef) -> Any:
        exec(self._compiled(ast.Module([definition], []), "exec"), {}, self)  # noqa: S102 — our own source
        return self[definition.name]

    def _compiled(self, tree: ast.Expression | ast.Module, mode: str) -> Any:
        return compile(tree, self._module, mode, dont_inherit=True)


def _statements(source: ast.Module) -> dict[str, ast.stmt]:
    found: dict[str, ast.stmt] = {}
    for statement in source.body:
        match statement:
            case ast.Import(names=imported) | ast.ImportFrom(names=imported):
                found |= dict.fromkeys((each.asname or each.name for each in imported), statement)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = statement
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = statement
    return found


def _imported(module: str, name: str) -> Any:
    """Object that `from module import name` yields.

    Modules of idtone are imported only if a parameter needs one of their classes or functions.
    """
    if module in sys.modules or module.partition(".")[0] != PACKAGE:
        imported = import_module(module)
        return getattr(imported, name) if hasattr(imported, name) else import_module(f"{module}.{name}")
    names = _Names(module)
    return names[name] if name in names.statements else import_module(f"{module}.{name}")
