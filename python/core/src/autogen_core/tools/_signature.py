"""From a Python function to the model of a tool's arguments. Knows no tools.

A parameter's description is the text in `Annotated[int, "how many"]` or of a pydantic `Field`, else its name.
"""

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.fields import FieldInfo

from autogen_core._cancellation import CancellationToken


@dataclass(frozen=True, slots=True)
class ToolSignature:
    """How to describe and call a function.

    Attributes:
        args_type: The model of the arguments.
        return_type: The annotated return type; `object` if there is none.
        fields: The field of `args_type` for each parameter, in order.
        by_place: How many of the first parameters can only be given by their place.
        token: The parameter that takes the cancellation token, if there is one.
    """

    args_type: type[BaseModel]
    return_type: Any
    fields: Mapping[str, str]
    by_place: int
    token: str | None

    def bind(self, args: BaseModel, cancellation_token: CancellationToken) -> tuple[list[Any], dict[str, Any]]:
        """Return the positional and named arguments of a call."""
        named = {name: getattr(args, field) for name, field in self.fields.items()}
        placed = [named.pop(name) for name in list(named)[: self.by_place]]
        if self.token is not None:
            named[self.token] = cancellation_token
        return placed, named


def read_signature(func: Callable[..., Any], name: str) -> ToolSignature:
    """Read how a function is called.

    Args:
        func: A function, method, partial or object with `__call__`.
        name: The name of the arguments' model begins with it.

    Raises:
        TypeError: A parameter has no annotation, takes any number of values, or has a type that JSON cannot describe.
            The text names it.
    """
    hints = _hints(func, name)  # first: it says what is wrong with annotations
    signature = inspect.signature(func)
    token: str | None = None
    fields: dict[str, str] = {}
    definitions: dict[str, Any] = {}
    for parameter in signature.parameters.values():
        hint = hints.get(parameter.name, parameter.annotation)
        if _is_token(parameter, hint):
            token = parameter.name
            continue
        _check(parameter, hint, name)
        field = _field_name(parameter.name, definitions)
        fields[parameter.name] = field
        definitions[field] = _field(parameter, hint, alias=None if field == parameter.name else parameter.name)
    by_place = sum(signature.parameters[name].kind is Parameter.POSITIONAL_ONLY for name in fields)
    returned = hints.get("return", signature.return_annotation)
    return ToolSignature(
        args_type=_model(f"{name}args", definitions),
        return_type=object if returned is Parameter.empty else returned,
        fields=fields,
        by_place=by_place,
        token=token,
    )


def _hints(func: Callable[..., Any], name: str) -> dict[str, Any]:
    target = func
    while isinstance(target, functools.partial):
        target = target.func
    if not inspect.isroutine(target) and not inspect.isclass(target):
        target = target.__call__
    try:
        return get_type_hints(inspect.unwrap(target), include_extras=True)
    except NameError as error:
        raise TypeError(
            f"Tool {name!r}: an annotation cannot be resolved: {error}. Types in annotations must be importable from "
            "the module that defines the function."
        ) from error
    except TypeError:  # a builtin, which has no annotations at all
        return {}


def _is_token(parameter: Parameter, hint: Any) -> bool:
    if hint is Parameter.empty:
        return parameter.name == "cancellation_token"
    kinds = get_args(hint) or (hint,)
    return CancellationToken in kinds


def _check(parameter: Parameter, hint: Any, name: str) -> None:
    if parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
        raise TypeError(
            f"Tool {name!r}: parameter {parameter} takes any number of values, which a model cannot be told about. "
            "Declare each parameter, or take a list or dict."
        )
    if hint is Parameter.empty:
        raise TypeError(f"Tool {name!r}: parameter {parameter.name!r} needs a type annotation.")


def _field_name(name: str, taken: Mapping[str, Any]) -> str:
    """Return a name that pydantic accepts: not private, and not one it needs itself."""
    field = name.lstrip("_") or "field"
    while field in taken or field[0].isdigit() or (field.startswith("model_") and hasattr(BaseModel, field)):
        field = f"{field}_" if not field[0].isdigit() else f"field_{field}"
    return field


def _field(parameter: Parameter, hint: Any, alias: str | None) -> tuple[Any, Any]:
    """Return annotation and default of a pydantic field."""
    base, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    texts = [item for item in extras if isinstance(item, str)]
    others = [item for item in extras if not isinstance(item, str)]
    declared = [item for item in (*others, parameter.default) if isinstance(item, FieldInfo)]
    options: dict[str, Any] = {} if alias is None else {"alias": alias}
    if not any(item.description for item in declared):
        options["description"] = texts[0] if texts else parameter.name
    annotation = Annotated[(base, *others, Field(**options))]
    return annotation, ... if parameter.default is Parameter.empty else parameter.default


def _model(name: str, definitions: dict[str, Any]) -> type[BaseModel]:
    config = ConfigDict(populate_by_name=True, protected_namespaces=())
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Field name .* shadows an attribute")  # `json`, `copy`, ...
            return create_model(name, __config__=config, **definitions)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        tool = name.removesuffix("args")
        raise TypeError(f"Tool {tool!r}: a parameter has a type that JSON cannot hold: {error}") from error
