"""Comparing what is installed with the frozen contract.

More than the contract is fine: extra names, and extra parameters and fields with defaults. A gap is a path (a module, a
name, or a member of a class) with what is wrong there. Stands on `contract` and `finding`; knows nothing of tests.
"""

import ast
import builtins
import inspect
import re
import sys
import types
from collections.abc import Iterator, Sequence
from inspect import Parameter
from typing import Any

from contract import ANY, TEXT, Modules, ParameterRecord, Symbol
from finding import (
    MISSING,
    FieldFound,
    fields_of,
    has_attribute,
    kinds_of,
    literals_of,
    load,
    manner_of,
    resolve,
    signature_of,
)

BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
KINDS = {
    "/": Parameter.POSITIONAL_ONLY,
    "": Parameter.POSITIONAL_OR_KEYWORD,
    "*": Parameter.VAR_POSITIONAL,
    "kw": Parameter.KEYWORD_ONLY,
    "**": Parameter.VAR_KEYWORD,
}
MANNERS = ("async", "generator", "contextmanager")
AWAITED = {  # a plain function with such a return annotation is called the same way
    "async": "Awaitable|Coroutine|Future",
    "async generator": "AsyncGenerator|AsyncIter",
    "contextmanager": "ContextManager",
    "async contextmanager": "AsyncContextManager",
}
VERSION = re.compile(r"'.*\d\.\d+\.\d.*'")
SHOWN_LENGTH = 80


def shown(value: object) -> str:
    """A value as short text."""
    text = str(getattr(value, "__qualname__", None) or repr(value))
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}..."


def matches(recorded: str, value: Any) -> bool:
    """Whether a value is the recorded one, given as Python text. A tuple may stand for a list."""
    if value is ... or recorded in (ANY, TEXT, "..."):
        return recorded != TEXT or isinstance(value, str)
    if recorded.startswith("Literal["):
        return set(ast.literal_eval(recorded.removeprefix("Literal"))) <= set(literals_of(value))
    try:
        wanted = ast.literal_eval(recorded)
    except (ValueError, SyntaxError):  # a class, or the text form of an object
        if isinstance(value, type):
            return value.__name__ == recorded.rpartition(".")[2]
        found = re.sub(r"<([\w.]+): [^>]*>", r"\1", repr(value))
        return re.fullmatch(re.escape(recorded).replace("_TEXT_", ".*"), found, re.DOTALL) is not None
    if isinstance(wanted, list | tuple) and isinstance(value, list | tuple):
        return list(wanted) == list(value)  # pyright: ignore[reportUnknownArgumentType] - literals have no item type
    return isinstance(wanted, bool) == isinstance(value, bool) and bool(wanted == value)


def parameter_problems(recorded: Sequence[ParameterRecord], found: Sequence[Parameter]) -> Iterator[str]:
    """Which recorded calls would fail or mean something else."""
    placed = [parameter for parameter in found if parameter.kind in BY_PLACE]
    accepted: set[str] = set()
    for index, wanted in enumerate(recorded):
        real = _counterpart(wanted, index, placed, found)
        if real is None:
            yield f"parameter {wanted.name} missing"
            continue
        accepted.add(real.name)
        if KINDS[wanted.kind] in BY_PLACE and (index >= len(placed) or placed[index] is not real):
            yield f"parameter {wanted.name} is not the positional parameter {index + 1}"
        if real.kind is Parameter.POSITIONAL_ONLY and wanted.kind != "/":
            yield f"parameter {wanted.name} cannot be given by name"
        if wanted.default is not None and real.default is Parameter.empty:
            yield f"parameter {wanted.name} has no default"
        elif wanted.default is not None and not matches(wanted.default, real.default):
            yield f"parameter {wanted.name} defaults to {shown(real.default)}, not {wanted.default}"
    stars = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    for extra in found:
        if extra.name not in accepted and extra.default is Parameter.empty and extra.kind not in stars:
            yield f"extra parameter {extra.name} has no default"


def _counterpart(
    wanted: ParameterRecord, index: int, placed: Sequence[Parameter], found: Sequence[Parameter]
) -> Parameter | None:
    """The installed parameter that a recorded one means: by place, by kind for `*` and `**`, else by name."""
    if wanted.kind == "/":
        return placed[index] if index < len(placed) else None
    if wanted.kind in ("*", "**"):
        return next((parameter for parameter in found if parameter.kind is KINDS[wanted.kind]), None)
    return next((parameter for parameter in found if parameter.name == wanted.name), None)


def function_problems(symbol: Symbol, name: str, raw: object, *, in_class: bool) -> Iterator[str]:
    """What is wrong with a function or method."""
    function: Any = getattr(raw, "__func__", raw)
    if not callable(function):
        yield f"is of type {type(raw).__name__}, not a function"
        return
    binding = "classmethod" if isinstance(raw, classmethod) else "static" if isinstance(raw, staticmethod) else ""
    wanted = next((mark for mark in ("classmethod", "static") if mark in symbol.marks), "")
    if in_class and binding != wanted:
        yield f"is {binding or 'an instance method'}, not {wanted or 'an instance method'}"
    if getattr(function, "__isabstractmethod__", False) and "abstract" not in symbol.marks:
        yield "is abstract"
    live = inspect.Signature() if function is object.__init__ else signature_of(function)
    manner = " ".join(mark for mark in MANNERS if mark in symbol.marks)
    if (found := manner_of(function)) != manner:
        plain = live.return_annotation if manner else symbol.returns
        if (found and manner) or not re.search(AWAITED[found or manner], str(plain)):
            yield f"is {found or 'a plain function'}, not {manner or 'a plain function'}"
    offered = list(live.parameters.values())[in_class and binding != "static" :]
    for signature in symbol.signatures if not re.fullmatch("__(?!init|call).*__", name) else ():
        yield from parameter_problems(signature, offered)


def field_problems(symbol: Symbol, real: FieldFound) -> Iterator[str]:
    """What is wrong with a field."""
    if real.required != symbol.required:
        yield "is required" if real.required else "is not required"
    elif symbol.default is not None and not matches(symbol.default, real.default):
        yield f"defaults to {shown(real.default)}, not {symbol.default}"
    wanted, found = set(symbol.literals), set(literals_of(real.hint))
    if not wanted <= found or (len(wanted) == 1 and wanted != found):
        yield f"allows {sorted(map(str, found))}, not {sorted(map(str, wanted))}"


def class_problems(symbol: Symbol, real: type, known: dict[str, type]) -> Iterator[str]:
    """What is wrong with a class by itself; its members are compared one by one."""
    kinds = kinds_of(real)
    yield from (f"is not {kind}" for kind in sorted(symbol.marks - kinds))
    stricter = {"abstract", "frozen"} if "dataclass" in symbol.marks else {"abstract"}
    yield from (f"is {kind}" for kind in sorted(kinds & stricter - symbol.marks))
    for name in symbol.bases:
        parent = known.get(name) or vars(builtins).get(name)
        if isinstance(parent, type) and not {"typeddict", "protocol"} & kinds_of(parent) and parent not in real.__mro__:
            yield f"is not a subclass of {name}"
    if absent := [name for name in symbol.inherited if not has_attribute(real, name)]:
        yield f"lacks {', '.join(absent)}"
    order = [name for name, member in symbol.members.items() if member.form == "field"]
    if "dataclass" in symbol.marks and not symbol.inherited and list(fields_of(real))[: len(order)] != order:
        yield f"takes its fields in another order than {', '.join(order)}"
    if symbol.marks & {"pydantic", "typeddict"}:
        recorded = {*symbol.members, *symbol.inherited}
        ours = {name for base in real.__mro__ if base.__module__.startswith("autogen_") for name in _declared(base)}
        extra = {name for name, item in fields_of(real).items() if item.required and name in ours} - recorded
        yield from (f"requires the extra field {name}" for name in sorted(extra))


def message_problems(symbol: Symbol, real: Any) -> Iterator[str]:
    """What is wrong with a protobuf message: its full name, or the numbers of its fields."""
    numbers = ", ".join(f"{item.name}={item.number}" for item in real.DESCRIPTOR.fields)
    if (found := f"{real.DESCRIPTOR.full_name}({numbers})") != symbol.target:
        yield f"is {found}, not {symbol.target}"


def _declared(base: type) -> Iterator[str]:
    yield from inspect.get_annotations(base)


def _find(symbol: Symbol, name: str, owner: Any) -> Any:
    """What a module or class has for a symbol; None for an attribute that only instances have."""
    if not isinstance(owner, type) or symbol.form in ("class", "member"):
        return getattr(owner, name, MISSING)
    if symbol.form == "field":
        return fields_of(owner).get(name, MISSING)
    if symbol.form == "attr" and symbol.default is not None:
        return getattr(owner, name, MISSING)
    raw = inspect.getattr_static(owner, name, MISSING)
    if symbol.form == "function":
        return MISSING if raw is vars(object).get(name) and name != "__init__" else raw
    return None if raw is MISSING and has_attribute(owner, name) else raw


class Comparison:
    """Compares the contract with what is installed; `gaps` maps each path to what is wrong there."""

    def __init__(self, names: Modules, models: Modules) -> None:
        self.gaps: dict[str, str] = {}
        self._known: dict[str, type] = {}
        for module, symbols in names.items():
            live = load(module)
            for name, symbol in symbols.items():
                if symbol.form == "class" and isinstance(found := getattr(live, name, None), type):
                    self._known |= {name: found, f"{module}.{name}": found}
        for module, symbols in names.items():
            self._compare_module(module, symbols)
        for package, symbols in models.items():
            for name, symbol in symbols.items():
                path = f"{package}.*.{name}"
                found = self._anywhere(package, name)
                self._compare(path, symbol, types.SimpleNamespace(**({name: found} if found else {})))

    def _compare_module(self, module: str, symbols: dict[str, Symbol]) -> None:
        live = load(module)
        if isinstance(live, str):
            self.gaps[module] = live
            return
        for name, symbol in symbols.items():
            self._compare(f"{module}.{name}", symbol, live)

    def _anywhere(self, package: str, name: str) -> type | None:
        """A class by its name, wherever the package defines it."""
        modules = [module for path, module in sys.modules.items() if path.partition(".")[0] == package]
        found = [value for module in modules if isinstance(value := vars(module).get(name), type)]
        return found[0] if found else None

    def _compare(self, path: str, symbol: Symbol, owner: Any) -> None:
        name = path.rpartition(".")[2]
        real = _find(symbol, name, owner)
        if real is MISSING:
            self.gaps[path] = "missing"
            return
        if problems := list(dict.fromkeys(self._problems(symbol, name, real, owner))):
            self.gaps[path] = "; ".join(problems)
        if isinstance(real, type):
            for member_name, member in symbol.members.items():
                self._compare(f"{path}.{member_name}", member, real)

    def _problems(self, symbol: Symbol, name: str, real: Any, owner: Any) -> Iterator[str]:
        match symbol.form:
            case "class":
                yield from class_problems(symbol, real, self._known) if isinstance(real, type) else ["is not a class"]
            case "function":
                yield from function_problems(symbol, name, real, in_class=isinstance(owner, type))
            case "field":
                yield from field_problems(symbol, real)
            case "member" | "attr" | "constant":
                value = real.value if symbol.form == "member" else real
                if symbol.default is not None and not self._same_value(symbol.default, value):
                    yield f"is {shown(value)}, not {symbol.default}"
            case "property" if isinstance(real, types.FunctionType | classmethod | staticmethod):
                yield "is a method, not a property"
            case "property" if isinstance(real, property) and symbol.settable and real.fset is None:
                yield "cannot be set"
            case "reexport" if real is not resolve(symbol.target):
                yield f"is not {symbol.target}"
            case "message":
                yield from message_problems(symbol, real)
            case _:
                pass

    def _same_value(self, recorded: str, value: object) -> bool:
        return matches(recorded, value) or (VERSION.fullmatch(recorded) is not None and isinstance(value, str))
