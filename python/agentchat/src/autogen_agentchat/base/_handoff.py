"""A handoff: the permission to pass the conversation to another agent, which a model uses by calling a tool.

Stands on the tool contracts of `autogen_core`; knows no agent and no team.
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from autogen_core import CancellationToken
from autogen_core.tools import BaseTool, FunctionTool


class Handoff(BaseModel):
    """Lets an agent pass the conversation to `target`. Whatever is left empty is filled in from the target's name.

    Raises:
        pydantic.ValidationError: `name` is no identifier, so no model could call it.
    """

    model_config = ConfigDict(defer_build=True)

    target: str
    """The name of the agent to go on."""

    description: str = Field(default="")
    """When to use it, for the model."""

    name: str = Field(default="")
    """The name of the tool that the model calls; by default `transfer_to_` and the target's name in lower case."""

    message: str = Field(default="")
    """The text of the handoff message, which the receiver and the others read, and the result of the tool call."""

    @model_validator(mode="before")
    @classmethod
    def set_defaults(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Fill in what is empty, and check the name."""
        # Pydantic also brings what is no record: a finished handoff, or another member of a union.
        target = values.get("target") if isinstance(values, dict) else None  # pyright: ignore[reportUnnecessaryIsInstance] - see above
        if not isinstance(target, str):
            return values  # the field's own check says what is wrong
        filled = dict(values)
        filled["description"] = values.get("description") or f"Pass the conversation on to {target}."
        filled["message"] = values.get("message") or f"Over to {target}, who takes it from here."
        name = values.get("name") or re.sub(r"\W", "_", f"transfer_to_{target}").lower()
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"Handoff name must be a valid identifier: {name!r}")
        filled["name"] = name
        return filled

    @property
    def handoff_tool(self) -> BaseTool[BaseModel, BaseModel]:
        """A tool without parameters for the model to call. It returns the handoff's message."""
        return _HandoffTool(self)


class _HandoffTool(FunctionTool):
    """Takes whatever arguments a model may invent: there is nothing to get wrong."""

    def __init__(self, handoff: Handoff) -> None:
        async def transfer() -> str:
            return handoff.message

        super().__init__(transfer, description=handoff.description, name=handoff.name, strict=True)

    async def run_json(
        self,
        args: Mapping[str, Any],
        cancellation_token: CancellationToken,
        call_id: str | None = None,
    ) -> Any:
        return await super().run_json({}, cancellation_token, call_id)

    def _to_config(self) -> Any:
        raise NotImplementedError("The tool of a handoff is not saved by itself: save the Handoff and take its tool.")
