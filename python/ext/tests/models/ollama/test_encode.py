"""How tools look in the part of JSON schema that the SDK sends on."""

from typing import Any

from pydantic import BaseModel

from autogen_core.tools import FunctionTool
from autogen_ext.models._shared._tools import tool_specs
from autogen_ext.models.ollama._encode import encode_tool


class Inner(BaseModel):
    size: int


def properties_of(function: Any) -> dict[str, Any]:
    """The parameters of a tool, as they are sent."""
    [spec] = tool_specs([FunctionTool(function, "d", name="tool")])
    properties: dict[str, Any] = encode_tool(spec)["function"]["parameters"]["properties"]
    return properties


def test_a_default_is_told_in_the_description() -> None:
    def tool(a: int = 2) -> int:
        return a

    assert properties_of(tool)["a"] == {"type": "integer", "description": "a (default: 2)"}


def test_alternatives_of_plain_types_become_a_list_of_types() -> None:
    def tool(a: int | str) -> str:
        return str(a)

    assert properties_of(tool)["a"] == {"type": ["integer", "string"], "description": "a"}


def test_an_inner_object_is_told_in_the_description() -> None:
    def tool(a: Inner) -> str:
        return str(a)

    sent = properties_of(tool)["a"]
    assert sent["type"] == "object"
    assert '"size":{"title":"Size","type":"integer"}' in sent["description"]
