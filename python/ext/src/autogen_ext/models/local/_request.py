"""What client and server ask of a model: one record. Stands on tools and schemas; must not know any engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from autogen_ext.models._shared._tools import ToolSpec

from ._prompts import Message
from ._schemas import JsonSchema

ToolCalling = Literal["auto", "native", "schema"]
"""How tools are called: as suits the model, as its chat template has it, or under a schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What is asked of a model.

    Attributes:
        messages: The conversation in OpenAI's form.
        tools: What may be called.
        must_call: Whether one of them has to be.
        output: The schema that an answer in words has to follow instead; `None` for free text.
        sampling: Further fields of the engine's request, such as `temperature` and `max_tokens`.
    """

    messages: list[Message]
    tools: Sequence[ToolSpec] = ()
    must_call: bool = False
    output: JsonSchema | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict[str, Any])
