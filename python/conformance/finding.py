"""Finding what is installed: modules, names, fields, kinds and attributes of classes, by looking and never by calling.

Stands on `inspect` and pydantic; knows nothing of the contract.
"""

import dataclasses
import dis
import functools
import importlib
import inspect
import types
import typing
from enum import Enum
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

MISSING: Any = object()
COMBINING = (typing.Union, types.UnionType, typing.Annotated, typing.Required, typing.NotRequired, typing.ClassVar)
COMPONENT_HOOKS = ("dump_component", "load_component", "component_type", "component_config_schema")


class FieldFound(NamedTuple):
    """A field of a pydantic class, dataclass or typed dictionary."""

    hint: Any
    required: bool
    default: Any = ...


@functools.cache
def load(path: str) -> types.ModuleType | str:
    """Import a module; the reason as text where that is not possible."""
    try:
        return importlib.import_module(path)
    except ImportError as error:
        return f"{type(error).__name__}: {error}".partition("\n")[0]


def resolve(path: str) -> Any:
    """What stands at a dotted path, or `MISSING`."""
    module, _, name = path.rpartition(".")
    found = load(module) if module else "no module"
    return MISSING if isinstance(found, str) else getattr(found, name, MISSING)


def hints_of(cls: type) -> dict[str, Any]:
    """The annotations of a class and its bases; as written where a name is known to type checkers only."""
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except NameError:
        return {name: hint for base in reversed(cls.__mro__) for name, hint in inspect.get_annotations(base).items()}


@functools.cache
def fields_of(cls: type) -> dict[str, FieldFound]:
    """The fields of a pydantic class, dataclass or typed dictionary."""
    hints = hints_of(cls)
    keys: frozenset[str] | None = getattr(cls, "__required_keys__", None)
    if keys is not None:
        marks = {typing.Required: True, typing.NotRequired: False}
        return {
            name: FieldFound(hint, marks.get(typing.get_origin(hint), name in keys)) for name, hint in hints.items()
        }
    declared: dict[str, Any] = getattr(cls, "model_fields", None) or getattr(cls, "__dataclass_fields__", {})
    found: dict[str, FieldFound] = {}
    for name, info in declared.items():
        default, factory = info.default, info.default_factory
        required = (default is PydanticUndefined or default is dataclasses.MISSING) and not callable(factory)
        if callable(factory):
            default = factory()
        found[name] = FieldFound(getattr(info, "annotation", hints.get(name)), required, default)
    return found


def kinds_of(cls: type) -> set[str]:
    """What kind of class it is, in the words of the contract."""
    params = getattr(cls, "__dataclass_params__", None)
    checks = {
        "pydantic": issubclass(cls, BaseModel),
        "dataclass": params is not None,
        "frozen": params is not None and params.frozen,
        "enum": issubclass(cls, Enum),
        "typeddict": hasattr(cls, "__required_keys__"),
        "protocol": vars(cls).get("_is_protocol", False),
        "runtime_checkable": getattr(cls, "_is_runtime_protocol", False),
        "exception": issubclass(cls, BaseException),
        "abstract": inspect.isabstract(cls),
        "component": all(hasattr(cls, name) for name in COMPONENT_HOOKS),
    }
    return {name for name, holds in checks.items() if holds}


def _sets(value: Any, name: str) -> bool:
    """Whether a method's code sets the attribute on something, such as `self`."""
    code = getattr(inspect.unwrap(getattr(value, "fget", value)), "__code__", None)
    if code is None or name not in code.co_names:
        return False
    return any(step.opname == "STORE_ATTR" and step.argval == name for step in dis.get_instructions(code))


def has_attribute(cls: type, name: str) -> bool:
    """Whether instances have an attribute: by the class, a field, an annotation, or a method that sets it."""
    if inspect.getattr_static(cls, name, MISSING) is not MISSING or name in fields_of(cls):
        return True
    bases = cls.__mro__[:-1]
    return any(
        name in inspect.get_annotations(base) or any(_sets(value, name) for value in vars(base).values())
        for base in bases
    )


def manner_of(function: Any) -> str:
    """How a function is called: plain (""), "async", "async generator", or as a context manager."""
    target = inspect.unwrap(function)
    generator = inspect.isasyncgenfunction(target)
    if target is not function and getattr(function, "__globals__", {}).get("__name__") == "contextlib":
        return "async contextmanager" if generator else "contextmanager"
    return "async generator" if generator else "async" if inspect.iscoroutinefunction(target) else ""


def signature_of(function: Any) -> inspect.Signature:
    """The signature of a function, its annotations evaluated where that is possible."""
    try:
        return inspect.signature(function, eval_str=True)
    except NameError:  # a name that only type checkers import
        return inspect.signature(function)


def literals_of(hint: Any) -> list[Any]:
    """The values that an annotation lists, alone or in a union."""
    if typing.get_origin(hint) is Literal:
        return list(typing.get_args(hint))
    parts = typing.get_args(hint) if typing.get_origin(hint) in COMBINING else ()
    return [value for part in parts for value in literals_of(part)]
