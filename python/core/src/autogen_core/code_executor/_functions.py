"""Functions that travel to an executor as source text, with the packages and imports they need.

Stands on nothing; must not know executors or tools. Text is compiled here only when the program itself hands it over.
"""

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar, cast

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True)
class Alias:
    """Something imported under another name: `import name as alias`."""

    name: str
    alias: str


@dataclass(frozen=True)
class ImportFromModule:
    """Names imported from a module: `from module import name, other as alias`."""

    module: str
    imports: tuple[str | Alias, ...]

    def __init__(self, module: str, imports: tuple[str | Alias, ...] | list[str | Alias]) -> None:
        object.__setattr__(self, "module", module)
        object.__setattr__(self, "imports", tuple(imports))


Import: TypeAlias = str | ImportFromModule | Alias
"""A module by its name, a module under another name, or names from a module."""


@dataclass
class FunctionWithRequirementsStr:
    """A function given as source text, to be run by an executor. Calling it here is not possible.

    The text is compiled and its definition executed to check it, so decorators and default values run; the imports
    are not made. It must hold one function, at its top level, and nothing else.

    Raises:
        ValueError: The text cannot be compiled, or is not one function.
    """

    func: str
    compiled_func: Callable[..., Any]
    _func_name: str
    python_packages: Sequence[str] = field(default_factory=list[str])
    global_imports: Sequence[Import] = field(default_factory=list[Import])

    def __init__(
        self,
        func: str,
        python_packages: Sequence[str] = [],
        global_imports: Sequence[Import] = [],
    ) -> None:
        self.func = func
        self.python_packages = python_packages
        self.global_imports = global_imports
        self.compiled_func = compile_function(func)
        self._func_name = self.compiled_func.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Refuse: a function given as text runs in an executor.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("A function given as text cannot be called here; hand it to a code executor.")


@dataclass
class FunctionWithRequirements(Generic[T, P]):
    """A function and what it needs where it runs. Called here, it is the function.

    Attributes:
        func: The function.
        python_packages: Packages to install, as for pip.
        global_imports: Imports that its module must have.
    """

    func: Callable[P, T]
    python_packages: Sequence[str] = field(default_factory=list[str])
    global_imports: Sequence[Import] = field(default_factory=list[Import])

    @classmethod
    def from_callable(
        cls,
        func: Callable[P, T],
        python_packages: Sequence[str] = [],
        global_imports: Sequence[Import] = [],
    ) -> "FunctionWithRequirements[T, P]":
        """Say what a function needs."""
        return cls(python_packages=python_packages, global_imports=global_imports, func=func)

    @staticmethod
    def from_str(
        func: str,
        python_packages: Sequence[str] = [],
        global_imports: Sequence[Import] = [],
    ) -> FunctionWithRequirementsStr:
        """Say what a function needs that is given as source text; see `FunctionWithRequirementsStr`."""
        return FunctionWithRequirementsStr(func=func, python_packages=python_packages, global_imports=global_imports)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function."""
        return self.func(*args, **kwargs)


def with_requirements(
    python_packages: Sequence[str] = [],
    global_imports: Sequence[Import] = [],
) -> Callable[[Callable[P, T]], FunctionWithRequirements[T, P]]:
    """Decorate a function that an executor shall offer to the code it runs, and say what it needs.

    Args:
        python_packages: Packages to install, as for pip.
        global_imports: Imports that its module must have.
    """

    def decorate(func: Callable[P, T]) -> FunctionWithRequirements[T, P]:
        wrapped = FunctionWithRequirements(python_packages=python_packages, global_imports=global_imports, func=func)
        functools.update_wrapper(wrapped, func)
        return wrapped

    return decorate


AnyFunction: TypeAlias = Callable[..., Any] | FunctionWithRequirements[Any, Any] | FunctionWithRequirementsStr
"""A function in any of the forms that an executor takes."""


def compile_function(
    source: str, imports: Iterable[Import] = (), known: dict[str, Any] | None = None
) -> Callable[..., Any]:
    """Execute source text that holds one function, and return the function. The text runs with all rights.

    Args:
        source: A function definition.
        imports: Imports to make before.
        known: Names that the function may use without importing them.

    Raises:
        ValueError: The text cannot be compiled or executed, or is not one function.
    """
    try:
        parsed = ast.parse(textwrap.dedent(source))
    except SyntaxError as error:
        raise ValueError(f"Could not compile function: {error}") from error
    if len(parsed.body) != 1 or not isinstance(parsed.body[0], ast.FunctionDef | ast.AsyncFunctionDef):
        raise ValueError("Could not compile function: The string must contain exactly one function, and nothing else.")
    namespace: dict[str, Any] = {"__name__": "function_from_text", **(known or {})}
    try:
        exec("\n".join(map(import_to_str, imports)), namespace)  # noqa: S102 - the caller's own text
        exec(compile(parsed, "<function from text>", "exec", dont_inherit=True), namespace)  # noqa: S102 - the caller's own text
    except Exception as error:
        raise ValueError(
            f"Could not compile function: {error}. Imports that it needs go into global_imports."
        ) from error
    return cast("Callable[..., Any]", namespace[parsed.body[0].name])


def import_to_str(item: Import) -> str:
    """Write an import as a line of Python."""
    if isinstance(item, str):
        return f"import {item}"
    if isinstance(item, Alias):
        return f"import {item.name} as {item.alias}"
    names = (name if isinstance(name, str) else f"{name.name} as {name.alias}" for name in item.imports)
    return f"from {item.module} import {', '.join(names)}"


def function_source(func: Callable[..., Any]) -> str:
    """Return the definition of a function as text, without decorators and indentation.

    Raises:
        ValueError: It has no definition of its own that can be read: a lambda, a builtin, a method, or code that did
            not come from a file. The text says where the function is.
    """
    target = inspect.unwrap(func)
    where = _place(target)
    if not inspect.isfunction(target) or inspect.ismethod(func):
        raise ValueError(f"{where} is not a function defined with `def`, so its source text cannot stand for it.")
    if target.__name__ == "<lambda>":
        raise ValueError(f"{where} has no source text of its own: define it with `def`.")
    try:
        source = textwrap.dedent(inspect.getsource(target))
    except OSError as error:
        raise ValueError(f"The source text of {where} cannot be found: it must be defined in a file.") from error
    definition = ast.parse(source).body[0]
    return "\n".join(source.splitlines()[definition.lineno - 1 : definition.end_lineno]) + "\n"


def _place(func: Any) -> str:
    code = getattr(func, "__code__", None)
    name = getattr(func, "__qualname__", repr(func))
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else name


def function_stub(func: AnyFunction) -> str:
    """Return signature and docstring of a function as text: what is told to a model that may call it."""
    target = _callable(func)
    definition = f"def {target.__name__}{inspect.signature(target)}:\n"
    docs = inspect.getdoc(target)
    body = f'"""{docs}"""\n...' if docs else "..."
    return definition + textwrap.indent(body, "    ")


def functions_module(functions: Sequence[AnyFunction]) -> str:
    """Return a Python module that holds functions and the imports they ask for."""
    imports = {import_to_str(item): None for func in functions for item in getattr(func, "global_imports", ()) or ()}
    sources = [
        textwrap.dedent(func.func)
        if isinstance(func, FunctionWithRequirementsStr)
        else function_source(_callable(func))
        for func in functions
    ]
    return "\n\n\n".join(filter(None, ["\n".join(imports), *sources]))


def required_packages(functions: Sequence[AnyFunction]) -> list[str]:
    """Return the packages that functions ask for, each once, in order."""
    return list(dict.fromkeys(name for func in functions for name in getattr(func, "python_packages", ()) or ()))


def _callable(func: AnyFunction) -> Callable[..., Any]:
    if isinstance(func, FunctionWithRequirementsStr):
        return func.compiled_func
    return func.func if isinstance(func, FunctionWithRequirements) else func
