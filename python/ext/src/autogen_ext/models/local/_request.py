"""What client and server ask of a model, and how a model of its size is to be treated. Must not know any engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from autogen_ext.models._shared._tools import ToolSpec

from ._prompts import Message
from ._schemas import Bounds, JsonSchema

ToolCalling = Literal["auto", "native", "schema"]
"""How tools are called: as suits the model, as its chat template has it, or under a schema."""

_TINY_PARAMETERS = 300_000_000
_GULLIBLE_PARAMETERS = 1_000_000_000
_CAPABLE_PARAMETERS = 2_500_000_000
"""From here on native tool calling is trusted. Models of 0.5 and 1.5 billion were tried: they fail at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What is asked of a model.

    Attributes:
        messages: The conversation in OpenAI's form.
        tools: What may be called.
        must_call: Whether one of them has to be.
        parallel: Whether one answer may hold several calls.
        output: The schema that an answer in words has to follow instead; `None` for free text.
        sampling: Further fields of the engine's request, such as `temperature` and `max_tokens`.
    """

    messages: list[Message]
    tools: Sequence[ToolSpec] = ()
    must_call: bool = False
    parallel: bool = False
    output: JsonSchema | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Manner:
    """How to treat a model.

    Attributes:
        native: Its chat template calls tools, and it is large enough to do so.
        tiny: It is so small that it (1) gets one round of tools for a request, since it would go on for ever; (2) is
            offered only the tools that a request is about, where words tell; (3) chooses from the last request and
            reports results from the question, not from the conversation; and (4) needs a system message, and a light
            penalty on repetition.
        gullible: It calls tools also in answer to small talk, so a call that nothing in the request speaks for is left.
        bounds: What its texts in JSON are held to.
    """

    native: bool
    tiny: bool
    gullible: bool
    bounds: Bounds

    @classmethod
    def suited(cls, n_params: int, *, supports_tools: bool, tool_calling: ToolCalling) -> "Manner":
        """Return what suits a model with so many parameters, whose chat template knows tools or not."""
        tiny = n_params < _TINY_PARAMETERS
        capable = supports_tools and n_params >= _CAPABLE_PARAMETERS
        native = tool_calling == "native" or (tool_calling == "auto" and capable)
        bounds = Bounds(120, padded=True) if tiny else Bounds(2000)
        return cls(native, tiny, n_params < _GULLIBLE_PARAMETERS, bounds)
