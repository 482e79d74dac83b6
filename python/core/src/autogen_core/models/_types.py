"""What is said to a model and what it answers: messages, function calls, results, usage. Stands on images.

Must not know clients, tools or agents. The JSON of every class here is part of the contract: it is saved in states.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field

from autogen_core._image import Image


@dataclass
class FunctionCall:
    """A model asks for a tool to be called.

    Attributes:
        id: What tells this call from others; its result carries the same.
        arguments: The arguments as JSON text, as the model wrote it. It need not be valid.
        name: The tool.
    """

    id: str
    arguments: str
    name: str


class SystemMessage(BaseModel):
    """Instructions from the developer."""

    content: str
    type: Literal["SystemMessage"] = "SystemMessage"


class UserMessage(BaseModel):
    """Input from a person, or anything else that is put before the model."""

    content: str | list[str | Image]
    source: str
    """Name of the agent or person that it comes from."""
    type: Literal["UserMessage"] = "UserMessage"


class AssistantMessage(BaseModel):
    """What the model said before: text, or calls of tools."""

    content: str | list[FunctionCall]
    thought: str | None = None
    """Reasoning that came with it, or text beside tool calls."""
    source: str
    """Name of the agent whose model it was."""
    type: Literal["AssistantMessage"] = "AssistantMessage"


class FunctionExecutionResult(BaseModel):
    """What came of one call of a tool."""

    content: str
    name: str
    """The tool."""
    call_id: str
    """The `id` of the call."""
    is_error: bool | None = None
    """Whether the tool failed; `None` where that is not known."""


class FunctionExecutionResultMessage(BaseModel):
    """What came of the calls in the message before."""

    content: list[FunctionExecutionResult]
    type: Literal["FunctionExecutionResultMessage"] = "FunctionExecutionResultMessage"


LLMMessage: TypeAlias = Annotated[
    SystemMessage | UserMessage | AssistantMessage | FunctionExecutionResultMessage, Field(discriminator="type")
]
"""A message of a conversation with a model; `type` tells which."""


@dataclass
class RequestUsage:
    """What a request used, in tokens."""

    prompt_tokens: int
    completion_tokens: int


FinishReasons: TypeAlias = Literal["stop", "length", "function_calls", "content_filter", "unknown"]
"""Why the model stopped writing."""


@dataclass
class TopLogprob:
    """A token that could have stood in a place, and its natural log probability."""

    logprob: float
    bytes: list[int] | None = None


class ChatCompletionTokenLogprob(BaseModel):
    """A token of an answer, its natural log probability, and the likeliest tokens in its place."""

    token: str
    logprob: float
    top_logprobs: list[TopLogprob] | None = None
    bytes: list[int] | None = None


class CreateResult(BaseModel):
    """A complete answer of a model."""

    finish_reason: FinishReasons
    content: str | list[FunctionCall]
    """Text, or the tools that the model wants called."""
    usage: RequestUsage
    cached: bool
    """Whether the answer came from a cache, so that nothing was used."""
    logprobs: list[ChatCompletionTokenLogprob] | None = None
    thought: str | None = None
    """Reasoning that came with it, or text beside tool calls."""
