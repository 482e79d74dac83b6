"""What is said to a model and what it answers: messages, function calls, results, usage. Stands on images.

Must not know clients, tools or agents. The JSON of every class here is part of the contract: it is saved in states.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, cast

from pydantic import BaseModel, Field, GetCoreSchemaHandler, SerializerFunctionWrapHandler, model_serializer
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import core_schema

from autogen_core._image import Image

ProviderData: TypeAlias = Annotated[SkipJsonSchema[dict[str, Any] | None], Field(default=None, repr=False)]
"""What a model's provider sent beside the contract's fields and wants back unchanged, such as the signature of a thought.

JSON, under the name of the protocol. Only the client of that protocol reads it. It is saved in states where it is set.
"""


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

    provider_data: ClassVar[dict[str, Any] | None] = None
    """See `ProviderData`. Set on instances; it is no field, so that calls compare, print and cross wires as before."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Have states keep the provider's data, too."""
        return core_schema.no_info_wrap_validator_function(
            _read_call,
            handler(source),
            serialization=core_schema.wrap_serializer_function_ser_schema(_write_call, schema=handler(source)),
        )


def _read_call(value: Any, read: core_schema.ValidatorFunctionWrapHandler) -> FunctionCall:
    call: FunctionCall = read(value)
    data = cast("dict[str, Any]", value).get("provider_data") if isinstance(value, dict) else None
    if data is not None:
        vars(call)["provider_data"] = data
    return call


def _write_call(call: FunctionCall, write: core_schema.SerializerFunctionWrapHandler) -> Any:
    written = write(call)
    return written if call.provider_data is None else {**written, "provider_data": call.provider_data}


class _FromProvider(BaseModel):
    """Holds a provider's data, which are in its JSON where there are any."""

    provider_data: ProviderData = None
    """What the provider wants back with an answer: whoever makes an `AssistantMessage` of a `CreateResult` passes it on."""

    @model_serializer(mode="wrap")
    def _leave_out_nothing(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        if self.provider_data is None:
            written.pop("provider_data", None)
        return written


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


class AssistantMessage(_FromProvider):
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


class CreateResult(_FromProvider):
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
