"""Reads tools and tool choices into one plain form that every provider's encoder starts from.

Stands on the tool contract; must not know any provider.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

from autogen_core.tools import BaseTool, Tool, ToolSchema

from ._names import assert_valid_name

ToolChoice = Tool | Literal["auto", "required", "none"]
"""What a caller says about tools: may, must, must not, or must call this one."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model is told about a tool. Not to be changed: it is shared between calls."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    strict: bool


def tool_specs(tools: Sequence[Tool | ToolSchema]) -> list[ToolSpec]:
    """Read the tools of a call.

    Raises:
        ValueError: A name is not acceptable to providers.
    """
    # Asking for `dict` and not for the protocol: that would look up each of its members on every schema.
    return [_spec_of_schema(tool) if isinstance(tool, dict) else _spec_of_tool(tool) for tool in tools]


def check_tool_choice(choice: ToolChoice, specs: Sequence[ToolSpec]) -> str:
    """Return the choice as a word, or the name of the tool that must be called.

    Raises:
        ValueError: It is none of the words, or a tool that is not among those offered.
    """
    if isinstance(choice, str):
        if choice not in ("auto", "required", "none"):
            raise ValueError(f"tool_choice must be a Tool object, 'auto', 'required', or 'none', got {choice!r}.")
        return choice
    if not specs:
        raise ValueError(f"tool_choice specified but no tools provided: pass {choice.name!r} in `tools`, too.")
    if all(spec.name != choice.name for spec in specs):
        raise ValueError(
            f"tool_choice references '{choice.name}' but it's not in the provided tools: "
            f"{', '.join(spec.name for spec in specs)}."
        )
    return choice.name


_remembered: "WeakKeyDictionary[Tool, ToolSpec]" = WeakKeyDictionary()


def _spec_of_tool(tool: Tool) -> ToolSpec:
    """Read a tool; its schema is a fresh copy each time it is asked for, so what was read is kept where that is safe."""
    if not _is_fixed(tool):
        return _spec_of_schema(tool.schema)
    spec = _remembered.get(tool)
    if spec is None:
        spec = _remembered[tool] = _spec_of_schema(tool.schema)
    return spec


def _is_fixed(tool: Tool) -> bool:
    """Tell whether a tool's schema stays what it is: it is computed by the base class from what the constructor got."""
    cls = type(tool)
    return isinstance(tool, BaseTool) and all(
        getattr(cls, name, None) is getattr(BaseTool, name) for name in ("schema", "name", "description", "args_type")
    )


def _spec_of_schema(schema: ToolSchema) -> ToolSpec:
    return ToolSpec(
        name=assert_valid_name(schema["name"]),
        description=schema.get("description") or "",
        parameters=schema.get("parameters") or {},
        strict=bool(schema.get("strict")),
    )
